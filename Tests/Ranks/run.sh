#!/usr/bin/env bash
# Ranks that are processes, under mpirun: run.sh [SERVER-BINARY] [PYTEST-ARGUMENT...]; see Tests/suite.sh.
#
# Installs Open MPI and iproute2 if they are missing. MARTLET_FAULT_RUNS: how often each fault is made (2). `-m full` runs
# what needs 12 GB of memory and disk instead of the rest. Two hosts are two network namespaces, which takes root.
set -euo pipefail
cd "$(dirname "$0")/../.."
MARTLET_SMOLLM2="${MARTLET_SMOLLM2:-$(Tools/smollm2.sh)}"
[ -f "$MARTLET_SMOLLM2" ] || { echo "ranks: no SmolLM2 at $MARTLET_SMOLLM2." >&2; exit 1; }
export MARTLET_SMOLLM2
Tools/setup.sh ranks
exec Tests/suite.sh ranks Ranks "$@"
