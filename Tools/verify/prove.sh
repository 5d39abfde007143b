# shellcheck shell=bash
# What the proofs of main.sh and parallel.sh share: each is run by `prove`, the sum is said by `total`.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
planned=0 run=0 passed=0 status=0

# prove NAME COMMAND...: the command ends with a line "NAME: planned N, run N, passed N"; one that does not has not run.
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

# total NAME: the sum of all; false unless every proof ran whole and passed.
total() {
    echo "$1: planned $planned, run $run, passed $passed"
    [ $status -eq 0 ] && [ $planned -eq $run ] && [ $run -eq $passed ]
}
