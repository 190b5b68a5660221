"""Runs a command that gets a signal when its parent dies, so that a killed supervisor leaves no server behind.

Run as a file by `dies_with_parent`; it imports nothing of Leadline, so that it starts at once.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def dies_with_parent(argv: Sequence[str], death: signal.Signals = signal.SIGTERM) -> list[str]:
    """The command line that runs `argv` and gives it the signal `death` when this process is gone.

    The kernel watches the thread that starts the child: start it from one that lives long enough.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(death)), *argv]


def _main(parent: int, death: int, argv: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, death, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the kernel was told
        sys.exit(1)
    os.execvp(argv[0], argv)  # noqa: S606 - the command line is dies_with_parent's


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
