"""Orders that somebody else has placed: no limit of the account cancels them, and they keep it from entering."""

from dataclasses import replace
from typing import Any

import pytest

from leadline.execution.core.account import account_view, settings
from leadline.execution.core.day import apply_limits
from leadline.execution.core.exits import Cancel, Close, settled, wanted
from leadline.model.ids import FOREIGN, ClientOrderId, foreign_decision
from leadline.model.orders import LastPrint, Order, OrderState, OrderType
from leadline.risk.decide import execution_instrument
from leadline.risk.limits import contract_refusal
from leadline.risk.reasons import Reason
from tests.execution.harness.books import book_of, order_of
from tests.execution.harness.builders import ES, MES, ns

THEIRS = ClientOrderId("theirs")


def theirs() -> Order:
    return order_of(
        OrderState.WORKING,
        client_id=THEIRS,
        decision=foreign_decision(THEIRS),
        leg=FOREIGN,
        type=OrderType.LIMIT,
        limit_price=19_900,
    )


@pytest.mark.parametrize(("reason", "cancelled"), [("day_loss", False), ("a person (me)", True)])
def test_only_a_person_who_flattens_the_account_cancels_them(reason: str, cancelled: bool):
    book, _ = book_of(theirs(), position=1)
    book.flatten = reason
    found = wanted(book, halted=False)
    assert any(isinstance(each, Cancel) and each.order.client_id == THEIRS for each in found) is cancelled
    assert any(isinstance(each, Close) for each in found) is not cancelled  # no close waits for theirs


def test_a_flattened_account_is_done_while_theirs_works():
    book, _ = book_of(theirs())
    book.flatten = "day_loss"
    assert settled(book)
    assert not book.flatten


def test_the_days_loss_does_not_take_the_place_of_a_persons_word():
    book, _ = book_of(theirs(), position=1)
    book.flatten, book.last_prints = "a person (me)", {MES: LastPrint(19_000, ns(600), 0)}
    apply_limits(book)
    assert (book.block, book.flatten) == ("DAY_LOSS", "a person (me)")


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({}, Reason.FOREIGN_ORDER),
        ({"contract": ES}, None),
        ({"state": OrderState.CANCELLED}, None),
    ],
)
def test_nothing_is_entered_in_their_contract_while_they_work(fields: dict[str, Any], refusal: Reason | None):
    order = replace(theirs(), **fields)
    book, _ = book_of(order)
    book.last_prints = {MES: LastPrint(20_000, ns(600), 0)}
    view = account_view(book, halt="")
    instrument = execution_instrument(view, settings(book, next(iter(book.strategies.values())), view))
    assert not isinstance(instrument, Reason)
    assert contract_refusal(view, instrument, ns(600), 20_000) is refusal
