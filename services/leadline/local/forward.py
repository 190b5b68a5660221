"""Runs a command that is to be stopped by another signal than the one that asks for it.

Whatever stops containers sends SIGTERM, upon which PostgreSQL waits for its clients to leave; SIGINT ends their
sessions. Run as a file by `stopped_by`; it imports nothing of Leadline, so that it is small for as long as it runs. As
the first process of a container it also buries the orphans.
"""

import os
import signal
import sys
from collections.abc import Sequence

_ASKING = (signal.SIGTERM, signal.SIGINT)


def stopped_by(argv: Sequence[str], how: signal.Signals) -> list[str]:
    """The command line that runs `argv` and gives it the signal `how` when it is told to stop itself."""
    return [sys.executable, "-I", "-S", __file__, str(int(how)), *argv]


def _main(how: int, argv: list[str]) -> int:
    # A signal that comes before there is somebody to tell waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ASKING)
    child = os.posix_spawn(argv[0], argv, os.environ, setsigmask=())
    for number in _ASKING:
        signal.signal(number, lambda *_: os.kill(child, how))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ASKING)
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]), sys.argv[2:]))
