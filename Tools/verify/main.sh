#!/usr/bin/env bash
# All that must be shown of the main job (make verify-main): runs each proof, prints its figures, adds up the counts and
# fails when one falls short or did not run. A quarter of an hour on two cores, besides the builds; the full-size proof needs 21.5 GiB of memory.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
. Tools/verify/prove.sh

export MARTLET_SMOLLM2=${MARTLET_SMOLLM2:-$(Tools/smollm2.sh)}
prove swift Tools/verify/swift_tests.sh
prove e2e Tests/EndToEnd/run.sh
prove tokenizer Tools/verify/tokenizer.sh
prove full-size python3 Tools/verify/full_size.py "$(swift build -c release --show-bin-path)/martlet"

total verify-main
