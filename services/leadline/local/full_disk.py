"""Runs NATS, and starts it again when its disk has room once more after it was full.

A stream that could not be written says so until its server is started again, whatever room there is by then. Run as a
file by `started_again`; it imports nothing of Leadline, so that it is small for as long as it runs. As the first
process of a container it also buries the orphans.
"""

import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

LOOK_SECONDS = 2.0
ANSWER_SECONDS = 5.0
# Enough for a block of each stream and what the server writes when it ends.
ROOM_BYTES = 64 << 20

_ASKING = (signal.SIGTERM, signal.SIGINT)


def started_again(argv: Sequence[str], monitor: str, store: Path, room_bytes: int = ROOM_BYTES) -> list[str]:
    """The command line that runs `argv`, which answers `/healthz` at `monitor` (host:port) and writes to `store`."""
    return [sys.executable, "-I", "-S", __file__, monitor, str(store), str(room_bytes), *argv]


def write_error(monitor: str) -> str:
    """The server's error of a failed write; empty when there is none or it does not answer."""
    host, _, port = monitor.rpartition(":")
    # Where it listens everywhere it is asked at home.
    home = "127.0.0.1" if host in {"", "0.0.0.0"} else host  # noqa: S104
    connection = http.client.HTTPConnection(home, int(port), timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz")
        answer = json.loads(connection.getresponse().read())
        error = str(answer.get("error") or "")
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
    return error if "write error" in error else ""


def has_room(store: Path, room_bytes: int) -> bool:
    """Whether the disk of a directory has so many bytes for an ordinary user."""
    found = os.statvfs(store)
    return found.f_bavail * found.f_frsize >= room_bytes


def _main(monitor: str, store: Path, room_bytes: int, argv: list[str]) -> int:
    stopping = False
    child = 0

    def stop(number: int, _: object) -> None:
        nonlocal stopping
        stopping = True
        os.kill(child, number)

    # A signal that comes before there is somebody to tell waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ASKING)
    child = os.posix_spawn(argv[0], argv, os.environ, setsigmask=())
    for number in _ASKING:
        signal.signal(number, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ASKING)
    looked_at, again = time.monotonic(), False
    while True:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == child:
            if not again or stopping:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            again = False
            signal.pthread_sigmask(signal.SIG_BLOCK, _ASKING)
            child = os.posix_spawn(argv[0], argv, os.environ, setsigmask=())
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ASKING)
        elif not ended:
            time.sleep(0.1)
        if again or stopping or time.monotonic() - looked_at < LOOK_SECONDS:
            continue
        looked_at = time.monotonic()
        if (why := write_error(monitor)) and has_room(store, room_bytes):
            answer = {"event": "nats.started_again", "reason": f"there is room again after: {why}"}
            sys.stderr.write(json.dumps(answer) + "\n")
            again = True
            os.kill(child, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
