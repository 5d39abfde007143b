#!/usr/bin/env bash
# Every Swift test but the tokenizer's large comparison (Tools/verify/tokenizer.sh), on the built tree. Ends with
# "swift: planned N, run N, passed N": planned is what `swift test list` names, run and passed what the run reports. A
# skipped test is one that did not run.
set -euo pipefail
cd "$(dirname "$0")/../.."
elsewhere=TokenizerVerificationTests
log=$(mktemp)
trap 'rm -f "$log"' EXIT
planned=$(swift test list --skip-build 2>/dev/null | grep -v "$elsewhere" | grep -c '[.]')
status=0
SWIFT_BACKTRACE=enable=no swift test --skip-build --skip "$elsewhere" >"$log" 2>&1 || status=$?
grep -aE '^SmolLM2 perplexity|^✘|^✔ Test run|^✘ Test run' "$log" | cut -c1-600 || true
total=$(grep -aoE 'Test run with [0-9]+ tests' "$log" | tail -1 | grep -oE '[0-9]+' || true)
skipped=$(grep -acE '^. Test .* skipped' "$log" || true)
failed=$(grep -aE '^✘ Test .* failed after' "$log" | grep -vc 'Test run with' || true)
run=$((${total:-0} - skipped))
passed=$((run - failed))
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
    tail -n 40 "$log"
    passed=0
fi
echo "swift: planned $planned, run $run, passed $passed"
[ "$status" -eq 0 ] && [ "$planned" -eq "$run" ] && [ "$run" -eq "$passed" ]
