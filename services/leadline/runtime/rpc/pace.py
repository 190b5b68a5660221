"""How fast things may be done for others, so that what a process is there for does not wait behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from leadline.runtime.clock import monotonic_s, worked_s

BURST_SECONDS: Final = 0.5
CALL_WORK_SECONDS: Final = 0.001
"""The cost of a call around its answer: reading its metadata, its token, and writing the answer."""


class Pace:
    """So many items a second for all who ask, first come, first served.

    at_once: how many are given out without a wait after a calm; by default half a second's worth.
    """

    def __init__(self, per_second: float, at_once: float | None = None) -> None:
        self._per_second = per_second
        self._burst_s = BURST_SECONDS if at_once is None else at_once / per_second
        self._one = asyncio.Lock()
        self._free_s = 0.0

    async def take(self, items: int) -> None:
        """Wait until these items may be given out. A caller that gives up takes nothing from those behind it."""
        async with self._one:
            now = monotonic_s()
            free_s = max(now - self._burst_s, self._free_s) + items / self._per_second
            if free_s > now:
                await asyncio.sleep(free_s - now)
            self._free_s = free_s


class Share:
    """A share of the event loop's thread, from 0 to 1, for work that computes and does not wait: one piece at a time.

    After a piece that took a time, none begins until the share is kept. So a loop that has something else to do meets
    this work with a chance of the share, whatever the pieces take and however many wait.
    """

    def __init__(self, share: float) -> None:
        self._rest = 1 / share - 1
        self._one = asyncio.Lock()
        self._free_s = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn, and work. Turns come in the order in which they were asked for."""
        async with self._one:
            if (early_s := self._free_s - monotonic_s()) > 0:
                await asyncio.sleep(early_s)
            began_s = worked_s()
            try:
                yield
            finally:
                self._free_s = monotonic_s() + self._rest * (worked_s() - began_s + CALL_WORK_SECONDS)
