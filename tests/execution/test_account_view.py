"""The account as risk sees it: what is held, what may come to be held, what it can still lose, and what limits it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.core.account import (
    account_view,
    bracket_of,
    decision_inputs,
    looked_back_on_ns,
    may_enter,
    settings,
    worst_case,
)
from leadline.execution.core.book import Book, Drain, Fence, HeldLimits
from leadline.execution.core.limits import limits_in_force, own_limits, stricter, stricter_margins
from leadline.model.blocks import Block
from leadline.model.ids import ClientOrderId, ContractId, StrategyId
from leadline.model.manifest.own_markets import OwnMarkets, put_in_force, read_own
from leadline.model.manifest.specs import TradingAccount
from leadline.model.market.instruments import instrument
from leadline.model.orders import Bracket, LastPrint, Order, OrderState, OrderType, Side, Trail
from leadline.risk.view import AccountLimits, AccountView, Quote, StrategyLimits
from tests.execution.harness.books import book_of, order_of, position_of
from tests.execution.harness.builders import ES, MES, RTH_S, account, bar, ns, strategy
from tests.own_markets import BITCOIN, file_of

D = Decimal
S = OrderState
SECOND = 1_000_000_000
FREE = {"MES": "0"}
COIN = ContractId("BTCUSD")
SLIPPAGE = {"slippageTicks": 1}


def view_of(book: Book) -> AccountView:
    return account_view(book, halt="")


def stop(price: int, side: Side = Side.SELL, **fields: Any) -> Order:
    return order_of(S.WORKING, "S1", type=OrderType.STOP, side=side, stop_price=price, parent="entry", **fields)


def printed(book: Book, price: int, contract: ContractId = MES) -> Book:
    book.last_prints[contract] = LastPrint(price, ns(600), 0)
    return book


def free_of_charge(**spec: Any) -> TradingAccount:
    return account(commission=FREE, paper=SLIPPAGE, **spec)


def losable(*orders: Order, position: int = 0, price: int | None = 20_000, manifest: Any = None) -> Decimal:
    """What can still be lost below the open result; slippage is one tick, a tick is worth 1.25."""
    book, _ = book_of(*orders, position=position, manifest=manifest or free_of_charge())
    if price is not None:
        printed(book, price)
    return worst_case(book, book.open_positions(), book.live_orders())


@pytest.mark.parametrize(
    ("orders", "position", "price", "ticks"),
    [
        ((), 1, 20_000, 1),  # without a stop only the slippage is known
        ((stop(19_984),), 1, 20_000, 17),
        ((stop(19_984, quantity=2),), 2, 20_010, 2 * 27),
        ((stop(20_016, Side.BUY),), -1, 20_000, 17),
        ((stop(20_016, Side.BUY),), -1, 20_010, 7),
        ((stop(20_004),), 1, 20_000, 1),  # a stop beyond the price loses nothing more
        ((stop(19_984), stop(19_990, client_id="other")), 1, 20_000, 17),  # the farthest counts
        ((stop(20_016, Side.BUY), stop(20_010, Side.BUY, client_id="other")), -1, 20_000, 17),
        ((stop(19_984),), 1, None, 1),
        ((stop(19_984, contract=ES),), 1, 20_000, 1),
        ((stop(19_984, strategy="default/other"),), 1, 20_000, 1),
        ((order_of(S.WORKING, bracket=Bracket(16, 24)),), 0, 20_000, 18),
        ((order_of(S.PARTIAL, bracket=Bracket(16), quantity=3, filled=1),), 0, 20_000, 2 * 18),
        ((order_of(S.WORKING),), 0, 20_000, 2),
        ((order_of(S.CANCELLED, bracket=Bracket(16)),), 0, 20_000, 0),
    ],
)
def test_what_can_still_be_lost_is_the_way_to_the_stops_with_slippage(
    orders: tuple[Order, ...], position: int, price: int | None, ticks: int
):
    assert losable(*orders, position=position, price=price) == ticks * D("1.25")


def test_a_stop_that_is_being_moved_counts_at_the_farther_of_its_two_prices():
    assert losable(stop(19_990, wanted_price=19_984), position=1) == 17 * D("1.25")
    assert losable(stop(19_984, wanted_price=19_990), position=1) == 17 * D("1.25")
    target = order_of(S.WORKING, "T1", type=OrderType.LIMIT, side=Side.SELL, limit_price=20_010, parent="entry")
    assert losable(stop(19_984), replace(target, wanted_price=19_000), position=1) == 17 * D("1.25")


def test_what_has_a_stop_counts_to_its_stop_also_where_the_account_allows_to_have_none():
    allows = free_of_charge(noStopRiskTicks={"MES": 100})
    assert losable(stop(19_984), position=1, manifest=allows) == 17 * D("1.25")
    assert losable(position=1, manifest=allows) == D("1.25")


def test_an_entry_whose_stop_the_market_has_passed_loses_no_less_than_its_slippage():
    passed = order_of(S.WORKING, bracket=Bracket(stop_price=20_004))
    assert losable(passed) == 2 * D("1.25")


def test_the_commissions_still_to_come_can_be_lost_too():
    manifest = account(commission={"MES": "0.50"}, paper={"slippageTicks": 0})
    assert losable(position=3, manifest=manifest) == D("1.50")  # one side of what is held
    assert losable(order_of(S.WORKING, quantity=2), manifest=manifest) == D("2.00")  # both sides of what is entered
    both = losable(order_of(S.WORKING, quantity=2), position=3, manifest=manifest)
    assert both == D("3.50")


def test_an_entry_in_a_contract_that_no_row_knows_has_no_known_worth():
    assert losable(order_of(S.WORKING, contract="ZZZM2025", bracket=Bracket(16))) == 0


def test_held_and_entering_count_as_trades_and_as_exposure():
    entry = order_of(S.PARTIAL, quantity=3, filled=1)
    book, _ = book_of(entry, stop(19_984), position=-2)
    view = view_of(book)
    assert (view.open_trades, view.exposure) == (1, 4)
    book.positions = {**book.positions, (StrategyId("default/mes"), ES): position_of(1, contract=ES)}
    assert (view_of(book).open_trades, view_of(book).exposure) == (2, 5)
    assert (view_of(book_of()[0]).open_trades, view_of(book_of()[0]).exposure) == (0, 0)
    assert view_of(book_of(entry)[0]).open_trades == 1
    assert view_of(book_of(stop(19_984))[0]).open_trades == 0


def test_margin_is_bound_by_what_is_held_and_by_what_is_entered_at_each_contract_s_own():
    def bound(*orders: Order, position: int = 0) -> Decimal:
        return view_of(book_of(*orders, position=position)[0]).margin_in_use

    one = bound(position=1)
    assert one == 40
    assert bound(position=-2) == 2 * one
    assert bound(order_of(S.PARTIAL, quantity=3, filled=1), position=1) == 3 * one
    assert bound(stop(19_984), position=1) == one
    assert bound(order_of(S.WORKING, contract=ES)) == 300
    assert bound(order_of(S.WORKING, contract="ZZZM2025")) == 0


def test_entries_and_orders_are_counted_over_an_hour_and_over_a_second():
    book, _ = book_of()
    now = book.instant_ns
    hour = 3600 * SECOND
    book.entry_instants = [now - hour, now - hour + 1, now]
    assert view_of(book).entries_last_hour == 2
    for number, at in enumerate((now - SECOND, now - SECOND + 1, now)):
        order = order_of(S.FILLED, client_id=f"o{number}", decided_at_ns=at)
        book.orders = {**book.orders, order.client_id: order}
    assert view_of(book).orders_last_second == 2
    leg = stop(19_984, decided_at_ns=now)
    other = order_of(S.FILLED, client_id="other", strategy="default/other", decided_at_ns=now)
    book.orders = {**book.orders, leg.client_id: leg, other.client_id: other}
    assert view_of(book).orders_last_second == 3
    assert settings(book, book.strategies[StrategyId("default/mes")]).day.orders_last_second == 2


def test_the_account_is_shown_with_its_day():
    book, _ = book_of(order_of(S.UNKNOWN), position=2)
    printed(book, 20_004)
    book.realised, book.trades, book.streak, book.block = D(-7), 3, -2, Block.DAY_TARGET
    view = account_view(book, halt="lunch")
    assert (view.account, view.trading_day, view.equity_at_roll) == ("default/paper", book.trading_day, D(10_000))
    assert (view.realised, view.open, view.trades, view.streak) == (D(-7), D(10), 3, -2)
    assert (view.block, view.halt, view.unresolved) == ("DAY_TARGET", "lunch", True)
    assert not view_of(book_of(order_of(S.WORKING))[0]).unresolved


def test_a_strategy_is_shown_with_its_own_day():
    book, _ = book_of(order_of(S.PARTIAL, quantity=3, filled=1), position=1)
    printed(book, 20_004)
    owner = book.strategies[StrategyId("default/mes")]
    owner.realised, owner.trades, owner.block = D(-7), 2, Block.DAY_LOSS
    other = order_of(S.WORKING, client_id="other", strategy="default/other")
    book.orders = {**book.orders, ClientOrderId("other"): other}
    day = settings(book, owner).day
    assert (day.realised, day.trades, day.block, day.open) == (D(-7), 2, "DAY_LOSS", D(5))
    assert (day.position, day.exposure) == (3, 3)
    short, _ = book_of(order_of(S.WORKING, side=Side.SELL, quantity=2), stop(20_016, Side.BUY), position=-1)
    assert settings(short, short.strategies[StrategyId("default/mes")]).day.position == -3


def test_a_strategy_is_shown_with_what_its_manifest_says():
    manifest = strategy(
        entries={
            "afterOpen": "5m",
            "beforeClose": "20m",
            "blocks": [{"from": "12:00", "to": "13:00"}],
            "news": [{"at": "2025-06-10T18:00:00Z", "before": "10m", "after": "5m"}],
        },
        risk={"maxPosition": 1, "maxTradesPerDay": 4, "dayLoss": "40", "maxOrdersPerSecond": 3},
    )
    book, _ = book_of(manifest=free_of_charge())
    owner = book.strategies[StrategyId("default/mes")]
    owner.manifest = manifest
    shown = settings(book, owner)
    assert (shown.strategy, shown.state, shown.signal_root, shown.signal_contract) == (
        "default/mes",
        "Running",
        "MES",
        MES,
    )
    minute = 60 * SECOND
    assert (shown.session_zone, shown.after_open_ns, shown.before_close_ns) == (
        "America/New_York",
        5 * minute,
        20 * minute,
    )
    at = ns(4.5 * 3600)  # 18:00 UTC
    assert (shown.blocks, shown.news) == ((("12:00", "13:00"),), ((at - 10 * minute, at + 5 * minute),))
    assert (shown.sizing_mode, shown.fixed_size, shown.max_size) == ("Fixed", 1, 2)
    assert (shown.bracket, shown.slippage_ticks) == (Bracket(16, 24), 1)
    assert shown.limits == StrategyLimits(1, 4, D(40), 3)
    owner.manifest = strategy(size=None)
    assert settings(book, owner).fixed_size == 0
    owner.manifest = strategy(sizing={"mode": "RiskPercent", "percent": "0.5"})
    shown = settings(book, owner)
    assert (shown.sizing_mode, shown.risk_percent, shown.fixed_size) == ("RiskPercent", D("0.5"), 0)


def test_the_quote_of_a_contract_is_the_last_print_of_the_tape_that_fills_it():
    book, _ = book_of(manifest=free_of_charge())
    owner = book.strategies[StrategyId("default/mes")]
    [silent] = settings(book, owner).execute
    assert silent.quote is None
    [shown] = settings(printed(book, 20_004), owner).execute
    assert shown.quote == Quote(20_004, ns(600))
    assert (shown.root, shown.contract, shown.tick_value, shown.commission) == ("MES", MES, D("1.25"), D(0))


@pytest.mark.parametrize(
    "change",
    [
        {"flatten": "drain"},
        {"drain": Drain("one", "Keep", "Keep", ns(600))},
        {"fence": Fence("reason", "detail", ns(600), ns(600))},
    ],
)
def test_what_leaves_or_is_fenced_off_enters_nothing(change: dict[str, Any]):
    book, _ = book_of(**change)
    owner = book.strategies[StrategyId("default/mes")]
    assert not may_enter(book, owner)
    assert settings(book, owner).state == "ReduceOnly"
    free, _ = book_of()
    assert may_enter(free, free.strategies[StrategyId("default/mes")])


def test_nothing_enters_on_an_account_that_is_being_closed_or_does_not_allow_its_namespace():
    book, _ = book_of()
    owner = book.strategies[StrategyId("default/mes")]
    book.flatten = "a person"
    assert not may_enter(book, owner)
    book.flatten = ""
    elsewhere = owner.manifest.metadata.model_copy(update={"namespace": "elsewhere"})
    owner.manifest = owner.manifest.model_copy(update={"metadata": elsewhere})
    assert not may_enter(book, owner)
    book.manifest = account(allowedNamespaces=["elsewhere"])
    assert may_enter(book, owner)


def test_the_stricter_of_each_limit_is_in_force():
    assert [stricter(1, 2), stricter(2, 1), stricter(None, 2), stricter(1, None), stricter(None, None)] == [
        1,
        1,
        2,
        1,
        None,
    ]
    manifest = account(
        limits={
            "dayLoss": "100",
            "dayTarget": "200",
            "maxPosition": 5,
            "maxOpenTrades": 4,
            "maxOrdersPerSecond": 3,
            "maxEntriesPerHour": 6,
        },
        marginLimits={"MES": "50", "ES": "500"},
    )
    book, _ = book_of(manifest=manifest)
    whole = AccountLimits(D(100), D(200), 5, 4, 3, 6, {"ES": D(500), "MES": D(50)})
    assert limits_in_force(book) == whole
    book.day_limits = AccountLimits(D(99), D(199), 4, 3, 2, 5)
    book.margin_limits = {"MES": D(49), "NQ": D(1)}
    assert limits_in_force(book) == AccountLimits(D(99), D(199), 4, 3, 2, 5, {"ES": D(500), "MES": D(49), "NQ": D(1)})
    book.day_limits, book.margin_limits = AccountLimits(D(101), D(201), 6, 5, 4, 7), {"MES": D(51)}
    assert limits_in_force(book) == whole
    assert list(stricter_margins({"NQ": D(1), "ES": D(1)}, {"MES": D(1)})) == ["ES", "MES", "NQ"]


def test_limits_that_a_strategy_holds_bind_where_they_are_stricter():
    book, _ = book_of(held=HeldLimits(ns(0), StrategyLimits(1, 4, D(40), 3)))
    owner = book.strategies[StrategyId("default/mes")]
    owner.manifest = strategy(risk={"maxPosition": 2, "dayLoss": "30"})
    assert own_limits(owner) == StrategyLimits(1, 4, D(30), 3)
    owner.held = None
    assert own_limits(owner) == StrategyLimits(2, None, D(30), 5)


def test_without_a_bracket_of_its_own_a_strategy_has_that_of_its_instrument():
    book, _ = book_of()
    owner = book.strategies[StrategyId("default/mes")]
    assert bracket_of(owner) == Bracket(16, 24)
    bare = owner.manifest.spec.model_copy(update={"bracket": None})
    owner.manifest = owner.manifest.model_copy(update={"spec": bare})
    own = bracket_of(owner)
    assert 0 < (own.stop_ticks or 0) <= (own.target_ticks or 0)


def test_a_strategy_s_trail_is_part_of_its_bracket():
    book, _ = book_of()
    owner = book.strategies[StrategyId("default/mes")]
    owner.manifest = strategy(bracket={"stopTicks": 16, "trail": {"triggerTicks": 8, "offsetTicks": 4}})
    assert bracket_of(owner) == Bracket(16, None, trail=Trail(8, 4))


def test_open_results_are_summed_and_a_contract_without_a_print_counts_nothing():
    book, _ = book_of(position=2)
    assert view_of(book).open == 0
    printed(book, 19_996)
    assert view_of(book).open == D(-10)
    book.positions = {
        **book.positions,
        (StrategyId("default/mes"), ES): replace(position_of(-1, contract=ES), tape_contract=ES),
    }
    assert view_of(book).open == D(-10)
    assert view_of(printed(book, 19_990, ES)).open == D("2.50")


def test_risk_is_asked_about_the_session_of_the_calendar_whatever_the_bar_says():
    book, _ = book_of()
    owner = book.strategies[StrategyId("default/mes")]
    said = replace(bar(300), session_open_ns=1, session_close_ns=2)
    [proposal] = said.proposals
    asked = decision_inputs(book, owner, said, proposal, halt="lunch")
    assert (asked.bar.session_open_ns, asked.bar.session_close_ns) == (ns(0), ns(RTH_S))
    assert asked.bar == replace(bar(300), signals=(), proposals=())
    assert asked.proposal == proposal
    assert (asked.account, asked.strategy) == (account_view(book, halt="lunch"), settings(book, owner))
    assert asked.instant_ns == ns(600)
    another_day = replace(said, bar=replace(said.bar, trading_day=date(2025, 1, 9)))
    nowhere = decision_inputs(book, owner, another_day, proposal, halt="").bar
    assert (nowhere.session_open_ns, nowhere.session_close_ns) == (0, 0)


def test_a_quote_of_a_drill_stays_fresh_for_as_long_as_the_machine_s_clock_says():
    book, _ = book_of()
    owner = book.strategies[StrategyId("default/mes")]
    [shown] = settings(book, owner).execute
    assert shown.staleness_ns == instrument("MES").staleness_ns
    book.clock_rate = 60
    [shown] = settings(book, owner).execute
    assert shown.staleness_ns == 60 * instrument("MES").staleness_ns


def test_without_a_commission_of_the_account_the_sheet_s_is_paid():
    book, _ = book_of(manifest=account(commission={"ES": "9"}))
    [shown] = settings(book, book.strategies[StrategyId("default/mes")]).execute
    assert shown.commission == instrument("MES").commission > 0
    assert (shown.fee_rate, shown.inverse, shown.margin) == (0, False, D(40))


class TestOfTheCoin:
    """A perpetual that is settled in the coin: fees are a rate of what it stands for at a price."""

    @pytest.fixture(autouse=True)
    def _contract(self, tmp_path: Path) -> Iterator[None]:
        put_in_force(read_own([file_of(tmp_path, {COIN: BITCOIN})]))
        yield
        put_in_force(OwnMarkets())

    def losable(self, *orders: Order, quantity: int = 0, price: int = 200) -> Decimal:
        """What can be lost of a position of so many; a tick of slippage, a rate of 0.0005, 200 / price coins each."""
        book, _ = book_of(manifest=account(paper=SLIPPAGE))
        printed(book, price, COIN)
        lots = replace(position_of(quantity, contract=COIN), tick_value=D(200), inverse=True, tape_contract=COIN)
        return worst_case(book, [lots] if quantity else [], list(orders))

    def test_the_way_out_is_paid_where_the_stop_is(self):
        of: dict[str, Any] = {"contract": COIN, "tape_contract": COIN}
        fee = D("0.0005")
        long = self.losable(stop(160, **of), quantity=1)  # out at 159: 200/159 - 1 coins, and the fee of 200/159
        assert round(long, 8) == round(D(200) / 159 - 1, 8) + round(fee * 200 / 159, 8)
        short = self.losable(stop(250, Side.BUY, **of), quantity=-1)  # out at 251
        assert round(short, 8) == round(1 - D(200) / 251, 8) + round(fee * 200 / 251, 8)

    def test_an_entry_pays_at_its_own_price_and_at_its_stop(self):
        of: dict[str, Any] = {"contract": COIN, "tape_contract": COIN, "bracket": Bracket(18)}
        fee = D("0.0005")
        at_the_print = self.losable(order_of(S.WORKING, **of))  # from 200 to 180, slippage on both ways included
        assert round(at_the_print, 8) == round(D(200) / 180 - 1 + fee + fee * 200 / 180, 8)
        limit = self.losable(order_of(S.WORKING, limit_price=400, **of))
        assert round(limit, 8) == round(D(200) / 380 - D("0.5") + fee / 2 + fee * 200 / 380, 8)
        short = self.losable(order_of(S.WORKING, side=Side.SELL, stop_price=380, **of))
        assert round(short, 8) == round(D(200) / 380 - D("0.5") + fee / 2 + fee * 200 / 380, 8)

    def test_an_account_with_a_commission_of_its_own_pays_no_rate(self):
        book, _ = book_of(manifest=account(commission={COIN: "0.001"}, paper=SLIPPAGE))
        coin = strategy("coin", instrument=COIN, strategy={"entryPoint": "acme:Own"}, bracket=(16, 24))
        owner = replace(book.strategies[StrategyId("default/mes")], manifest=coin, contract=COIN)
        book.feed_contracts = (COIN,)
        [shown] = settings(book, owner).execute
        assert (shown.commission, shown.fee_rate, shown.inverse) == (D("0.001"), 0, True)
        book.manifest = account(paper=SLIPPAGE)
        [shown] = settings(printed(book, 200, COIN), owner).execute
        assert (shown.commission, shown.fee_rate, shown.margin) == (0, D("0.0005"), D("0.01"))


@pytest.mark.parametrize(
    ("limits", "risk", "seconds"),
    [
        ({}, {}, 1),
        ({"duplicateWithin": "5s"}, {}, 5),
        ({"duplicateWithin": "2h"}, {}, 7200),
        ({"maxEntriesPerHour": 9}, {}, 3600),
        ({"duplicateWithin": "5s"}, {"maxEntriesPerHour": 9}, 3600),
    ],
    ids=str,
)
def test_the_limits_look_back_no_further_than_they_say(limits: Any, risk: Any, seconds: int):
    """Of entries that are over, only what they look back on changes what risk is told."""
    book, _ = book_of(manifest=account(limits=limits))
    owner = book.strategies[StrategyId("default/mes")]
    book.strategies[owner.strategy] = replace(owner, manifest=strategy(risk=risk))
    assert looked_back_on_ns(book) == seconds * SECOND
    ages = [age * SECOND for age in (0, 0.5, 1, 4, 5, 900, 3599)]
    entries = [
        order_of(S.FILLED, client_id=f"entry-{n}", quantity=n + 1, decided_at_ns=ns(600) - round(age))
        for n, age in enumerate(ages)
    ]
    book.orders = {entry.client_id: entry for entry in entries}
    near = replace(book, orders={})
    near.orders = {each.client_id: each for each in entries if each.decided_at_ns >= ns(600) - seconds * SECOND}
    for seen in (book, near):
        printed(seen, 20_000)
    assert view_of(near) == view_of(book)
    assert settings(near, near.strategies[owner.strategy]) == settings(book, book.strategies[owner.strategy])


def test_a_limit_that_was_set_within_the_day_looks_back_as_well():
    book, _ = book_of()
    book.day_limits = AccountLimits(max_entries_per_hour=3)
    assert looked_back_on_ns(book) == 3600 * SECOND
