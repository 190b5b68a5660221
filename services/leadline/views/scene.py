"""A running stack as one picture that can be drawn at any moment, or turned into a page."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from leadline.views.market import BarView, FeedView, UnfinishedBarView
from leadline.views.signals import DecisionView, RegimeView, SignalledBar, decision_view
from leadline.views.values import AccountView, PositionView

KEPT_BARS: Final = 8
# The market side runs ahead of the accounts by far when a tape is replayed at full speed.
KEPT_SIGNALS: Final = 2000
# Decisions outlive the signals that are shown by far: one may come before or after its signal.
KEPT_DECISIONS: Final = 2000


@dataclass(slots=True)
class Rate:
    """Prints of a contract per second of wall time, between the last two looks that differ."""

    prints: int = 0
    at: float = 0.0
    per_second: float = 0.0

    def look(self, prints: int, now: float) -> None:
        """Note how many there are by now."""
        if self.at and now > self.at:
            self.per_second = max(0, prints - self.prints) / (now - self.at)
        self.prints, self.at = prints, now


@dataclass(slots=True)
class Scene:
    """The picture. Bars and regimes by strategy, states and positions by account, decisions by strategy and source.

    `unfinished` is by contract, session and specification: what of a tape that has ended is in no bar of that series.
    """

    feed: FeedView | None = None
    rates: dict[str, Rate] = field(default_factory=dict)
    bars: dict[str, deque[BarView]] = field(default_factory=dict)
    bar_count: int = 0
    unfinished: dict[tuple[str, str, str], UnfinishedBarView] = field(default_factory=dict)
    regimes: dict[str, RegimeView] = field(default_factory=dict)
    signalled: deque[SignalledBar] = field(default_factory=lambda: deque(maxlen=KEPT_SIGNALS))
    signal_count: int = 0
    decisions: dict[tuple[str, str], DecisionView] = field(default_factory=dict)
    fills: int = 0
    states: dict[str, AccountView] = field(default_factory=dict)
    positions: dict[str, list[PositionView]] = field(default_factory=dict)

    def end(self, bar: UnfinishedBarView) -> None:
        """Note what of a series is in no bar, each series once however many strategies read it."""
        self.unfinished[bar.bar.contract, bar.bar.session, bar.bar.spec] = bar

    def decide(self, body: Mapping[str, Any]) -> None:
        """Note a decision; the oldest go when there are too many."""
        self.decisions[body["strategy"], body["source"]] = decision_view(body)
        if len(self.decisions) > KEPT_DECISIONS:
            del self.decisions[next(iter(self.decisions))]
