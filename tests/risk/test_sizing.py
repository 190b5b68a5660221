"""Position size, term by term."""

from dataclasses import replace
from decimal import Decimal

import pytest

from leadline.model.signals import BarSignals, Pattern, Regime
from leadline.risk.reasons import Reason
from leadline.risk.sizing import Size, floor, size
from leadline.risk.view import AccountLimits, AccountView, ExecutionInstrument, StrategySettings
from tests.risk.builders import ES, MES, TWO_LONGS, account, bar, signal, strategy

D = Decimal
ROOMY = AccountLimits(max_position=99)
FREE = strategy(max_size=9, respect_day_budget=False)
ONE_LONG = (signal(Pattern.BUYING_ABSORPTION),)
ONE_SHORT = (signal(Pattern.SELLING_ABSORPTION),)
RANGE = bar(ONE_LONG, Regime.RANGING)


def sized(
    view: AccountView,
    settings: StrategySettings = FREE,
    instrument: ExecutionInstrument = MES,
    what: BarSignals = RANGE,
) -> Size:
    return size(view, settings, instrument, what, what.proposals[0])


def terms(view: AccountView, settings: StrategySettings = FREE, what: BarSignals = RANGE) -> dict[str, str]:
    return dict(sized(view, settings, MES, what).arithmetic)


@pytest.mark.parametrize(
    ("streak", "win", "loss"),
    [(-3, 0, -1), (-2, 0, -1), (-1, 0, 0), (0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 1, 0), (4, 1, 0)],
)
def test_three_wins_add_a_contract_and_two_losses_take_one(streak: int, win: int, loss: int):
    found = terms(account(streak=streak))
    assert (found["WinStreak"], found["LossStreak"]) == (str(win), str(loss))


def test_a_losing_streak_makes_the_entry_smaller():
    trend = bar(TWO_LONGS, Regime.TRENDING_UP)
    assert sized(account(limits=ROOMY), FREE, MES, trend).quantity == 3
    assert sized(account(limits=ROOMY, streak=-2), FREE, MES, trend).quantity == 2
    assert terms(account(streak=-2), FREE, trend)["scaled"] == "2"


@pytest.mark.parametrize(
    ("what", "stacked", "trending"),
    [
        (bar(ONE_LONG, Regime.TRENDING_UP), 0, 1),
        (bar(ONE_LONG, Regime.TRENDING_DOWN), 0, 0),
        (bar(ONE_LONG, Regime.VOLATILE), 0, 0),
        (bar(TWO_LONGS, Regime.RANGING), 1, 0),
        (bar(ONE_SHORT, Regime.TRENDING_DOWN), 0, 1),
        (bar(ONE_SHORT, Regime.TRENDING_UP), 0, 0),
        (bar(ONE_LONG * 2, Regime.RANGING), 0, 0),
        (bar((*TWO_LONGS, signal(Pattern.STACKED_BUY_IMBALANCE)), Regime.RANGING), 1, 0),
    ],
)
def test_two_patterns_and_a_trend_the_signal_s_way_add_a_contract_each(what: BarSignals, stacked: int, trending: int):
    found = terms(account(limits=ROOMY), FREE, what)
    assert (found["Stacked"], found["Trending"]) == (str(stacked), str(trending))


def test_only_the_modifiers_that_the_strategy_names_count():
    trend = bar(TWO_LONGS, Regime.TRENDING_UP)
    view = account(streak=3)
    one = replace(FREE, modifiers=("Trending",))
    assert "Stacked" not in terms(view, one, trend)
    assert terms(view, one, trend)["scaled"] == "2"
    assert terms(view, replace(FREE, modifiers=()), trend)["scaled"] == "1"


@pytest.mark.parametrize(
    ("multiplier", "scaled", "quantity"), [("1.5", "4", 3), ("1.0", "3", 3), ("0.75", "2", 2), ("0.3", "0", 1)]
)
def test_the_sum_times_the_regime_s_multiplier_is_rounded_down_and_clamped_to_the_tier(
    multiplier: str, scaled: str, quantity: int
):
    trend = bar(TWO_LONGS, Regime.TRENDING_UP, multiplier)
    view = account(limits=ROOMY)
    assert terms(view, FREE, trend)["scaled"] == scaled
    assert sized(view, FREE, MES, trend).quantity == quantity


@pytest.mark.parametrize("multiplier", ["0", "0.00", "-1"])
@pytest.mark.parametrize("mode", ["Tiered", "Fixed"])
def test_a_regime_whose_multiplier_is_0_does_not_trade_in_any_mode(mode: str, multiplier: str):
    settings = replace(FREE, sizing_mode=mode, fixed_size=1)
    found = sized(account(), settings, MES, bar(TWO_LONGS, multiplier=multiplier))
    assert found == Size(0, Reason.REGIME_SIZE, (("regime_multiplier", multiplier), ("size", "0")))


def test_a_fixed_size_is_no_larger_than_the_tier_allows():
    view = account("4000", limits=ROOMY)  # the tier of one ES
    found = sized(view, replace(FREE, sizing_mode="Fixed", fixed_size=2), ES)
    assert (found.quantity, found.reason) == (1, None)
    assert found.arithmetic[:2] == (("fixed", "2"), ("tier_max", "1"))
    larger = account("2500", limits=ROOMY)  # the tier of at most three MES
    assert sized(larger, replace(FREE, sizing_mode="Fixed", fixed_size=2)).quantity == 2
    assert sized(larger, replace(FREE, sizing_mode="Fixed", fixed_size=4)).quantity == 3


def test_a_fixed_size_without_tiers_is_bound_by_the_strategy_and_the_account():
    view = account("2500", tiers=(), tier_index=-1)
    fixed = replace(FREE, sizing_mode="Fixed", fixed_size=100, max_size=100)
    found = sized(view, fixed)
    assert found.quantity == 2  # the account's default
    assert "tier_max" not in dict(found.arithmetic)
    assert sized(replace(view, limits=ROOMY), replace(fixed, max_size=7)).quantity == 7


def test_tiered_sizing_without_tiers_lies_between_one_and_the_strategy_s_maximum():
    view = account("2500", tiers=(), tier_index=-1, limits=ROOMY, streak=3)
    trend = bar(TWO_LONGS, Regime.TRENDING_UP)
    assert sized(view, replace(FREE, max_size=3), MES, trend).quantity == 3
    assert sized(view, FREE, MES, trend).quantity == 4
    assert sized(view, FREE, MES, bar(ONE_LONG, Regime.RANGING, "0.1")).quantity == 1
    found = terms(view, replace(FREE, max_size=3), trend)
    assert (found["tier_min"], found["tier_max"]) == ("1", "3")


@pytest.mark.parametrize(
    ("equity", "in_use", "margin", "quantity", "reason"),
    [
        ("700", "0", "300", 2, None),
        ("700", "300", "300", 1, None),
        ("700", "400", "300", 1, None),
        ("700", "400.01", "300", 0, Reason.MARGIN),
        ("700", "1800", "300", 0, Reason.MARGIN),
        ("1", "0", "1", 1, None),
        ("0.75", "0", "0.50", 1, None),
        ("0", "0", "0", 3, None),
    ],
)
def test_margin_that_is_held_or_working_is_not_there_for_another_entry(
    equity: str, in_use: str, margin: str, quantity: int, reason: Reason | None
):
    view = account(equity, limits=ROOMY, margin_in_use=D(in_use), tier_index=0)
    settings = replace(FREE, sizing_mode="Fixed", fixed_size=3)
    found = sized(view, settings, replace(MES, margin=D(margin)))
    assert (found.quantity, found.reason) == (quantity, reason)


def test_a_margin_that_nobody_knows_bounds_nothing_and_is_no_term():
    found = sized(account("0"), FREE, replace(MES, margin=None))
    assert found.quantity == 1
    assert not {"margin_per_contract", "margin_free", "margin_size"} & {name for name, _ in found.arithmetic}


def test_the_whole_arithmetic_of_a_fixed_size_in_its_order():
    view = account("700", margin_in_use=D(40), realised=D(-10))
    settings = strategy(sizing_mode="Fixed", fixed_size=2)
    assert sized(view, settings).arithmetic == (
        ("fixed", "2"),
        ("tier_max", "3"),
        ("day_budget", "90"),
        ("risk_per_contract", "25.00"),
        ("margin_per_contract", "40"),
        ("margin_free", "650"),
        ("free_position", "2"),
        ("max_size", "2"),
        ("budget_size", "3"),
        ("margin_size", "16"),
        ("size", "2"),
    )


def test_the_whole_arithmetic_of_a_tiered_size_in_its_order():
    names = [name for name, _ in sized(account(), strategy()).arithmetic]
    assert names == [
        "base",
        "Stacked",
        "Trending",
        "WinStreak",
        "LossStreak",
        "regime_multiplier",
        "scaled",
        "tier_min",
        "tier_max",
        "day_budget",
        "risk_per_contract",
        "margin_per_contract",
        "margin_free",
        "free_position",
        "max_size",
        "budget_size",
        "margin_size",
        "size",
    ]
    assert terms(account(), strategy())["base"] == "1"
    assert terms(account(), strategy())["regime_multiplier"] == "1.0"


@pytest.mark.parametrize(
    ("view", "settings", "reason"),
    [
        (account(exposure=5), strategy(), Reason.MAX_POSITION),
        (account(realised=D(-150)), strategy(), Reason.DAY_BUDGET),
        (account(), strategy(max_size=0), Reason.MAX_SIZE),
        (account("39"), strategy(), Reason.MARGIN),
    ],
)
def test_below_one_the_term_that_bound_it_is_the_reason_and_the_size_is_never_below_zero(
    view: AccountView, settings: StrategySettings, reason: Reason
):
    found = sized(view, settings)
    assert (found.quantity, found.reason) == (0, reason)
    assert dict(found.arithmetic)["size"] == "0"


def test_of_equal_bounds_the_first_is_the_reason():
    assert sized(account("39", exposure=2), strategy()).reason is Reason.MAX_POSITION


@pytest.mark.parametrize(("value", "whole"), [("2.99", 2), ("3", 3), ("-0.5", -1), ("-2", -2), ("0", 0)])
def test_sizes_are_rounded_down(value: str, whole: int):
    assert floor(D(value)) == whole
