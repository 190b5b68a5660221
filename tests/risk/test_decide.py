"""Decisions of risk: which reason comes first, and the worked examples of whole decisions."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.model.blocks import Block
from leadline.model.errors import InvalidInput
from leadline.model.orders import Bracket, Side
from leadline.model.signals import Pattern, Regime
from leadline.risk.decide import decide
from leadline.risk.limits import day_budget, order_refusal, risk_per_contract
from leadline.risk.tiers import tier_index
from leadline.risk.view import AccountLimits, DecisionInputs, Quote, StrategyDay, StrategyLimits
from tests.risk.builders import (
    CLOSE,
    CLOSED_AT,
    ES,
    EXPIRES,
    MES,
    MINUTE,
    NOW,
    OPEN,
    SECOND,
    TIERS,
    account,
    ask,
    bar,
    entry,
    printed,
    signal,
    strategy,
    terms,
)

D = Decimal


def test_small_account_takes_two_micros_on_two_patterns_in_a_trend_after_three_wins() -> None:
    answer = decide(ask(account(streak=3), strategy()))
    assert (answer.accepted, answer.side, answer.quantity, answer.contract) == (True, "BUY", 2, "MESM2025")
    assert answer.bracket == Bracket(16, 24)
    assert answer.patterns == ("SELLING_EXHAUSTION", "BUYING_ABSORPTION")  # the strongest owns the order
    arithmetic = dict(answer.arithmetic)
    assert arithmetic["scaled"] == "4"
    assert arithmetic["tier_max"] == "3"
    assert (arithmetic["day_budget"], D(arithmetic["risk_per_contract"]), arithmetic["budget_size"]) == ("100", 25, "4")


def test_larger_account_takes_two_minis_bound_by_its_day_budget() -> None:
    inputs = ask(account("7600", streak=3), strategy())
    answer = decide(inputs)
    assert (answer.quantity, answer.contract) == (2, "ESM2025")
    assert D(terms(inputs)["risk_per_contract"]) == 234  # 200 stop + 9 commission + 25 slippage
    assert terms(inputs)["budget_size"] == "2"


def test_second_tier_executes_one_mini_whatever_the_modifiers_say() -> None:
    assert decide(ask(account("4000", streak=3), strategy())).quantity == 1


def test_losing_streak_in_a_range_still_trades_the_tier_minimum() -> None:
    single = bar((signal(Pattern.BUYING_ABSORPTION),), Regime.RANGING, "0.75")
    inputs = ask(account("5200", streak=-2), strategy(), single)
    assert terms(inputs)["scaled"] == "0"
    assert decide(inputs).quantity == 1


def test_two_rows_of_one_pattern_are_not_stacked_patterns() -> None:
    twice = bar((signal(Pattern.STACKED_BUY_IMBALANCE), signal(Pattern.STACKED_BUY_IMBALANCE)), Regime.VOLATILE, "0.5")
    assert terms(ask(account(), strategy(), twice))["Stacked"] == "0"


@pytest.mark.parametrize(
    ("equity", "index"),
    [("-1", -1), ("0", 0), ("3499.99", 0), ("3500.00", 1), ("5000", 2), ("7500", 3), ("10000", 4), ("99999", 4)],
)
def test_tier_bounds_are_inclusive_below(equity: str, index: int) -> None:
    assert tier_index(TIERS, D(equity)) == index


LIMITS = AccountLimits()
REFUSALS = {
    "no_approved_signal": ask(account(), strategy(), bar((signal(Pattern.BUYING_ABSORPTION, approved=False),))),
    "conflict": ask(
        account(), strategy(), bar((signal(Pattern.BUYING_ABSORPTION), signal(Pattern.SELLING_ABSORPTION)))
    ),
    "strategy_not_running": ask(account(), strategy(state="ReduceOnly")),
    "halted": ask(account(halt="operator"), strategy()),
    "unresolved": ask(account(unresolved=True), strategy()),
    "day_loss": ask(account(block=Block.DAY_LOSS), strategy()),
    "day_target": ask(account(realised=D(500)), strategy()),
    "outside_session": ask(account(), strategy(), instant=CLOSE),
    "after_open": ask(account(), strategy(), instant=OPEN + 5 * MINUTE - 1),
    "before_close": ask(account(), strategy(), instant=CLOSE - 15 * MINUTE),
    "blocked_window": ask(account(), strategy(blocks=(("10:00", "11:00"),))),
    "news": ask(account(), strategy(news=((OPEN, CLOSE),))),
    "no_tier": ask(account("-1"), strategy()),
    "no_contract": ask(account("4000"), strategy(execute=(MES,))),
    "margin_above_limit": ask(account(limits=AccountLimits(margin_limits={"MES": D(39)})), strategy()),
    "margin_unknown": ask(
        account(limits=AccountLimits(margin_limits={"MES": D(50)})), strategy(execute=(replace(MES, margin=None),))
    ),
    "contract_expired": ask(account(trading_day=EXPIRES), strategy()),
    "stale": ask(account(), printed(strategy(), NOW - 2 * SECOND - 1), instant=None),
    "price_collar": ask(account(), printed(strategy(), NOW, CLOSED_AT + 21), instant=None),
    "regime_size": ask(account(), strategy(), bar(multiplier="0")),
    "opposite_position": ask(account(), strategy(day=StrategyDay(position=-1))),
    "max_open_trades": ask(account(open_trades=1), strategy()),
    "max_trades_per_day": ask(
        account(), strategy(limits=StrategyLimits(max_trades_per_day=10), day=StrategyDay(trades=10))
    ),
    "max_entries_per_hour": ask(
        account(entries_last_hour=20, limits=AccountLimits(max_entries_per_hour=20)), strategy()
    ),
    "max_orders_per_second": ask(account(orders_last_second=5), strategy()),
    "max_position": ask(account(exposure=2), strategy()),
    "day_budget": ask(account(realised=D("-75.01")), strategy()),
    "margin": ask(account("39"), strategy()),
    "max_size": ask(account(), strategy(max_size=0)),
    "risk_budget": ask(account(), strategy(sizing_mode="RiskPercent", risk_percent=D("0.99"))),
}


@pytest.mark.parametrize("reason", sorted(REFUSALS))
def test_the_first_reason_refuses(reason: str) -> None:
    answer = decide(REFUSALS[reason])
    assert (answer.accepted, answer.reason, answer.quantity) == (False, reason, 0)


ACCEPTED_AT_THE_EDGE = {
    "after_open": ask(account(), strategy(), instant=OPEN + 5 * MINUTE),
    "before_close": ask(account(), strategy(), instant=CLOSE - 15 * MINUTE - 1),
    "blocked_window": ask(account(), strategy(blocks=(("09:30", "10:35"),))),
    "stale": ask(account(), printed(strategy(), NOW - 2 * SECOND), instant=None),
    "price_collar_above": ask(account(), printed(strategy(), NOW, CLOSED_AT + 20), instant=None),
    "price_collar_below": ask(account(), printed(strategy(), NOW, CLOSED_AT - 20), instant=None),
    "contract_expired": ask(account(trading_day=EXPIRES - timedelta(days=1)), strategy()),
    "regime_size": ask(account(), strategy(), bar(multiplier="0.01")),
    "same_side": ask(account(), strategy(day=StrategyDay(position=1))),
    "day_target": ask(account(realised=D("499.99")), strategy()),
    "day_budget": ask(account(realised=D("-75")), strategy()),
    "margin": ask(account("40"), strategy()),
    "max_entries_per_hour": ask(
        account(entries_last_hour=19, limits=AccountLimits(max_entries_per_hour=20)), strategy()
    ),
    "max_orders_per_second": ask(account(orders_last_second=4), strategy()),
    "max_position": ask(account(exposure=1), strategy()),
    "risk_budget": ask(account(), strategy(sizing_mode="RiskPercent", risk_percent=D(1))),
    "margin_above_limit": ask(account(limits=AccountLimits(margin_limits={"MES": D(40)})), strategy()),
}


@pytest.mark.parametrize("edge", sorted(ACCEPTED_AT_THE_EDGE))
def test_one_step_inside_the_limit_is_accepted(edge: str) -> None:
    answer = decide(ACCEPTED_AT_THE_EDGE[edge])
    assert answer.accepted, answer.reason


def test_the_strategy_day_loss_only_tightens() -> None:
    tight = strategy(limits=StrategyLimits(day_loss=D(50)))
    loose = strategy(limits=StrategyLimits(day_loss=D(5000)))
    assert day_budget(account(), tight) == 50
    assert day_budget(account(), loose) == 100  # the tier's


def test_without_the_day_budget_only_the_loss_already_made_counts() -> None:
    free = strategy(respect_day_budget=False)
    assert decide(ask(account(realised=D("-99")), free)).accepted
    assert decide(ask(account(realised=D("-100")), free)).reason == "day_loss"


def test_without_tiers_the_signal_s_own_root_is_executed() -> None:
    answer = decide(ask(account("25000", tiers=(), tier_index=-1), strategy(sizing_mode="Fixed", fixed_size=1)))
    assert (answer.quantity, answer.contract) == (1, "MESM2025")


def test_a_short_is_a_sell_of_the_execution_contract() -> None:
    answer = decide(ask(account(), strategy(), bar((signal(Pattern.SELLING_ABSORPTION),), Regime.TRENDING_DOWN)))
    assert (answer.side, answer.quantity, answer.contract) == ("SELL", 2, "MESM2025")


def test_the_contract_that_fills_is_the_one_whose_quote_counts() -> None:
    old = replace(MES, quote=Quote(CLOSED_AT, NOW - MINUTE))
    assert decide(ask(account("5000"), strategy(execute=(old, ES)), instant=None)).accepted
    assert decide(ask(account("2500"), strategy(execute=(old, ES)), instant=None)).reason == "stale"


def test_a_question_that_is_out_of_bounds_is_not_answered() -> None:
    with pytest.raises(InvalidInput, match=r"account\.open_trades"):
        decide(ask(account(open_trades=-1), strategy()))


def test_a_bar_of_the_month_before_the_roll_enters_nothing() -> None:
    rolled = strategy(signal_contract="MESU2025")
    assert decide(ask(account(), rolled)).reason == "contract_rolling"
    assert decide(ask(account(), strategy())).accepted


def test_a_contract_that_never_printed_is_stale() -> None:
    unheard = strategy(execute=(replace(MES, quote=None),))
    assert decide(ask(account(), unheard, instant=None)).reason == "stale"


def test_a_refusal_for_its_size_keeps_the_arithmetic_and_the_patterns() -> None:
    answer = decide(ask(account("39"), strategy()))
    assert answer.reason == "margin"
    assert dict(answer.arithmetic)["margin_size"] == "0"
    assert answer.patterns == ("SELLING_EXHAUSTION", "BUYING_ABSORPTION")
    assert (answer.side, answer.contract, answer.bracket) == ("", "", None)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (
            ask(
                account(halt="x", unresolved=True),
                strategy(),
                bar((signal(Pattern.BUYING_ABSORPTION, approved=False),)),
                instant=CLOSE,
            ),
            "no_approved_signal",
        ),
        (ask(account(halt="x"), strategy(), instant=CLOSE), "outside_session"),
        (ask(account("-1", halt="x"), strategy()), "halted"),
        (ask(account(), strategy(execute=())), "no_contract"),
        (ask(account("39"), printed(strategy(), 0), instant=None), "stale"),
        (ask(account("39"), strategy(), bar(multiplier="0")), "regime_size"),
    ],
)
def test_the_cheaper_question_is_asked_first(inputs: DecisionInputs, reason: str) -> None:
    assert decide(inputs).reason == reason


money = st.integers(-60_000, 60_000).map(lambda cents: D(cents) / 100)


@given(
    equity=st.integers(0, 2_000_000).map(lambda cents: D(cents) / 100),
    realised=money,
    open_result=money,
    worst=money.map(abs),
    streak=st.integers(-4, 4),
    exposure=st.integers(0, 3),
    margin=money.map(abs),
    multiplier=st.sampled_from(["1.0", "0.75", "0.5", "0"]),
)
def test_no_accepted_order_can_break_a_limit(
    equity: Decimal,
    realised: Decimal,
    open_result: Decimal,
    worst: Decimal,
    streak: int,
    exposure: int,
    margin: Decimal,
    multiplier: str,
) -> None:
    view = account(str(equity), realised=realised, open=open_result, worst_case=worst, streak=streak, exposure=exposure)
    view = replace(view, margin_in_use=margin)
    equity_now = equity + realised + open_result
    answer = decide(ask(view, strategy(), bar(multiplier=multiplier)))
    if answer.accepted:
        instrument = MES if answer.contract == "MESM2025" else ES
        assert order_refusal(view, strategy(), instrument, entry(answer.quantity, Side(answer.side))) is None
        assert multiplier != "0"
        assert 1 <= answer.quantity <= 2 - exposure
        assert answer.quantity * (instrument.margin or 0) <= equity_now - margin
        assert answer.quantity * risk_per_contract(strategy(), instrument) <= day_budget(view, strategy())
