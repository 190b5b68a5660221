"""A running stack as one picture that can be drawn at any moment, or turned into a page."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from leadline.model.signals import Direction
from leadline.views.market import BarView, FeedView, UnfinishedBarView
from leadline.views.signals import (
    DecisionView,
    PatternLine,
    ProposalView,
    RegimeView,
    SignalView,
    decision_view,
    lines_of,
)
from leadline.views.values import AccountView, PositionView

KEPT_BARS: Final = 8
# The market side runs ahead of the accounts by far when a tape is replayed at full speed.
KEPT_SIGNALS: Final = 2000
# Fates outlive the signals that are shown by far: a decision may come before or after its signal.
KEPT_FATES: Final = 2000


@dataclass(slots=True)
class Rate:
    """Prints of a contract per second of wall time, between the last two looks that differ."""

    ticks: int = 0
    at: float = 0.0
    per_second: float = 0.0

    def look(self, ticks: int, now: float) -> None:
        """Note how many there are by now."""
        if self.at and now > self.at:
            self.per_second = max(0, ticks - self.ticks) / (now - self.at)
        self.ticks, self.at = ticks, now


@dataclass(frozen=True, slots=True)
class SaidBar:
    """What a strategy said at one bar, as lines; `long` holds the patterns that speak for a rise."""

    strategy: str
    bar: str
    known_at_ns: int
    lines: tuple[PatternLine, ...]
    long: frozenset[str]


@dataclass(slots=True)
class Scene:
    """The picture. Bars and regimes by strategy, states and positions by account, fates by strategy and bar key.

    `unfinished` is by contract, session and specification: what of a tape that has ended is in no bar of that series.
    """

    feed: FeedView | None = None
    rates: dict[str, Rate] = field(default_factory=dict)
    bars: dict[str, deque[BarView]] = field(default_factory=dict)
    bar_count: int = 0
    unfinished: dict[tuple[str, str, str], UnfinishedBarView] = field(default_factory=dict)
    regimes: dict[str, RegimeView] = field(default_factory=dict)
    said: deque[SaidBar] = field(default_factory=lambda: deque(maxlen=KEPT_SIGNALS))
    signal_count: int = 0
    fates: dict[tuple[str, str], tuple[DecisionView, ...]] = field(default_factory=dict)
    fills: int = 0
    states: dict[str, AccountView] = field(default_factory=dict)
    positions: dict[str, list[PositionView]] = field(default_factory=dict)

    def end(self, bar: UnfinishedBarView) -> None:
        """Note what of a series is in no bar, each series once however many strategies read it."""
        self.unfinished[bar.bar.contract, bar.bar.session, bar.bar.spec] = bar

    def decide(self, body: Mapping[str, Any]) -> None:
        """Note a decision; the oldest go when there are too many."""
        key = (body["strategy"], body["bar_key"])
        self.fates[key] = (*self.fates.get(key, ()), decision_view(body))
        if len(self.fates) > KEPT_FATES:
            del self.fates[next(iter(self.fates))]


def said_bar(
    strategy: str, bar: str, known_at_ns: int, signals: Sequence[SignalView], proposals: Sequence[ProposalView] = ()
) -> SaidBar:
    """What was said of a bar, as it is shown. bar: its key as events spell it; known_at_ns: ns UTC."""
    rising = frozenset(item.pattern for item in signals if item.direction == Direction.LONG)
    return SaidBar(strategy, bar, known_at_ns, tuple(lines_of(signals, proposals)), rising)
