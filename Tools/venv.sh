#!/usr/bin/env bash
# Prints the Python that has the packages of a list, after installing them from PyPI if need be: outside the checkout, in
# ${XDG_CACHE_HOME:-~/.cache}/martlet, anew when a list has changed.
# venv.sh NAME WHAT LIST [LIST THAT IT NAMES...]; WHAT is said to be installed.
set -euo pipefail
name="$1" what="$2"
shift 2
list="$(cat "$@" | sha256sum | cut -c1-12)"
venv="${XDG_CACHE_HOME:-$HOME/.cache}/martlet/$name-venv"
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
    echo "Installing $what into $venv" >&2
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir -r "$1" >&2
    echo "$list" >"$venv/.list"
fi
echo "$venv/bin/python"
