#!/usr/bin/env bash
# All that must be shown of the CUDA backend (make verify-cuda): the kernels beside their twins, the backend and the whole
# model in the emulation of the driver, planted faults, and that every kernel compiles for every GPU. On a machine with a
# GPU also what it does there (Tools/gpu-check). Fails when one falls short or did not run.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
. Tools/verify/prove.sh

# Every suite of these places, whatever it is called.
mapfile -t suites < <(grep -rhoE '(struct|class) [A-Za-z0-9]+Tests\b' Tests/MartletCUDATests Tests/MartletModelsTests/CUDA \
    Tests/MartletCommandTests/CUDAHardwareTests.swift | awk '{print $2}' | sort -u)
has_gpu() { command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep '^GPU' >/dev/null; }
if has_gpu; then
    # They show what is said where libraries are missing, which here they are not.
    echo "LibrarySearchTests are for machines without a driver." && mapfile -t suites < <(
        printf '%s\n' "${suites[@]}" | grep -v '^LibrarySearchTests$')
fi
prove swift Tools/verify/swift_tests.sh "${suites[@]}"
python=$(Tools/cuda/nvrtc.sh) || exit
prove nvrtc "$python" Tools/cuda/nvrtc.py
if has_gpu; then
    check=$(mktemp -d)
    Tools/gpu-check pack "$check/gpu-check.tar.gz" && tar -C "$check" -xzf "$check/gpu-check.tar.gz"
    prove gpu-check "$check/gpu-check/gpu-check" "$check/report.txt"
    rm -rf "$check"
else
    echo "No GPU is here: nothing is claimed of one."
fi

total verify-cuda
