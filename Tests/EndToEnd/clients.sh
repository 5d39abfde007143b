#!/usr/bin/env bash
# Prints the Python that has the packages of a suite's requirements.txt, after installing them if need be.
# clients.sh [FOLDER OF Tests]; EndToEnd unless told otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."
suite="${1:-EndToEnd}"
case $suite in
EndToEnd) exec ../Tools/venv.sh e2e "the clients" EndToEnd/requirements.txt ;;
# The versions of EndToEnd are everybody's.
*) exec ../Tools/venv.sh "${suite,,}" "the clients" "$suite/requirements.txt" EndToEnd/requirements.txt ;;
esac
