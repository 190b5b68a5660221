"""A venue's word, field by field: what of it can be believed, and what is put in the place of the rest."""

import dataclasses
from typing import Any

import pytest

from leadline.execution.core.venue_reports import (
    LARGEST_QUANTITY,
    LATEST_NS,
    LONGEST_ID,
    MOST_LOST,
    MOST_POSITIONS,
    check_advanced,
    check_fill,
    check_order,
    check_positions,
    shown,
    storable,
)
from leadline.model.errors import Refused
from leadline.model.ids import ContractId
from leadline.model.orders import (
    Advanced,
    Bracket,
    LastPrint,
    OrderState,
    Side,
    Trail,
    Trailing,
    VenueEvent,
)
from tests.execution.harness.books import book_of, fill_of, order_of, reported_of
from tests.execution.harness.builders import ES, MES, ns


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
    many = {ContractId(f"C{number}"): 1 for number in range(MOST_POSITIONS)}
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


# --- the numbers of an order ---

LARGEST = 1 << 45


@pytest.mark.parametrize(
    ("name", "edges", "beyond"),
    [
        ("quantity", [1, LARGEST_QUANTITY], [0, -1, LARGEST_QUANTITY + 1]),
        ("filled", [0, 3], [-1, 4]),
        ("limit_price", [-LARGEST, 0, LARGEST], [-LARGEST - 1, LARGEST + 1]),
        ("stop_price", [-LARGEST, 0, LARGEST], [-LARGEST - 1, LARGEST + 1]),
        ("bracket", [Bracket(LARGEST, LARGEST), Bracket(16, trail=Trail(0, LARGEST))], [Bracket(LARGEST + 1)]),
        ("bracket", [Bracket(stop_price=-LARGEST)], [Bracket(16, trail=Trail(0, LARGEST + 1))]),
        ("trail", [Trailing(LARGEST, 1), Trailing(0, LARGEST)], [Trailing(LARGEST + 1, 1), Trailing(0, LARGEST + 1)]),
        ("valid_until_ns", [None, 0, LATEST_NS], [-1, LATEST_NS + 1]),
        ("decided_at_ns", [0, LATEST_NS], [-1, LATEST_NS + 1]),
    ],
)
def test_numbers_of_an_order_are_believed_up_to_their_bounds(name: str, edges: list[Any], beyond: list[Any]) -> None:
    for value in edges:
        said = replace(TOLD, **({"filled": 0} if name == "quantity" else {}), **{name: value})
        assert check_order(ORDER, said).doubted == {}, value
    for value in beyond:
        assert name in check_order(ORDER, replace(TOLD, **{name: value})).doubted, value


def test_a_size_that_cannot_be_is_compared_with_nothing_that_has_filled() -> None:
    # Of an order that the book has, with the book's size; of a stranger's, with what it said.
    assert check_order(ORDER, replace(TOLD, quantity=-5, filled=3)).doubted == {"quantity": "-5"}
    assert check_order(ORDER, replace(TOLD, filled=4)).doubted == {"filled": "4 of 3"}
    assert check_order(ORDER, replace(TOLD, quantity=5, filled=4)).doubted == {}
    assert check_order(None, replace(TOLD, quantity=0, filled=1)).doubted == {"quantity": "0", "filled": "1 of 0"}


def test_a_reason_is_a_printable_line_and_is_told_as_one() -> None:
    heard = check_order(ORDER, replace(TOLD, reason="a\x00b"))
    assert heard.order == replace(TOLD, reason="a b")
    assert heard.words == "reason 'a\\x00b'"
    assert check_order(ORDER, replace(TOLD, reason="x" * 500)).doubted == {}
    assert check_order(ORDER, replace(TOLD, reason="x" * 501)).doubted == {"reason": "without end"}
    assert check_order(ORDER, replace(TOLD, reason="x" * 499 + "\n")).words.startswith("reason 'xxx")


def test_a_field_that_this_release_has_no_word_for_says_nothing() -> None:
    said = replace(TOLD, side=Side.SELL, unread=(("side", "7"),))
    assert check_order(ORDER, said).order == TOLD
    assert check_order(ORDER, said).doubted == {"side": "7"}
    assert check_order(None, said).order is None
    late = replace(TOLD, filled=9, decided_at_ns=-1, limit_price=LARGEST + 1)
    assert check_order(None, late).order == replace(TOLD, filled=0, decided_at_ns=0, limit_price=None)


def test_a_fill_has_a_price_that_its_contract_can_have() -> None:
    fill = fill_of(ORDER)
    for contract, least in ((MES, 1), ("CLN2025", -LARGEST), ("ZZZM2025", -LARGEST)):
        for price in (least, LARGEST):
            assert check_fill(ORDER, TOLD, replace(fill, contract=contract, price=price), ns(700))[1] == ""
        for price in (least - 1, LARGEST + 1):
            said = replace(fill, contract=contract, price=price)
            assert check_fill(ORDER, TOLD, said, ns(700)) == (None, f"fill price {price}")


# --- an answer as a whole ---

DAYS_8 = 8 * 86_400 * 10**9


def answered(**fields: Any) -> tuple[Advanced, list[str]]:
    """What is believed of an answer at 700 seconds, where the book is at 600 and has booked event 4."""
    book, _ = book_of()
    book.venue_event = 4
    told: dict[str, Any] = {"instant_ns": ns(700), "events": (), "last_prints": {}}
    return check_advanced(book, Advanced(**{**told, **fields}))


def event(number: int, instant_ns: int = ns(650)) -> VenueEvent:
    return VenueEvent(number, instant_ns, TOLD)


def test_an_answer_that_can_be_is_believed_as_it_is() -> None:
    whole: dict[str, Any] = {
        "events": (event(5), event(6)),
        "last_prints": {MES: LastPrint(20_000, ns(699), 7)},
        "positions": {MES: 1},
        "final": True,
    }
    assert answered(**whole) == (Advanced(ns(700), **whole), [])


@pytest.mark.parametrize("instant_ns", [-(1 << 62), 1 << 62, 1 << 80])
def test_an_instant_that_no_calendar_knows_is_refused(instant_ns: int) -> None:
    with pytest.raises(Refused, match=f"the venue has come to an instant that cannot be, {instant_ns}"):
        answered(instant_ns=instant_ns)


def test_an_instant_of_before_is_told_and_what_is_said_of_until_then_is_believed() -> None:
    told, doubts = answered(instant_ns=ns(500), events=(event(5, ns(600)),))
    assert told.events == (event(5, ns(600)),)
    assert doubts == [f"the venue has come to {ns(500)}, and the book was at {ns(600)} before"]
    assert answered(instant_ns=ns(600))[1] == []


def test_events_are_of_the_last_eight_days_else_of_now() -> None:
    edges = (event(5, ns(600) - DAYS_8), event(6, ns(700)))
    assert answered(events=edges)[0].events == edges
    for instant_ns in (ns(600) - DAYS_8 - 1, ns(700) + 1):
        told, doubts = answered(events=(event(5, instant_ns),))
        assert told.events == (event(5, ns(700)),)
        assert doubts == [f"event 5 of the venue is of an instant that cannot be, {instant_ns}"]


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ([5, 6, 7], [5, 6, 7]),
        ([1, 4, 5], [5]),  # what is booked is told again
        ([7, 8], [7, 8]),  # what was between is lost
        ([4 + MOST_LOST, 5 + MOST_LOST], [4 + MOST_LOST, 5 + MOST_LOST]),
        ([], []),
        ([2, 3], []),
    ],
)
def test_events_that_follow_one_another_have_their_numbers(said: list[int], taken: list[int]) -> None:
    told, doubts = answered(events=tuple(event(number) for number in said))
    assert ([each.event for each in told.events], doubts) == (taken, [])


@pytest.mark.parametrize("said", [[5, 5], [5, 6, 5, 6], [5, 5, 6, 6], [4, 5, 4, 5, 6]])
def test_an_event_that_is_told_twice_in_one_answer_counts_once(said: list[int]) -> None:
    told, doubts = answered(events=tuple(event(number) for number in said))
    assert ([each.event for each in told.events], doubts) == (sorted({*said} - {4}), [])


@pytest.mark.parametrize("at_ns", [[600, 601], [600, 601, 602]])
def test_two_events_of_one_number_are_both_taken_and_none_is_numbered_past_the_highest(at_ns: list[int]) -> None:
    told, [doubt] = answered(events=tuple(event(5, ns(each)) for each in at_ns))
    assert [(each.event, each.instant_ns) for each in told.events] == [(5, ns(each)) for each in at_ns]
    assert doubt.startswith("the venue numbers its events 5, 5")


@pytest.mark.parametrize("said", [[7], [5, 7], [6, 5], [0], [-1, 6], [5 + MOST_LOST, 6 + MOST_LOST]])
def test_any_other_numbers_say_nothing_and_the_events_are_taken_in_their_order(said: list[int]) -> None:
    told, doubts = answered(events=tuple(event(number) for number in said))
    assert [each.event for each in told.events] == list(range(5, 5 + len(said)))
    numbers = ", ".join(map(str, said))
    assert doubts == [f"the venue numbers its events {numbers} after 4: they are taken in their order"]


def test_no_more_than_eight_numbers_are_told() -> None:
    _, [doubt] = answered(events=tuple(event(number) for number in range(30, 50, 2)))
    assert doubt.startswith("the venue numbers its events 30, 32, 34, 36, 38, 40, 42, 44 after 4")


def test_a_last_print_is_of_a_contract_of_the_feed_at_a_price_and_a_time_that_can_be() -> None:
    edges = [
        LastPrint(1, 0, 0),
        LastPrint(LARGEST, ns(700), (1 << 63) - 1),
    ]
    for last in edges:
        assert answered(last_prints={MES: last})[1] == []
    for last in (
        LastPrint(0, 0, 0),
        LastPrint(LARGEST + 1, 0, 0),
        LastPrint(1, -1, 0),
        LastPrint(1, ns(700) + 1, 0),
        LastPrint(1, 0, -1),
        LastPrint(1, 0, 1 << 63),
    ):
        told, doubts = answered(last_prints={MES: last})
        assert told.last_prints == {}
        assert doubts == [f"the venue tells of a last print that cannot be: '{MES}' at {last.price}, {last.time_ns}"]
    told, [doubt] = answered(last_prints={"ZZ": edges[0], MES: edges[0], ES: edges[1]})
    assert told.last_prints == {MES: edges[0]}
    assert f"'{ES}' at {LARGEST}" in doubt  # the first by its name


def test_positions_that_cannot_be_are_none_and_told() -> None:
    told, doubts = answered(positions={MES: LARGEST_QUANTITY + 1})
    assert told.positions is None
    assert doubts == [f"the venue tells of a position that cannot be: {LARGEST_QUANTITY + 1} of '{MES}'"]
