#!/usr/bin/env bash
# All that must be shown of the main job (make verify-main): runs each proof, prints its figures, adds up the counts and
# fails when one falls short or did not run. A quarter of an hour on two cores, besides the builds; the full-size proof needs 21.5 GiB of memory.
set -uo pipefail
cd "$(dirname "$0")/../.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
planned=0 run=0 passed=0 status=0

# prove NAME COMMAND...: the command ends with a line "NAME: planned N, run N, passed N".
prove() {
    local name=$1 counts
    shift
    echo "== $name"
    "$@" 2>&1 | tee "$log" || status=1
    counts=$(sed -nE "s/^$name: planned ([0-9]+), run ([0-9]+), passed ([0-9]+)\$/\1 \2 \3/p" "$log" | tail -1)
    if [ -z "$counts" ]; then
        echo "$name: did not run" && planned=$((planned + 1)) status=1
        return
    fi
    # shellcheck disable=SC2086
    set -- $counts
    planned=$((planned + $1)) run=$((run + $2)) passed=$((passed + $3))
}

export MARTLET_SMOLLM2=${MARTLET_SMOLLM2:-$(Tools/smollm2.sh)}
prove swift Tools/verify/swift_tests.sh
prove e2e Tests/EndToEnd/run.sh
prove tokenizer Tools/verify/tokenizer.sh
prove full-size python3 Tools/verify/full_size.py "$(swift build -c release --show-bin-path)/martlet"

echo "verify-main: planned $planned, run $run, passed $passed"
[ $status -eq 0 ] && [ $planned -eq $run ] && [ $run -eq $passed ]
