"""Many runs at once come to the sums of each run by itself."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.aggregation.kernel import fold, merge, value_area
from leadline.model.bars import FootprintRows
from leadline.model.ticks import TickColumns
from tests.aggregation.builders import BUY, SELL, UNKNOWN, Print, plain
from tests.aggregation.one_run import fold_one, value_area_of

# A walk of small steps; far-off prices, that no ladder spans; sizes of which floats do not hold the sums; prices whose
# squares take more than 64 bits.
prices = st.one_of(st.integers(-30, 30), st.integers(-(10**9), 10**9), st.sampled_from([0, 10**12, -(10**12)]))
sizes = st.one_of(st.integers(1, 50), st.sampled_from([2**20 - 1, 2**20, 2**36, 2**53, 2**53 + 1]))
sides = st.sampled_from([SELL, UNKNOWN, BUY])


@st.composite
def tapes(draw: st.DrawFn) -> list[Print]:
    near = st.tuples(st.integers(0, 10**6), st.integers(-30, 30), st.integers(1, 50), sides)
    far = st.tuples(st.integers(0, 10**6), prices, sizes, sides)
    return draw(st.lists(near, min_size=1, max_size=60) | st.lists(far, min_size=1, max_size=60))


def stops_of(cuts: list[int], rows: int) -> list[int]:
    return sorted({cut for cut in cuts if 0 < cut < rows} | {rows})


@settings(max_examples=150, deadline=None)
@given(tapes(), st.lists(st.integers(0, 60)), st.integers(1, 5), st.integers(0, 10**9))
def test_many_runs_at_once_have_the_sums_of_each_alone(rows, cuts, ticks_per_row, first_index):
    ticks, stops = TickColumns.of(rows, first_index), stops_of(cuts, len(rows))
    alone = [fold_one(ticks.slice(start, stop), ticks_per_row) for start, stop in pairwise([0, *stops])]
    together = fold(ticks, stops, ticks_per_row)
    assert [plain(part) for part in together] == [plain(part) for part in alone]
    assert all(type(value) is int for part in together for value in part[:-1])
    for part in together:
        assert all(column.dtype == np.int64 for column in (part.rows.price, part.rows.bid, part.rows.ask_prints))


@settings(max_examples=80, deadline=None)
@given(tapes(), st.lists(st.integers(0, 60)), st.integers(1, 5))
def test_neighbouring_runs_merge_to_the_whole(rows, cuts, ticks_per_row):
    ticks = TickColumns.of(rows, 7)
    merged, *later = fold(ticks, stops_of(cuts, len(rows)), ticks_per_row)
    for part in later:
        merged = merge(merged, part)
    assert plain(merged) == plain(fold_one(ticks, ticks_per_row))


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.integers(-25, 25) | st.integers(-(10**6), 10**6), st.integers(1, 30), min_size=1, max_size=40),
    st.integers(1, 5),
)
def test_the_value_area_is_that_of_the_rows_by_their_numbers(volumes: dict[int, int], ticks_per_row: int):
    numbers = sorted(volumes)
    column = np.array([volumes[number] for number in numbers])
    nought = np.zeros(len(numbers), dtype=np.int64)
    rows = FootprintRows(np.array(numbers) * ticks_per_row, column, nought, nought, column, nought, nought)
    assert value_area(rows, ticks_per_row) == value_area_of(rows, ticks_per_row)
