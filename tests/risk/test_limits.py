"""The one limit function and its terms, each by itself: a decision asks several of them, and one would hide another."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from leadline.model.blocks import Block
from leadline.model.orders import Bracket, Side
from leadline.risk.limits import (
    contract_refusal,
    day_budget,
    day_loss_limit,
    day_target,
    free_margin,
    free_position,
    largest_size,
    loosening_refusal,
    order_refusal,
    risk_per_contract,
    standing_refusal,
)
from leadline.risk.reasons import Reason
from leadline.risk.view import AccountLimits, AccountView, Quote, StrategyDay, StrategyLimits, StrategySettings, Tier
from tests.risk.builders import CLOSED_AT, ES, EXPIRES, MES, NOW, SECOND, account, entry, strategy

D = Decimal
NO_TIERS: dict[str, Any] = {"tiers": (), "tier_index": -1}


def tiered(day_loss: Decimal | None, max_size: int = 3) -> dict[str, Any]:
    return {"tiers": (Tier(D(0), "MES", 1, max_size, day_loss),), "tier_index": 0}


# --- money of the day ---


@pytest.mark.parametrize(
    ("with_tier", "tier", "own", "limit"),
    [
        (False, None, None, 300),
        (False, None, D(100_000), 100_000),
        (False, None, D(50), 50),
        (True, None, None, 300),
        (True, None, D(100_000), 100_000),
        (True, None, D(50), 50),
        (True, D(400), None, 400),
        (True, D(400), D(100_000), 400),
        (True, D(400), D(50), 50),
    ],
)
@pytest.mark.parametrize("strategys", [None, D(20), D(1_000_000)])
def test_a_day_loss_is_taken_as_written_and_300_only_where_nobody_wrote_one(
    with_tier: bool, tier: Decimal | None, own: Decimal | None, limit: int, strategys: Decimal | None
):
    view = account(**(tiered(tier) if with_tier else NO_TIERS), limits=AccountLimits(day_loss=own))
    assert day_loss_limit(view) == limit
    # The strategy's own is a limit of its own result, and never the account's.
    settings = strategy(limits=StrategyLimits(day_loss=strategys))
    assert day_budget(view, settings) == (limit if strategys is None else min(strategys, D(limit)))


def test_the_day_target_is_500_where_it_is_absent():
    assert day_target(account()) == 500
    assert day_target(account(limits=AccountLimits(day_target=D(2000)))) == 2000
    assert day_target(account(limits=AccountLimits(day_target=D(20)))) == 20


def test_the_budget_falls_by_what_is_lost_and_by_what_can_still_be_lost():
    assert day_budget(account(realised=D(-10)), strategy()) == 90
    assert day_budget(account(open=D(-20)), strategy()) == 80
    assert day_budget(account(open=D(20)), strategy()) == 120
    assert day_budget(account(worst_case=D(30)), strategy()) == 70
    own = strategy(limits=StrategyLimits(day_loss=D(60)), day=StrategyDay(D(-1), D(-2), D(4)))
    assert day_budget(account(), own) == 53
    assert day_budget(account(worst_case=D(50)), own) == 50


def test_a_contract_risks_its_stop_two_slippages_and_two_commissions():
    assert risk_per_contract(strategy(), MES) == 25  # (16 + 2) x 1.25 + 2 x 1.25
    assert risk_per_contract(strategy(slippage_ticks=0), MES) == D("22.50")
    assert risk_per_contract(strategy(slippage_ticks=3), MES) == 30  # (16 + 6) x 1.25 + 2.50
    assert risk_per_contract(strategy(bracket=Bracket(10, 24)), ES) == 159  # (10 + 2) x 12.50 + 9
    assert risk_per_contract(strategy(), replace(MES, gap_ticks=200)) == 275  # and 200 x 1.25, held over a close
    bare = strategy(bracket=Bracket(target_ticks=24))
    assert risk_per_contract(bare, replace(MES, no_stop_ticks=400)) == 505  # (400 + 2) x 1.25 + 2.50, without a stop
    assert risk_per_contract(strategy(), replace(MES, no_stop_ticks=400)) == 25
    assert risk_per_contract(strategy(), replace(MES, quote=None)) == 25  # whatever its price


def test_a_contract_in_the_coin_risks_what_its_long_loses_and_the_dearest_fees():
    # 1000 / ticks coins a contract: 16 ticks and two of slippage below 20010, and the rate of both sides' notional.
    coin = replace(MES, tick_value=D(1000), commission=D(0), inverse=True, fee_rate=D("0.001"))
    lost = 1000 / D(19992) - 1000 / D(20010)
    fees = D("0.001") * (1000 / D(20010) + 1000 / D(19992))
    assert abs(risk_per_contract(strategy(), coin) - lost - fees) < D("1E-15")


def test_a_rate_of_the_notional_is_paid_on_both_sides_where_the_notional_is_the_larger():
    # 20010 x 1.25 in, and 20028 x 1.25 out by the stop of a short; the commission comes on top.
    rated = replace(MES, fee_rate=D("0.0001"))
    assert risk_per_contract(strategy(), rated) == 25 + D("0.0001") * (20010 + 20028) * D("1.25")


@pytest.mark.parametrize(("open_result", "reason"), [("-99.99", None), ("-100", Reason.DAY_LOSS)])
def test_an_open_loss_counts_into_the_account_s_result(open_result: str, reason: Reason | None):
    assert standing_refusal(account(open=D(open_result)), strategy()) is reason


@pytest.mark.parametrize(("open_result", "reason"), [("499.99", None), ("500", Reason.DAY_TARGET)])
def test_an_open_profit_counts_into_the_account_s_result(open_result: str, reason: Reason | None):
    assert standing_refusal(account(open=D(open_result)), strategy()) is reason


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (StrategyDay(realised=D("-49.99")), None),
        (StrategyDay(realised=D(-50)), Reason.DAY_LOSS),
        (StrategyDay(open=D(-50)), Reason.DAY_LOSS),
        (StrategyDay(open=D(50)), None),
        (StrategyDay(realised=D(-60), open=D(20)), None),
        (StrategyDay(block=Block.DAY_LOSS), Reason.DAY_LOSS),
    ],
)
def test_a_strategy_s_own_loss_stops_its_entries(day: StrategyDay, reason: Reason | None):
    assert standing_refusal(account(), strategy(limits=StrategyLimits(day_loss=D(50)), day=day)) is reason


def test_a_block_stays_when_the_result_has_come_back():
    assert standing_refusal(account(block=Block.DAY_LOSS, realised=D(50)), strategy()) is Reason.DAY_LOSS
    assert standing_refusal(account(block=Block.DAY_TARGET, realised=D(50)), strategy()) is Reason.DAY_TARGET


# --- counts ---


def test_the_free_position_is_what_neither_account_nor_strategy_has_taken():
    def free(limit: int | None, own: int | None, exposure: int = 0, own_exposure: int = 0) -> int:
        view = account(limits=AccountLimits(max_position=limit), exposure=exposure)
        settings = strategy(limits=StrategyLimits(max_position=own), day=StrategyDay(exposure=own_exposure))
        return free_position(view, settings)

    assert free(None, None) == 2
    assert free(7, None) == 7
    assert free(7, None, exposure=3) == 4
    assert free(7, 5, exposure=3) == 4
    assert free(7, 3, exposure=3) == 3
    assert free(7, 3, exposure=3, own_exposure=1) == 2
    assert free(1, 3) == 1


@pytest.mark.parametrize(("own_mode", "tier_max", "most"), [(2, 3, 2), (5, 3, 3), (3, 3, 3), (5, None, 5)])
def test_one_entry_is_at_most_the_strategy_s_and_the_tier_s_maximum(own_mode: int, tier_max: int | None, most: int):
    view = account(**(NO_TIERS if tier_max is None else tiered(None, tier_max)))
    assert largest_size(view, strategy(max_size=own_mode)) == most


@pytest.mark.parametrize(
    ("limits", "own", "orders", "own_orders", "reason"),
    [
        (None, None, 4, 4, None),
        (None, None, 5, 0, Reason.MAX_ORDERS_PER_SECOND),
        (None, None, 0, 5, Reason.MAX_ORDERS_PER_SECOND),
        (9, None, 8, 4, None),
        (9, None, 9, 0, Reason.MAX_ORDERS_PER_SECOND),
        (9, 8, 8, 7, None),
        (9, 8, 8, 8, Reason.MAX_ORDERS_PER_SECOND),
        (1, None, 1, 0, Reason.MAX_ORDERS_PER_SECOND),
        (None, 1, 0, 1, Reason.MAX_ORDERS_PER_SECOND),
    ],
)
def test_orders_a_second_of_account_and_strategy(
    limits: int | None, own: int | None, orders: int, own_orders: int, reason: Reason | None
):
    view = account(limits=AccountLimits(max_orders_per_second=limits), orders_last_second=orders)
    day = StrategyDay(orders_last_second=own_orders)
    settings = strategy(limits=StrategyLimits(max_orders_per_second=own), day=day)
    assert standing_refusal(view, settings) is reason


@pytest.mark.parametrize(
    ("limit", "trades", "reason"),
    [(None, 0, None), (None, 1, Reason.MAX_OPEN_TRADES), (3, 2, None), (3, 3, Reason.MAX_OPEN_TRADES)],
)
def test_open_trades(limit: int | None, trades: int, reason: Reason | None):
    view = account(limits=AccountLimits(max_open_trades=limit), open_trades=trades)
    assert standing_refusal(view, strategy()) is reason


@pytest.mark.parametrize(
    ("limit", "trades", "reason"), [(None, 10_000, None), (3, 2, None), (3, 3, Reason.MAX_TRADES_PER_DAY)]
)
def test_trades_of_a_day(limit: int | None, trades: int, reason: Reason | None):
    settings = strategy(limits=StrategyLimits(max_trades_per_day=limit), day=StrategyDay(trades=trades))
    assert standing_refusal(account(), settings) is reason


@pytest.mark.parametrize(
    ("limit", "entries", "reason"), [(None, 10_000, None), (3, 2, None), (3, 3, Reason.MAX_ENTRIES_PER_HOUR)]
)
def test_entries_of_an_hour(limit: int | None, entries: int, reason: Reason | None):
    view = account(limits=AccountLimits(max_entries_per_hour=limit), entries_last_hour=entries)
    assert standing_refusal(view, strategy()) is reason


def test_nothing_stands_against_an_entry_of_a_fresh_account():
    assert standing_refusal(account(), strategy()) is None
    for field in ("halt", "unresolved"):
        assert standing_refusal(account(**{field: "x"}), strategy()) is not None
    for state in ("ReduceOnly", "Suspended"):
        assert standing_refusal(account(), strategy(state=state)) is Reason.STRATEGY_NOT_RUNNING


def test_the_first_of_several_standing_limits_is_the_reason():
    worst: list[tuple[Callable[[AccountView], AccountView], Reason]] = [
        (lambda view: replace(view, exposure=2), Reason.MAX_POSITION),
        (lambda view: replace(view, orders_last_second=5), Reason.MAX_ORDERS_PER_SECOND),
        (lambda view: replace(view, entries_last_hour=9), Reason.MAX_ENTRIES_PER_HOUR),
        (lambda view: replace(view, open_trades=1), Reason.MAX_OPEN_TRADES),
        (lambda view: replace(view, block=Block.DAY_TARGET), Reason.DAY_TARGET),
        (lambda view: replace(view, block=Block.DAY_LOSS), Reason.DAY_LOSS),
        (lambda view: replace(view, unresolved=True), Reason.UNRESOLVED),
        (lambda view: replace(view, halt="x"), Reason.HALTED),
    ]
    view = account(limits=AccountLimits(max_entries_per_hour=9))
    for change, reason in worst:
        view = change(view)
        assert standing_refusal(view, strategy()) is reason


# --- the contract ---


def test_a_print_is_a_quote_for_its_staleness():
    for age, reason in ((0, None), (2 * SECOND, None), (2 * SECOND + 1, Reason.STALE)):
        old = replace(MES, quote=Quote(CLOSED_AT, NOW - age))
        assert contract_refusal(account(), old, NOW, CLOSED_AT) is reason
    slow = replace(MES, quote=Quote(CLOSED_AT, NOW - 30 * SECOND), staleness_ns=30 * SECOND)
    assert contract_refusal(account(), slow, NOW, CLOSED_AT) is None
    assert contract_refusal(account(), replace(MES, quote=None), NOW, CLOSED_AT) is Reason.STALE


@pytest.mark.parametrize(("away", "reason"), [(20, None), (-20, None), (21, "price_collar"), (-21, "price_collar")])
def test_the_last_print_may_lie_a_collar_away_from_the_bar_s_close(away: int, reason: str | None):
    moved = replace(MES, quote=Quote(CLOSED_AT + away, NOW))
    assert contract_refusal(account(), moved, NOW, CLOSED_AT) == reason


@pytest.mark.parametrize(
    ("expires", "day", "reason"),
    [
        (None, EXPIRES, None),
        (EXPIRES, EXPIRES - timedelta(days=1), None),
        (EXPIRES, EXPIRES, Reason.CONTRACT_EXPIRED),
        (EXPIRES, EXPIRES + timedelta(days=90), Reason.CONTRACT_EXPIRED),
    ],
)
def test_nothing_is_entered_from_the_last_trading_day_on(expires: date | None, day: date, reason: Reason | None):
    contract = replace(MES, expires=expires)
    assert contract_refusal(account(trading_day=day), contract, NOW, CLOSED_AT) is reason


@pytest.mark.parametrize(
    ("limits", "margin", "reason"),
    [
        ({"MES": D(40)}, D(40), None),
        ({"MES": D(40)}, D("40.01"), Reason.MARGIN_ABOVE_LIMIT),
        ({"MES": D(40)}, None, Reason.MARGIN_UNKNOWN),
        ({"ES": D(1)}, D(40), None),
        ({}, None, None),
    ],
)
def test_a_margin_above_the_account_s_pause(limits: dict[str, Decimal], margin: Decimal | None, reason: Reason | None):
    view = account(limits=AccountLimits(margin_limits=limits))
    assert contract_refusal(view, replace(MES, margin=margin), NOW, CLOSED_AT) is reason


# --- the order ---


def refusal(view: AccountView, settings: StrategySettings, quantity: int = 1, side: Side = Side.BUY) -> Reason | None:
    return order_refusal(view, settings, MES, entry(quantity, side))


def test_an_order_is_refused_by_what_stands_against_any_entry_and_by_its_contract():
    assert refusal(account(), strategy()) is None
    assert refusal(account(halt="x"), strategy()) is Reason.HALTED
    late = entry(instant=NOW + 3 * SECOND)
    assert order_refusal(account(), strategy(), MES, late) is Reason.STALE
    assert order_refusal(account(), strategy(), MES, entry(close=CLOSED_AT - 21)) is Reason.PRICE_COLLAR


@pytest.mark.parametrize(
    ("wins", "owners", "own", "adds", "reason"),
    [
        (True, 0, False, False, None),
        (True, 1, False, False, Reason.NOT_FLAT),
        (True, 1, True, False, Reason.NOT_FLAT),
        (True, 1, True, True, None),
        (True, 1, False, True, Reason.NOT_FLAT),
        (True, 2, True, True, Reason.NOT_FLAT),
        (False, 2, True, False, None),
    ],
)
def test_where_the_first_fill_wins_nothing_is_entered_before_the_account_is_flat(
    wins: bool, owners: int, own: bool, adds: bool, reason: Reason | None
):
    view = account(first_fill_wins=wins, in_the_market=owners, limits=AccountLimits(max_open_trades=9, max_position=9))
    settings = strategy(day=StrategyDay(position=1, exposure=1, in_the_market=own))
    assert standing_refusal(view, settings, adds=adds) is reason


@pytest.mark.parametrize(
    ("wins", "own", "reason"), [(True, 0, None), (True, 1, "max_open_trades"), (False, 0, "max_open_trades")]
)
def test_what_waits_for_other_strategies_is_no_other_trade_where_the_first_fill_wins(
    wins: bool, own: int, reason: str | None
):
    view = account(first_fill_wins=wins, open_trades=1, exposure=1)
    assert standing_refusal(view, strategy(day=StrategyDay(position=own, exposure=own))) == reason


@pytest.mark.parametrize(
    ("pending", "inside", "adds", "reason"),
    [
        (0, False, False, None),
        (1, False, False, None),
        (2, False, False, Reason.MAX_PENDING),
        (0, True, False, Reason.NOT_FLAT),
        (1, True, True, None),
        (2, True, True, Reason.MAX_PENDING),
    ],
)
def test_so_many_entries_of_a_strategy_wait_until_one_of_them_fills(
    pending: int, inside: bool, adds: bool, reason: Reason | None
):
    """However many trades the account allows; and they are one of them, on either side."""
    roomy = account(limits=AccountLimits(max_open_trades=9, max_position=9), in_the_market=inside)
    groups = (("", 0, pending),) if pending else ()
    day = StrategyDay(position=-pending or 1, exposure=pending, in_the_market=inside, pending=pending, groups=groups)
    settings = strategy(day=day, max_pending=2)
    assert standing_refusal(roomy, settings, adds=adds) is reason
    if pending == 1 and not inside:
        one_trade = account(open_trades=1, exposure=1, limits=AccountLimits(max_position=9))
        assert order_refusal(one_trade, settings, MES, replace(entry(1, Side.BUY), group="bar/breakout")) is None
        alone = replace(settings, max_pending=None, day=replace(day, groups=()))
        assert order_refusal(one_trade, alone, MES, entry(1, Side.BUY)) is Reason.MAX_OPEN_TRADES


def test_an_alternative_of_what_waits_is_the_same_trade_and_may_wait_on_the_other_side():
    waits = strategy(day=StrategyDay(position=1, exposure=1, groups=(("bar/breakout", 1, 0),)))
    view = account(open_trades=1, exposure=1)
    short = replace(entry(1, Side.SELL), group="bar/breakout")
    assert order_refusal(view, waits, MES, short) is None
    assert order_refusal(view, waits, MES, replace(short, group="bar/other")) is Reason.MAX_OPEN_TRADES
    roomy = replace(view, limits=AccountLimits(max_open_trades=9, max_position=9))
    assert order_refusal(roomy, waits, MES, replace(short, group="")) is Reason.OPPOSITE_POSITION
    both = replace(waits, day=replace(waits.day, position=0, groups=(("bar/breakout", 1, 1),)))
    assert order_refusal(roomy, both, MES, replace(short, group="")) is Reason.OPPOSITE_POSITION
    assert order_refusal(roomy, both, MES, entry(1, Side.BUY)) is Reason.OPPOSITE_POSITION
    held = replace(waits, day=replace(waits.day, position=2))  # one is held besides: the other side would turn it
    assert order_refusal(roomy, held, MES, short) is Reason.OPPOSITE_POSITION
    # Each member counts as if it were to fill: two of one are what the account allows, a third is one too many.
    assert order_refusal(replace(view, exposure=2), waits, MES, short) is Reason.MAX_POSITION
    few = replace(waits, limits=StrategyLimits(max_trades_per_day=1), day=replace(waits.day, trades=1))
    assert order_refusal(view, few, MES, short) is Reason.MAX_TRADES_PER_DAY


@pytest.mark.parametrize(("position", "side"), list(product((-2, -1, 0, 1, 2), Side)))
def test_an_order_never_goes_against_what_the_strategy_holds(position: int, side: Side):
    against = (position < 0 and side is Side.BUY) or (position > 0 and side is Side.SELL)
    found = refusal(account(), strategy(day=StrategyDay(position=position)), side=side)
    assert found is (Reason.OPPOSITE_POSITION if against else None)


def test_an_order_takes_no_more_than_the_free_position():
    view = account(limits=AccountLimits(max_position=3), exposure=1)
    settings = strategy(max_size=9, respect_day_budget=False)
    assert refusal(view, settings, 2) is None
    assert refusal(view, settings, 3) is Reason.MAX_POSITION


@pytest.mark.parametrize("mode", ["Fixed", "Tiered"])
def test_an_order_is_no_larger_than_the_tier_s_maximum_in_any_mode(mode: str):
    view = account("4000", limits=AccountLimits(max_position=50))  # the tier of one ES
    settings = strategy(sizing_mode=mode, fixed_size=2, max_size=9, respect_day_budget=False)
    assert order_refusal(view, settings, ES, entry(1)) is None
    assert order_refusal(view, settings, ES, entry(2)) is Reason.MAX_SIZE
    assert order_refusal(replace(view, tiers=(), tier_index=-1), settings, ES, entry(9)) is None
    assert order_refusal(replace(view, tiers=(), tier_index=-1), settings, ES, entry(10)) is Reason.MAX_SIZE


@pytest.mark.parametrize(
    ("realised", "quantity", "respected", "reason"),
    [
        ("-50", 2, True, None),  # 50 are left, and two contracts risk 25 each
        ("-50.01", 2, True, Reason.DAY_BUDGET),
        ("-50.01", 2, False, None),
        ("-75", 1, True, None),
        ("-75.01", 1, True, Reason.DAY_BUDGET),
    ],
)
def test_an_order_risks_no_more_than_the_day_has_left(
    realised: str, quantity: int, respected: bool, reason: Reason | None
):
    settings = strategy(respect_day_budget=respected)
    assert refusal(account(realised=D(realised)), settings, quantity) is reason


@pytest.mark.parametrize(
    ("in_use", "quantity", "reason"),
    [
        ("0", 2, None),
        ("620", 2, None),  # 700 less 620 are 80, and two MES bind 40 each
        ("620.01", 2, Reason.MARGIN),
        ("660", 1, None),
        ("660.01", 1, Reason.MARGIN),
    ],
)
def test_an_order_binds_no_more_margin_than_is_free(in_use: str, quantity: int, reason: Reason | None):
    assert refusal(account("700", margin_in_use=D(in_use)), strategy(), quantity) is reason


def test_free_margin_is_the_equity_of_now_less_what_is_bound():
    assert free_margin(account("700", realised=D(-10), open=D(-5), margin_in_use=D(300))) == 385


@pytest.mark.parametrize("margin", [None, D(0)])
def test_a_margin_that_is_not_known_bounds_nothing(margin: Decimal | None):
    broke = account("0", **tiered(D(100)))
    broke = replace(broke, margin_in_use=D(1))
    assert order_refusal(broke, strategy(), replace(MES, margin=margin), entry(1)) is None


@pytest.mark.parametrize(
    ("view", "settings", "reason"),
    [
        (account(), strategy(), None),
        (account(), strategy(state="ReduceOnly"), Reason.STRATEGY_NOT_RUNNING),
        (account(halt="a person"), strategy(), Reason.HALTED),
        (account(unresolved=True), strategy(), Reason.UNRESOLVED),
        (account(block=Block.DAY_TARGET), strategy(), Reason.DAY_LOSS),
        (account(open=D(-100)), strategy(), Reason.DAY_LOSS),
        (account(), strategy(day=StrategyDay(block=Block.DAY_LOSS)), Reason.DAY_LOSS),
        (
            account(),
            strategy(limits=StrategyLimits(day_loss=D(50)), day=StrategyDay(open=D(-50))),
            Reason.DAY_LOSS,
        ),
        (account(worst_case=D("60.01")), strategy(), Reason.DAY_BUDGET),
        (account(worst_case=D("60.01")), strategy(respect_day_budget=False), None),
    ],
)
def test_a_stop_goes_to_where_more_is_lost_only_where_an_entry_might_risk_it(view, settings, reason) -> None:
    """40 more, of the tier's 100 for the day."""
    assert loosening_refusal(view, settings, D(40)) is reason


def test_what_adds_to_an_open_trade_opens_none_and_counts_as_an_entry_of_the_day() -> None:
    full = account(open_trades=1, exposure=1)
    holding = strategy(day=StrategyDay(exposure=1, position=1, trades=1))
    assert standing_refusal(full, holding) is Reason.MAX_OPEN_TRADES
    assert standing_refusal(full, holding, adds=True) is None
    assert standing_refusal(full, strategy(day=StrategyDay(trades=1)), adds=True) is Reason.NOTHING_HELD
    once = replace(holding, limits=StrategyLimits(max_trades_per_day=1))
    assert standing_refusal(full, once, adds=True) is Reason.MAX_TRADES_PER_DAY
    assert standing_refusal(account(open_trades=1, exposure=2), holding, adds=True) is Reason.MAX_POSITION
