"""Which patterns may trade in which regime, and why not."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from leadline.model.bars import OWN_SERIES
from leadline.model.frozen import replace
from leadline.model.manifest.spec_base import DecimalText, SpecModel
from leadline.model.signals import LARGEST_MULTIPLIER, Direction, Pattern, Regime, RegimeReading, Signal
from leadline.nodes.base import Allowed, Detector, Filter, Inputs, Node, NodeContext
from leadline.nodes.exact import quotient
from leadline.nodes.regime import WARM_UP, WARM_UP_BARS, RegimeNode

_SIDES: Final = {"Long": Direction.LONG, "Short": Direction.SHORT, "Both": None}
_PATTERN_ORDER: Final = {pattern: place for place, pattern in enumerate(Pattern)}


class RegimeOverride(SpecModel):
    """Changes to the router's rule of one regime; an absent field keeps the rule as it is."""

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
    """Why a signal may not trade, in the order in which it is asked. A gap in the bar is no matter of the regime's."""

    GAP = "gap"
    NO_TRADE = "no_trade"
    PATTERN_NOT_ENABLED = "pattern_not_enabled"
    DIRECTION = "direction"
    STRENGTH = "strength"
    CONFIDENCE = "confidence"
    FILTERED = "filtered"


@dataclass(frozen=True, slots=True)
class RegimeRule:
    """The rule of one regime: `patterns` may trade, only in `direction` unless None, at `multiplier` times the size."""

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

    def route(
        self, reading: RegimeReading, signals: Iterable[Signal], sides: Collection[Direction] = tuple(Direction)
    ) -> tuple[Signal, ...]:
        """The signals with the router's word on each: approved, or the first reason against it.

        sides: those that the filters allow.
        """
        rule = self.rules.get(reading.regime)
        return tuple(_told(signal, self._rejection(rule, reading, signal, sides)) for signal in signals)

    def _rejection(
        self, rule: RegimeRule | None, reading: RegimeReading, signal: Signal, sides: Collection[Direction]
    ) -> Rejection | None:
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
        return None if signal.direction in sides else Rejection.FILTERED


def _told(signal: Signal, rejection: Rejection | None) -> Signal:
    """A signal with the router's word on it."""
    pattern, direction, why = signal.pattern, signal.direction, "" if rejection is None else str(rejection)
    return Signal(pattern, direction, signal.price, signal.strength, signal.evidence, rejection is None, why)


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

    filters: each after the name of its series. A signal may trade when every one of them allows its side, and the size
    is multiplied by that of each. A filter that has not answered yet allows nothing.
    """

    name = "router"
    section = "strategy.router"
    params_model = RouterParams

    def __init__(
        self,
        params: RouterParams,
        context: NodeContext,
        detectors: Sequence[type[Detector[Any, Any]]],
        filters: Sequence[tuple[str, type[Filter[Any]]]] = (),
    ) -> None:
        super().__init__(params, context)
        self._table = routing_table(params)
        self._detectors = tuple(detectors)
        self._filters = tuple(filters)
        own = [kind for series, kind in self._filters if series == OWN_SERIES]
        self.inputs = (RegimeNode, *self._detectors, *own)
        self.further = tuple(each for each in self._filters if each[0] != OWN_SERIES)

    @property
    def warm_up(self) -> int:
        """The regime's."""
        return WARM_UP_BARS

    def update(self, inputs: Inputs) -> Routed:
        """The regime and the signals of the bar."""
        reading = inputs.of(RegimeNode)
        reading = replace(reading, multiplier=self._table.multiplier(reading.regime))
        allowed = [(f"{series}.{kind.name}", self._answer(inputs, series, kind)) for series, kind in self._filters]
        if allowed:
            reading = _filtered(reading, allowed)
        if reading.reason == WARM_UP:
            return Routed(reading, ())
        found = [signal for detector in self._detectors for signal in inputs.of(detector).signals]
        sides = _sides(answer for _, answer in allowed) if allowed else _BOTH
        return Routed(reading, self._table.route(reading, sorted(found, key=_place), sides))

    def _answer(self, inputs: Inputs, series: str, kind: type[Filter[Any]]) -> Allowed:
        found = inputs.of(kind) if series == OWN_SERIES else inputs.last(series, kind)
        return _NOTHING if found is None else found


_NOTHING: Final = Allowed(long=False, short=False)
_BOTH: Final = frozenset(Direction)


def _sides(allowed: Iterable[Allowed]) -> frozenset[Direction]:
    """The sides that every filter allows."""
    every = tuple(allowed)
    sides = ((Direction.LONG, all(each.long for each in every)), (Direction.SHORT, all(each.short for each in every)))
    return frozenset(side for side, may in sides if may)


def _filtered(reading: RegimeReading, allowed: Iterable[tuple[str, Allowed]]) -> RegimeReading:
    """The reading with what each filter allows among its numbers, and the size multiplied by each.

    The product is at most LARGEST_MULTIPLIER, which no size reaches.
    """
    product, texts = Fraction(reading.multiplier), dict(reading.inputs)
    for name, answer in allowed:
        product *= Fraction(answer.multiplier)
        texts[name] = _side_text(answer)
        texts |= {f"{name}.{key}": value for key, value in answer.texts.items()}
    product = min(product, Fraction(LARGEST_MULTIPLIER))
    return replace(reading, multiplier=quotient(product.numerator, product.denominator), inputs=texts)


def _side_text(answer: Allowed) -> str:
    if answer.long and answer.short:
        return "both"
    return "long" if answer.long else "short" if answer.short else "none"


def _place(signal: Signal) -> tuple[int, int]:
    """By pattern, then from the lowest price up.

    Only the two ends of a bar of one price have one pattern, one price and two directions: the high comes first.
    """
    return _PATTERN_ORDER[signal.pattern], signal.price
