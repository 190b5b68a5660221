"""The parts that an account's loop runs with."""

from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from leadline.execution.core.book import BookEvent
from leadline.execution.core.marks import UNMARKED, Marks
from leadline.execution.loop.ports import Journal, MarketTime, Orders, Risk, Store, Switch
from leadline.execution.loop.signal_queue import SignalQueue
from leadline.model.halts import HaltSource
from leadline.model.ids import StrategyId
from leadline.model.loop_phase import LoopPhase
from leadline.model.manifest.venues import Capability
from leadline.risk.reasons import Reason

HALTED_BY: Final = "execution"
"""The name at a halt that no person asked for."""


@dataclass(frozen=True, slots=True)
class Deps:
    """The parts that the loop runs with.

    `time` is the time that it lives in and `venue` has its orders; one connection may be both. `capabilities` are what
    that venue does by itself: of what it does not, the loop does what it can. `pause(phase)` waits a
    little before the venue is asked again what it may not know yet; `idle()` waits until there is a signal, progress or
    command; `switch` holds the halts; `committed(events)` is told what became durable; `marks` knows what processes
    have ended at. `doubt()` is why nothing can be entered now for the sake of this machine, with words on it, where
    time waits for nobody; None while it can. `late(at_ns)` says whether an entry that was decided at an instant may
    not leave any more, by the clock. `settle_ns`: for how long an order of which no answer was heard may still come to
    the venue, where time waits for nobody.
    """

    store: Store
    time: MarketTime
    venue: Orders
    risk: Risk
    journal: Journal
    queues: dict[StrategyId, SignalQueue]
    pause: Callable[[LoopPhase], Awaitable[None]]
    idle: Callable[[], Awaitable[None]]
    switch: Switch
    committed: Callable[[list[BookEvent]], None]
    capabilities: AbstractSet[Capability]
    marks: Marks = UNMARKED
    doubt: Callable[[], tuple[Reason, str] | None] = lambda: None
    late: Callable[[int], bool] = lambda _: False
    settle_ns: int = 0

    @property
    def trails(self) -> bool:
        """Whether the venue moves a stop behind the price itself."""
        return Capability.TRAILING in self.capabilities

    @property
    def makes_brackets(self) -> bool:
        """Whether the venue makes stop and target of each fill itself; else the account makes them behind it."""
        return Capability.NATIVE_BRACKET in self.capabilities

    @property
    def attaches(self) -> bool:
        """Whether the venue takes a stop or a target that a position does not have."""
        return Capability.ATTACH in self.capabilities

    @property
    def pairs(self) -> bool:
        """Whether the venue ends the one of stop and target when the other fills; else the account keeps targets."""
        return Capability.OCO in self.capabilities

    def halted(self) -> str:
        """Why nothing may be entered; empty when no halt is in force."""
        return self.switch.halts.words

    def halt(self, source: HaltSource, reason: str) -> None:
        """Stop entries: durable when this returns."""
        self.switch.halt(source, reason, HALTED_BY)
