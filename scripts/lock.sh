#!/usr/bin/env bash
# Resolve pyproject.toml into the two lock files. One resolution serves every supported Python (markers tell them apart),
# every line carries its hashes, and no line names where a file comes from: any index or mirror will do.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.venv/bin/uv
[ -x "$uv" ] || { echo "lock: $uv is missing: run 'make setup' first" >&2; exit 1; }

resolve() { # resolve OUTPUT EXTRA...: keeps the versions already in OUTPUT unless UPGRADE=1
    local output=$1 extras=()
    shift
    for extra in "$@"; do extras+=(--extra "$extra"); done
    [ "${UPGRADE:-0}" = 1 ] && extras+=(--upgrade)
    "$uv" pip compile pyproject.toml --output-file "$output" "${extras[@]}" --quiet \
        --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links
    if grep -nE '://|^ *--?(index|extra-index|find-links|trusted)' "$output"; then
        echo "lock: $output names a place to download from (above)" >&2
        exit 1
    fi
    echo "lock: $output holds $(grep -c '==' "$output") packages"
}

resolve requirements-dev.lock local operator dev
# The runtime lock is a subset of the development lock: same versions, so what is tested is what is shipped.
cp requirements-dev.lock requirements.lock
UPGRADE=0 resolve requirements.lock local operator
