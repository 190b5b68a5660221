"""Which patterns may trade in which regime, and why not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from leadline.model.signals import Direction, Pattern, Regime, RegimeReading, Signal
from leadline.model.spec_base import DecimalText, SpecModel
from leadline.nodes.base import Detector, Inputs, Node, NodeContext
from leadline.nodes.regime import WARM_UP, WARM_UP_BARS, RegimeNode

_SIDES: Final = {"Long": Direction.LONG, "Short": Direction.SHORT, "Both": None}
_PATTERN_ORDER: Final = {pattern: place for place, pattern in enumerate(Pattern)}


class RegimeOverride(SpecModel):
    """What one regime allows; an absent field keeps the router's own table."""

    multiplier: DecimalText | None = None
    """Factor of the position size."""
    side: Literal["Long", "Short", "Both"] | None = None
    """Direction that may be traded."""
    patterns: Annotated[tuple[Pattern, ...], Field(max_length=16)] | None = None
    """Patterns that may be traded."""


class RegimeOverrides(SpecModel):
    """Overrides of the router's table, by regime."""

    trending_up: Annotated[RegimeOverride | None, Field(alias="TRENDING_UP")] = None
    """Rule while the market trends up."""
    trending_down: Annotated[RegimeOverride | None, Field(alias="TRENDING_DOWN")] = None
    """Rule while the market trends down."""
    ranging: Annotated[RegimeOverride | None, Field(alias="RANGING")] = None
    """Rule while the market ranges."""
    volatile: Annotated[RegimeOverride | None, Field(alias="VOLATILE")] = None
    """Rule while the market is volatile."""


class RouterParams(SpecModel):
    """Which signals may trade in which regime."""

    min_strength: DecimalText = Decimal("0.5")
    """Least strength of a signal."""
    min_confidence: DecimalText = Decimal("0.6")
    """Least confidence in the regime."""
    regimes: RegimeOverrides | None = None
    """Overrides of the table."""


class Rejection(StrEnum):
    """Why a signal may not trade, in the order in which it is asked."""

    NO_TRADE = "no_trade"
    PATTERN_NOT_ENABLED = "pattern_not_enabled"
    DIRECTION = "direction"
    STRENGTH = "strength"
    CONFIDENCE = "confidence"


@dataclass(frozen=True, slots=True)
class RegimeRule:
    """What trades in one regime: `patterns`, only in `direction` unless None, at `multiplier` times the size."""

    patterns: tuple[Pattern, ...]
    direction: Direction | None
    multiplier: Decimal


_REVERSALS: Final = (
    Pattern.BUYING_EXHAUSTION,
    Pattern.SELLING_EXHAUSTION,
    Pattern.BUYING_ABSORPTION,
    Pattern.SELLING_ABSORPTION,
)

DEFAULT_RULES: Final[Mapping[Regime, RegimeRule]] = {
    Regime.TRENDING_UP: RegimeRule(
        patterns=(Pattern.BUYING_ABSORPTION, Pattern.SELLING_EXHAUSTION, Pattern.BULLISH_DELTA_DIVERGENCE),
        direction=Direction.LONG,
        multiplier=Decimal("1.0"),
    ),
    Regime.TRENDING_DOWN: RegimeRule(
        patterns=(Pattern.SELLING_ABSORPTION, Pattern.BUYING_EXHAUSTION, Pattern.BEARISH_DELTA_DIVERGENCE),
        direction=Direction.SHORT,
        multiplier=Decimal("1.0"),
    ),
    Regime.RANGING: RegimeRule(
        patterns=(*_REVERSALS, Pattern.UNFINISHED_HIGH, Pattern.UNFINISHED_LOW),
        direction=None,
        multiplier=Decimal("0.75"),
    ),
    Regime.VOLATILE: RegimeRule(
        patterns=(Pattern.STACKED_BUY_IMBALANCE, Pattern.STACKED_SELL_IMBALANCE),
        direction=None,
        multiplier=Decimal("0.5"),
    ),
}


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """The rule of every regime that trades, and what a signal and a reading must at least be worth."""

    rules: Mapping[Regime, RegimeRule]
    min_strength: Decimal
    min_confidence: Decimal

    def multiplier(self, regime: Regime) -> Decimal:
        """Of position size; 0 where nothing trades."""
        rule = self.rules.get(regime)
        return Decimal(0) if rule is None else rule.multiplier

    def route(self, reading: RegimeReading, signals: Iterable[Signal]) -> tuple[Signal, ...]:
        """The signals with the router's word on each: approved, or the first reason against it."""
        return tuple(self._judge(reading, signal) for signal in signals)

    def _judge(self, reading: RegimeReading, signal: Signal) -> Signal:
        rejection = self._rejection(reading, signal)
        if rejection is None:
            return replace(signal, approved=True)
        return replace(signal, rejection=rejection.value)

    def _rejection(self, reading: RegimeReading, signal: Signal) -> Rejection | None:
        rule = self.rules.get(reading.regime)
        if rule is None:
            return Rejection.NO_TRADE
        if signal.pattern not in rule.patterns:
            return Rejection.PATTERN_NOT_ENABLED
        if rule.direction is not None and signal.direction is not rule.direction:
            return Rejection.DIRECTION
        if signal.strength < self.min_strength:
            return Rejection.STRENGTH
        if reading.confidence < self.min_confidence:
            return Rejection.CONFIDENCE
        return None


def routing_table(params: RouterParams) -> RoutingTable:
    """The router's own table with the overrides in it, and the least strength and confidence."""
    rules = {
        regime: _overridden(rule, getattr(params.regimes, regime.value.lower(), None))
        for regime, rule in DEFAULT_RULES.items()
    }
    return RoutingTable(rules, params.min_strength, params.min_confidence)


def _overridden(rule: RegimeRule, override: RegimeOverride | None) -> RegimeRule:
    if override is None:
        return rule
    return RegimeRule(
        patterns=rule.patterns if override.patterns is None else override.patterns,
        direction=rule.direction if override.side is None else _SIDES[override.side],
        multiplier=rule.multiplier if override.multiplier is None else override.multiplier,
    )


@dataclass(frozen=True, slots=True)
class Routed:
    """The regime with its multiplier of the position size, and the bar's signals with the router's word on each."""

    regime: RegimeReading
    signals: tuple[Signal, ...]


class Router(Node[RouterParams, Routed]):
    """Which of the bar's patterns may trade in the bar's regime, at which multiple of the size, and why not.

    detectors: those whose signals it takes, all of the same graph. Their order is that of the patterns, then from the
    lowest price up. Before every input of the regime is there it passes on no signal.
    """

    name = "router"
    section = "strategy.router"
    params_model = RouterParams

    def __init__(
        self, params: RouterParams, context: NodeContext, detectors: Sequence[type[Detector[Any, Any]]]
    ) -> None:
        super().__init__(params, context)
        self._table = routing_table(params)
        self._detectors = tuple(detectors)
        self.inputs = (RegimeNode, *self._detectors)

    @property
    def warm_up(self) -> int:
        """The regime's."""
        return WARM_UP_BARS

    def update(self, inputs: Inputs) -> Routed:
        """The regime and the signals of the bar."""
        reading = inputs.of(RegimeNode)
        reading = replace(reading, multiplier=self._table.multiplier(reading.regime))
        if reading.reason == WARM_UP:
            return Routed(reading, ())
        found = [signal for detector in self._detectors for signal in inputs.of(detector).signals]
        return Routed(reading, self._table.route(reading, sorted(found, key=_place)))


def _place(signal: Signal) -> tuple[int, int]:
    """By pattern, then from the lowest price up.

    Only the two ends of a bar of one price have one pattern, one price and two directions: the high comes first.
    """
    return _PATTERN_ORDER[signal.pattern], signal.price
