#!/usr/bin/env bash
# The real clients against the real server process: run.sh [SERVER-BINARY] [PYTEST-ARGUMENT...]
#
# Without a binary: MARTLET_BINARY, or what `swift build` has made in this checkout. Anything that is missing is a
# failure, never a skip. MARTLET_SMOLLM2 names the GGUF of SmolLM2; without it Tools/default_model.sh fetches it.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=Tests/EndToEnd

fail() { echo "e2e: $*" >&2; exit 1; }

binary="${MARTLET_BINARY:-}"
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then binary="$1"; shift; fi
[ -n "$binary" ] || binary="$(swift build --show-bin-path)/martlet"
[ -x "$binary" ] || fail "no server at $binary: run 'swift build --product martlet', or name one."
MARTLET_BINARY="$(realpath "$binary")"
MARTLET_SMOLLM2="${MARTLET_SMOLLM2:-$(Tools/default_model.sh)}"
[ -f "$MARTLET_SMOLLM2" ] || fail "no SmolLM2 at $MARTLET_SMOLLM2."
export MARTLET_BINARY MARTLET_SMOLLM2

# The clients live outside the checkout, one set for each list of versions.
list="$(sha256sum "$here/requirements.txt" | cut -c1-12)"
venv="${XDG_CACHE_HOME:-$HOME/.cache}/martlet/e2e-venv"
if [ "$(cat "$venv/.list" 2>/dev/null || true)" != "$list" ]; then
    rm -rf "$venv"
    if ! python3 -c 'import ensurepip' 2>/dev/null; then
        sudo=""
        [ "$(id -u)" -eq 0 ] || sudo=sudo
        echo "Installing python3 and python3-venv"
        $sudo apt-get update -qq
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv
    fi
    echo "Installing the clients into $venv"
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    echo "$list" >"$venv/.list"
fi

# A proxy, a key or a model of the caller's environment is not what is tested.
unset OPENAI_API_KEY OPENAI_BASE_URL OPENAI_ORG_ID OPENAI_PROJECT_ID http_proxy https_proxy all_proxy VLLM_API_KEY
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY
export SWIFT_BACKTRACE=enable=no PYTHONDONTWRITEBYTECODE=1 LANGSMITH_TRACING=false
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider --rootdir "$here" "$here" "$@"
