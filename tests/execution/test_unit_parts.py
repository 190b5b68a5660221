"""Units and parts of them that leave, by hand: what is to go, which exits make room, and what is left after a fill."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from leadline.execution.core.book import Book, StrategyBook, UnitExit
from leadline.execution.core.positions import with_stopless
from leadline.execution.core.unit_exits import (
    drop_done,
    is_whole_unit_leaving,
    leave,
    may_close,
    of_unit,
    oldest_first,
    shrinking,
    shrunk,
)
from leadline.execution.core.unit_fills import behind_stop, counted_stops, take_off, unit_at_venue
from leadline.execution.core.unit_parts import Part, Standing, covers, leaving, pairs, part_of_unit, standing
from leadline.model.ids import ClientOrderId, ContractId, FillId, Leg, StrategyId, foreign_decision
from leadline.model.orders import Bracket, Lot, Order, OrderState, OrderType, Position, Side
from tests.execution.harness.books import book_of, order_of, position_of
from tests.execution.harness.builders import ES, MES, account, ns

NAME = StrategyId("default/mes")
S = OrderState
DECLARED: dict[str, Any] = {"noStopRiskTicks": {"MES": 100}}


def held(*lots: tuple[int, str], contract: ContractId = MES, sign: int = 1, **stopless: int) -> Position:
    """A position of lots as (size, unit), oldest first; by unit what of it has no stop on purpose."""
    own = tuple(Lot(20_000, size, FillId(f"f{number}"), unit) for number, (size, unit) in enumerate(lots))
    total = sign * sum(size for size, _ in lots)
    position = replace(position_of(1, contract=contract), quantity=total, lots=own)
    for unit, size in stopless.items():
        position = with_stopless(position, unit, size)
    return position


def exit_of(leg: str, quantity: int = 1, state: OrderState = S.WORKING, **fields: Any) -> Order:
    """An exit of a long position: a stop at 19980, a target at 20040, or an order at the market."""
    kind: dict[str, dict[str, Any]] = {
        "S": {"type": OrderType.STOP, "stop_price": 19_980},
        "T": {"type": OrderType.LIMIT, "limit_price": 20_040},
        "F": {},
    }
    terms = {**kind[leg[0]], "side": Side.SELL, "quantity": quantity, "client_id": ClientOrderId(leg), **fields}
    return order_of(state, leg, **terms)


def desk(*positions: Position, orders: Iterable[Order] = (), **fields: Any) -> tuple[Book, StrategyBook]:
    book, _ = book_of(*orders, **fields)
    for position in positions:
        book.positions = {**book.positions, (NAME, position.contract): position}
    return book, book.strategies[NAME]


def goals(*exits: UnitExit) -> dict[str, Any]:
    return {"exits": exits}


# --- what is to leave ---


def test_a_part_leaves_as_far_as_it_is_held_contract_by_contract():
    positions = held((2, "main"), (4, "runner")), held((3, "main"), contract=ES)
    part, more = UnitExit("main", 3, "exit"), UnitExit("main", 9, "exit")
    assert leaving(*desk(*positions, **goals(part))) == {(ES, "main"): Part(3)}
    book, owner = desk(*positions, **goals(more))
    assert leaving(book, owner) == {(ES, "main"): Part(3), (MES, "main"): Part(2)}
    whole = UnitExit("main", None, "exit"), UnitExit("runner", 1, "exit"), UnitExit("other", None, "exit")
    found = {(ES, "main"): Part(3), (MES, "main"): Part(2), (MES, "runner"): Part(1)}
    assert leaving(*desk(*positions, **goals(*whole))) == found


def test_what_had_no_stop_when_a_part_was_asked_for_is_of_it_and_what_came_later_is_not():
    def bare(quantity: int | None, said: int, *, size: int = 4, free: int = 2) -> Part:
        wanted = UnitExit("main", quantity, "exit", bare=said)
        return leaving(*desk(held((size, "main"), main=free), **goals(wanted)))[MES, "main"]

    assert bare(1, 0) == Part(1, 0)
    assert bare(2, 1) == Part(2, 1)
    assert bare(3, 0) == Part(3, 1)  # no more than two have a stop
    assert bare(1, 2) == Part(1, 1)
    assert bare(4, 3, free=1) == Part(4, 1)
    assert bare(None, 0) == Part(4, 2)


def test_what_had_no_stop_is_counted_in_one_contract_only():
    positions = held((2, "main"), contract=ES, main=1), held((2, "main"), main=1)
    assert leaving(*desk(*positions, **goals(UnitExit("main", 3, "exit", bare=1)))) == {
        (ES, "main"): Part(2, 1),
        (MES, "main"): Part(1, 0),
    }


def test_what_is_being_closed_leaves_though_no_goal_says_so():
    position = held((4, "main"), (1, "runner"), main=1)
    others = [exit_of("F2", 3, unit="runner"), exit_of("F3", 3, contract=ES)]
    book, owner = desk(position, orders=[exit_of("F1", 2), *others], **goals(UnitExit("main", 3, "exit")))
    assert part_of_unit(book, position, "main") == Part(3, 0)
    owner.exits = (UnitExit("main", 1, "exit"),)
    assert part_of_unit(book, position, "main") == Part(2, 1)
    owner.exits = (UnitExit("main", 1, "exit", bare=1),)
    assert part_of_unit(book, position, "main") == Part(2, 1)  # no more than there are
    book.strategies.clear()
    assert part_of_unit(book, position, "main") == Part(2, 1)
    assert part_of_unit(book, position, "runner") == Part(3, 0)


def test_a_unit_stands_as_its_own_orders_say():
    position = held((6, "main"), (9, "runner"), main=3)
    orders = [
        exit_of("S1", 2),
        exit_of("T1", 3),
        exit_of("S2", 1, S.UNKNOWN, parent=ClientOrderId("later")),
        exit_of("T4", 2, parent=ClientOrderId("other")),
        exit_of("S5", 7, unit="runner"),
        exit_of("S6", 7, contract=ES),
        exit_of("S7", 7, S.CANCELLED),
    ]
    book, _ = desk(position, orders=orders, **goals(UnitExit("main", 2, "exit", bare=1)))
    assert standing(book, position, "main") == Standing(6, 3, Part(2, 1), stops=2, alone=2, coming=1)
    assert standing(book, position, "main", but=ClientOrderId("S2")).coming == 0


def test_the_rest_needs_a_stop_for_all_that_was_entered_with_one():
    unit = Standing(6, 3, Part(2, 1), stops=2, alone=1, coming=1)
    assert (unit.needed, unit.made_room, unit.without_exit) == (2, 1, 1)
    assert replace(unit, stops=3).made_room == 0
    assert replace(unit, stops=9).made_room == 0
    assert replace(unit, stops=0).made_room == 1
    assert replace(unit, free=9).needed == 0
    assert replace(unit, alone=4).without_exit == 0
    assert [unit.bare_of(size) for size in (0, 1, 2, 3)] == [0, 0, 1, 1]  # one has lost its stop for this close


# --- asking for it ---


def asked(*wanted: UnitExit, orders: Iterable[Order] = (), **stopless: int) -> tuple[UnitExit, ...]:
    position = held((4, "main"), (2, "runner"))
    for unit, size in stopless.items():
        position = with_stopless(position, unit, size)
    book, owner = desk(position, orders=orders)
    for each in wanted:
        leave(book, owner, each)
    return owner.exits


def test_a_second_part_adds_to_the_first_and_a_whole_unit_stands_for_its_parts():
    one, two, whole = UnitExit("main", 1, "exit"), UnitExit("main", 2, "why"), UnitExit("main", None, "all")
    assert asked(one, two) == (UnitExit("main", 3, "exit"),)
    assert asked(one, whole) == (whole,)
    assert asked(whole, two) == (whole,)
    assert asked(UnitExit("runner", 1, "exit"), one) == (one, UnitExit("runner", 1, "exit"))


def test_what_has_no_stop_on_purpose_is_of_a_part_before_all_else():
    one = UnitExit("main", 1, "exit")
    assert asked(one, main=2) == (replace(one, bare=1),)
    assert asked(one, one, main=2) == (replace(one, quantity=2, bare=2),)
    assert asked(one, replace(one, quantity=2), main=2) == (replace(one, quantity=3, bare=2),)
    assert asked(replace(one, quantity=3), main=2) == (replace(one, quantity=3, bare=2),)
    assert asked(one, runner=2) == (one,)
    assert asked(replace(one, unit="runner"), one, runner=2, main=2)[0] == replace(one, bare=1)


def test_the_farthest_of_its_stops_is_kept_with_it():
    one = UnitExit("main", 1, "exit")
    stops = [exit_of("S1", stop_price=19_980), exit_of("S2", stop_price=19_970), exit_of("S3", stop_price=None)]
    assert asked(one, orders=stops)[0].stop == 19_970
    assert asked(one, orders=[replace(stops[0], wanted_price=19_960)])[0].stop == 19_960
    others = [exit_of("S4", stop_price=19_900, unit="runner"), exit_of("S5", stop_price=19_900, contract=ES)]
    assert asked(one, orders=[*stops, *others, exit_of("T1")])[0].stop == 19_970
    assert asked(UnitExit("nothing", 1, "exit"), orders=stops)[0].stop is None
    book, owner = desk(held((4, "main"), sign=-1), orders=stops[:2])
    leave(book, owner, one)
    assert owner.exits[0].stop == 19_980
    book.orders = {}
    leave(book, owner, one)
    assert owner.exits[0].stop == 19_980  # it has made room


def test_the_oldest_leave_first_and_what_is_leaving_cannot_leave_again():
    lots = held((2, "main"), (1, "runner"), (2, "main"))
    assert oldest_first(*desk(lots), "", 2) == ({"main": 2}, 0)
    assert oldest_first(*desk(lots), "", 3) == ({"main": 2, "runner": 1}, 0)
    assert oldest_first(*desk(lots), "", 4) == ({"main": 3, "runner": 1}, 0)
    assert oldest_first(*desk(lots), "runner", 3) == ({"runner": 1}, 2)
    going = goals(UnitExit("main", 3, "exit"))
    assert oldest_first(*desk(lots, **going), "", 2) == ({"runner": 1, "main": 1}, 0)
    assert oldest_first(*desk(lots, **going), "main", 2) == ({"main": 1}, 1)
    assert oldest_first(*desk(), "", 1) == ({}, 1)


# --- until it is done ---


def test_a_part_is_done_when_nothing_of_it_is_held_and_a_unit_when_nothing_of_it_works_either():
    def kept(*exits: UnitExit, orders: Iterable[Order] = ()) -> tuple[bool, tuple[UnitExit, ...]]:
        book, owner = desk(held((2, "main"), main=1), orders=orders, **goals(*exits))
        return drop_done(book, owner), owner.exits

    part, whole = UnitExit("main", 1, "exit"), UnitExit("main", None, "exit")
    assert kept(part) == (False, (part,))
    assert kept(replace(part, quantity=5)) == (True, (replace(part, quantity=2, bare=1),))
    assert kept(replace(part, quantity=0)) == (True, ())
    assert kept(whole) == (False, (whole,))
    gone = replace(whole, unit="gone")
    assert kept(replace(part, unit="gone"), gone) == (True, ())
    entry = order_of(S.WORKING, unit="gone")
    assert kept(gone, orders=[entry]) == (False, (gone,))
    foreign = exit_of("S1", unit="gone", decision=foreign_decision(ClientOrderId("S1")))
    assert kept(gone, orders=[foreign, replace(entry, client_id=ClientOrderId("o"), unit="main")]) == (True, ())


def left(unit: Standing, *orders: Order) -> dict[str, int]:
    return {order.client_id: size for order, size in shrunk(orders, unit)}


def rest(held: int, part: int, *, bare: int = 0, free: int = 0, alone: int = 0) -> Standing:
    return Standing(held, free, Part(part, bare), stops=0, alone=alone, coming=0)


def test_a_stop_and_its_target_shrink_alike_and_the_oldest_first():
    orders = [exit_of("S1", 2), exit_of("T1", 2), exit_of("S2", 2, decided_at_ns=ns(700)), exit_of("S3", 2)]
    assert left(rest(6, 0), *orders) == {"S1": 2, "T1": 2, "S2": 2, "S3": 2}
    assert left(rest(6, 3), *orders[:3], exit_of("S4", 2)) == {"S1": 0, "T1": 0, "S4": 1, "S2": 2}
    assert left(rest(4, 1), *orders[:3]) == {"S1": 1, "T1": 1, "S2": 2}
    assert left(rest(4, 4), *orders[:3]) == {"S1": 0, "T1": 0, "S2": 0}
    assert left(rest(9, 1), *orders[:3]) == {"S1": 2, "T1": 2, "S2": 2}


def test_one_that_goes_already_goes_first_and_one_that_nobody_knows_goes_last():
    orders = [
        exit_of("S1", 1, S.UNKNOWN),
        exit_of("S2", 1, decided_at_ns=ns(700)),
        exit_of("S3", 1, S.PENDING_CANCEL, decided_at_ns=ns(800)),
    ]
    assert left(rest(3, 1), *orders) == {"S3": 0, "S2": 1, "S1": 1}
    assert left(rest(3, 2), *orders) == {"S3": 0, "S2": 0, "S1": 1}
    assert left(rest(3, 1), exit_of("S10"), exit_of("S9"), exit_of("S11")) == {"S9": 0, "S10": 1, "S11": 1}
    assert left(rest(2, 1), exit_of("S9"), exit_of("S8")) == {"S8": 0, "S9": 1}


def test_of_exits_of_one_instant_those_that_have_begun_to_make_room_go_on():
    pairs_of_one_time = [
        exit_of(leg, 1, parent=parent, client_id=ClientOrderId(f"{leg} of {parent}"))
        for leg, parent in (("T1", "one"), ("S1", "one"), ("T1", "two"), ("S1", "two"))
    ]
    for orders in (pairs_of_one_time, pairs_of_one_time[::-1]):
        first = left(rest(2, 1), *orders)
        assert first == {"T1 of one": 0, "S1 of one": 0, "T1 of two": 1, "S1 of two": 1}
        stays = [order for order in orders if order.client_id != "T1 of one"]
        assert left(rest(2, 1), *stays) == {"S1 of one": 0, "T1 of two": 1, "S1 of two": 1}


def test_a_target_alone_shrinks_by_what_leaves_without_a_stop():
    alone, stop = exit_of("T5", 2), exit_of("S1", 2)
    assert left(rest(4, 1, bare=1, free=2, alone=2), alone, stop) == {"T5": 1, "S1": 2}
    assert left(rest(4, 1, bare=0, free=2, alone=2), alone, stop) == {"T5": 2, "S1": 1}
    assert left(rest(4, 3, bare=0, free=2, alone=2), alone, stop) == {"T5": 1, "S1": 0}
    assert left(rest(4, 3, bare=2, free=2, alone=2), alone, stop) == {"T5": 0, "S1": 1}
    assert left(rest(4, 2, bare=2, free=2), stop) == {"S1": 2}  # what leaves has no exit
    assert left(rest(4, 2, bare=1, free=2), stop) == {"S1": 1}
    assert left(rest(5, 3, bare=2, free=3, alone=2), alone, stop) == {"T5": 1, "S1": 1}


def test_targets_shrink_first_and_then_stops_and_one_that_nobody_knows_is_waited_for():
    def now(*orders: Order) -> list[tuple[str, int]]:
        return [(order.client_id, size) for order, size in shrinking(orders, rest(2, 1))]

    stop, target = exit_of("S1", 2), exit_of("T1", 2)
    assert now(stop, target) == [("T1", 1)]
    assert now(stop, replace(target, quantity=1)) == [("S1", 1)]
    assert now(stop, replace(target, state=S.PENDING_CANCEL)) == []
    assert now(exit_of("S1", 1), exit_of("T1", 1)) == []


def test_nothing_closes_while_an_exit_or_another_order_may():
    def closes(wanted: UnitExit, *orders: Order) -> bool:
        position = held((2, "main"))
        book, _ = desk(position, orders=orders, **goals(wanted))
        return may_close(book, position, wanted, standing(book, position, "main"))

    part, whole, entry = UnitExit("main", 1, "exit"), UnitExit("main", None, "exit"), order_of(S.WORKING)
    assert closes(part, exit_of("S1", 1), exit_of("T1", 1), entry)
    assert not closes(part, exit_of("S1", 2))
    assert closes(whole)
    assert not closes(whole, entry)
    assert not closes(whole, exit_of("S1"))
    assert not closes(part, exit_of("F1"))
    assert not closes(part, exit_of("F1", unit=""))
    assert closes(part, exit_of("F1", unit="runner"), exit_of("F2", contract=ES))
    both = UnitExit("main", 2, "exit")
    assert closes(both, exit_of("F1"))  # the other one has no exit any more
    assert not closes(both, exit_of("F1"), exit_of("S1"))
    assert not closes(both, exit_of("F1"), exit_of("F2"))
    assert not closes(both, exit_of("F1", unit=""))


def test_the_orders_of_a_unit_are_its_own_in_that_contract():
    own = [exit_of("S1"), order_of(S.WORKING)]
    foreign = exit_of("S2", decision=foreign_decision(ClientOrderId("S2")))
    others = [exit_of("S3", unit="runner"), exit_of("S4", contract=ES), exit_of("S5", 1, S.FILLED), foreign]
    book, owner = desk(held((2, "main")), orders=[*own, *others])
    assert {order.client_id for order in of_unit(book, held((2, "main")), "main")} == {each.client_id for each in own}
    owner.exits = UnitExit("main", 1, "exit"), UnitExit("runner", None, "exit")
    assert [is_whole_unit_leaving(owner, unit) for unit in ("main", "runner", "other")] == [False, True, False]


def test_a_stop_and_the_target_of_its_fill_go_together():
    entry = order_of(S.WORKING)
    stop, target, later = exit_of("S1"), exit_of("T1"), exit_of("S2")
    assert list(pairs([entry, stop, later, target, exit_of("F1")])) == [(stop, target), (later,)]
    assert [covers(pair) for pair in ((stop,), (exit_of("S1", 3), target), (stop, exit_of("T1", 2)))] == [1, 3, 2]


# --- after a fill ---


def test_an_order_of_the_venue_is_of_the_unit_of_its_entry():
    assert unit_at_venue(order_of(S.FILLED, unit="runner"), Leg("S1")) == "runner"
    assert unit_at_venue(order_of(S.FILLED, unit=""), Leg("S1")) == "main"
    assert unit_at_venue(None, Leg("S1")) == "main"
    assert unit_at_venue(None, Leg("X")) == ""


def counted(order: Order, before: Position, after: Position, **spec: Any) -> int:
    book, _ = desk(before, orders=[order], manifest=account(**spec), **goals(UnitExit("main", 1, "exit", bare=1)))
    return counted_stops(book, before, after, order).without_stop_of("main")


@pytest.mark.parametrize(
    ("bracket", "spec", "free"),
    [
        (None, DECLARED, 3),
        (Bracket(target_ticks=8), DECLARED, 3),
        (Bracket(16), DECLARED, 1),
        (None, {}, 1),
    ],
)
def test_what_opens_without_a_stop_has_none_on_purpose_where_its_risk_is_declared(
    bracket: Bracket | None, spec: dict[str, Any], free: int
):
    before, after = held((2, "main"), main=1), held((4, "main"), main=1)
    for unit in ("main", ""):
        assert counted(order_of(S.FILLED, bracket=bracket, unit=unit), before, after, **spec) == free
    turned = held((4, "main"), sign=-1)
    assert counted(order_of(S.FILLED, bracket=bracket), before, turned, **spec) == (4 if free == 3 else 0)


def test_only_what_an_entry_adds_has_no_stop_on_purpose():
    one_more = counted(order_of(S.FILLED), held((2, "main"), main=1), held((3, "main"), main=1), **DECLARED)
    assert one_more == 2
    strange = replace(held((1, "main")), contract=ContractId("ZZZZ"))
    assert counted(order_of(S.FILLED), held(), strange, **DECLARED) == 0
    short, less = held((3, "main"), sign=-1, main=1), held((1, "main"), sign=-1, main=1)
    assert counted(order_of(S.FILLED), short, less, **DECLARED) == 1


def test_what_opens_without_a_stop_is_of_the_unit_that_it_enters():
    order = order_of(S.FILLED, unit="runner")
    before, after = held((2, "main")), held((2, "main"), (3, "runner"))
    book, _ = desk(before, manifest=account(**DECLARED))
    assert counted_stops(book, before, after, order).stopless == (("runner", 3),)


def test_what_closes_a_part_without_a_stop_takes_it_off_and_anything_else_leaves_it():
    before, after = held((4, "main"), main=2), held((2, "main"), main=2)
    assert counted(exit_of("T1", 2), before, after) == 0
    assert counted(exit_of("T1", 2, oco=ClientOrderId("S1")), before, after) == 2
    assert counted(exit_of("S1", 2), before, after) == 2
    assert counted(exit_of("F1", 2, unit=""), before, after) == 0
    assert counted(exit_of("F1", 2, S.FILLED, filled=2), before, after) == 1  # of the part that leaves one had no stop
    assert counted(exit_of("T1", 2), held((4, "main"), main=1), after) == 0
    assert counted(exit_of("T1", 1), before, held((3, "main"), main=2)) == 1
    assert counted(exit_of("F1", 2), after, before, **DECLARED) == 2  # it grew


@pytest.mark.parametrize(("stops", "free"), [((), 2), ((2,), 2), ((3,), 1), ((1, 3), 0), ((9,), 0)])
def test_behind_its_stops_no_more_is_without_one(stops: tuple[int, ...], free: int):
    position, own = held((5, "main"), main=2), exit_of("S1", 1)
    others = [exit_of(f"S{number}", size) for number, size in enumerate(stops, 2)]
    coming = exit_of("S9", 4, S.UNKNOWN)
    book, _ = desk(position, orders=[own, *others, coming])
    after = behind_stop(book, position, own)
    assert after.without_stop_of("main") == free
    assert behind_stop(book, after, own) == after


def test_what_has_lost_its_stop_in_order_to_leave_is_not_without_one_on_purpose():
    position, own = held((5, "main"), main=2), exit_of("S1", 3)
    book, _ = desk(position, orders=[own], **goals(UnitExit("main", 1, "exit")))
    assert behind_stop(book, position, own).without_stop_of("main") == 1


def test_what_has_left_is_taken_off_the_part_that_it_was_of():
    goal, whole = UnitExit("main", 3, "exit", bare=2), UnitExit("runner", None, "exit")
    owner = desk(**goals(goal, whole))[1]
    take_off(owner, exit_of("S1"), 2, 1)
    assert owner.exits == (goal, whole)
    take_off(owner, exit_of("F1", unit="runner"), 2, 1)
    assert owner.exits == (goal, whole)
    take_off(owner, exit_of("F1"), 2, 1)
    assert owner.exits == (replace(goal, quantity=1, bare=1), whole)
    take_off(owner, exit_of("F1"), 2, 2)
    assert owner.exits == (replace(goal, quantity=0, bare=0), whole)
