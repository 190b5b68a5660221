"""What the venue holds and the book does not: whose it becomes, at what price, and what it earns."""

from dataclasses import replace
from decimal import Decimal

import pytest

from leadline.execution.core.adoption import adopt_positions
from leadline.execution.core.book import Book, Changes
from leadline.model.ids import ContractId, DecisionId, StrategyId, is_adopted
from leadline.model.orders import LastPrint, OrderState
from tests.execution.harness.books import book_of, order_of, position_of
from tests.execution.harness.builders import MES, account, ns

D = Decimal
MINE = (StrategyId("default/mes"), MES)


def printed(book: Book, price: int) -> Book:
    book.last_prints[MES] = LastPrint(price, ns(600), 0)
    return book


def told(changes: Changes) -> list[tuple[str, str, dict[str, object]]]:
    return [(event.kind, event.key, event.body) for event in changes.events]


def test_what_has_come_is_its_strategy_s_at_the_last_print():
    book, changes = book_of()
    said = adopt_positions(printed(book, 20_010), changes, {MES: 2})
    assert said == [f"+2 {MES} is taken over from the venue, at 20010: default/mes holds 2 now"]
    taken = book.positions[MINE]
    assert (taken.quantity, [lot.price for lot in taken.lots], taken.tick_value) == (2, [20_010], D("1.25"))
    assert is_adopted(taken.decision)
    assert changes.positions == {MINE: taken}
    ((kind, key, body),) = told(changes)
    assert (kind, key) == ("position", f"default/mes/{MES}/venue-{book.last_event}")
    assert body == {"strategy": "default/mes", "contract": MES, "quantity": 2, "adopted": 2, "price": 20_010}
    assert (book.realised, book.strategies[StrategyId("default/mes")].realised) == (0, 0)


@pytest.mark.parametrize(("held", "left"), [(3, 1), (3, 0), (-3, -1), (-3, 0)])
def test_what_is_gone_is_taken_from_its_owner_and_earns_what_the_last_print_says(held: int, left: int):
    book, changes = book_of(position=held)
    adopt_positions(printed(book, 20_010), changes, {MES: left} if left else {})
    assert book.positions[MINE].quantity == left
    earned = 10 * (held - left) * D("1.25")
    assert book.realised == book.strategies[StrategyId("default/mes")].realised == earned


def test_a_position_that_turned_is_taken_and_made_anew():
    book, changes = book_of(position=1)
    said = adopt_positions(printed(book, 20_010), changes, {MES: -2})
    assert [each.split()[0] for each in said] == ["-1", "-2"]
    assert book.positions[MINE].quantity == -2
    assert book.realised == 10 * D("1.25")


def test_without_a_print_nothing_is_gained_nor_lost_and_a_new_one_is_worth_nothing():
    book, changes = book_of(position=2)
    adopt_positions(book, changes, {MES: 1})
    assert (book.positions[MINE].quantity, book.realised) == (1, 0)
    empty, changes = book_of()
    adopt_positions(empty, changes, {MES: 1})
    assert (empty.positions[MINE].tick_value, [lot.price for lot in empty.positions[MINE].lots]) == (0, [0])


def test_several_owners_give_as_much_as_is_gone_and_no_more():
    book, changes = book_of(position=2)
    book.positions = {
        **book.positions,
        (StrategyId("default/old"), MES): position_of(2, strategy=StrategyId("default/old")),
    }
    book.positions = {
        **book.positions,
        (StrategyId("default/other"), "NQM2025"): position_of(
            2, strategy=StrategyId("default/other"), contract=ContractId("NQM2025")
        ),
    }
    adopt_positions(printed(book, 20_000), changes, {MES: 1, ContractId("NQM2025"): 2})
    assert {key: held.quantity for key, held in book.positions.items()} == {
        MINE: 0,
        ("default/old", MES): 1,
        ("default/other", "NQM2025"): 2,
    }
    assert book.strategies[StrategyId("default/mes")].realised == 0


def test_where_both_agree_nothing_is_said():
    book, changes = book_of(position=2)
    assert adopt_positions(printed(book, 20_010), changes, {MES: 2}) == []
    assert (changes.positions, told(changes), book.realised) == ({}, [], 0)


@pytest.mark.parametrize("leg", ["E", "S1", "T1"])
def test_it_is_of_the_decision_of_an_order_that_stands_there(leg: str):
    book, changes = book_of(order_of(OrderState.WORKING, leg))
    adopt_positions(printed(book, 20_010), changes, {MES: 1})
    assert book.positions[MINE].decision == "decision"
    assert not is_adopted(book.positions[MINE].decision)
    closing, changes = book_of(order_of(OrderState.WORKING, "F1"))
    adopt_positions(printed(closing, 20_010), changes, {MES: 1})
    assert is_adopted(closing.positions[MINE].decision)


def test_what_nobody_trades_is_nobody_s():
    book, changes = book_of()
    (said,) = adopt_positions(book, changes, {ContractId("NQM2025"): -1})
    assert said == "-1 NQM2025 is taken over from the venue, at 0: nobody holds -1 now"
    assert book.positions[StrategyId(""), "NQM2025"].quantity == -1
    assert book.strategies[StrategyId("default/mes")].realised == 0


def test_what_is_gone_of_one_contract_is_taken_from_nobody_who_holds_another():
    book, changes = book_of(position=2)
    book.positions = {
        **book.positions,
        (StrategyId("default/other"), "NQM2025"): position_of(
            2, strategy=StrategyId("default/other"), contract=ContractId("NQM2025")
        ),
    }
    adopt_positions(printed(book, 20_000), changes, {MES: 2, ContractId("NQM2025"): 1})
    assert set(changes.positions) == {("default/other", "NQM2025")}
    assert book.positions[StrategyId("default/other"), "NQM2025"].quantity == 1


def test_what_a_position_earned_before_is_not_earned_again():
    book, changes = book_of(position=2)
    book.positions = {**book.positions, MINE: replace(book.positions[MINE], realised=D(50))}
    adopt_positions(printed(book, 20_010), changes, {MES: 1})
    assert book.realised == 10 * D("1.25")
    assert book.positions[MINE].realised == 50 + 10 * D("1.25")


def test_a_position_that_was_flat_begins_anew():
    book, changes = book_of()
    book.positions = {**book.positions, MINE: replace(position_of(0), lots=(), decision=DecisionId("an old one"))}
    adopt_positions(printed(book, 20_010), changes, {MES: 1})
    assert is_adopted(book.positions[MINE].decision)
    assert book.positions[MINE].quantity == 1


@pytest.mark.parametrize("held", [1, -1])
def test_a_single_contract_that_is_gone_is_taken(held: int):
    book, changes = book_of(position=held)
    adopt_positions(printed(book, 20_010), changes, {})
    assert book.positions[MINE].quantity == 0


def test_what_has_come_is_taken_from_those_who_hold_the_other_side_first():
    """One is long two and another short one: with one more at the venue the short one is gone, and nothing else."""
    book, changes = book_of(position=2)
    book.positions = {
        **book.positions,
        (StrategyId("default/old"), MES): position_of(-1, strategy=StrategyId("default/old")),
    }
    adopt_positions(printed(book, 20_000), changes, {MES: 2})
    assert set(changes.positions) == {("default/old", MES)}
    assert book.positions[StrategyId("default/old"), MES].quantity == 0


def test_what_is_taken_over_is_worth_what_the_prints_that_fill_its_contract_say():
    """ES is filled on the prints of MES where the feed has no others."""
    book, changes = book_of(manifest=account(tiers=[{"from": "0", "execute": "ES", "minSize": 1, "maxSize": 2}]))
    adopt_positions(printed(book, 20_010), changes, {ContractId("ESM2025"): 1})
    (taken,) = changes.positions.values()
    assert (taken.strategy, taken.tape_contract, taken.tick_value) == ("default/mes", MES, D("12.5"))
    assert [lot.price for lot in taken.lots] == [20_010]
    assert taken.inverse is False


def test_a_contract_that_no_sheet_knows_is_worth_nothing():
    book, changes = book_of()
    book.last_prints[ContractId("XYZM2025")] = LastPrint(7, ns(600), 0)
    adopt_positions(book, changes, {ContractId("XYZM2025"): 1})
    (taken,) = changes.positions.values()
    assert (taken.strategy, taken.tick_value, taken.inverse) == ("", 0, False)


def test_an_order_of_another_contract_or_of_nobody_opened_nothing_here():
    other = order_of(OrderState.WORKING, contract="NQM2025", tape_contract="NQM2025")
    book, changes = book_of(other)
    adopt_positions(printed(book, 20_010), changes, {MES: 1})
    assert is_adopted(book.positions[MINE].decision)
    foreign = order_of(OrderState.WORKING, strategy="", contract="NQM2025", tape_contract="NQM2025")
    book, changes = book_of(foreign)
    adopt_positions(book, changes, {ContractId("NQM2025"): 1})
    assert is_adopted(book.positions[StrategyId(""), "NQM2025"].decision)


def test_the_event_of_it_is_the_first_of_its_key():
    book, changes = book_of()
    adopt_positions(printed(book, 20_010), changes, {MES: 2})
    assert [event.version for event in changes.events] == [1]
