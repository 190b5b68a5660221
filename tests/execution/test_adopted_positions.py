"""Positions that the venue holds and the book does not are the book's afterwards, without a fill that nobody made."""

from decimal import Decimal

import pytest

from leadline.execution.core.adoption import adopt_positions
from leadline.execution.core.exits import wanted
from leadline.model.ids import ContractId, StrategyId, is_adopted
from leadline.model.orders import LastPrint, OrderState
from tests.execution.harness.books import DECISION, book_of, order_of
from tests.execution.harness.builders import ES, MES, ns


@pytest.mark.parametrize(
    ("held", "at_venue", "result"),
    [(0, 1, "0"), (0, -2, "0"), (1, 0, "12.50"), (1, 3, "0"), (3, 1, "25.00"), (-2, 0, "-25.00")],
)
def test_the_book_holds_what_the_venue_holds_at_the_last_print(held: int, at_venue: int, result: str):
    book, changes = book_of(position=held)
    book.last_prints[MES] = LastPrint(20_010, ns(599), 0)
    [told] = adopt_positions(book, changes, {MES: at_venue} if at_venue else {})
    moved = at_venue - held
    assert told == (f"{moved:+d} {MES} is taken over from the venue, at 20010: default/mes holds {at_venue} now")
    [position] = changes.positions.values()
    assert (position, position.quantity) == (book.positions[StrategyId("default/mes"), MES], at_venue)
    assert book.realised == book.strategies[StrategyId("default/mes")].realised == Decimal(result)
    assert changes.fills == []
    [event] = changes.events
    assert (event.kind, event.body["adopted"], event.body["price"]) == ("position", moved, 20_010)
    assert adopt_positions(book, changes, {MES: at_venue} if at_venue else {}) == []


def test_a_position_without_a_print_is_worth_nothing():
    book, changes = book_of()
    adopt_positions(book, changes, {MES: 1})
    assert book.positions[StrategyId("default/mes"), MES].tick_value == 0


@pytest.mark.parametrize("leg", ["E", "S1"])
def test_it_is_of_the_decision_whose_orders_stand_there(leg: str):
    book, changes = book_of(order_of(OrderState.WORKING, leg))
    adopt_positions(book, changes, {MES: 1})
    position = book.positions[StrategyId("default/mes"), MES]
    assert (position.decision, is_adopted(position.decision)) == (DECISION, False)


@pytest.mark.parametrize("contract", [ES, "ZZZ"])
def test_what_no_strategy_trades_is_nobody_s_and_stays_until_a_person_flattens_the_account(contract: ContractId):
    book, changes = book_of()
    [told] = adopt_positions(book, changes, {contract: 2})
    assert told.endswith("nobody holds 2 now")
    assert is_adopted(book.positions[StrategyId(""), contract].decision)
    assert wanted(book, halted=True) == []
    book.flatten = "seen (bob)"
    [close] = wanted(book, halted=True)
    assert (close.order.contract, close.order.quantity, close.order.reason) == (contract, 2, "seen (bob)")
