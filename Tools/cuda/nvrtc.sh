#!/usr/bin/env bash
# Prints the Python that has NVRTC (requirements.txt), after installing it from PyPI if need be: outside the checkout,
# one set for each list of versions; 240 MB. No GPU and no driver is needed.
set -euo pipefail
cd "$(dirname "$0")"
list="$(sha256sum requirements.txt | cut -c1-12)"
venv="${XDG_CACHE_HOME:-$HOME/.cache}/martlet/nvrtc-venv"
if [ "$(cat "$venv/.list" 2>/dev/null || true)" != "$list" ]; then
    rm -rf "$venv"
    if ! python3 -c 'import ensurepip' 2>/dev/null; then
        sudo=""
        [ "$(id -u)" -eq 0 ] || sudo=sudo
        echo "Installing python3 and python3-venv" >&2
        $sudo apt-get update -qq >&2
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            python3 python3-venv >&2
    fi
    echo "Installing NVRTC into $venv" >&2
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt >&2
    echo "$list" >"$venv/.list"
fi
echo "$venv/bin/python"
