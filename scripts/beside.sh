#!/usr/bin/env bash
# Run stages of a longer job beside one another: beside.sh NAME COMMAND... [-- NAME COMMAND...]...
# The output of each comes in one piece, in the order in which they are named. Fails when one does, after all have ended.
set -uo pipefail
stage=$(dirname "$0")/stage.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

children=()
words=()
for word in "$@" --; do
    if [ "$word" = -- ]; then
        "$stage" "${words[@]}" >"$folder/${#children[@]}" 2>&1 &
        children+=($!)
        words=()
    else
        words+=("$word")
    fi
done

failed=0
for place in "${!children[@]}"; do
    wait "${children[$place]}" || failed=1
    cat "$folder/$place"
done
exit "$failed"
