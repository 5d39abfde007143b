#!/usr/bin/env bash
# The real clients against the real server process: run.sh [SERVER-BINARY] [PYTEST-ARGUMENT...]
#
# Without a binary: MARTLET_BINARY, or what `swift build` has made in this checkout. Anything that is missing is a
# failure, never a skip. MARTLET_SMOLLM2 names the GGUF of SmolLM2; without it Tools/smollm2.sh fetches it.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=Tests/EndToEnd

fail() { echo "e2e: $*" >&2; exit 1; }

binary="${MARTLET_BINARY:-}"
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then binary="$1"; shift; fi
[ -n "$binary" ] || binary="$(swift build --show-bin-path)/martlet"
[ -x "$binary" ] || fail "no server at $binary: run 'swift build --product martlet', or name one."
MARTLET_BINARY="$(realpath "$binary")"
MARTLET_SMOLLM2="${MARTLET_SMOLLM2:-$(Tools/smollm2.sh)}"
[ -f "$MARTLET_SMOLLM2" ] || fail "no SmolLM2 at $MARTLET_SMOLLM2."
export MARTLET_BINARY MARTLET_SMOLLM2

python="$(Tests/EndToEnd/clients.sh)"

# A proxy, a key or a model of the caller's environment is not what is tested.
unset OPENAI_API_KEY OPENAI_BASE_URL OPENAI_ORG_ID OPENAI_PROJECT_ID http_proxy https_proxy all_proxy VLLM_API_KEY
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY
export SWIFT_BACKTRACE=enable=no PYTHONDONTWRITEBYTECODE=1 LANGSMITH_TRACING=false
exec "$python" -m pytest -q -p no:cacheprovider --rootdir "$here" "$here" "$@"
