#!/usr/bin/env bash
# Starts an OpenAI-compatible server; sets up what is missing first.
#
#   ./run_autoglm_server.sh                               autoglm-phone-tiny, the demonstration model in Models/
#   ./run_autoglm_server.sh --model PATH_OR_HUB_NAME      your model
#   CUDA_VISIBLE_DEVICES=0,1 ./run_autoglm_server.sh …    two GPUs
#
# Every flag of `martlet serve` may follow; these are given unless you give them: --host 0.0.0.0 --port 8000
# --max-model-len 4096 --served-model-name autoglm-phone-9b. MARTLET_BINARY names a binary to run instead of building.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"  # started as `sh run_autoglm_server.sh`
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")" && pwd)"

fail() { echo "run_autoglm_server.sh: $*" >&2; exit 1; }

# Is --NAME (with - or _, as --NAME VALUE or --NAME=VALUE), or one of the short forms behind it, among the arguments?
arguments=("$@")
given() {
    local name="$1" short="${2:-}" word
    for word in ${arguments[@]+"${arguments[@]}"}; do
        word="${word%%=*}"
        [ -n "$short" ] && [ "$word" = "$short" ] && return 0
        case "$word" in --*) [ "${word//_/-}" = "--$name" ] && return 0 ;; esac
    done
    return 1
}

if given help -h; then
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]:-$0}"
    echo "Flags: docs/flags.md"
    exit 0
fi

# The program.
if [ -n "${MARTLET_BINARY:-}" ]; then
    binary="$MARTLET_BINARY"
    [ -x "$binary" ] || fail "MARTLET_BINARY=$binary is not a program."
else
    command -v swift >/dev/null || fail "swift is missing: install Swift 6.2 or newer (https://swift.org/install)"
    "$root/Tools/setup.sh"
    echo "Building martlet (the first time takes some minutes)"
    swift build --package-path "$root" -c release --product martlet >&2
    binary="$(swift build --package-path "$root" -c release --show-bin-path)/martlet"
fi

# The model: the first word, --model, or a configuration file's; else the small one.
defaults=()
has_model=no
given model && has_model=yes
given config && has_model=yes
[ $# -gt 0 ] && [ "${1#-}" = "$1" ] && has_model=yes
if [ "$has_model" = no ]; then
    model="$root/Models/autoglm-phone-tiny"
    echo "No --model was given: serving autoglm-phone-tiny, a small demonstration model, under the name autoglm-phone-9b."
    echo "It is not AutoGLM-Phone-9B. For that one: ./run_autoglm_server.sh --model zai-org/AutoGLM-Phone-9B"
    defaults+=(--model "$model")
fi
given served-model-name || defaults+=(--served-model-name autoglm-phone-9b)
given host || defaults+=(--host 0.0.0.0)
given port || defaults+=(--port 8000)
given max-model-len || defaults+=(--max-model-len 4096)

# Devices. Tensor parallel = the number of GPUs that CUDA_VISIBLE_DEVICES names, else 1; the small model's heads cannot be
# shared out, and it needs no more than one.
has_gpu() { command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep "^GPU" >/dev/null; }
visible="${CUDA_VISIBLE_DEVICES:-}"
if [ -n "$visible" ] && [ "$visible" != "-1" ] && ! has_gpu; then
    # The server's log says why GPUs are not used. Sizes that were meant for them would end the start.
    defaults+=(--tensor-parallel-size 1)
    kept=()
    skip=no
    for word in ${arguments[@]+"${arguments[@]}"}; do
        if [ "$skip" = yes ]; then skip=no; continue; fi
        name="${word%%=*}"
        case "${name//_/-}" in
            --tensor-parallel-size | -tp) [ "$word" = "$name" ] && skip=yes ;;
            *) kept+=("$word") ;;
        esac
    done
    arguments=(${kept[@]+"${kept[@]}"})
elif ! given tensor-parallel-size -tp; then
    count=1
    if [ "$has_model" = yes ] && [ -n "$visible" ] && [ "$visible" != "-1" ]; then
        count=$(tr ',' '\n' <<<"$visible" | grep -c .)
    fi
    defaults+=(--tensor-parallel-size "$count")
fi

exec "$binary" serve ${arguments[@]+"${arguments[@]}"} "${defaults[@]}"
