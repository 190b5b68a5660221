"""How often the collector of cycles looks through the values of a backtest.

A backtest makes millions of values that hold no cycle and go by themselves, and keeps some hundred thousand. To look at
these again and again takes a tenth of its time.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_ALLOCATIONS: Final = 20_000
"""So many new objects the collector lets pass before it looks."""


def collect_seldom() -> None:
    """Have the collector look seldom, and at nothing that was there before: for the whole life of a process."""
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, *gc.get_threshold()[1:])


@contextmanager
def seldom_collected() -> Iterator[None]:
    """As `collect_seldom`, and afterwards as it was before."""
    before = gc.get_threshold()
    collect_seldom()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
