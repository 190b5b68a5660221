#!/usr/bin/env bash
# Run one stage of a longer job: stage.sh NAME COMMAND...  Says when it starts, and how it ended after how many seconds.
set -uo pipefail
name=$1
shift
echo "==> $name"
start=$SECONDS
"$@"
status=$?
if [ "$status" = 0 ]; then
    echo "<== $name: ok, $((SECONDS - start)) s"
else
    echo "<== $name: FAILED (exit $status), $((SECONDS - start)) s" >&2
fi
exit "$status"
