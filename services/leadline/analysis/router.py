"""Which patterns may trade in which regime, and why not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from leadline.model.signals import Direction, Pattern, Regime, RegimeReading, Signal


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
class Router:
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
