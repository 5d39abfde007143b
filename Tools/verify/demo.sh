#!/usr/bin/env bash
# Shows that the demo model sees (make verify-demo); MARTLET_BINARY names the server. See demo.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -x "${MARTLET_BINARY:-}" ] || { echo "demo: MARTLET_BINARY names no server: run make verify-demo" >&2; exit 1; }
export MARTLET_BINARY SWIFT_BACKTRACE=enable=no PYTHONDONTWRITEBYTECODE=1 LANGSMITH_TRACING=false
unset OPENAI_API_KEY OPENAI_BASE_URL http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
exec "$(Tests/EndToEnd/clients.sh)" Tools/verify/demo.py "$@"
