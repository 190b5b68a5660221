"""The time of an account on the tape that is live: the wall clock goes on by itself, and prints come in."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from leadline.execution.venues.live_clock import LiveClock
from leadline.execution.venues.live_prints import LivePrints
from leadline.model.durations import NS_PER_SECOND
from leadline.model.errors import Unknown
from leadline.model.ids import ContractId
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.orders import Passed, Watch
from leadline.model.subjects import TICKS, tick_subject
from leadline.runtime.bus.intake import Intake, read_ticks
from leadline.runtime.clock import monotonic_s, wall_ns
from leadline.runtime.context import Context
from leadline.runtime.poison import Poison
from leadline.runtime.runs import Run

WAIT_SECONDS: Final = 1.0
"""The longest that time goes on without a word."""

SILENT_SECONDS: Final = 3.0
"""A contract of which nothing is heard for so long while its market is open is silent: sources speak more often."""


@dataclass(slots=True)
class _Followed:
    """A contract's tape: its reader, and when something was last heard of it, s on the monotonic clock."""

    reader: "asyncio.Task[None]"
    heard_s: float


class LiveTime:
    """`MarketTime` of a live tape. `wake` has the loop look at once; the clocks are arguments for tests."""

    def __init__(
        self,
        context: Context,
        run: Run,
        wall: Callable[[], int] = wall_ns,
        monotonic: Callable[[], float] = monotonic_s,
    ) -> None:
        self.clock = LiveClock(wall(), monotonic())
        self._context = context
        self._run = run
        self._wall = wall
        self._monotonic = monotonic
        self._prints = LivePrints()
        self._followed: dict[ContractId, _Followed] = {}
        self._news = asyncio.Event()
        self._woken = False
        self._watched = False

    @property
    def now_ns(self) -> int:
        """The tape's time, ns UTC; it never goes back."""
        return self._run.now_ns(self.clock.look(self._wall(), self._monotonic()))

    @property
    def contracts(self) -> tuple[ContractId, ...]:
        """The contracts whose prints matter to the account."""
        return tuple(sorted(self._followed))

    def wake(self) -> None:
        """Have `advance` return: there is a signal, a command, or an event of the venue."""
        self._woken = True
        self._news.set()

    async def advance(
        self,
        from_ns: int,
        to_ns: int,
        after_event: int,  # noqa: ARG002 - who tells of events wakes this time
        contracts: Sequence[ContractId],
        watches: Sequence[Watch],
    ) -> Passed:
        """As `MarketTime.advance`; the instant is that of the clock."""
        self._follow(contracts)
        if to_ns <= from_ns:
            return self._passed(from_ns, contracts)
        until_s, self._watched = self._monotonic() + WAIT_SECONDS, bool(watches)
        while True:
            self._news.clear()
            crossed, now_ns = self._prints.crossed(watches), self.now_ns
            left_s = until_s - self._monotonic()
            if crossed or self._woken or now_ns >= to_ns or left_s <= 0:
                self._woken = False
                return self._passed(from_ns, contracts)
            wait_s = (to_ns - now_ns) / (NS_PER_SECOND * self._run.clock_rate)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), min(left_s, wait_s))

    def silent(self) -> list[ContractId]:
        """The contracts of which nothing is heard although their market is open."""
        now_s, now_ns = self._monotonic(), self.now_ns
        return [
            contract
            for contract, followed in sorted(self._followed.items())
            if now_s - followed.heard_s > SILENT_SECONDS and _is_open(contract, now_ns)
        ]

    def was_open(self, contract: ContractId, at_ns: int) -> bool:
        """Whether the market of a contract was open at a time, and has been to this moment."""
        return _is_open(contract, at_ns) and _is_open(contract, self.now_ns)

    def _passed(self, from_ns: int, contracts: Sequence[ContractId]) -> Passed:
        now_ns = max(from_ns, self.now_ns)
        return Passed(now_ns, self._prints.last(contracts, now_ns))

    def _follow(self, contracts: Sequence[ContractId]) -> None:
        """Read the tapes of these contracts, and no others any more."""
        for contract in set(self._followed) - set(contracts):
            self._followed.pop(contract).reader.cancel()
            self._prints.forget(contract)
        for contract in contracts:
            if contract not in self._followed:
                reader = self._context.spawn(self._read(contract), f"prints of {contract}")
                self._followed[contract] = _Followed(reader, self._monotonic())

    async def _read(self, contract: ContractId) -> None:
        intake, subject = Intake(TICKS), tick_subject(self._run.tape, self._run.contracts[contract], contract)
        async for message in self._context.bus.ordered(TICKS, subject, start="last"):
            try:
                with self._context.handling.of(TICKS, message):
                    batch = intake.usable(message, read_ticks)
                    if batch is None:
                        continue
                    counts = self._prints.add(batch)
            except Poison as poison:
                intake.refuse(message, poison)
                continue
            self._followed[contract].heard_s = self._monotonic()
            if counts and self._watched:
                self._news.set()


def _is_open(contract: ContractId, now_ns: int) -> bool:
    """Whether a contract's market is open; one past its calendar's validity is taken as closed."""
    days = calendar(instrument_of(contract).calendar)
    try:
        market = days.market(days.trading_day(now_ns))
    except Unknown:
        return False
    return market is not None and market[0] <= now_ns < market[1]
