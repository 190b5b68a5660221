"""The processes of a backtest begin as copies of one that has loaded their code, and does nothing else."""

import multiprocessing
import signal
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext


def process_context() -> ForkServerContext:
    """The way in which they begin."""
    load_ahead()
    return multiprocessing.get_context("forkserver")


def load_ahead() -> None:
    """Start the one that they are copies of, where it does not run yet: it loads the code while this process goes on.

    It ends with this process, and hears no Ctrl-C, which is this one's to answer.
    """
    forkserver.set_forkserver_preload(["leadline.backtest.workers", "leadline.backtest.catalog_prints"])
    resource_tracker.ensure_running()  # which would let the signal through again, were it started only below
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
