#!/usr/bin/env bash
# Swift tests on the built tree: swift_tests.sh [SUITE...], those suites or, unless told otherwise, every test but
# the tokenizer's large comparison (Tools/verify/tokenizer.sh). Ends with "swift: planned N, run N, passed N":
# planned is what `swift test list` names, and one for a suite that it does not name; run and passed what the run
# reports. A skipped test is one that did not run.
set -euo pipefail
cd "$(dirname "$0")/../.."
elsewhere=TokenizerVerificationTests
log=$(mktemp)
trap 'rm -f "$log"' EXIT
listed=$(swift test list --skip-build 2>/dev/null)
if [ $# -eq 0 ]; then
    choice=(--skip "$elsewhere")
    planned=$(grep -v "$elsewhere" <<<"$listed" | grep -c '[.]')
else
    planned=0 choice=()
    for suite in "$@"; do
        choice+=(--filter "[.]$suite/")
        count=$(grep -c "[.]$suite/" <<<"$listed" || true)
        [ "$count" -gt 0 ] || { echo "swift: there is no suite $suite" && count=1; }
        planned=$((planned + count))
    done
fi
status=0
SWIFT_BACKTRACE=enable=no swift test --skip-build "${choice[@]}" >"$log" 2>&1 || status=$?
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
