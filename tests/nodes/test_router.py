"""Which pattern trades in which regime, and the first reason why not."""

from dataclasses import replace
from decimal import Decimal

import pytest

from leadline.model.signals import Direction, Pattern, Regime, RegimeReading, Signal
from leadline.nodes.router import DEFAULT_RULES, RegimeRule
from tests.analysis.builders import TABLE

LONG, SHORT = Direction.LONG, Direction.SHORT
DIRECTIONS = {
    Pattern.BUY_IMBALANCE: LONG,
    Pattern.SELL_IMBALANCE: SHORT,
    Pattern.STACKED_BUY_IMBALANCE: LONG,
    Pattern.STACKED_SELL_IMBALANCE: SHORT,
    Pattern.BUYING_EXHAUSTION: SHORT,
    Pattern.SELLING_EXHAUSTION: LONG,
    Pattern.BUYING_ABSORPTION: LONG,
    Pattern.SELLING_ABSORPTION: SHORT,
    Pattern.BULLISH_DELTA_DIVERGENCE: LONG,
    Pattern.BEARISH_DELTA_DIVERGENCE: SHORT,
    Pattern.UNFINISHED_HIGH: LONG,
    Pattern.UNFINISHED_LOW: SHORT,
    Pattern.UNFINISHED_REVISITED: LONG,
}


def reading(regime, confidence="0.8"):
    return RegimeReading(regime, Decimal(confidence), TABLE.multiplier(regime))


def verdict(regime, pattern, *, strength="0.8", confidence="0.8", router=TABLE):
    signal = Signal(pattern, DIRECTIONS[pattern], 100, Decimal(strength))
    (routed,) = router.route(reading(regime, confidence), [signal])
    assert routed.approved == (routed.rejection == "")
    return routed.rejection


@pytest.mark.parametrize(
    ("regime", "patterns", "multiplier"),
    [
        (
            Regime.TRENDING_UP,
            {"BUYING_ABSORPTION", "SELLING_EXHAUSTION", "BULLISH_DELTA_DIVERGENCE"},
            "1.0",
        ),
        (
            Regime.TRENDING_DOWN,
            {"SELLING_ABSORPTION", "BUYING_EXHAUSTION", "BEARISH_DELTA_DIVERGENCE"},
            "1.0",
        ),
        (
            Regime.RANGING,
            {
                "BUYING_ABSORPTION",
                "SELLING_ABSORPTION",
                "BUYING_EXHAUSTION",
                "SELLING_EXHAUSTION",
                "UNFINISHED_HIGH",
                "UNFINISHED_LOW",
            },
            "0.75",
        ),
        (Regime.VOLATILE, {"STACKED_BUY_IMBALANCE", "STACKED_SELL_IMBALANCE"}, "0.5"),
        (Regime.NO_TRADE, set(), "0"),
    ],
)
def test_the_table(regime, patterns, multiplier) -> None:
    assert {pattern.value for pattern in Pattern if verdict(regime, pattern) == ""} == patterns
    assert TABLE.multiplier(regime) == Decimal(multiplier)


def test_buying_exhaustion_does_not_trade_in_a_trend_up() -> None:
    assert verdict(Regime.TRENDING_UP, Pattern.BUYING_EXHAUSTION) == "pattern_not_enabled"


def test_a_weak_signal_is_refused_for_its_strength() -> None:
    assert verdict(Regime.TRENDING_UP, Pattern.SELLING_EXHAUSTION, strength="0.45") == "strength"
    assert verdict(Regime.TRENDING_UP, Pattern.SELLING_EXHAUSTION, strength="0.5") == ""


def test_an_undecided_regime_is_refused_for_its_confidence() -> None:
    # what the fallback to VOLATILE gives
    assert verdict(Regime.VOLATILE, Pattern.STACKED_BUY_IMBALANCE, confidence="0.5") == "confidence"
    assert verdict(Regime.VOLATILE, Pattern.STACKED_BUY_IMBALANCE, confidence="0.6") == ""


def test_the_first_reason_is_kept() -> None:
    weak = {"strength": "0.1", "confidence": "0.1"}
    only_exhaustion = RegimeRule((Pattern.BUYING_EXHAUSTION,), Direction.LONG, Decimal(1))
    rules = {**DEFAULT_RULES, Regime.TRENDING_UP: only_exhaustion}
    only_long = replace(TABLE, rules=rules)
    assert verdict(Regime.NO_TRADE, Pattern.BUYING_EXHAUSTION, **weak) == "no_trade"
    assert verdict(Regime.TRENDING_UP, Pattern.BUYING_EXHAUSTION, **weak) == "pattern_not_enabled"
    assert verdict(Regime.TRENDING_UP, Pattern.BUYING_EXHAUSTION, router=only_long, **weak) == "direction"
    assert verdict(Regime.RANGING, Pattern.BUYING_EXHAUSTION, **weak) == "strength"
    assert verdict(Regime.RANGING, Pattern.BUYING_EXHAUSTION, confidence="0.1") == "confidence"


def test_context_is_kept_and_never_approved() -> None:
    for regime in Regime:
        for pattern in (Pattern.BUY_IMBALANCE, Pattern.SELL_IMBALANCE, Pattern.UNFINISHED_REVISITED):
            assert verdict(regime, pattern) in {"pattern_not_enabled", "no_trade"}
