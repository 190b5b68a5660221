"""Which entries are alternatives to one another, and what the first fill does to them, by hand."""

from dataclasses import replace
from typing import Any

from leadline.execution.core.alternatives import in_the_market, take_out_alternatives, waiting_groups
from leadline.execution.core.book import Book, Changes
from leadline.model.ids import ClientOrderId, StrategyId
from leadline.model.orders import Order, OrderState, OrderType, Side
from tests.execution.harness.books import book_of, order_of, position_of
from tests.execution.harness.builders import account, strategy

NAME, OTHER = StrategyId("default/mes"), StrategyId("default/other")
GONE = ClientOrderId("gone")


def order(client_id: str, leg: str = "E", **fields: Any) -> Order:
    """A stop order that waits; an entry of `default/mes` where nothing else is said."""
    terms = {"type": OrderType.STOP, "stop_price": 20_008, "client_id": ClientOrderId(client_id), **fields}
    return order_of(OrderState.WORKING, leg, **terms)


def book_with(*orders: Order, most: int | None = None, **spec: Any) -> Book:
    book, _ = book_of(*orders, manifest=account(**spec))
    own = {} if most is None else {"maxPending": most}
    book.strategies[NAME].manifest = strategy(entries={"type": "Stop", "offsetTicks": 8, **own})
    return book


def taken_out(book: Book, filled: Order, *, opens: bool = True) -> dict[str, tuple[str, int]]:
    """The entries that a fill takes out: each with the id that it is marked with, and its version."""
    changes = Changes()
    take_out_alternatives(book, changes, filled, opens=opens)
    return {client_id: (each.taken_out_by, each.version) for client_id, each in changes.orders.items()}


def test_the_first_fill_takes_out_entries_that_have_none_in_a_new_version():
    one, other = order("one", filled=1), order("other", strategy=OTHER, version=4)
    started = order("started", strategy=OTHER, filled=1, quantity=2)
    exits = [order(leg, leg, strategy=OTHER, side=Side.SELL) for leg in ("S1", "T1", "F1")]
    book = book_with(one, other, started, *exits, pendingEntries="FirstFillWins")
    assert taken_out(book, one) == {"other": ("one", 5)}


def test_what_a_strategy_adds_is_no_alternative_of_what_it_holds():
    one, other = order("one", filled=1), order("other")
    book = book_with(one, other, most=2)
    assert taken_out(book, one, opens=False) == {}
    assert taken_out(book, one) == {"other": ("one", 2)}


def test_entries_that_were_adopted_of_a_strategy_that_nobody_named_are_each_a_trade():
    one, other = order("one", strategy=OTHER, filled=1), order("other", strategy=OTHER)
    assert taken_out(book_with(one, other), one) == {}
    groups = [replace(each, group="bar/breakout") for each in (one, other)]
    assert taken_out(book_with(*groups), groups[0]) == {"other": ("one", 2)}


def test_who_holds_something_is_in_the_market_and_who_waits_is_not():
    book = book_with(order("one"), order("stop", "S1", strategy=OTHER))
    assert in_the_market(book) == frozenset()
    book.positions = {**book.positions, (OTHER, "MESM2025"): position_of(1, OTHER)}
    assert in_the_market(book) == {OTHER}
    book.orders = {**book.orders, ClientOrderId("one"): order("one", taken_out_by=GONE)}
    assert in_the_market(book) == {NAME, OTHER}


def test_only_entries_without_a_fill_wait_in_a_group_and_an_entry_without_a_name_is_in_none():
    orders = [
        order("alone"),
        order("buys", group="b", quantity=2),
        order("sells", group="b", side=Side.SELL, quantity=3),
        order("first", group="a"),
        order("filled", group="b", filled=1, quantity=2),
        order("gone", group="b", taken_out_by=GONE),
        order("stop", "S1", side=Side.SELL, group="b"),
    ]
    assert waiting_groups(book_with(*orders), NAME) == (("a", 1, 0), ("b", 2, 3))
    assert waiting_groups(book_with(*orders, most=4), NAME) == (("", 4, 3),)
