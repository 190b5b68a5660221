"""Which patterns may trade in which regime, and why not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from leadline.model.signals import Direction, Pattern, Regime, RegimeReading, Signal


class Rejection(StrEnum):
    """Why a signal may not trade, in the order in which it is asked."""

    REGIME_DISABLED = "regime_disabled"
    PATTERN_NOT_ENABLED = "pattern_not_enabled"
    DIRECTION = "direction"
    STRENGTH = "strength"
    CONFIDENCE = "confidence"


@dataclass(frozen=True, slots=True)
class RegimeRule:
    """What trades in one regime: `patterns`, only in `direction` unless None, at `multiplier` times the size."""

    enabled: bool
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
        enabled=True,
        patterns=(Pattern.BUYING_ABSORPTION, Pattern.SELLING_EXHAUSTION, Pattern.BULLISH_DELTA_DIVERGENCE),
        direction=Direction.LONG,
        multiplier=Decimal("1.0"),
    ),
    Regime.TRENDING_DOWN: RegimeRule(
        enabled=True,
        patterns=(Pattern.SELLING_ABSORPTION, Pattern.BUYING_EXHAUSTION, Pattern.BEARISH_DELTA_DIVERGENCE),
        direction=Direction.SHORT,
        multiplier=Decimal("1.0"),
    ),
    Regime.RANGING: RegimeRule(
        enabled=True,
        patterns=(*_REVERSALS, Pattern.UNFINISHED_HIGH, Pattern.UNFINISHED_LOW),
        direction=None,
        multiplier=Decimal("0.75"),
    ),
    Regime.VOLATILE: RegimeRule(
        enabled=True,
        patterns=(Pattern.STACKED_BUY_IMBALANCE, Pattern.STACKED_SELL_IMBALANCE),
        direction=None,
        multiplier=Decimal("0.5"),
    ),
    Regime.NO_TRADE: RegimeRule(enabled=False, patterns=(), direction=None, multiplier=Decimal(0)),
}


@dataclass(frozen=True, slots=True)
class Router:
    """The rule of every regime, and what a signal and a reading must at least be worth."""

    rules: Mapping[Regime, RegimeRule]
    min_strength: Decimal
    min_confidence: Decimal

    @property
    def multipliers(self) -> dict[Regime, Decimal]:
        """Of position size, by regime."""
        return {regime: rule.multiplier for regime, rule in self.rules.items()}

    def route(self, reading: RegimeReading, signals: Iterable[Signal]) -> tuple[Signal, ...]:
        """The signals with the router's word on each: approved, or the first reason against it."""
        return tuple(self._judge(reading, signal) for signal in signals)

    def _judge(self, reading: RegimeReading, signal: Signal) -> Signal:
        rejection = self._rejection(reading, signal)
        if rejection is None:
            return replace(signal, approved=True)
        return replace(signal, rejection=rejection.value)

    def _rejection(self, reading: RegimeReading, signal: Signal) -> Rejection | None:
        rule = self.rules[reading.regime]
        if not rule.enabled:
            return Rejection.REGIME_DISABLED
        if signal.pattern not in rule.patterns:
            return Rejection.PATTERN_NOT_ENABLED
        if rule.direction is not None and signal.direction is not rule.direction:
            return Rejection.DIRECTION
        if signal.strength < self.min_strength:
            return Rejection.STRENGTH
        if reading.confidence < self.min_confidence:
            return Rejection.CONFIDENCE
        return None
