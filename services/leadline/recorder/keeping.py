"""The recorder's daily work at its tables: partitions for the days that come, and none that are too old."""

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from leadline.model.counted import counted
from leadline.recorder import metrics
from leadline.recorder.partition_store import Partitions
from leadline.runtime.bus.bus import Bus
from leadline.runtime.clock import wall_ns
from leadline.runtime.database import DATABASE_LOST
from leadline.runtime.runs import Run, announced_runs

LOOK_SECONDS: Final = 10.0
"""How often it is looked whether a day has begun, or what was left of the last one can be done."""

_log = structlog.get_logger(__name__)


class TapeClock:
    """The time of the tape that is announced: the wall clock's, but in drills of a tape without an end."""

    def __init__(self) -> None:
        self._run: Run | None = None

    def now_ns(self) -> int:
        """The tape's time now, nanoseconds UTC."""
        return wall_ns() if self._run is None else self._run.now_ns(wall_ns())

    async def follow(self, bus: Bus) -> None:
        """Go by the run that was announced last, without end."""
        async for run in announced_runs(bus):
            self._run = run


async def keep_tables(partitions: Partitions, stopping: asyncio.Event) -> None:
    """See to the partitions at once and whenever a day begins, until `stopping` is set."""
    done = None
    while not stopping.is_set():
        today = partitions.today()
        if today != done:
            try:
                await partitions.make_ahead()
                dropped, in_use = await partitions.drop_old()
            except DATABASE_LOST as error:
                _log.warning("recorder.tables_unkept", reason=str(error) or type(error).__name__)
            else:
                _tell(dropped, in_use)
                done = None if in_use else today
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await stopping.wait()


def _tell(dropped: dict[str, int], in_use: list[str]) -> None:
    for table, number in dropped.items():
        metrics.DROPPED[table].inc(number)
        _log.info("recorder.partitions_dropped", table=table, dropped=counted(number, "partition"))
    if in_use:
        _log.warning("recorder.partitions_in_use", partitions=in_use, reason="somebody reads the table: tried again")
