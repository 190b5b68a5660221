"""Exits that a position does not have, by hand: which are made, of which size and pair, and when it leaves instead."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from leadline.execution.core.book import Book, Changes, UnitExit
from leadline.execution.core.exit_reasons import ExitReason
from leadline.execution.core.new_exits import beyond, exits_of_later_fills, new_exits, out_of_reach, sent_again
from leadline.execution.core.positions import with_stopless
from leadline.model.ids import ClientOrderId, DecisionId, FillId, Leg, StrategyId, client_order_id, foreign_decision
from leadline.model.orders import (
    Bracket,
    LastPrint,
    Lot,
    Order,
    OrderState,
    OrderType,
    Position,
    Side,
    Trail,
    Trailing,
)
from tests.execution.harness.books import DECISION, book_of, fill_of, order_of, position_of
from tests.execution.harness.builders import ES, MES, ns

S = OrderState
NAME = StrategyId("default/mes")
AGAIN = DecisionId("again")
ENTRY = order_of(S.FILLED, quantity=9, filled=9)
STOP, TARGET, BOTH = Bracket(stop_price=19_980), Bracket(target_price=20_040), Bracket(None, None, 19_980, 20_040)


def held(*lots: tuple[int, int, str], sign: int = 1, bare: bool = True) -> Position:
    """A position of lots as (price, size, unit), oldest first, of which all or nothing has no stop on purpose."""
    entries = {"main": ENTRY.client_id, "runner": ClientOrderId("runner")}
    own = tuple(
        Lot(price, size, FillId(f"f{number}"), unit, entries[unit]) for number, (price, size, unit) in enumerate(lots)
    )
    position = replace(position_of(1), quantity=sign * sum(size for _, size, _ in lots), lots=own)
    for unit in position.units if bare else ():
        position = with_stopless(position, unit, position.held_by(unit))
    return position


def leg(name: str, quantity: int = 1, state: OrderState = S.WORKING, **fields: Any) -> Order:
    """An exit of a long position as the venue has it."""
    kind: dict[str, dict[str, Any]] = {
        "S": {"type": OrderType.STOP, "stop_price": 19_970},
        "T": {"type": OrderType.LIMIT, "limit_price": 20_030},
        "F": {},
    }
    ids = {"client_id": ClientOrderId(name), "parent": ClientOrderId("entry")}
    return order_of(state, name, **{**kind[name[0]], **ids, "side": Side.SELL, "quantity": quantity, **fields})


def desk(position: Position, *orders: Order, entry: Order | None = ENTRY, **fields: Any) -> Book:
    book, _ = book_of(entry, *orders, **fields)
    book.positions = {**book.positions, (NAME, position.contract): position}
    return book


def made(book: Book, bracket: Bracket, unit: str = "") -> list[Order]:
    [position] = book.positions.values()
    return new_exits(book, position, bracket, AGAIN, unit)


def told(orders: Iterable[Order]) -> list[tuple[str, int, str]]:
    return [(order.leg, order.quantity, order.oco) for order in orders]


# --- of what is held ---


def test_a_part_without_an_exit_gets_a_pair_at_its_farthest_price():
    book = desk(held((20_000, 1, "main"), (20_010, 2, "main")))
    stop, target = made(book, replace(BOTH, trail=Trail(20, 6)))
    assert stop == Order(
        client_id=client_order_id(AGAIN, stop.leg),
        decision=AGAIN,
        leg=stop.leg,
        strategy=NAME,
        contract=MES,
        tape_contract=MES,
        side=Side.SELL,
        type=OrderType.STOP,
        quantity=3,
        decided_at_ns=ns(600),
        stop_price=19_980,
        parent=ENTRY.client_id,
        oco=target.client_id,
        trail=Trailing(20_030, 6),
        entry_price=20_010,
    )
    assert (stop.leg, target.leg) == ("S1", "T1")
    assert (target.type, target.limit_price, target.stop_price) == (OrderType.LIMIT, 20_040, None)
    assert (target.oco, target.trail, target.quantity) == (stop.client_id, None, 3)
    sold = replace(ENTRY, side=Side.SELL)
    position = held((20_000, 1, "main"), (20_010, 1, "main"), sign=-1)
    [short] = made(desk(position, entry=sold), Bracket(stop_price=20_030))
    assert (short.side, short.entry_price, short.quantity) == (Side.BUY, 20_000, 2)


def test_where_one_exit_is_wanted_there_is_no_pair():
    book = desk(held((20_000, 2, "main")))
    assert told(made(book, STOP)) == [("S1", 2, "")]
    assert told(made(book, TARGET)) == [("T1", 2, "")]
    assert made(book, Bracket()) == []


def test_an_exit_that_is_alone_gets_its_pair_and_what_goes_already_gets_none():
    target, stop = leg("T3", 2, entry_price=20_007), leg("S3", 2, entry_price=20_007)
    of_target = desk(held((20_000, 2, "main")), target)
    [one] = made(of_target, BOTH)
    assert (*told([one]), one.parent, one.entry_price) == (("S1", 2, "T3"), "entry", 20_007)
    assert made(of_target, TARGET) == []
    of_stop = desk(held((20_000, 2, "main")), stop)
    assert told(made(of_stop, BOTH)) == [("T1", 2, "S3")]
    assert made(of_stop, STOP) == []
    assert made(desk(held((20_000, 2, "main")), target, stop), BOTH) == []  # they are of one fill
    assert made(desk(held((20_000, 2, "main")), replace(target, state=S.PENDING_CANCEL)), STOP) == []
    ended = replace(target, state=S.CANCELLED)
    assert told(made(desk(held((20_000, 2, "main")), ended), STOP)) == [("S1", 2, "")]
    started = replace(target, quantity=3, filled=1)
    assert told(made(desk(held((20_000, 2, "main")), started), STOP)) == [("S1", 2, "T3")]


def test_numbers_go_on_where_an_id_is_taken():
    taken = leg("S1", 1, S.CANCELLED, client_id=client_order_id(AGAIN, Leg("S1")))
    later = leg("T9", 1, parent=ClientOrderId("later"))
    assert told(made(desk(held((20_000, 2, "main")), taken), STOP)) == [("S2", 2, "")]
    book = desk(held((20_000, 4, "main")), leg("T3"), later)
    assert told(made(book, STOP)) == [("S1", 1, "T3"), ("S2", 1, "T9"), ("S3", 2, "")]


def test_what_an_exit_stands_for_or_is_being_closed_gets_none():
    def rest(*orders: Order) -> list[int]:
        """The sizes of a new pair."""
        there = {order.client_id for order in orders}
        found = made(desk(held((20_000, 5, "main")), *orders), BOTH)
        return [order.quantity for order in found if order.oco not in there]

    assert rest() == [5, 5]
    assert rest(leg("S2", 2)) == [3, 3]
    assert rest(leg("S2", 2), leg("T2", 2)) == [3, 3]
    assert rest(leg("T2", 2)) == [3, 3]
    assert rest(leg("F1", 2)) == [3, 3]
    assert rest(leg("F1", 2, unit="")) == [3, 3]
    assert rest(leg("F1", 2, unit="runner"), leg("F2", 2, contract=ES), leg("S3", 2, unit="runner")) == [5, 5]
    assert rest(leg("S2", 5)) == []
    # Two of five, which have no stop on purpose, are being closed: a target that is for one of them closes no other.
    position = with_stopless(held((20_000, 5, "main"), bare=False), "main", 2)
    goal = UnitExit("main", 2, "exit", bare=2)
    book = desk(position, leg("S2", 2), leg("T5", 1), leg("F1", 2), exits=(goal,))
    assert told(made(book, BOTH)) == [("T1", 2, "S2"), ("S2", 1, "T5")]
    foreign = leg("S2", 2, decision=foreign_decision(ClientOrderId("S2")))
    assert rest(foreign, leg("S3", 2, contract=ES), leg("S4", 2, strategy=StrategyId("default/other"))) == [5, 5]


def test_what_leaves_gets_none_and_of_a_part_the_rest_does():
    position = held((20_000, 3, "main"), (20_000, 2, "runner"))
    runner = replace(ENTRY, client_id=ClientOrderId("runner"), unit="runner")

    def units(*exits: UnitExit, unit: str = "", **fields: Any) -> list[tuple[str, int]]:
        book = desk(position, runner, exits=exits, **fields)
        return [(order.unit, order.quantity) for order in made(book, STOP, unit)]

    assert units() == [("main", 3), ("runner", 2)]
    assert units(unit="runner") == [("runner", 2)]
    assert units(UnitExit("main", None, "exit")) == [("runner", 2)]
    assert units(UnitExit("main", 1, "exit", bare=1)) == [("main", 2), ("runner", 2)]
    targets = [leg("T3", 3), leg("T4", 2, unit="runner", parent=ClientOrderId("runner"))]
    book = desk(position, runner, *targets, exits=(UnitExit("main", None, "exit"),))
    assert [order.oco for order in made(book, STOP)] == ["T4"]
    assert units(flatten="a person") == []
    book = desk(position)
    book.flatten = "day_loss"
    assert made(book, STOP) == []
    book = desk(position)
    book.strategies.clear()
    assert made(book, STOP) == []


def test_an_exit_is_of_the_entry_from_which_the_oldest_lot_has_come():
    """A name that was used before says nothing: an order counts of which something is held, on the side of that."""
    one, other, opened = (
        order_of(S.FILLED, client_id=ClientOrderId(name), filled=1, decided_at_ns=ns(at))
        for name, at in (("one", 500), ("other", 400), (ENTRY.client_id, 300))
    )
    lots = tuple(Lot(20_000, 1, FillId(f"f{name}"), "main", ClientOrderId(name)) for name in ("", "one", "other"))
    position = with_stopless(replace(position_of(3), lots=lots), "main", 3)

    def parents(*orders: Order, held: Position = position) -> list[str]:
        book = desk(held, *orders, entry=None)
        found = made(book, STOP)
        assert out_of_reach(book, held, STOP, attaches=True) is not bool(found)
        return [order.parent for order in found]

    assert parents(one, other, opened) == ["one"]
    assert parents(other, opened) == ["other"]
    assert parents(opened) == [ENTRY.client_id]  # one lot was taken over, and may be of it
    assert parents(order_of(S.FILLED, client_id=ClientOrderId("before"), filled=1, decided_at_ns=ns(200))) == []
    for stranger in ({"filled": 0}, {"unit": "runner"}, {"contract": ES}, {"side": Side.SELL}):
        assert parents(replace(one, **stranger)) == []
    assert parents(leg("S9", 1, S.FILLED, filled=1)) == []


def test_an_exit_that_cannot_be_made_is_out_of_reach():
    def is_so(book: Book, bracket: Bracket, unit: str = "", *, attaches: bool = True) -> bool:
        [position] = book.positions.values()
        return out_of_reach(book, position, bracket, unit, attaches=attaches)

    position = held((20_000, 1, "main"), (20_000, 1, "runner"))
    unknown = desk(position)  # the entry of the runner is not in the book
    assert is_so(unknown, STOP)
    assert is_so(unknown, TARGET, "runner")
    assert not is_so(unknown, STOP, "main")
    assert not is_so(unknown, Bracket())
    assert not is_so(desk(position, exits=(UnitExit("runner", None, "exit"),)), STOP)
    stopped = desk(position, leg("S1"), leg("S2", unit="runner"))
    assert not is_so(stopped, STOP, attaches=False)
    assert not is_so(stopped, TARGET)
    assert is_so(stopped, TARGET, attaches=False)
    assert is_so(desk(position, leg("S1")), STOP, attaches=False)


# --- where the market has passed them ---


@pytest.mark.parametrize(
    ("order", "price", "reason"),
    [
        (leg("S1"), 19_971, None),
        (leg("S1"), 19_970, ExitReason.BEYOND_STOP),
        (leg("S1", side=Side.BUY), 19_969, None),
        (leg("S1", side=Side.BUY), 19_970, ExitReason.BEYOND_STOP),
        (leg("S1", wanted_price=19_990), 19_990, ExitReason.BEYOND_STOP),
        (leg("S1", wanted_price=19_990), 19_991, None),
        (leg("T1"), 20_029, None),
        (leg("T1"), 20_030, ExitReason.BEYOND_TARGET),
        (leg("T1", side=Side.BUY), 20_031, None),
        (leg("T1", side=Side.BUY), 20_030, ExitReason.BEYOND_TARGET),
        (leg("F1"), 20_030, None),
        (leg("S1", tape_contract=ES), 1, None),
    ],
)
def test_an_exit_at_which_the_market_is_or_which_it_has_passed_is_a_reason_to_leave(
    order: Order, price: int, reason: ExitReason | None
):
    book = desk(held((20_000, 1, "main")))
    assert beyond(book, [order]) is None
    book.last_prints[MES] = LastPrint(price, ns(599), 1)
    assert beyond(book, [order]) is reason
    assert beyond(book, [leg("F1"), leg("S1", tape_contract=ES), order]) is reason


# --- of what an entry fills later ---


def later(
    entry: Order,
    *legs: Order,
    attaches: bool = True,
    position: Position | None = None,
    price: int | None = None,
    **fields: Any,
) -> tuple[list[Order], Book]:
    """The orders that a second fill of an entry makes or changes."""
    fill = fill_of(entry, fill_id=FillId("f1"), k=2)
    book = desk(position or held((20_000, 2, "main"), (20_005, 1, "main")), *legs, entry=entry, **fields)
    if price is not None:
        book.last_prints[MES] = LastPrint(price, ns(599), 1)
    changes = Changes()
    changes.fills.append((fill, NAME, 1))
    exits_of_later_fills(book, changes, attaches=attaches)
    return list(changes.orders.values()), book


BARE = order_of(S.PARTIAL, quantity=4, filled=3, protection=BOTH, bracket=Bracket())


def test_a_later_fill_gets_the_exits_that_are_wanted_and_its_entry_does_not_ask_for():
    stop, target = later(BARE)[0]
    assert [(one.leg, one.quantity, one.entry_price, one.parent, one.unit) for one in (stop, target)] == [
        ("S6", 1, 20_005, BARE.client_id, "main"),
        ("T6", 1, 20_005, BARE.client_id, "main"),
    ]
    assert (stop.oco, target.oco, stop.decision) == (target.client_id, stop.client_id, DECISION)
    assert [one.leg for one in later(replace(BARE, bracket=None))[0]] == ["S6", "T6"]
    assert [one.leg for one in later(replace(BARE, protection=STOP))[0]] == ["S6"]


def test_an_exit_that_its_entry_asks_for_gets_the_other_as_its_pair():
    own = leg("S2", 1, parent=BARE.client_id, entry_price=20_004)
    first = leg("S1", 2, parent=BARE.client_id)
    stopped = replace(BARE, bracket=Bracket(16))
    assert told(later(stopped, own, first)[0]) == [("T6", 1, "S2")]
    assert later(stopped, own, first)[0][0].entry_price == 20_004
    assert later(replace(stopped, protection=STOP), own)[0] == []
    assert told(later(replace(BARE, bracket=Bracket(target_ticks=16)), leg("T2", 1, parent=BARE.client_id))[0]) == [
        ("S6", 1, "T2")
    ]
    both = replace(BARE, bracket=Bracket(16, 24))
    assert later(both, own, leg("T2", 1, parent=BARE.client_id))[0] == []
    other = replace(own, decision=AGAIN), replace(own, parent=ClientOrderId("other"))
    assert later(stopped, *other)[0] == []


@pytest.mark.parametrize(
    "entry",
    [
        replace(BARE, protection=None),
        replace(BARE, leg=leg("F1").leg),
        replace(BARE, unit="runner"),
    ],
)
def test_nobody_asked_for_exits_of_any_other_fill(entry: Order):
    position = held((20_000, 2, "main"), (20_005, 1, "main"), (20_000, 1, "runner"))
    assert later(entry, position=position)[0] == []


def test_a_later_fill_gets_none_where_it_leaves_or_is_gone_or_the_venue_takes_none():
    assert later(BARE, attaches=False)[0] == []
    assert later(BARE, exits=(UnitExit("main", None, "exit"),))[0] == []
    assert later(BARE, position=held((20_000, 2, "main")))[0] == []
    assert [one.quantity for one in later(BARE, leg("S9", 2))[0]] == [1, 1]
    assert later(BARE, leg("S9", 3))[0] == []


def test_a_later_fill_beyond_what_is_wanted_leaves_with_what_still_enters_its_unit():
    waits = order_of(S.WORKING, client_id=ClientOrderId("waits"), version=3)
    unwanted = replace(waits, client_id=ClientOrderId("unwanted"), unwanted=True)
    runner = replace(waits, client_id=ClientOrderId("runner"), unit="runner")
    foreign = replace(waits, client_id=ClientOrderId("x"), decision=foreign_decision(ClientOrderId("x")))
    others = waits, unwanted, runner, foreign, leg("S9")
    orders, book = later(BARE, *others, price=19_980)
    assert book.strategies[NAME].exits == (UnitExit("main", None, ExitReason.BEYOND_STOP, stop=19_970),)
    assert {order.client_id: (order.unwanted, order.version) for order in orders} == {
        "waits": (True, 4),
        BARE.client_id: (True, 2),
    }
    assert later(BARE, *others, price=19_981)[1].strategies[NAME].exits == ()
    moved = leg("S2", 1, parent=BARE.client_id, wanted_price=19_990)
    stopped = replace(BARE, bracket=Bracket(16))
    assert later(stopped, moved, price=19_990, attaches=False)[1].strategies[NAME].exits != ()
    assert (
        later(stopped, replace(moved, wanted_price=None), price=19_970, attaches=False)[1].strategies[NAME].exits == ()
    )


# --- of what the venue does not have ---


def again(*orders: Order, position: Position | None = None) -> list[tuple[str, str, int, str]]:
    """What is let go of, and what takes its place."""
    found = list(sent_again(desk(position or held((20_000, 3, "main")), *orders)))
    assert all(gone.unwanted and gone.version == 2 for gone, _ in found)
    return [(gone.client_id, one.leg, one.quantity, one.oco) for gone, one in found]


GONE = leg("S7", 2, S.DEAD, decision=AGAIN, version=1, entry_price=20_003, trail=Trailing(20_030, 6))


def test_an_exit_that_the_venue_does_not_have_goes_out_again_for_the_part_that_it_was_for():
    assert again(GONE) == [("S7", "S1", 2, "")]
    assert again(replace(GONE, state=S.EXPIRED_LOCAL, quantity=9)) == [("S7", "S1", 3, "")]
    [(_, one)] = sent_again(desk(held((20_000, 3, "main")), GONE))
    assert (one.trail, one.entry_price, one.parent, one.decision) == (GONE.trail, 20_003, ENTRY.client_id, AGAIN)
    for left in ({"state": S.REJECTED}, {"parent": ClientOrderId("")}, {"unwanted": True}, {"side": Side.BUY}):
        assert again(replace(GONE, **left)) == []
    assert again(GONE, position=held((20_000, 3, "main"), sign=-1)) == []
    assert again(GONE, position=replace(held((20_000, 1, "main")), quantity=0, lots=())) == []
    assert again(replace(GONE, contract=ES)) == []


@pytest.mark.parametrize(("filled_at", "sent"), [(600, True), (600.5, False)])
def test_an_exit_of_a_position_that_has_ended_does_not_go_out_again(filled_at: float, sent: bool):
    """It was decided at 600; what is held now has the same unit, on the same side."""
    book = desk(held((20_000, 2, "main")), GONE, entry=replace(ENTRY, first_fill_ns=ns(filled_at)))
    assert bool(list(sent_again(book))) is sent


def test_one_of_a_pair_goes_out_again_while_the_other_works_or_is_gone_too():
    pair = leg("T7", 2, decision=AGAIN)
    one = replace(GONE, oco=pair.client_id)
    assert again(one, pair) == [("S7", "S1", 2, "T7")]
    assert again(one, replace(pair, quantity=3)) == []
    assert again(one, replace(pair, parent=ClientOrderId("other"))) == []
    assert again(one, replace(pair, state=S.FILLED, filled=2)) == []
    assert again(one) == []
    both = again(one, replace(pair, state=S.DEAD, oco=one.client_id, version=1))
    assert both == [("S7", "S1", 2, ""), ("T7", "T1", 2, "")]


def test_one_in_the_place_of_an_exit_of_a_fill_has_a_number_that_no_fill_to_come_has():
    gone = leg("S1", 2, S.DEAD, parent=ENTRY.client_id, version=1, entry_price=20_000)
    assert again(gone) == [("S1", "S10", 2, "")]  # the entry is of 9: it has nine fills at most


def test_a_stop_that_is_lost_each_time_is_sent_again_so_often_and_no_more():
    lost = [replace(GONE, client_id=ClientOrderId(f"S{n}"), unwanted=n > 1) for n in range(1, 6)]
    assert again(*lost[:4]) != []
    assert again(*lost) == []
