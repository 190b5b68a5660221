"""The parts that variants share: by which fields bars and signals are told apart, and in which waves they are made."""

from datetime import date
from functools import cache

import pytest

from leadline.analysis.assemble import strategy_fold
from leadline.backtest.days import backtest_days
from leadline.backtest.work import history_start, series_of
from leadline.model.errors import InvalidInput
from leadline.model.manifest.specs import StrategySpec, TradingStrategy
from leadline.model.manifest.sweep import Variant
from leadline.study.engine import MOST_IN_FLIGHT, batches
from leadline.study.parts import ANALYSIS_FIELDS, MOST_ANALYSES, analysis_id, refuse_other_markets, waves
from tests.study.builders import manifests, simulated, variants

ALL_FIELDS = frozenset(StrategySpec.model_fields)


class Watched(StrategySpec):
    """A spec that notes which of its fields are read."""

    def __getattribute__(self, name: str) -> object:
        if name in ALL_FIELDS:
            READ.add(name)
        return super().__getattribute__(name)


READ: set[str] = set()


def watched() -> TradingStrategy:
    (strategy,) = manifests()[1]
    spec = Watched.from_manifest(strategy.spec.to_manifest())
    return strategy.model_copy(update={"spec": spec})


def test_bars_and_signals_follow_from_no_other_field() -> None:
    strategy = watched()
    READ.clear()
    strategy_fold(strategy.spec, date(2025, 6, 10))
    series_of(strategy)
    history_start(strategy, date(2025, 6, 10))
    backtest_days(simulated(), [strategy], None, None)
    assert set(ANALYSIS_FIELDS) >= READ
    assert {"instrument", "session", "bars", "history", "strategy"} <= READ


@pytest.mark.parametrize("field", sorted(ALL_FIELDS - set(ANALYSIS_FIELDS) - {"account"}))
def test_a_field_of_the_account_side_changes_no_analysis(field: str) -> None:
    (strategy,) = manifests()[1]
    changed = strategy.model_copy(update={"spec": strategy.spec.model_copy(update={field: "other"})})
    assert analysis_id(changed) == analysis_id(strategy)


def test_variants_that_say_the_same_share_their_analysis() -> None:
    (wave,) = waves(
        variants(
            strategy__spec__strategy__router__minStrength=["0.4", "0.6"], account__spec__paper__slippageTicks=[0, 1, 2]
        )
    )
    assert len(wave.analyses) == 2
    assert [each.number for each in wave.variants] == [1, 2, 3, 4, 5, 6]


def test_variants_of_other_days_are_in_another_wave() -> None:
    found = list(waves(variants(strategy__spec__history=[5, 3], account__spec__paper__slippageTicks=[0, 1])))
    assert [[each.number for each in wave.variants] for wave in found] == [[1, 2], [3, 4]]


def test_no_wave_has_more_analyses_than_are_kept_at_a_time() -> None:
    strengths = [f"0.{number:02d}" for number in range(10, 10 + MOST_ANALYSES + 3)]
    found = list(waves(variants(strategy__spec__strategy__router__minStrength=strengths)))
    assert [len(wave.analyses) for wave in found] == [MOST_ANALYSES, 3]
    assert [each.number for wave in found for each in wave.variants] == list(range(1, MOST_ANALYSES + 4))


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, MOST_IN_FLIGHT, MOST_IN_FLIGHT * 2 + 1, 100])
@pytest.mark.parametrize(("days", "most"), [(1, MOST_IN_FLIGHT), (100, 6), (1_000, 1)])
def test_each_variant_is_in_one_batch_of_a_bounded_size(count: int, workers: int, days: int, most: int) -> None:
    found = batches(every(count), workers, days)
    assert [each for batch in found for each in batch] == list(every(count))
    assert max(map(len, found)) <= most


@cache
def every(count: int) -> tuple[Variant, ...]:
    return variants(account__spec__limits__dayLoss=list(range(100, 100 + count)))


def test_another_market_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"variant 2: TradingStrategy .*: spec.instrument: got 'ES'"):
        refuse_other_markets(variants(strategy__spec__instrument=["MES", "ES"]))
