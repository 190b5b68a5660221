"""Limits and terms at their last value: an exit one tick away, a trade more than there may be, a loss to the cent."""

from dataclasses import replace
from decimal import Decimal

import pytest

from leadline.model.orders import Bracket, OrderType, Side
from leadline.model.proposals import Action, Proposal
from leadline.model.signals import Direction
from leadline.risk.decide import decide
from leadline.risk.entry_terms import Terms, at_distances, terms_refusal
from leadline.risk.limits import day_budget, loosening_refusal, order_refusal, risk_per_contract, trades_refusal
from leadline.risk.reasons import Reason
from leadline.risk.sizing import size
from leadline.risk.view import AccountLimits, StrategyDay, StrategyLimits
from tests.risk.builders import ES, LONG, MES, account, ask, bar, entry, strategy

D = Decimal


@pytest.mark.parametrize(("side", "sign"), [(Side.BUY, 1), (Side.SELL, -1)])
def test_an_exit_is_one_tick_from_its_entry_or_beyond_it(side: Side, sign: int):
    for bracket in (Bracket(stop_price=100 - sign), Bracket(target_price=100 + sign), Bracket()):
        assert terms_refusal(Terms(OrderType.MARKET, None, None, bracket), side, 100) is None
    for bracket in (Bracket(stop_price=100), Bracket(target_price=100), Bracket(stop_price=100 + sign)):
        passed = terms_refusal(Terms(OrderType.MARKET, None, None, bracket), side, 100)
        assert passed is Reason.EXIT_BEYOND_ENTRY


@pytest.mark.parametrize(("side", "sign"), [(Side.BUY, 1), (Side.SELL, -1)])
def test_a_limit_that_the_market_has_passed_may_fill_at_either_price(side: Side, sign: int):
    """A limit 20 ticks beyond the market of 100, which may fill at 100 and at its own price."""

    def refusal(quote: int, stop: int | None = None, target: int | None = None) -> Reason | None:
        exits = Bracket(stop_price=stop, target_price=target)
        return terms_refusal(Terms(OrderType.LIMIT, 100 + 20 * sign, None, exits), side, quote)

    assert refusal(100, stop=100 - sign) is None
    assert refusal(100, stop=100 + 10 * sign) is Reason.EXIT_BEYOND_ENTRY
    assert refusal(100, target=100 + 10 * sign) is Reason.EXIT_BEYOND_ENTRY
    assert refusal(100 + 20 * sign, stop=100 + 10 * sign) is None  # the market is at the limit
    assert refusal(100 + 30 * sign, stop=100 + 10 * sign) is None  # and the limit waits


def test_alternatives_wait_for_a_price():
    at_market = Terms(OrderType.MARKET, None, None, Bracket(8))
    assert terms_refusal(at_market, Side.BUY, 100, group="g") is Reason.GROUP_AT_MARKET
    assert terms_refusal(Terms(OrderType.STOP, 104, None, Bracket(8)), Side.BUY, 100, group="g") is None
    grouped = Proposal(Action.ENTER, Direction.LONG, group="g")
    assert decide(ask(account(), strategy(), proposal=grouped)).reason == "group_at_market"


@pytest.mark.parametrize(("side", "sign"), [(Side.BUY, 1), (Side.SELL, -1)])
def test_exits_at_prices_are_distances_from_the_entry_and_none_below_nothing(side: Side, sign: int):
    given = Bracket(stop_price=100 - 7 * sign, target_price=100 + 9 * sign)
    assert at_distances(strategy(), given, side, 100).bracket == Bracket(7, 9)
    passed = Bracket(stop_price=100 + 7 * sign, target_price=100 - 9 * sign)
    assert at_distances(strategy(), passed, side, 100).bracket == Bracket(0, 0)
    assert at_distances(strategy(), Bracket(), side, 100).bracket == Bracket()


def test_a_contract_without_a_stop_is_priced_by_slippage_and_fees_alone():
    assert risk_per_contract(strategy(bracket=Bracket(target_ticks=8)), ES) == 2 * D("12.5") + 9


def test_an_entry_that_adds_opens_no_trade_and_is_refused_only_beyond_the_limit():
    view, own = account(limits=AccountLimits(max_open_trades=2)), strategy()
    held = [account(limits=view.limits, open_trades=count) for count in range(4)]
    assert [trades_refusal(each, own) for each in held] == [None, None, *[Reason.MAX_OPEN_TRADES] * 2]
    assert [trades_refusal(each, own, adds=True) for each in held] == [None, None, None, Reason.MAX_OPEN_TRADES]
    assert [trades_refusal(each, own, more=0) for each in held] == [None, None, None, Reason.MAX_OPEN_TRADES]


def test_a_stop_is_loosened_up_to_the_budget_of_the_day_and_not_behind_the_strategy_s_loss():
    view, own = account("5200"), strategy()
    budget = day_budget(view, own)
    assert loosening_refusal(view, own, budget) is None
    assert loosening_refusal(view, own, budget + D("0.01")) is Reason.DAY_BUDGET
    limits = StrategyLimits(day_loss=D(50))
    lost, nearly = (strategy(limits=limits, day=StrategyDay(realised=D(text))) for text in ("-50", "-49.99"))
    assert loosening_refusal(view, lost, D(1)) is Reason.DAY_LOSS
    assert loosening_refusal(view, nearly, D("0.01")) is None


def test_by_percent_all_that_a_strategy_may_lose_is_no_more_than_its_share_of_the_equity():
    view = account("10000")  # 1 % of it is 100, of which 60 can be lost already
    own = strategy(
        sizing_mode="RiskPercent", risk_percent=D(1), respect_day_budget=False, day=StrategyDay(worst_case=D(60))
    )
    assert loosening_refusal(view, own, D(40)) is None
    assert loosening_refusal(view, own, D("40.01")) is Reason.RISK_BUDGET
    assert loosening_refusal(view, replace(own, sizing_mode="Fixed"), D("40.01")) is None


def test_alternatives_on_one_side_are_nothing_that_is_held():
    view = account(limits=AccountLimits(max_open_trades=9, max_position=9), open_trades=1, exposure=1)
    # One short waits as an alternative: with nothing held, its long counterpart turns nothing round, and a short of no
    # group goes the same way as it.
    waits = strategy(day=StrategyDay(position=-1, exposure=1, groups=(("bar/breakout", 0, 1),)))
    assert order_refusal(view, waits, MES, replace(entry(1, Side.BUY), group="bar/breakout")) is None
    assert order_refusal(view, waits, MES, entry(1, Side.SELL)) is None
    assert order_refusal(view, waits, MES, entry(1, Side.BUY)) is Reason.OPPOSITE_POSITION


@pytest.mark.parametrize(("mode", "budget", "told"), [("Fixed", False, False), ("Fixed", True, True)])
def test_the_risk_of_a_contract_is_told_where_it_bounds_the_size(mode: str, budget: bool, told: bool):
    settings = strategy(sizing_mode=mode, fixed_size=1, respect_day_budget=budget)
    found = size(account(), settings, MES, bar(), LONG)
    assert found.quantity == 1
    assert ("risk_per_contract" in dict(found.arithmetic)) is told


def test_a_bar_without_a_regime_counts_once():
    plain = replace(bar(), regime=None)
    arithmetic = dict(size(account(), strategy(), MES, plain, LONG).arithmetic)
    assert (arithmetic["regime_multiplier"], arithmetic["Trending"], arithmetic["scaled"]) == ("1", "0", "1")


def test_an_entry_without_a_stop_is_refused_before_it_is_sized():
    bare = Proposal(Action.ENTER, Direction.LONG, bracket=Bracket(target_ticks=8))
    refused = decide(ask(account("5200"), strategy(), proposal=bare))
    assert (refused.reason, refused.arithmetic) == ("no_stop", ())


VALUE = 20_010 * D("1.25")
"""One MES at the close of the bar."""


@pytest.mark.parametrize(
    ("most", "quantity", "refused"),
    [
        (2 * VALUE, 1, None),
        (2 * VALUE, 2, None),
        (2 * VALUE - D("0.01"), 2, Reason.MAX_ORDER_VALUE),
        (2 * VALUE + D("0.01"), 2, None),
        (None, 2, None),
    ],
)
def test_an_entry_is_worth_no_more_than_allowed(most: Decimal | None, quantity: int, refused: Reason | None):
    view = account("500000", limits=AccountLimits(max_position=9, max_order_value=most), tiers=(), tier_index=-1)
    for asked in (entry(quantity), entry(quantity, Side.SELL), replace(entry(quantity), price=20_010)):
        assert order_refusal(view, strategy(respect_day_budget=False), MES, asked) is refused


def test_an_entry_that_waits_is_worth_what_its_price_says():
    view = account("500000", limits=AccountLimits(max_order_value=VALUE), tiers=(), tier_index=-1)
    own = strategy(respect_day_budget=False)
    assert order_refusal(view, own, MES, replace(entry(), price=20_010)) is None
    assert order_refusal(view, own, MES, replace(entry(), price=20_011)) is Reason.MAX_ORDER_VALUE
    assert order_refusal(view, own, MES, replace(entry(), priced_at=20_011)) is Reason.MAX_ORDER_VALUE


@pytest.mark.parametrize("count", [4, 5, 6])
def test_a_strategy_has_as_many_entries_an_hour_and_a_session_as_it_says(count: int):
    hour = strategy(limits=StrategyLimits(max_entries_per_hour=5), day=StrategyDay(entries_last_hour=count))
    session = strategy(limits=StrategyLimits(max_entries_per_session=5), day=StrategyDay(trades=count))
    for own, reason in ((hour, Reason.STRATEGY_ENTRIES_PER_HOUR), (session, Reason.STRATEGY_ENTRIES_PER_SESSION)):
        expected = reason if count >= 5 else None
        assert order_refusal(account(), own, MES, entry()) is expected
        assert decide(ask(account(), own)).reason == (expected or "")
    assert order_refusal(account(), strategy(day=hour.day), MES, entry()) is None  # no limit, no count


@pytest.mark.parametrize(
    ("recent", "refused"),
    [
        ((), None),
        (((Side.BUY, 1),), Reason.DUPLICATE_ENTRY),
        (((Side.SELL, 1),), None),
        (((Side.BUY, 2),), None),
        (((Side.SELL, 2), (Side.BUY, 1)), Reason.DUPLICATE_ENTRY),
    ],
)
def test_an_entry_like_a_recent_one_is_a_duplicate(recent: tuple[tuple[Side, int], ...], refused: Reason | None):
    assert order_refusal(account(), strategy(), replace(MES, recent=recent), entry()) is refused


def test_a_contract_that_the_account_does_not_allow_is_refused_before_anything_else_is_asked_of_it():
    forbidden = replace(MES, forbidden=True, quote=None)
    assert order_refusal(account(), strategy(), forbidden, entry()) is Reason.CONTRACT_NOT_ALLOWED
    asked = ask(account(), strategy(execute=(replace(MES, forbidden=True), ES)))
    assert decide(asked).reason == "contract_not_allowed"


@pytest.mark.parametrize("away", [-1, 0, 1])
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_the_collar_holds_for_the_bar_the_last_print_and_the_price_of_an_entry_that_waits(away: int, side: Side):
    far = MES.collar_ticks + away
    expected = Reason.PRICE_COLLAR if away > 0 else None
    for sign in (-1, 1):
        at_market = entry(side=side, close=20_010 + sign * far)
        waiting = replace(entry(side=side), price=20_010 + sign * far)
        assert order_refusal(account(), strategy(), MES, at_market) is expected
        assert order_refusal(account(), strategy(respect_day_budget=False), MES, waiting) is expected
