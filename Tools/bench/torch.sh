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
exec ../venv.sh torch "torch and transformers" torch-requirements.txt
