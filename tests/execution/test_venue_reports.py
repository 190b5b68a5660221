"""A venue's word, field by field: what of it can be believed, and what is put in the place of the rest."""

import dataclasses
from typing import Any

import pytest

from leadline.execution.core.venue_reports import (
    LARGEST_QUANTITY,
    LONGEST_ID,
    MOST_POSITIONS,
    check_fill,
    check_order,
    check_positions,
    shown,
    storable,
)
from leadline.model.orders import OrderState, Side
from tests.execution.harness.books import fill_of, order_of, reported_of
from tests.execution.harness.builders import MES, ns


def replace(value: Any, **fields: Any) -> Any:
    return dataclasses.replace(value, **fields)


ORDER = order_of(OrderState.WORKING, quantity=3, filled=1)
TOLD = reported_of(ORDER, OrderState.PARTIAL)


def test_ids_are_printable_and_of_128_characters_at_most() -> None:
    assert LONGEST_ID == 128
    assert [storable(text) for text in ("", "x", "x" * 128, "x" * 129, "x\n", 7)] == [
        False,
        True,
        True,
        False,
        False,
        False,
    ]


def test_what_is_shown_is_quoted_and_cut_at_sixty_characters() -> None:
    assert shown("a\x00") == "'a\\x00'"
    assert shown(7) == "7"
    assert shown("x" * 58) == "'" + "x" * 58 + "'"
    assert shown("x" * 59) == "'" + "x" * 59 + "..."


def test_positions_are_believed_up_to_a_thousand_and_to_their_largest_size() -> None:
    assert check_positions(None) == (None, "")
    for quantity in (LARGEST_QUANTITY, -LARGEST_QUANTITY):
        assert check_positions({MES: quantity}) == ({MES: quantity}, "")
        none, words = check_positions({MES: quantity + (1 if quantity > 0 else -1)})
        assert none is None
        assert words.endswith(f"of '{MES}'")
    many = {f"C{number}": 1 for number in range(MOST_POSITIONS)}
    assert check_positions(many)[0] == many
    assert check_positions({**many, MES: 1})[1] == "the venue tells of 1001 positions, and nobody has so many"
    assert (LARGEST_QUANTITY, MOST_POSITIONS) == (2**45, 1000)


def test_an_order_that_can_be_is_believed_as_it_is() -> None:
    checked = check_order(ORDER, TOLD)
    assert checked.order is TOLD
    assert (checked.doubted, checked.words) == ({}, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("contract", "MES\x00"),
        ("tape_contract", ""),
        ("leg", "E\n"),
        ("quantity", 0),
        ("quantity", LARGEST_QUANTITY + 1),
    ],
)
def test_of_a_known_order_the_book_has_what_cannot_be_and_of_a_stranger_nothing_is_believed(
    name: str, value: Any
) -> None:
    checked = check_order(ORDER, replace(TOLD, **{name: value}))
    assert checked.order is not None
    assert getattr(checked.order, name) == getattr(ORDER, name)
    assert set(checked.doubted) == {name}
    assert check_order(None, replace(TOLD, **{name: value})).order is None


@pytest.mark.parametrize("name", ["decision", "parent", "oco"])
def test_a_stranger_s_order_is_believed_without_what_it_need_not_have(name: str) -> None:
    checked = check_order(None, replace(TOLD, **{name: "x\x00"}))
    assert checked.order is not None
    assert getattr(checked.order, name) == ""


def test_a_fill_is_believed_up_to_what_can_fill_and_not_before_its_time() -> None:
    fill = fill_of(ORDER, quantity=2)
    assert check_fill(ORDER, TOLD, fill, ns(700)) == (fill, "")
    assert check_fill(ORDER, TOLD, replace(fill, quantity=3), ns(700)) == (None, "fill quantity 3 where 2 can fill")
    assert check_fill(ORDER, TOLD, replace(fill, quantity=0), ns(700))[0] is None
    assert check_fill(ORDER, TOLD, replace(fill, fill_id=""), ns(700)) == (None, "fill fill_id ''")
    late, words = check_fill(ORDER, TOLD, fill, ns(600))
    assert late == replace(fill, time_ns=ns(600))
    assert words.startswith("fill time_ns ")
    assert check_fill(ORDER, TOLD, fill, fill.time_ns) == (fill, "")


@pytest.mark.parametrize(
    ("changes", "better"),
    [
        ({"contract": ""}, {"contract": MES}),
        ({"client_id": "x\n"}, {"client_id": ORDER.client_id}),
        ({"source_index": -1}, {"source_index": 0}),
        ({"source_index": 2**63}, {"source_index": 0}),
        ({"k": -1}, {"k": 0}),
        ({"k": 2**31}, {"k": 0}),
        ({"unread": (("side", "7"),)}, {"side": Side.BUY, "unread": ()}),
    ],
)
def test_of_a_fill_that_can_be_booked_the_rest_is_put_right(changes: dict[str, Any], better: dict[str, Any]) -> None:
    fill = fill_of(ORDER)
    checked, words = check_fill(ORDER, TOLD, replace(fill, **changes), ns(700))
    assert checked == replace(fill, **better)
    assert words.startswith(f"fill {next(iter(changes)) if 'unread' not in changes else 'side'} ")
    for name, largest in (("source_index", 2**63 - 1), ("k", 2**31 - 1)):
        edge = replace(fill, **{name: largest})
        assert check_fill(ORDER, TOLD, edge, ns(700)) == (edge, "")
