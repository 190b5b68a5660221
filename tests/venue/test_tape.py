"""Prints that wait to be matched: known ones are dropped, missing ones are an error, promises are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.model.ids import RunId
from leadline.model.ticks import TickBatch, TickColumns
from leadline.venue.tape import TapeBuffer, TapeGap, complete_until
from tests.venue.builders import MES


def batch(first: int, count: int, watermark: int, *, final: bool = False) -> TickBatch:
    """Prints `first` to `first + count - 1`, each at the time of its index."""
    rows = TickColumns.of([(index, 1000 + index, 1, 0) for index in range(first, first + count)], first)
    return TickBatch(RunId("run-1"), "cme", MES, rows, watermark, final)


def buffer(*batches: TickBatch, after_index: int | None = None) -> TapeBuffer:
    tape = TapeBuffer(after_index)
    for one in batches:
        tape.add(one)
    return tape


def indices(tape: TapeBuffer) -> list[int]:
    ticks = tape.ticks()
    assert ticks.price.tolist() == [1000 + time for time in ticks.time_ns.tolist()]
    found = list(range(ticks.first_index, ticks.last_index + 1))
    assert ticks.time_ns.tolist() == found
    return found


def test_an_instant_is_complete_when_it_is_before_the_watermark_and_the_last_one_when_the_tape_ended():
    assert TapeBuffer().complete_ns is None
    tape = buffer(batch(0, 3, 2))
    assert tape.complete_ns == 1
    tape.add(batch(3, 0, 9))
    assert tape.complete_ns == 8
    tape.add(batch(3, 0, 9, final=True))
    assert (tape.complete_ns, tape.final) == (9, True)


def test_a_repeated_batch_is_dropped_and_takes_no_promise_back():
    tape = buffer(batch(0, 3, 2), batch(3, 3, 5), batch(0, 3, 2), batch(2, 3, 4))
    assert indices(tape) == [0, 1, 2, 3, 4, 5]
    assert tape.watermark_ns == 5


def test_a_batch_that_overlaps_gives_its_new_rows():
    tape = buffer(batch(0, 3, 2))
    assert tape.add(batch(1, 5, 5)) == 3
    assert indices(tape) == [0, 1, 2, 3, 4, 5]


def test_missing_prints_are_an_error_and_change_nothing():
    tape = buffer(batch(0, 3, 2))
    with pytest.raises(TapeGap, match="print 4 came, 3 was expected"):
        tape.add(batch(4, 2, 5))
    assert (indices(tape), tape.watermark_ns) == ([0, 1, 2], 2)


def test_what_was_matched_before_a_restart_is_not_taken_again():
    tape = buffer(batch(0, 3, 2), batch(3, 3, 5), after_index=3)
    assert indices(tape) == [4, 5]


def test_a_buffer_that_matched_nothing_begins_wherever_the_tape_does():
    assert indices(buffer(batch(7, 2, 8))) == [7, 8]


def test_matched_prints_are_dropped():
    tape = buffer(batch(0, 6, 5))
    tape.drop_until(3)
    tape.drop_until(2)
    assert indices(tape) == [4, 5]
    tape.drop_until(99)
    assert (len(tape), indices(tape)) == (0, [])
    assert tape.ticks().first_index == 6


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 9000)), max_size=30))
def test_rows_keep_their_values_and_indices_however_they_come_and_go(moves: list[tuple[int, int]]):
    tape = TapeBuffer()
    came = 0
    gone = 0
    for count, drop in moves:
        before = tape.ticks()
        copy = before.time_ns.tolist()
        tape.add(batch(came, count, came + count))
        came += count
        assert before.time_ns.tolist() == copy
        gone = max(gone, min(drop, came))
        tape.drop_until(gone - 1)
        assert indices(tape) == list(range(gone, came))


def test_several_tapes_are_complete_where_the_slowest_is_and_an_ended_one_holds_nobody_up():
    one, two = buffer(batch(0, 3, 10)), buffer(batch(0, 3, 20))
    assert complete_until([one, two, TapeBuffer()]) == (None, False)
    assert complete_until([one, two]) == (9, False)
    one.add(batch(3, 0, 10, final=True))
    assert complete_until([one, two]) == (19, False)
    two.add(batch(3, 0, 30, final=True))
    assert complete_until([one, two]) == (30, True)
