"""Sizing by a percentage of the equity: as many contracts as it pays for when all of them are stopped out."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.model.orders import Bracket
from leadline.risk.limits import order_refusal, risk_per_contract
from leadline.risk.reasons import Reason
from leadline.risk.sizing import Size, size
from leadline.risk.view import AccountLimits, AccountView, ExecutionInstrument
from tests.risk.builders import ES, MES, TIERS, account, bar, entry, strategy

D = Decimal
ROOMY = AccountLimits(max_position=10_000)
NO_TIERS = {"tiers": (), "tier_index": -1, "limits": ROOMY}


def by_percent(percent: str, **changes: object):
    return strategy(
        **{
            "sizing_mode": "RiskPercent",
            "risk_percent": D(percent),
            "max_size": 10_000,
            "respect_day_budget": False,
            **changes,
        }
    )


def sized(view: AccountView, settings, instrument: ExecutionInstrument = MES) -> Size:
    return size(view, settings, instrument, bar(), bar().proposals[0])


def test_the_worked_example_of_the_how_to():
    view = account("10000", limits=ROOMY)  # the tier of at most three ES
    found = sized(view, by_percent("5"), replace(ES, margin=None))
    assert (found.quantity, found.reason) == (2, None)
    assert found.arithmetic == (
        ("equity", "10000"),
        ("risk_percent", "5"),
        ("risk_budget", "500"),
        ("risk_size", "2"),
        ("tier_max", "3"),
        ("risk_per_contract", "234.0"),  # 16 ticks of the stop and 2 of slippage x 12.50, and 2 x 4.50 of commission
        ("free_position", "10000"),
        ("max_size", "10000"),
        ("size", "2"),
    )


def test_the_worked_example_of_the_smaller_account():
    mes = replace(MES, margin=None)
    assert sized(account("2500", **NO_TIERS), by_percent("5"), mes).quantity == 5
    assert sized(account("2500", limits=ROOMY), by_percent("5"), mes).quantity == 3
    assert sized(account("2500"), by_percent("5"), mes).quantity == 2


@pytest.mark.parametrize(
    ("equity", "quantity", "reason"), [("50000", 1, None), ("5000", 0, Reason.RISK_BUDGET), ("80000", 2, None)]
)
def test_a_stop_of_20_points_of_nasdaq_futures_at_one_percent(equity: str, quantity: int, reason: Reason | None):
    nasdaq = replace(ES, root="NQ", tick_value=D(5), commission=D(0), margin=None)  # 80 ticks are 400
    settings = by_percent("1", bracket=Bracket(80, 120), slippage_ticks=0)
    found = sized(account(equity, **NO_TIERS), settings, nasdaq)
    assert (found.quantity, found.reason) == (quantity, reason)


def test_the_open_result_is_part_of_the_equity():
    settings = by_percent("1")
    assert sized(account("2500", **NO_TIERS), settings).quantity == 1
    assert sized(account("2500", open=D(2500), **NO_TIERS), settings).quantity == 2
    assert sized(account("2500", open=D(-3), **NO_TIERS), settings).reason is Reason.RISK_BUDGET
    assert sized(account("0", realised=D(-50), **NO_TIERS), settings) == sized(
        account("-50", **NO_TIERS), settings
    )  # and below nothing it buys nothing


@pytest.mark.parametrize(
    ("changes", "settings", "quantity"),
    [
        ({}, {}, 4),
        ({"tiers": TIERS, "tier_index": 0}, {}, 3),  # the tier's maximum
        ({"limits": AccountLimits(max_position=2)}, {}, 2),
        ({}, {"max_size": 1}, 1),
        ({"margin_in_use": D(2420)}, {}, 2),
        ({}, {"respect_day_budget": True}, 4),
        (
            {"realised": D(0), "worst_case": D(210)},
            {"respect_day_budget": True},
            3,
        ),  # of 300
    ],
)
def test_tier_account_margin_and_the_day_s_budget_bind_it_as_every_mode(changes, settings, quantity: int):
    view = account("2500", **{**NO_TIERS, **changes})
    assert sized(view, by_percent("4", **settings)).quantity == quantity


def test_a_tier_s_minimum_does_not_make_it_risk_more():
    two_at_least = (replace(TIERS[0], min_size=2),)
    view = account("2500", tiers=two_at_least, tier_index=0)
    assert sized(view, by_percent("1")).quantity == 1
    assert sized(view, by_percent("0.5")).reason is Reason.RISK_BUDGET


def test_the_transaction_of_the_order_asks_again():
    settings = by_percent("2")
    assert order_refusal(account("2500", **NO_TIERS), settings, MES, entry(2)) is None
    assert order_refusal(account("2499.99", **NO_TIERS), settings, MES, entry(2)) is Reason.RISK_BUDGET


MONEY = st.integers(-1_000_000, 100_000_000).map(lambda cents: D(cents) / 100)
PERCENTS = st.integers(1, 10_000).map(lambda hundredths: D(hundredths) / 100)
STOPS = st.integers(1, 400)


@given(MONEY, PERCENTS, STOPS)
def test_all_of_an_entry_stopped_out_never_costs_more_than_was_asked_for(equity: Decimal, percent: Decimal, stop: int):
    settings = by_percent(str(percent), bracket=Bracket(stop))
    view = account(str(equity), **NO_TIERS)
    found = sized(view, settings, replace(MES, margin=None))
    unit = risk_per_contract(settings, MES)
    asked = max(equity * percent / 100, D(0))
    assert found.quantity * unit <= asked
    if found.quantity:
        assert found.quantity == 10_000 or (found.quantity + 1) * unit > asked
    else:
        assert found.reason is Reason.RISK_BUDGET


@given(MONEY, MONEY, PERCENTS, STOPS)
def test_more_equity_never_makes_an_entry_smaller(one: Decimal, other: Decimal, percent: Decimal, stop: int):
    settings = by_percent(str(percent), bracket=Bracket(stop))
    less, more = (sized(account(str(equity), **NO_TIERS), settings).quantity for equity in sorted((one, other)))
    assert less <= more
