"""The end of a command whose output is closed by its reader, as in `leadline orders | head`."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_STANDARD_OUTPUT = 1


@contextmanager
def ended_by_a_closed_pipe() -> Iterator[None]:
    """End this process as Unix tools do, without a word and by SIGPIPE, when what reads its output has gone."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # else the interpreter does it, and tells of its failure
    except BrokenPipeError:
        if not nobody_reads():
            raise
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)


def nobody_reads() -> bool:
    """Whether standard output is a pipe that nobody reads: not every broken pipe is that one."""
    poll = select.poll()
    poll.register(_STANDARD_OUTPUT, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
