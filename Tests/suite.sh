#!/usr/bin/env bash
# A suite against the real server process: suite.sh NAME FOLDER [SERVER-BINARY] [PYTEST-ARGUMENT...]
#
# Runs the tests of Tests/FOLDER with the clients' Python and ends with "NAME: planned N, run N, passed N". Without a
# binary: MARTLET_BINARY, or what `swift build` has made in this checkout. What is missing is a failure, never a skip.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1 folder=Tests/$2
shift 2

fail() { echo "$name: $*" >&2; exit 1; }

binary="${MARTLET_BINARY:-}"
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then binary="$1"; shift; fi
[ -n "$binary" ] || binary="$(swift build --show-bin-path)/martlet"
[ -x "$binary" ] || fail "no server at $binary: run 'swift build --product martlet', or name one."
MARTLET_BINARY="$(realpath "$binary")"
export MARTLET_BINARY MARTLET_SUITE="$name"

if [ -f "$folder/requirements.txt" ]; then python="$(Tests/EndToEnd/clients.sh "${folder#Tests/}")"
else python="$(Tests/EndToEnd/clients.sh)"; fi

# A proxy, a key or a model of the caller's environment is not what is tested.
unset OPENAI_API_KEY OPENAI_BASE_URL OPENAI_ORG_ID OPENAI_PROJECT_ID http_proxy https_proxy all_proxy VLLM_API_KEY
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY
export SWIFT_BACKTRACE=enable=no PYTHONDONTWRITEBYTECODE=1 LANGSMITH_TRACING=false
export PYTHONPATH="$PWD/Tests/EndToEnd:$PWD/Tools/bench"
exec "$python" -m pytest -q -p no:cacheprovider --rootdir "$folder" "$folder" "$@"
