#!/usr/bin/env bash
# What Deploy/ holds, run and checked: run.sh [SERVER-BINARY] [PYTEST-ARGUMENT...]; see Tests/suite.sh and README.md.
# MARTLET_FAULT_RUNS: how often each fault happens (2 unless told; 20 in make verify-parallel).
set -euo pipefail
cd "$(dirname "$0")/../.."
Tools/setup.sh deploy
exec Tests/suite.sh deploy Deploy -s "$@"
