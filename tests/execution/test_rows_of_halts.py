"""A halt as a row and back, the lines of the audit that tell of it, and the question for the newest orders."""

from datetime import UTC, datetime, timedelta

import pytest

from leadline.execution.adapters import order_list
from leadline.execution.adapters.halt_rows import clearing_row, halt_of, halt_row, moment_ns
from leadline.execution.core.book import BookEvent
from leadline.execution.core.halt_audit import note_clearing, note_halt
from leadline.execution.core.halts import Clearing
from leadline.model.halts import Halt, HaltSource
from leadline.model.ids import AccountId, RunId
from tests.execution.harness.books import book_of

AT = datetime(2025, 6, 10, 14, 30, 0, 123_456, tzinfo=UTC)
AT_NS = 1_749_565_800_123_456_000
HALT = Halt(7, HaltSource.PERSON, "news", "ann", AT_NS)


@pytest.mark.parametrize("beyond_ns", [0, 1, 999])
def test_a_halt_comes_back_from_its_row_with_its_time_in_whole_microseconds(beyond_ns: int):
    row = halt_row(AccountId("default/paper"), Halt(7, HaltSource.PERSON, "news", "ann", AT_NS + beyond_ns))
    assert row == ("default/paper", 7, "PERSON", "news", "ann", AT)
    names = ("account", "number", "source", "reason", "halted_by", "at")
    assert halt_of(dict(zip(names, row, strict=True))) == HALT


def test_a_clearing_has_the_number_of_its_halt_and_who_when_and_why():
    clearing = Clearing(HALT, "bob", "over", AT_NS + 1_000_999)
    assert clearing_row(AccountId("default/paper"), clearing) == (
        "default/paper",
        7,
        "bob",
        "over",
        AT + timedelta(milliseconds=1),
    )


def test_a_moment_of_a_row_is_exact_wherever_it_lies():
    assert moment_ns(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert moment_ns(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1000
    assert moment_ns(datetime(2100, 1, 1, 0, 0, 0, 1, tzinfo=UTC)) == 4_102_444_800_000_001_000


def test_a_halt_and_its_clearing_are_two_lines_of_one_key():
    book, changes = book_of()
    clearing = Clearing(HALT, "bob", "over", AT_NS)
    note_halt(book, changes, HALT)
    note_clearing(book, changes, clearing)
    assert (changes.halts, changes.cleared) == ([HALT], [clearing])
    facts = {"number": 7, "source": "PERSON", "reason": "news", "by": "ann"}
    over = {"halted": False, **facts, "cleared_by": "bob", "clear_reason": "over"}
    assert changes.events == [
        BookEvent(1, "halt", "halt-7", 1, book.instant_ns, {"halted": True, **facts}),
        BookEvent(2, "halt", "halt-7", 2, book.instant_ns, over),
    ]


def test_the_question_for_the_newest_orders_names_what_works_and_how_many():
    asked = order_list.newest(
        RunId("tape"), AccountId("default/paper"), strategy="", only_working=True, limit=9, before="L1"
    )
    live = ["PENDING", "SENDING", "UNKNOWN", "WORKING", "PARTIAL", "PENDING_CANCEL"]
    tape, account, strategy, only_working, states, before, limit = asked
    assert (tape, account, strategy, only_working, before, limit) == ("tape", "default/paper", "", True, "L1", 9)
    assert sorted(states) == sorted(live)
    assert order_list.newest(RunId("tape"), AccountId("default/paper"), strategy="s", only_working=False, limit=1)[
        2:
    ] == (
        "s",
        False,
        states,
        "",
        1,
    )
    assert order_list.MOST_ORDERS == 500
