import struct
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from leadline.model.durations import NS_PER_DAY
from leadline.model.ticks import TickColumns, concat
from leadline.recorder.rows import BLOCK_PRINTS, TICK_BLOCK_COLUMNS, tick_block_rows, tick_blocks, tick_dates, unseen
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


def test_a_row_has_the_columns_of_the_table():
    ticks = tick_batch(3, 4).ticks
    assert (
        *("source", "first_index", "last_index", "first_ns", "last_ns"),
        *("ts_ns", "price", "size", "aggressor"),
    ) == TICK_BLOCK_COLUMNS
    row = tick_block_rows(9, [ticks.slice(0, 1), ticks.slice(1, 2)])
    head, long, short = ">h ii iq iq iq iq", "i iiI ii iq iq", "i iiI ii ih ih"
    found = struct.unpack(f"{head} {long * 3} {short}", row)
    assert found == (
        *(9, 4, 9, 8, 3, 8, 4, 8, OPEN_NS + 3, 8, OPEN_NS + 4),
        *(44, 1, 0, 20, 2, 1, 8, OPEN_NS + 3, 8, OPEN_NS + 4),
        *(44, 1, 0, 20, 2, 1, 8, 20_003, 8, 20_004),
        *(44, 1, 0, 20, 2, 1, 8, 1, 8, 2),
        *(32, 1, 0, 21, 2, 1, 2, -1, 2, 0),
    )


@given(st.lists(st.lists(st.integers(0, 6 * NS_PER_DAY), max_size=5), min_size=1, max_size=6))
def test_the_dates_of_batches_are_those_of_their_prints(times):
    batches = [replace(tick_batch(0, -1), ticks=TickColumns.of((at, 20_000, 1, 0) for at in part)) for part in times]
    assert tick_dates(batches) == {datetime.fromtimestamp(at // 10**9, UTC).date() for part in times for at in part}


def test_a_block_ends_with_its_date_where_times_go_back_and_when_it_is_full():
    hour = NS_PER_DAY // 24
    times = [*range(3), 23 * hour, *(24 * hour + i for i in range(BLOCK_PRINTS + 1)), 24 * hour, 25 * hour, 23 * hour]
    ticks = TickColumns.of(((at, 20_000, 1, 0) for at in times), 7)
    blocks = tick_blocks([ticks.slice(0, 2), ticks.slice(2, 9), ticks.slice(9, len(ticks))])
    assert list(map(len, blocks)) == [4, BLOCK_PRINTS, 1, 2, 1]


@given(st.lists(st.tuples(st.integers(0, 4 * NS_PER_DAY), st.integers(1, 5)), min_size=1, max_size=40))
def test_blocks_hold_each_print_once_in_its_place_and_times_of_one_date_that_rise(stretches):
    times = [at + i for at, length in stretches for i in range(length)]
    ticks = TickColumns.of((at, 20_000 + i, 1 + i, i % 3 - 1) for i, at in enumerate(times))
    blocks = tick_blocks([ticks])
    whole = concat(blocks)
    for name in ("time_ns", "price", "size", "aggressor"):
        assert getattr(whole, name).tolist() == getattr(ticks, name).tolist()
    for block in blocks:
        assert block.time_ns.tolist() == sorted(block.time_ns.tolist())
        assert block.time_ns[0] // NS_PER_DAY == block.time_ns[-1] // NS_PER_DAY
