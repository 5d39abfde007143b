#!/usr/bin/env bash
# All that must be shown of parallel inference (make verify-parallel): the Swift suites of ranks, stages and
# replicas, ranks as processes over MPI with their faults, replicas behind HAProxy with theirs, and the figures.
# Fails when one falls short or did not run. MARTLET_FAULT_RUNS says how often each fault happens (20 unless told).
# Needs 12 GB of memory and disk.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
. Tools/verify/prove.sh

Tools/setup.sh build ranks deploy || exit 1
export MARTLET_SMOLLM2=${MARTLET_SMOLLM2:-$(Tools/smollm2.sh)}
export MARTLET_FAULT_RUNS=${MARTLET_FAULT_RUNS:-20}
suites=(
    LocalGroupTests SubgroupTests MPICommunicatorTests LinkFrameTests LinkHandshakeTests RankLinkTests
    RankOrderCodingTests StepPlanCodingTests ParallelLayoutTests ParallelPlanTests RankFootprintTests
    RankBenchTests TensorParallelTests PipelineTests PipelineParallelTests PipelineFaultTests FaultTests
    HealthWatchTests WatchdogTests RemoteLeadTests ReplicaChooserTests EngineGroupTests DataParallelTests
    PlannedMemoryTests SimulationTests GroupSimulationTests SimulationPlanTests SmolLM2Tests)
release="$(swift build -c release --show-bin-path)/martlet"
prove swift Tools/verify/swift_tests.sh "${suites[@]}"
prove ranks Tests/Ranks/run.sh
prove ranks Tests/Ranks/run.sh "$release" -m full
prove deploy Tests/Deploy/run.sh
# At its full 90 seconds; make test has it at a tenth.
MARTLET_WATCHDOG_SECONDS=90 prove e2e Tests/EndToEnd/run.sh -k test_watchdog -rP
prove figures python3 Tools/verify/parallel_figures.py "$release" "$MARTLET_SMOLLM2"

total verify-parallel
