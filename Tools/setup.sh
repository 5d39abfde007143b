#!/usr/bin/env bash
# Installs the Debian packages that are missing: setup.sh [GROUP...]. Groups: build (unless told otherwise: what
# building and testing Martlet needs), deploy (what checks and runs Deploy/), ranks (processes over MPI, their network).
set -euo pipefail
[ $# -gt 0 ] || set -- build
packages=()
for group in "$@"; do
    case $group in
    build) packages+=(libpng-dev libturbojpeg0-dev libwebp-dev python3 valgrind) ;;
    deploy) packages+=(haproxy prometheus systemd shellcheck strace) ;;
    ranks) packages+=(openmpi-bin libopenmpi3 iproute2) ;;
    *) echo "setup.sh: no group '$group': build, deploy, ranks" >&2 && exit 2 ;;
    esac
done
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
sudo=""
[ "$(id -u)" -eq 0 ] || sudo=sudo
echo "Installing ${missing[*]}"
$sudo apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
# Tests start their own: Debian's packages would start these at once and at every boot.
for package in "${missing[@]}"; do
    case $package in
    haproxy | prometheus)
        [ ! -d /run/systemd/system ] || $sudo systemctl disable --now --quiet "$package" || true
        ;;
    esac
done
