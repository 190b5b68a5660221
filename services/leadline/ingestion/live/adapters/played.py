"""A source whose prints are known beforehand, played on the tape's clock: a simulated market, or recorded days."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from leadline.ingestion.live.days import SourceDays
from leadline.ingestion.live.port import Arrival, Wanted
from leadline.ingestion.raw import RawColumns
from leadline.ingestion.sources import Source
from leadline.model.ids import ContractId
from leadline.model.ticks import NS_PER_MINUTE, NS_PER_SECOND

# Prints that fall due within so long go out together.
FILL_SECONDS: Final = 0.01
# While nothing is due, the source says at least so often how far it is.
SILENT_SECONDS: Final = 0.2
# While it catches up with the clock it says so much at once.
CATCH_UP_NS: Final = 30 * NS_PER_MINUTE


class PlayedSource:
    """See `LiveSource`. It says again all that was missed.

    now_ns: the tape's clock. rate: how many times as fast as the wall clock it runs.
    """

    repeats = True
    promises = True
    heartbeat_s = 10.0
    patience_s = float("inf")

    def __init__(self, name: str, source: Source, now_ns: Callable[[], int], rate: int) -> None:
        self.name = name
        self._days = SourceDays(source)
        self._now_ns = now_ns
        self._rate = rate
        self._wanted: dict[ContractId, Wanted] = {}
        self._reached: dict[ContractId, int] = {}

    async def connect(self, contracts: Mapping[ContractId, Wanted]) -> None:
        """See `LiveSource`."""
        self._wanted = dict(contracts)
        self._reached = {name: each.after_ns for name, each in contracts.items()}

    async def receive(self) -> Arrival:
        """See `LiveSource`."""
        reached_ns = min(self._reached.values())
        silent_ns = int(SILENT_SECONDS * NS_PER_SECOND) * self._rate
        if reached_ns + silent_ns > self._now_ns():
            await asyncio.sleep(self._wait_s(reached_ns))
        until_ns = min(self._now_ns(), reached_ns + max(CATCH_UP_NS, silent_ns))
        # A day is made or read in some tenths of a second, in which others are to be heard.
        prints = await asyncio.to_thread(self._until, until_ns)
        self._reached = {name: max(reached_ns, until_ns) for name, reached_ns in self._reached.items()}
        return Arrival(prints, dict.fromkeys(self._reached, until_ns))

    async def close(self) -> None:
        """See `LiveSource`."""

    def _until(self, until_ns: int) -> list[RawColumns]:
        found: list[RawColumns] = []
        for name, after_ns in self._reached.items():
            if after_ns < until_ns:
                found += self._days.between(name, self._wanted[name].first_day, after_ns, until_ns)
        return found

    def _wait_s(self, reached_ns: int) -> float:
        """For how long to sleep: until the next print is due, within bounds."""
        due = [due_ns for name in self._reached if (due_ns := self._days.next_ns(name, reached_ns))]
        wait_s = (min(due) - self._now_ns()) / NS_PER_SECOND / self._rate if due else SILENT_SECONDS
        return min(max(wait_s, FILL_SECONDS), SILENT_SECONDS)
