#!/usr/bin/env bash
# The real clients against the real server process: run.sh [SERVER-BINARY] [PYTEST-ARGUMENT...]; see Tests/suite.sh.
# MARTLET_SMOLLM2 names the GGUF of SmolLM2; without it Tools/smollm2.sh fetches it.
set -euo pipefail
cd "$(dirname "$0")/../.."
MARTLET_SMOLLM2="${MARTLET_SMOLLM2:-$(Tools/smollm2.sh)}"
[ -f "$MARTLET_SMOLLM2" ] || { echo "e2e: no SmolLM2 at $MARTLET_SMOLLM2." >&2; exit 1; }
export MARTLET_SMOLLM2
exec Tests/suite.sh e2e EndToEnd "$@"
