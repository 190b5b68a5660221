"""From a manifest to a strategy that is ready for bars."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from random import Random

import pytest

from leadline.analysis.assemble import detectors_of, strategy_fold, strategy_maker
from leadline.analysis.strategies import OrderFlow
from leadline.model.errors import InvalidInput
from leadline.model.manifest import specs
from leadline.model.manifest.specs import StrategySpec, TradingStrategy
from leadline.model.signals import BarSignals, Direction, Pattern, Regime, RegimeReading
from leadline.nodes.regime import WARM_UP_BARS
from leadline.nodes.router import DEFAULT_RULES, RegimeRule, routing_table
from tests.analysis.builders import footprint_bar, random_session, reading_of

MANIFEST = """
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {{name: test}}
spec:
  instrument: {instrument}
  {more}
"""


def manifest(instrument="MES", more="history: 5") -> StrategySpec:
    (found,) = specs.load_manifests(MANIFEST.format(instrument=instrument, more=more))
    assert isinstance(found, TradingStrategy)
    return found.spec


def with_logic(logic, instrument="MES"):
    return manifest(instrument, f"strategy: {logic}")


def in_force(spec: StrategySpec) -> dict[str, dict[str, str]]:
    """The thresholds in force by detector."""
    return {detector.name: detector.thresholds() for detector in detectors_of(spec)}


def test_thresholds_are_the_instruments_unless_the_manifest_has_them() -> None:
    assert in_force(manifest()) == {
        "imbalance": {"ratio": "3", "minVolume": "5", "zero": "AsOne"},
        "stacked": {"levels": "3"},
        "exhaustion": {"levels": "3", "within": "5", "drop": "0.3", "minVolume": "5"},
        "absorption": {"levels": "3", "share": "0.6", "minVolume": "30"},
        "divergence": {"lookback": "5", "source": "Bar"},
        "unfinished": {"keep": "50", "fullVolume": "5"},
    }
    assert in_force(manifest("ES"))["imbalance"]["minVolume"] == "20"


def test_the_manifest_overrides_thresholds_one_by_one() -> None:
    spec = with_logic(
        "{name: OrderFlow, detectors: {"
        'imbalance: {ratio: "2.5", minVolume: 7, zero: Skip}, stacked: {enabled: false, levels: 4}, '
        'exhaustion: {levels: 4, within: 6, drop: "0.5"}, absorption: {levels: 2, share: "0.7", minVolume: 40}, '
        "divergence: {lookback: 8, source: Cumulative}, unfinished: {keep: 9}}}"
    )
    assert in_force(spec) == {
        "imbalance": {"ratio": "2.5", "minVolume": "7", "zero": "Skip"},
        "stacked": {"levels": "4"},
        "exhaustion": {"levels": "4", "within": "6", "drop": "0.5", "minVolume": "5"},
        "absorption": {"levels": "2", "share": "0.7", "minVolume": "40"},
        "divergence": {"lookback": "8", "source": "Cumulative"},
        "unfinished": {"keep": "9", "fullVolume": "5"},
    }
    assert [detector.name for detector in detectors_of(spec) if not detector.params.enabled] == ["stacked"]


def test_what_an_imbalance_needs_does_not_move_what_is_measured_against_the_instrument() -> None:
    found = in_force(with_logic("{name: OrderFlow, detectors: {imbalance: {minVolume: 50}}}"))
    assert found["imbalance"]["minVolume"] == "50"
    assert found["exhaustion"]["minVolume"] == found["unfinished"]["fullVolume"] == "5"


def test_the_router_has_its_table_unless_the_manifest_changes_it() -> None:
    router = routing_table(manifest().strategy.router)
    assert router.rules == DEFAULT_RULES
    assert (router.min_strength, router.min_confidence) == (Decimal("0.5"), Decimal("0.6"))


def test_a_regime_is_overridden_field_by_field() -> None:
    spec = with_logic(
        '{name: OrderFlow, router: {minStrength: "0.3", regimes: {'
        "TRENDING_UP: {side: Both, patterns: [STACKED_BUY_IMBALANCE]}, "
        'VOLATILE: {multiplier: "0.25"}}}}'
    )
    router = routing_table(spec.strategy.router)
    assert router.min_strength == Decimal("0.3")
    assert router.rules[Regime.TRENDING_UP] == RegimeRule((Pattern.STACKED_BUY_IMBALANCE,), None, Decimal("1.0"))
    assert router.rules[Regime.VOLATILE].patterns == DEFAULT_RULES[Regime.VOLATILE].patterns
    assert router.multiplier(Regime.VOLATILE) == Decimal("0.25")
    assert router.rules[Regime.RANGING] == DEFAULT_RULES[Regime.RANGING]


@pytest.mark.parametrize(("side", "direction"), [("Long", Direction.LONG), ("Short", Direction.SHORT), ("Both", None)])
def test_the_side_of_a_regime_is_one_of_three(side, direction) -> None:
    spec = with_logic(f"{{name: OrderFlow, router: {{regimes: {{VOLATILE: {{side: {side}}}}}}}}}")
    assert routing_table(spec.strategy.router).rules[Regime.VOLATILE].direction is direction


def test_a_strategy_is_made_afresh_each_time() -> None:
    make = strategy_maker(manifest())
    assert isinstance(make(), OrderFlow)
    assert make() is not make()


def test_history_goes_back_over_holidays_and_weekends() -> None:
    # Monday 2025-12-29: the sessions before are the 26th, 24th and 23rd; Christmas and the weekend are none
    fold = strategy_fold(manifest(more="history: 3"), trade_from=date(2025, 12, 29))
    days = [date(2025, 12, 22), date(2025, 12, 23), date(2025, 12, 24), date(2025, 12, 26), date(2025, 12, 29)]
    for one in days[:-1]:
        for bar in random_session(Random(1), one, 10):
            assert fold.step(bar) is None
    assert fold.bars_held == 30
    assert fold.step(footprint_bar([(100, 1, 1)], day=days[-1])) is not None
    assert fold.bars_held == 31


class Echo:
    """A strategy of somebody else's: it says what it was given."""

    def __init__(self, parameters, instrument) -> None:
        self.reason = f"{parameters['word']} {instrument.root}"
        self.warmed = 0

    def warm(self, bar) -> None:
        self.warmed += 1

    def on_bar(self, bar) -> BarSignals:
        reading = RegimeReading(Regime.NO_TRADE, Decimal(1), Decimal(0), f"{self.reason} {self.warmed}")
        return BarSignals(bar.key, bar.known_at_ns, bar.close, bar.session_open_ns, bar.session_close_ns, reading, ())


def test_an_entry_point_gets_its_parameters_the_instrument_and_the_history() -> None:
    strategy = with_logic('{entryPoint: "tests.analysis.test_assemble:Echo", parameters: {word: hello}}')
    fold = strategy_fold(strategy, trade_from=date(2025, 11, 18))
    assert fold.step(footprint_bar([(100, 1, 1)], day=date(2025, 11, 17))) is None
    answers = fold.step(footprint_bar([(100, 1, 1)], day=date(2025, 11, 18)))
    assert answers is not None
    assert reading_of(answers).reason == "hello MES 1"


def test_a_strategy_of_a_market_around_the_clock_is_not_kept_away_from_midnight() -> None:
    volumes = "strategy: {name: OrderFlow, detectors: {imbalance: {minVolume: 5}, absorption: {minVolume: 30}}}\n"
    rest = "  bracket: {stopTicks: 500, targetTicks: 750}\n  sizing: {mode: Fixed, size: 1}"
    readings = []
    for session in ("", '\n  session: {open: "00:00", close: "23:59", zone: UTC}'):
        made = strategy_maker(manifest("BTCUSDT", f"{volumes}{rest}{session}"))()
        bars = random_session(Random(1), date(2025, 6, 10), WARM_UP_BARS + 1)
        for bar in bars[:-1]:
            made.warm(bar)
        last = replace(bars[-1], session_close_ns=bars[-1].end_ns + 1)
        readings.append(reading_of(made.on_bar(last)).reason)
    assert readings[0] != "near_close"
    assert readings[1] == "near_close"


def test_an_instrument_without_a_profile_needs_thresholds_of_its_own() -> None:
    def made_from(detectors):
        spec = {"instrument": "BTCUSDT", "strategy": {"name": "OrderFlow", "detectors": detectors}}
        return StrategySpec.model_validate(spec, by_alias=True)

    with pytest.raises(InvalidInput, match="minVolume"):
        detectors_of(made_from({}))
    found = in_force(made_from({"imbalance": {"minVolume": 400}, "absorption": {"minVolume": 900}}))
    assert (found["exhaustion"]["minVolume"], found["absorption"]["minVolume"]) == ("400", "900")
