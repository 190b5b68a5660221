#!/usr/bin/env bash
# Trade one simulated MES session with the whole platform on this machine, in a data directory of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
# A fresh directory each time: a run that found the last one's data would resume it instead of trading.
data=$(mktemp -d "${TMPDIR:-/tmp}/leadline-demo.XXXXXX")
.venv/bin/leadline up -f examples/mes-orderflow.yaml --feed sim --speed max --until-end --data-dir "$data"
echo "demo: $((SECONDS - started)) s; everything it left is in $data"
find "$data" -name '*.html' -exec echo "demo: report" {} \;
