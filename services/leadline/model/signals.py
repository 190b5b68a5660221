"""A strategy's message about a bar: signals (patterns with their evidence), the regime, and proposals."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from leadline.model.bars import BarKey
from leadline.model.frozen import quickly_made
from leadline.model.ids import AccountId, RunId, StrategyId
from leadline.model.proposals import Direction, Proposal, source_of

__all__ = ["BarSignals", "Direction", "Pattern", "Regime", "RegimeReading", "Signal", "SignalMessage"]


LARGEST_MULTIPLIER: Final = 1_000
"""A regime's multiplier of the position size is at most this."""


class Pattern(StrEnum):
    """The order-flow patterns, in the order that breaks ties of strength."""

    BUY_IMBALANCE = "BUY_IMBALANCE"
    SELL_IMBALANCE = "SELL_IMBALANCE"
    STACKED_BUY_IMBALANCE = "STACKED_BUY_IMBALANCE"
    STACKED_SELL_IMBALANCE = "STACKED_SELL_IMBALANCE"
    BUYING_EXHAUSTION = "BUYING_EXHAUSTION"
    SELLING_EXHAUSTION = "SELLING_EXHAUSTION"
    BUYING_ABSORPTION = "BUYING_ABSORPTION"
    SELLING_ABSORPTION = "SELLING_ABSORPTION"
    BULLISH_DELTA_DIVERGENCE = "BULLISH_DELTA_DIVERGENCE"
    BEARISH_DELTA_DIVERGENCE = "BEARISH_DELTA_DIVERGENCE"
    UNFINISHED_HIGH = "UNFINISHED_HIGH"
    UNFINISHED_LOW = "UNFINISHED_LOW"
    UNFINISHED_REVISITED = "UNFINISHED_REVISITED"


class Regime(StrEnum):
    """The market's present behaviour, as the classifier names it."""

    TRENDING_UP = "TRENDING_UP"
    TRENDING_DOWN = "TRENDING_DOWN"
    RANGING = "RANGING"
    VOLATILE = "VOLATILE"
    NO_TRADE = "NO_TRADE"


@quickly_made
@dataclass(frozen=True, slots=True)
class Signal:
    """One pattern found in one bar.

    `price` in ticks; `strength` in [0, 1], a decimal rounded half-even to 6 places so that it compares and prints
    the same everywhere; `evidence` a flat mapping of name to integer, decimal string or list of integers (rows,
    ratios, volumes) that lets a person check the pattern by hand. `approved` is the router's word; when false
    `rejection` is the first reason.
    """

    pattern: Pattern
    direction: Direction
    price: int
    strength: Decimal
    evidence: dict[str, int | str | list[int]] = field(default_factory=dict)
    approved: bool = False
    rejection: str = ""


@quickly_made
@dataclass(frozen=True, slots=True)
class RegimeReading:
    """The regime at a bar's close.

    `confidence` in [0, 1] and `multiplier` (of position size) are decimals; `scores` by candidate regime; `inputs`
    the numbers that made it, as decimal strings; `reason` says why it is NO_TRADE, else empty.
    """

    regime: Regime
    confidence: Decimal
    multiplier: Decimal
    reason: str = ""
    scores: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)


@quickly_made
@dataclass(frozen=True, slots=True)
class BarSignals:
    """All that a strategy says at one closed bar. Times in ns UTC, close in ticks of the signal instrument.

    `regime` and `signals` are what it saw, where it looks for such, and `proposals` what it wants, in the order in
    which they are to be decided.
    """

    bar: BarKey
    known_at_ns: int
    close: int
    session_open_ns: int
    session_close_ns: int
    regime: RegimeReading | None = None
    signals: tuple[Signal, ...] = ()
    proposals: tuple[Proposal, ...] = ()

    @property
    def trading_day(self) -> date:
        """The venue's trading day of the bar."""
        return self.bar.trading_day

    @property
    def regime_name(self) -> str:
        """The regime's name; empty where the strategy reads none."""
        return "" if self.regime is None else self.regime.regime.value

    def sourced(self) -> Iterator[tuple[str, Proposal]]:
        """The proposals, each after its source."""
        return ((source_of(self.bar, number), each) for number, each in enumerate(self.proposals, 1))

    @property
    def open_ns(self) -> int:
        """When the bar's session opens, ns UTC."""
        return self.session_open_ns

    @property
    def close_ns(self) -> int:
        """When the bar's session closes, ns UTC."""
        return self.session_close_ns


@quickly_made
@dataclass(frozen=True, slots=True)
class SignalMessage:
    """One message of a signal stream: the signals and proposals of a bar, or only progress.

    `strategy` and `account` are `namespace/name`; `analysis_hash` names the code and settings that spoke;
    `progress_ns` and `final` promise as in `leadline.model.bars.BarMessage`.
    """

    tape: RunId
    account: AccountId
    strategy: StrategyId
    analysis_hash: str
    progress_ns: int
    final: bool
    bar: BarSignals | None
