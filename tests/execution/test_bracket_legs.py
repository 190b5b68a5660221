"""A leg of a bracket, by hand: from which fill it counts, how it trails, and where its strategy wants it since."""

from dataclasses import replace
from typing import Any

import pytest

from leadline.execution.core.bracket_legs import are_pair, of_entry, protected, trailing
from leadline.model.ids import ClientOrderId, DecisionId, FillId, StrategyId
from leadline.model.orders import Bracket, Lot, Order, OrderState, OrderType, Side, Trail, Trailing
from tests.execution.harness.books import book_of, fill_of, order_of, position_of
from tests.execution.harness.builders import MES

S = OrderState
NAME = StrategyId("default/mes")
ENTRY = order_of(S.FILLED, quantity=3, filled=3, bracket=Bracket(16, 24, trail=Trail(20, 6)))
SHORT = replace(ENTRY, side=Side.SELL)


def leg(name: str, **fields: Any) -> Order:
    """An exit of a long position: a stop at 19984 or a target at 20024."""
    kind: dict[str, dict[str, Any]] = {
        "S": {"type": OrderType.STOP, "stop_price": 19_984},
        "T": {"type": OrderType.LIMIT, "limit_price": 20_024},
        "F": {},
    }
    own = {"client_id": ClientOrderId(name), "parent": ENTRY.client_id, "side": Side.SELL}
    return order_of(S.WORKING, name, **{**kind[name[0]], **own, **fields})


def counted(one: Order, entry: Order = ENTRY, *prices: int, lots: tuple[tuple[int, str], ...] = ()) -> Order:
    """The leg as its entry asks for it, after fills of the entry at prices, where the book holds lots."""
    book, changes = book_of(entry)
    own = tuple(Lot(price, 1, FillId(f"f{number}"), unit) for number, (price, unit) in enumerate(lots))
    if own:
        book.positions = {**book.positions, (NAME, MES): replace(position_of(1), quantity=len(own), lots=own)}
    for price in prices:
        changes.fills.append((fill_of(entry, price=price), NAME, 1))
    return of_entry(book, changes, one, entry)


def test_a_leg_counts_from_the_fill_that_it_is_told_with():
    assert counted(leg("S1"), ENTRY, 20_003, 20_001).entry_price == 20_001
    book, changes = book_of(ENTRY)
    other = fill_of(replace(ENTRY, client_id=ClientOrderId("other")), price=7)
    changes.fills.append((other, NAME, 1))
    assert of_entry(book, changes, leg("T1"), ENTRY).entry_price is None


def test_one_told_later_counts_from_its_distance_or_else_from_the_newest_that_its_unit_holds():
    lots = ((20_005, "main"), (20_007, "main"), (20_009, "runner"))
    assert counted(leg("S1"), lots=lots).entry_price == 20_000
    assert counted(leg("S1", side=Side.BUY, stop_price=20_016), SHORT).entry_price == 20_000
    assert counted(leg("T1"), lots=lots).entry_price == 20_007
    at_a_price = replace(ENTRY, bracket=Bracket(stop_price=19_984))
    assert counted(leg("S1"), at_a_price, lots=lots).entry_price == 20_007
    assert counted(leg("S1"), replace(ENTRY, bracket=None), lots=lots).entry_price == 20_007
    assert counted(leg("S1"), replace(at_a_price, unit="runner"), lots=lots).entry_price == 20_009
    assert counted(leg("S1"), replace(at_a_price, unit="other"), lots=lots).entry_price is None
    assert counted(leg("S1"), at_a_price).entry_price is None


def test_only_a_stop_that_does_not_say_how_trails_as_its_entry_asks():
    assert counted(leg("S1"), ENTRY, 20_000).trail == Trailing(20_020, 6)
    own = Trailing(1, 2)
    assert counted(leg("S1", trail=own), ENTRY, 20_000).trail == own
    assert counted(leg("T1"), ENTRY, 20_000).trail is None
    assert counted(leg("S1"), replace(ENTRY, bracket=Bracket(16)), 20_000).trail is None
    assert counted(leg("S1"), replace(ENTRY, bracket=None), 20_000).trail is None


def test_protection_reaches_what_fills_later():
    wants = replace(ENTRY, protection=Bracket(stop_price=19_990, target_price=20_030))
    assert counted(leg("S1"), wants, 20_000).wanted_price == 19_990
    assert counted(leg("T1"), wants, 20_000).wanted_price == 20_030
    assert counted(leg("S1"), ENTRY, 20_000).wanted_price is None


@pytest.mark.parametrize(
    ("one", "wanted", "price"),
    [
        (leg("S1"), Bracket(stop_price=19_990, target_price=20_030), 19_990),
        (leg("T1"), Bracket(stop_price=19_990, target_price=20_030), 20_030),
        (leg("S1"), Bracket(stop_price=19_984), None),
        (leg("S1", wanted_price=19_970), Bracket(stop_price=19_984), None),
        (leg("S1", wanted_price=19_970), Bracket(target_price=20_030), 19_970),
        (leg("S1", trail=Trailing(20_020, 6)), Bracket(stop_price=19_980), None),
        (leg("S1", type=OrderType.MARKET, stop_price=None), Bracket(stop_price=19_990), None),
    ],
)
def test_a_leg_is_wanted_where_it_is_not_yet(one: Order, wanted: Bracket, price: int | None):
    assert protected(one, wanted).wanted_price == price


def test_a_stop_is_to_trail_otherwise_where_it_does_not_yet():
    wanted, stop = Bracket(trail=Trail(20, 6)), leg("S1", entry_price=20_000)
    assert protected(stop, wanted).wanted_trail == Trailing(20_020, 6)
    assert protected(replace(stop, trail=Trailing(20_020, 6), wanted_trail=Trailing(1, 2)), wanted).wanted_trail is None
    assert protected(replace(stop, wanted_trail=Trailing(1, 2)), Bracket()).wanted_trail == Trailing(1, 2)
    assert protected(leg("T1", entry_price=20_000), wanted).wanted_trail is None


def test_a_trail_begins_beyond_the_fill_on_either_side():
    assert trailing(leg("S1", entry_price=20_000), Trail(20, 6)) == Trailing(20_020, 6)
    assert trailing(leg("S1", entry_price=20_000, side=Side.BUY), Trail(20, 6)) == Trailing(19_980, 6)
    assert trailing(leg("S1"), Trail(20, 6)) is None


@pytest.mark.parametrize(
    ("one", "other", "pair"),
    [
        (leg("S1"), leg("T1"), True),
        (leg("S1"), leg("T2"), False),
        (leg("S1"), leg("T1", parent=ClientOrderId("x")), False),
        (leg("S1"), leg("T1", decision=DecisionId("x")), False),
        (leg("S1", oco=ClientOrderId("T2")), leg("T2"), True),
        (leg("S1"), leg("T2", oco=ClientOrderId("S1")), True),
        (leg("S1"), leg("S1", client_id=ClientOrderId("x")), False),
        (leg("S1", oco=ClientOrderId("S2")), leg("S2"), False),
    ],
)
def test_a_stop_and_a_target_are_a_pair_of_one_fill_or_where_one_names_the_other(one: Order, other: Order, pair: bool):
    assert are_pair(one, other) is pair
    assert are_pair(other, one) is pair
