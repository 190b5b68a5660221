"""A source of a live tape in the place of ingestion: four times a second of the tape it says a print of MES.

The tape's clock is shifted, so that it is the second of the harness' first day that a test wants, whatever the time.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from leadline.model.ids import AccountId, StrategyId
from leadline.model.signals import SignalMessage
from leadline.model.subjects import tick_subject
from leadline.model.ticks import TickBatch, TickColumns
from leadline.model.wire.ticks import encode_tick_batch
from leadline.runtime.bus.bus import Bus
from leadline.runtime.runs import LIVE_TAPE, Run, announce_run
from tests.execution.harness.builders import ANALYSIS, DAY, MES, bar, ns

WORD_SECONDS = 0.25


class LiveSource:
    """The tape `live` with MES, whose clock shows a second of the first day now and runs at a rate from then on.

    `price` is the price of the prints to come; one that is `silent` says nothing at all.
    """

    def __init__(self, bus: Bus, seconds: float, rate: int = 1) -> None:
        now_ns = time.time_ns()
        clock = (ns(seconds) - now_ns, rate, now_ns)
        self.run = Run(LIVE_TAPE, "sim", {MES: "cme"}, DAY, 0, (DAY,), (), ns(-60), False, "", *clock)
        self.price = 20_000
        self.silent = False
        self.next_index = 0
        self._bus = bus

    @property
    def now_ns(self) -> int:
        """The tape's time."""
        return self.run.now_ns(time.time_ns())

    async def say(self, *prices: int, late_ns: int = 0) -> None:
        """Prints of one contract each, a nanosecond apart, up to this time; with `late_ns` older ones, too late."""
        now_ns, subject = self.now_ns, tick_subject(LIVE_TAPE, "cme", MES)
        begin_ns = now_ns - late_ns - len(prices) + 1
        ticks = TickColumns.of([(begin_ns + n, price, 1, 0) for n, price in enumerate(prices)], self.next_index)
        self.next_index += len(prices)
        batch = TickBatch(LIVE_TAPE, "cme", MES, ticks, now_ns, late=late_ns > 0)
        await self._bus.publish(subject, encode_tick_batch(batch), f"{subject}/{self.next_index}/{now_ns}")

    async def talk(self) -> None:
        """Go on without end."""
        while True:
            if not self.silent:
                await self.say(self.price)
            await asyncio.sleep(WORD_SECONDS / self.run.clock_rate)

    def a_bar(self, age_s: float = 0) -> SignalMessage:
        """What an analysis says of a bar with a long, known now or so many seconds ago."""
        known_s = (self.now_ns - ns(0)) / 1e9 - age_s
        said, account, strategy = bar(known_s), AccountId("default/paper"), StrategyId("default/mes")
        return SignalMessage(LIVE_TAPE, account, strategy, ANALYSIS, said.known_at_ns, False, said)


@contextlib.asynccontextmanager
async def live_source(bus: Bus, seconds: float, rate: int = 1) -> AsyncIterator[LiveSource]:
    """A source that talks, and is announced."""
    source = LiveSource(bus, seconds, rate)
    await announce_run(bus, source.run)
    talking = asyncio.create_task(source.talk())
    try:
        yield source
    finally:
        talking.cancel()
        await asyncio.wait([talking])
