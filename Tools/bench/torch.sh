#!/usr/bin/env bash
# Prints the Python that has torch and transformers (torch-requirements.txt), after installing them from PyPI if need
# be: outside the checkout, one set for each list of versions; some gigabytes. MARTLET_TORCH_PYTHON names a Python to
# use instead.
set -euo pipefail
cd "$(dirname "$0")"
if [ -n "${MARTLET_TORCH_PYTHON:-}" ]; then
    "$MARTLET_TORCH_PYTHON" -c 'import torch, transformers' >&2
    echo "$MARTLET_TORCH_PYTHON"
    exit
fi
list="$(sha256sum torch-requirements.txt | cut -c1-12)"
venv="${XDG_CACHE_HOME:-$HOME/.cache}/martlet/torch-venv"
if [ "$(cat "$venv/.list" 2>/dev/null || true)" != "$list" ]; then
    rm -rf "$venv"
    echo "Installing torch and transformers into $venv" >&2
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir -r torch-requirements.txt >&2
    echo "$list" >"$venv/.list"
fi
echo "$venv/bin/python"
