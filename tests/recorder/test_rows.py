import struct

from hypothesis import given
from hypothesis import strategies as st

from leadline.recorder.rows import TICK_COLUMNS, tick_rows, unseen
from tests.recorder.builders import OPEN_NS, tick_batch


def indices(parts):
    return [index for part in parts for index in range(part.first_index, part.last_index + 1)]


def test_a_first_batch_is_all_new():
    found = unseen([tick_batch(0, 4)], -1)
    assert (indices(found.parts), found.overlapping, found.taken, found.last_index) == ([0, 1, 2, 3, 4], 0, 1, 4)


def test_what_overlaps_is_dropped_and_counted():
    found = unseen([tick_batch(0, 4), tick_batch(3, 6), tick_batch(7, 7)], 1)
    assert (indices(found.parts), found.overlapping, found.last_index) == ([2, 3, 4, 5, 6, 7], 4, 7)


def test_a_hole_stops_before_the_batch_that_leaves_it():
    found = unseen([tick_batch(5, 6), tick_batch(9, 12), tick_batch(13, 13)], 4)
    assert (indices(found.parts), found.taken, found.missing_from, found.missing_to) == ([5, 6], 1, 7, 9)


def test_an_empty_batch_further_on_leaves_a_hole_too():
    assert unseen([tick_batch(8, 7)], 4).missing_to == 8
    assert unseen([tick_batch(5, 4)], 4).taken == 1


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)), max_size=12), st.integers(-1, 20))
def test_every_print_is_taken_once_and_without_a_hole(spans, stored):
    batches = [tick_batch(first, first + length - 1) for first, length in spans]
    found = unseen(batches, stored)
    assert indices(found.parts) == list(range(stored + 1, found.last_index + 1))
    given_prints = sum(len(batch.ticks) for batch in batches[: found.taken])
    assert sum(map(len, found.parts)) + found.overlapping == given_prints


def test_rows_follow_the_columns_of_the_table():
    batch = tick_batch(3, 4)
    assert TICK_COLUMNS == ("source", "source_index", "ts_ns", "price", "size", "aggressor")
    rows = tick_rows(9, [batch.ticks])
    found = [struct.unpack_from(">h ii iq iq iq iq ih", rows, start) for start in range(0, len(rows), len(rows) // 2)]
    assert found == [
        (6, 4, 9, 8, 3, 8, OPEN_NS + 3, 8, 20_003, 8, 1, 2, -1),
        (6, 4, 9, 8, 4, 8, OPEN_NS + 4, 8, 20_004, 8, 2, 2, 0),
    ]
