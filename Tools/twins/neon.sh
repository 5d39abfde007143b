#!/usr/bin/env bash
# Compiles CMartletKernels for aarch64 and runs every kernel beside its twin in scalar/ (Tools/twins) under qemu, on a
# processor with the 8-bit matrix products, one with dot products only, and one with neither, which has scalar alone.
# What scalar/ computes there has to be what it computes here.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Debian's packages that this needs and building Martlet does not. What cannot be installed is a failure.
packages=(qemu-user libc6-dev-arm64-cross libgcc-12-dev-arm64-cross)
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    sudo=""
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    echo "Installing ${missing[*]}"
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

clang=$(dirname "$(readlink -f "$(command -v swift)")")/clang
root=/usr/aarch64-linux-gnu
gcc=/usr/lib/gcc-cross/aarch64-linux-gnu/12
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mapfile -t sources < <(find Sources/CMartletKernels Tools/twins -name '*.c' | sort)

# build PROGRAM OPTION...: with warnings as errors, and optimised as the package is.
build() {
    local program=$1 source object objects=()
    shift
    for source in "${sources[@]}"; do
        object=$folder/${#objects[@]}.o
        "$clang" -std=gnu11 -O2 -Wall -Wextra -Werror -Wno-unused-function -ISources/CMartletKernels/include \
            "$@" -c "$source" -o "$object"
        objects+=("$object")
    done
    "$clang" -fuse-ld=lld "$@" "${objects[@]}" -lm -o "$folder/$program"
}

build here
build neon --target=aarch64-linux-gnu -static -isystem "$root/include" -B"$root/lib" -B"$gcc" -L"$root/lib" -L"$gcc" \
    -Wno-unused-command-line-argument

# twins NAME COMMAND...: prints what it says, keeps its last line.
twins() {
    echo "$1:"
    shift
    "$@" | tee "$folder/said" | sed 's/^/    /'
    truths+=("$(tail -n 1 "$folder/said")")
}

truths=()
twins "this processor" "$folder/here" any
twins "aarch64 with i8mm" qemu-aarch64 -cpu max "$folder/neon" neon
twins "aarch64 with dotprod" qemu-aarch64 -cpu neoverse-n1 "$folder/neon" neon
twins "aarch64 without" qemu-aarch64 -cpu cortex-a72 "$folder/neon"
for truth in "${truths[@]}"; do
    [ "$truth" = "${truths[0]}" ] || { echo "scalar/ computes something else on aarch64." >&2; exit 1; }
done
