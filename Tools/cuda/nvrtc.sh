#!/usr/bin/env bash
# Prints the Python that has NVRTC (requirements.txt), after installing it from PyPI if need be; 240 MB. No GPU and no
# driver is needed.
set -euo pipefail
cd "$(dirname "$0")"
exec ../venv.sh nvrtc NVRTC requirements.txt
