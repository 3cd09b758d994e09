#!/usr/bin/env bash
# Start everything in the background; `scripts/alicerce.sh stop` ends it.
set -euo pipefail

exec "$(dirname "${BASH_SOURCE[0]}")/alicerce.sh" start "$@"
