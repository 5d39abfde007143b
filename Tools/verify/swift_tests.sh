#!/usr/bin/env bash
# Every Swift test, on the built tree. Ends with "swift: planned N, run N, passed N": planned is what `swift test list`
# names, run and passed what the run reports. A skipped test is one that did not run.
set -euo pipefail
cd "$(dirname "$0")/../.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
planned=$(swift test list --skip-build 2>/dev/null | grep -c '[.]')
status=0
SWIFT_BACKTRACE=enable=no swift test --skip-build >"$log" 2>&1 || status=$?
grep -E '✘|Test run with|^SmolLM2|error:|Fatal|Executed' "$log" || true
summary=$(grep -oE 'Test run with [0-9]+ tests' "$log" | grep -oE '[0-9]+' | tail -1 || true)
skipped=$(grep -cE '^(✘|◇|➜|↳|.)? ?Test .* skipped' "$log" || true)
failed=$(grep -cE '^✘ Test [^ ]+ (failed|with .* failed)' "$log" || true)
run=$((${summary:-0} - skipped))
passed=$((run - failed))
[ "$status" -eq 0 ] || { tail -n 40 "$log"; [ "$passed" -lt "$run" ] || passed=$((run - 1)); }
echo "swift: planned $planned, run $run, passed $passed"
[ "$status" -eq 0 ] && [ "$planned" -eq "$run" ] && [ "$run" -eq "$passed" ]
