#!/usr/bin/env bash
# Ranks that are processes, under mpirun: run.sh [SERVER-BINARY] [PYTEST-ARGUMENT...]
#
# Without a binary: MARTLET_BINARY, or what `swift build` has made in this checkout. Installs Open MPI and iproute2 if
# they are missing. MARTLET_FAULT_RUNS: how often each fault is made (2). `-m full` runs what needs 12 GB of memory and disk
# instead of the rest. Two hosts are two network namespaces, which takes root.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=Tests/Ranks

fail() { echo "ranks: $*" >&2; exit 1; }

binary="${MARTLET_BINARY:-}"
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then binary="$1"; shift; fi
[ -n "$binary" ] || binary="$(swift build --show-bin-path)/martlet"
[ -x "$binary" ] || fail "no server at $binary: run 'swift build --product martlet', or name one."
MARTLET_BINARY="$(realpath "$binary")"
MARTLET_SMOLLM2="${MARTLET_SMOLLM2:-$(Tools/smollm2.sh)}"
[ -f "$MARTLET_SMOLLM2" ] || fail "no SmolLM2 at $MARTLET_SMOLLM2."
export MARTLET_BINARY MARTLET_SMOLLM2

Tools/setup.sh ranks
python="$(Tests/EndToEnd/clients.sh)"

unset OPENAI_API_KEY OPENAI_BASE_URL OPENAI_ORG_ID OPENAI_PROJECT_ID http_proxy https_proxy all_proxy VLLM_API_KEY
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY
export SWIFT_BACKTRACE=enable=no PYTHONDONTWRITEBYTECODE=1
exec "$python" -m pytest -q -p no:cacheprovider --rootdir "$here" "$here" "$@"
