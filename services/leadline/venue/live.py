"""The tapes of the run that is live, on their way to the paper market: each batch is matched as it comes.

Nobody asks for it, and no contract waits for another. Which prints a market has met is in its marks: after a start it
goes on from there, for as far back as the stream still has them.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal

from leadline.model.durations import NS_PER_SECOND
from leadline.model.ids import ContractId, LegKind
from leadline.model.orders import VenueOrder
from leadline.model.subjects import TICKS, tick_subject
from leadline.model.ticks import TickBatch, TickColumns
from leadline.runtime.bus.intake import Intake, read_ticks
from leadline.runtime.clock import wall_ns
from leadline.runtime.context import Context
from leadline.runtime.poison import Poison
from leadline.runtime.runs import Run
from leadline.venue import metrics
from leadline.venue.matching import PaperMarket

TICK_SECONDS: Final = 1.0
"""How often what time alone ends is looked at."""

SILENCE_NS: Final = 5 * NS_PER_SECOND
"""For so long nothing is ended by the clock for which a print may still be on its way."""

MARGIN_SECONDS: Final = 10
"""How much earlier than its last matched print a tape is read from: clocks differ."""

LATE_SECONDS: Final = 4
"""An entry that was decided longer ago is not taken: accounts send none that is older than 3 s."""

HOLE_MARGIN_SECONDS: Final = 600
"""How much earlier it is read from once prints are missing."""

HOLE_SECONDS: Final = 1.0
"""How long whoever published missing prints has to say them again."""


def comes_late(order: VenueOrder, now_ns: int, clock_rate: int) -> str:
    """Why an order that comes now is too old to be taken; empty for one that is not, and for all that is no entry.

    A network that stood still delivers, when it heals, what nobody wants any more. `now_ns` is the tape's time, ns UTC.
    """
    age_ns = now_ns - order.decided_at_ns
    if order.leg.kind is not LegKind.ENTRY or age_ns <= LATE_SECONDS * NS_PER_SECOND * clock_rate:
        return ""
    return f"late: decided {age_ns / clock_rate / NS_PER_SECOND:.1f} s ago"


class LiveTapes:
    """The tapes that one market follows. `changed` is called after each change of the market, in the same breath.

    `lost` says in a sentence which prints an order may have met are lost for ever; empty while there are none.
    """

    def __init__(self, context: Context, run: Run, market: PaperMarket, changed: Callable[[], None]) -> None:
        self.lost = ""
        self._context = context
        self._run = run
        self._market = market
        self._changed = changed
        self._followed: set[ContractId] = set()
        context.spawn(self._tick(), "clock of the market")

    @property
    def now_ns(self) -> int:
        """The tape's time, ns UTC."""
        return self._run.now_ns(wall_ns())

    def follow(self, contract: ContractId) -> None:
        """Match the contract's prints from now on; one that the run does not have yet is left out until it has."""
        if contract in self._followed or contract not in self._run.contracts:
            return
        self._followed.add(contract)
        self._context.spawn(self._read(contract), f"tape of {contract}")

    async def _read(self, contract: ContractId) -> None:
        """Match a tape for as long as the process lives. Prints that are missing are asked for once again."""
        subject, intake = tick_subject(self._run.tape, self._run.contracts[contract], contract), Intake(TICKS)
        margin_s, missed = MARGIN_SECONDS, -1
        while True:
            hole = -1
            async for message in self._context.bus.ordered(TICKS, subject, start=self._start(contract, margin_s)):
                try:
                    with self._context.handling.of(TICKS, message):
                        batch = intake.usable(message, read_ticks)
                        if batch is None:
                            continue
                        hole = self._hole(batch)
                        if hole >= 0 and hole == missed:
                            self._lose(batch, hole)
                            hole = -1
                        if hole < 0:
                            self._match(batch)
                except Poison as poison:
                    intake.refuse(message, poison)
                    continue
                if hole >= 0:
                    break
            metrics.TAPE_READ_AGAIN.inc()
            self._context.log.warning("venue.prints_missing", contract=contract, first_index=hole)
            margin_s, missed = HOLE_MARGIN_SECONDS, hole
            await asyncio.sleep(HOLE_SECONDS)

    def _start(self, contract: ContractId, margin_s: int) -> datetime | Literal["last"]:
        mark = self._market.marks.get(contract)
        if mark is None:
            return "last"
        stored_ns = self._run.wall_ns(mark.last.time_ns)
        return datetime.fromtimestamp(max(0, stored_ns // NS_PER_SECOND - margin_s), UTC)

    def _hole(self, batch: TickBatch) -> int:
        """Source index of the first print that is missing before a batch; -1 where none is."""
        mark = self._market.marks.get(batch.contract)
        following = 0 if mark is None else mark.last.source_index + 1
        return following if mark is not None and batch.ticks.first_index > following else -1

    def _lose(self, batch: TickBatch, hole: int) -> None:
        """Go on behind prints that are lost for ever; an order that rests on them may have met one."""
        contract, until = batch.contract, batch.ticks.first_index
        rested = sum(order.tape_contract == contract for order in self._market.live_orders())
        self._context.log.error("venue.prints_lost", contract=contract, prints=until - hole, orders=rested)
        if rested:
            self.lost = (
                f"the paper venue has lost {until - hole} prints of {contract} while {rested} orders rested on it"
            )
        self._market.skip(contract, until - 1)

    def _match(self, batch: TickBatch) -> None:
        if batch.late:
            self._market.skip(batch.contract, batch.ticks.last_index)
        else:
            if self._is_numbered_anew(batch):
                self._context.log.error("venue.prints_numbered_anew", contract=batch.contract)
                self._market.number_anew(batch.contract, batch.ticks.first_index)
            events = self._market.arrive(batch.contract, batch.ticks, batch.watermark_ns - 1)
            metrics.MATCHED.inc(len(batch.ticks))
            metrics.FILLS.inc(sum(event.fill is not None for event in events))
        self._changed()

    def _is_numbered_anew(self, batch: TickBatch) -> bool:
        """Whether later prints have numbers that earlier ones had: bus and database have both lost their last ones."""
        mark, ticks = self._market.marks.get(batch.contract), batch.ticks
        if mark is None or not len(ticks) or ticks.first_index > mark.last.source_index:
            return False
        return int(ticks.time_ns[0]) > mark.last.time_ns

    async def _tick(self) -> None:
        """End what time alone ends, also while a tape is silent."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            for contract in sorted({order.tape_contract for order in self._market.live_orders()}):
                self._market.arrive(contract, TickColumns.empty(), self.now_ns - SILENCE_NS)
            self._changed()
