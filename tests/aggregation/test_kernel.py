import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.aggregation import kernel
from leadline.aggregation.buffer import CAPACITY, PrintBuffer
from leadline.aggregation.kernel import BarPart, value_area
from leadline.aggregation.kernel import fold as fold_runs
from leadline.model.bars import FootprintRows
from leadline.model.ticks import TickColumns
from tests.aggregation.builders import BUY, SELL, UNKNOWN, Print, plain
from tests.aggregation.one_run import fold_one

TICKS_PER_POINT = 4

# Price, bid x ask: the example bar of a futures contract with a tick of 0.25.
EXAMPLE = [
    (5001.25, 0, 6),
    (5001.00, 2, 45),
    (5000.75, 8, 60),
    (5000.50, 12, 90),
    (5000.25, 30, 25),
    (5000.00, 40, 0),
]


def fold(ticks: TickColumns, ticks_per_row: int) -> BarPart:
    (part,) = fold_runs(ticks, [len(ticks)], ticks_per_row)
    return part


def footprint_rows(ticks: TickColumns, ticks_per_row: int) -> FootprintRows:
    return fold(ticks, ticks_per_row).rows


def ladder(volumes: dict[int, int]) -> FootprintRows:
    return footprint_rows(TickColumns.of((0, price, size, BUY) for price, size in volumes.items()), 1)


def example_prints() -> TickColumns:
    rows = []
    for price, bid, ask in EXAMPLE:
        rows += [(0, int(price * TICKS_PER_POINT), bid, SELL)] if bid else []
        rows += [(0, int(price * TICKS_PER_POINT), ask, BUY)] if ask else []
    return TickColumns.of(rows)


def test_a_footprint_has_volume_and_prints_by_price_and_side():
    rows = footprint_rows(
        TickColumns.of(
            [(0, 101, 3, BUY), (1, 100, 2, SELL), (2, 101, 4, UNKNOWN), (3, 101, 5, BUY), (4, 103, 1, SELL)]
        ),
        1,
    )
    assert plain(rows) == {
        "price": [100, 101, 103],
        "bid": [2, 0, 1],
        "ask": [0, 8, 0],
        "unknown": [0, 4, 0],
        "bid_prints": [1, 0, 1],
        "ask_prints": [0, 2, 0],
        "unknown_prints": [0, 1, 0],
    }
    assert all(column.dtype == np.int64 for column in (rows.price, rows.bid, rows.ask, rows.unknown_prints))


def test_rows_of_several_ticks_begin_at_multiples_of_their_height_below_zero_too():
    rows = footprint_rows(TickColumns.of([(0, price, 1, BUY) for price in (-5, -4, -1, 0, 3, 4)]), 4)
    assert rows.price.tolist() == [-8, -4, 0, 4]
    assert rows.ask.tolist() == [1, 2, 2, 1]


def test_the_example_bar_sums_to_318_with_a_delta_of_134():
    part = fold(example_prints(), 1)
    assert (part.volume, part.delta) == (318, 134)
    assert (part.rows.ask - part.rows.bid).tolist() == [-40, -5, 78, 52, 43, 6]
    assert (part.high, part.low) == (20005, 20000)


def test_rows_of_two_ticks_hold_both():
    rows = footprint_rows(TickColumns.of([(0, price, 1, BUY) for price in (100, 101, 102)]), 2)
    assert (rows.price.tolist(), rows.ask.tolist()) == ([100, 102], [2, 1])


def test_the_running_delta_begins_at_nought():
    sold = fold(TickColumns.of([(0, 100, 3, SELL), (1, 100, 2, SELL)]), 1)
    assert (sold.delta, sold.min_delta, sold.max_delta) == (-5, -5, 0)
    bought = fold(TickColumns.of([(0, 100, 3, BUY), (1, 100, 2, BUY)]), 1)
    assert (bought.delta, bought.min_delta, bought.max_delta) == (5, 0, 5)


def test_volume_of_nobody_s_aggression_counts_for_the_point_of_control():
    rows = footprint_rows(TickColumns.of([(0, 100, 10, BUY), (1, 101, 20, UNKNOWN), (2, 102, 5, SELL)]), 1)
    assert value_area(rows, 1).poc == 101


def test_the_example_bar_has_its_point_of_control_at_5000_50_and_its_value_area_from_5000_00_to_5001_00():
    area = value_area(fold(example_prints(), 1).rows, 1)
    assert [price / TICKS_PER_POINT for price in (area.poc, area.low, area.high)] == [5000.50, 5000.00, 5001.00]


def test_the_value_area_takes_the_larger_pair_and_stops_at_exactly_seventy_percent():
    area = value_area(ladder({100: 10, 101: 20, 102: 60, 103: 50, 104: 30, 105: 20, 106: 10}), 1)
    assert (area.poc, area.low, area.high) == (102, 102, 104)


@pytest.mark.parametrize(
    ("volumes", "expected"),
    [
        ({100: 5}, (100, 100, 100)),
        ({100: 5, 110: 10}, (110, 100, 110)),  # nothing above, and nothing traded just below
        ({100: 10, 110: 5}, (100, 100, 110)),
        ({100: 10, 104: 6}, (100, 100, 104)),  # a gap of three rows: a pair without volume, then one with some
        ({100: 6, 104: 10}, (104, 100, 104)),
        ({100: 10, 103: 6}, (100, 100, 103)),
        ({100: 6, 103: 10}, (103, 100, 103)),
        ({100: 5, 101: 5}, (100, 100, 101)),  # equally near to the middle: the lower
        ({100: 9, 101: 1, 102: 9, 110: 1}, (102, 100, 102)),  # nearest to 105; below 9 + 1 > above 1
        ({100: 10, 101: 10, 102: 40, 103: 10, 104: 10}, (102, 102, 104)),  # equal pairs: the upper
        ({98: 20, 100: 50, 103: 29, 110: 1}, (100, 98, 100)),  # two empty rows above lose against 20 below
        ({90: 1, 97: 20, 100: 50, 103: 29}, (100, 100, 103)),  # both pairs are empty: above; then the row left
        ({99: 30, 100: 40, 101: 4, 102: 20, 103: 6}, (100, 99, 100)),  # one row left below counts alone
    ],
)
def test_ties_and_edges_of_the_profile(volumes: dict[int, int], expected: tuple[int, int, int]):
    area = value_area(ladder(volumes), 1)
    assert (area.poc, area.low, area.high) == expected


def test_empty_rows_have_the_height_of_the_others_and_a_gap_of_any_width_costs_nothing():
    area = value_area(ladder({100: 6, 108: 2, 400_000_000: 2}), 4)
    assert (area.poc, area.low, area.high) == (100, 100, 108)
    area = value_area(ladder({100: 6, 400_000_000: 4}), 4)
    assert (area.poc, area.low, area.high) == (100, 100, 400_000_000)


def test_running_delta_extremes_include_the_zero_before_the_first_print():
    part = fold(TickColumns.of([(0, 100, 3, BUY), (0, 100, 5, SELL), (0, 100, 1, UNKNOWN), (0, 100, 1, BUY)]), 1)
    assert (part.min_delta, part.max_delta, part.delta) == (-2, 3, -1)
    only_buys = fold(TickColumns.of([(0, 100, 3, BUY)]), 1)
    assert (only_buys.min_delta, only_buys.max_delta) == (0, 3)


def test_vwap_sums_are_exact_beyond_64_bits():
    # 100,000.0 at a tick of 0.1 and 300,000 coins in steps of 0.001.
    part = fold(TickColumns.of([(0, 1_000_000, 300_000_000, BUY)]), 1)
    assert part.price2_volume == 1_000_000**2 * 300_000_000 > 2**63


def test_vwap_sums_use_the_prices_of_prints_and_not_of_rows():
    part = fold(TickColumns.of([(0, 101, 10, BUY), (0, 103, 20, SELL)]), 4)
    assert (part.price_volume, part.price2_volume) == (101 * 10 + 103 * 20, 101**2 * 10 + 103**2 * 20)


def walk(rows: int) -> TickColumns:
    random = np.random.default_rng(1)
    return TickColumns(
        np.arange(rows),
        20_000 + np.cumsum(random.integers(-1, 2, rows)),
        random.integers(1, 20, rows),
        random.integers(-1, 2, rows).astype(np.int8),
        first_index=500,
    )


prints = st.lists(
    st.tuples(st.just(0), st.integers(-50, 50), st.integers(1, 1000), st.sampled_from([SELL, UNKNOWN, BUY])),
    min_size=1,
    max_size=60,
)


@given(prints, st.integers(1, 5))
def test_rows_sum_to_the_prints(rows: list[Print], ticks_per_row: int):
    part = fold(TickColumns.of(rows), ticks_per_row)
    footprint = part.rows
    assert int((footprint.bid + footprint.ask + footprint.unknown).sum()) == part.volume == sum(row[2] for row in rows)
    assert int((footprint.ask - footprint.bid).sum()) == part.delta == sum(row[2] * row[3] for row in rows)
    counts = footprint.bid_prints + footprint.ask_prints + footprint.unknown_prints
    assert int(counts.sum()) == part.prints == len(rows)
    assert (counts > 0).all()
    assert (np.diff(footprint.price) > 0).all()


@given(prints, st.integers(1, 5))
def test_a_far_off_print_is_counted_like_any_other(rows: list[Print], ticks_per_row: int):
    far = (0, kernel.DENSE_LADDER_TICKS * 3, 1, BUY)
    whole = footprint_rows(TickColumns.of([*rows, far]), ticks_per_row)
    near = footprint_rows(TickColumns.of(rows), ticks_per_row)
    assert whole.price[:-1].tolist() == near.price.tolist()
    assert (whole.bid[:-1].tolist(), whole.ask[:-1].tolist()) == (near.bid.tolist(), near.ask.tolist())
    assert (int(whole.ask[-1]), int(whole.ask_prints[-1])) == (1, 1)


PIECES = 2 * CAPACITY + 808


@pytest.mark.parametrize(
    "pieces",
    [
        [1] * 600 + [PIECES - 600],
        [CAPACITY, CAPACITY, 808],
        [PIECES],
        [5, CAPACITY - 1, CAPACITY, 804],
        [CAPACITY + 900, CAPACITY - 92],
    ],
)
def test_a_buffer_gives_the_same_sums_however_it_is_filled(pieces: list[int]):
    ticks = walk(PIECES)
    held, start = PrintBuffer(1), 0
    for length in pieces:
        held.add(ticks.slice(start, start + length))
        start += length
        assert len(held) == start
    assert plain(held.take()) == plain(fold_one(ticks, 1))
    assert len(held) == 0


@pytest.mark.parametrize("held_before", [0, 1, 700, CAPACITY + 5])
def test_a_buffer_cuts_runs_of_any_length_and_holds_the_rest(held_before: int):
    ticks = walk(4 * CAPACITY)
    stops = [held_before + 1, held_before + 3, held_before + 40, held_before + 50 + CAPACITY, 4 * CAPACITY - 9]
    held = PrintBuffer(1)
    if held_before:
        held.add(ticks.slice(0, held_before))
    parts = held.cut(ticks.slice(held_before, len(ticks)), [stop - held_before for stop in stops])
    assert len(held) == 9
    for part, start, stop in zip([*parts, held.take()], [0, *stops], [*stops, len(ticks)], strict=True):
        assert plain(part) == plain(fold_one(ticks.slice(start, stop), 1))


def test_prints_that_wait_are_joined_so_that_small_batches_take_no_room():
    held = PrintBuffer(1)
    ticks = walk(2_000)
    for row in range(2_000):
        held.add(ticks.slice(row, row + 1))
    assert held.batches < 300
    assert plain(held.take()) == plain(fold_one(ticks, 1))


def test_an_emptied_buffer_begins_anew():
    held = PrintBuffer(1)
    held.add(TickColumns.of([(0, 100, 1, BUY)], 0))
    held.take()
    with pytest.raises(ValueError, match="no print"):
        held.take()
    held.add(TickColumns.of([(5, 90, 2, SELL)], 1))
    part = held.take()
    assert (part.open, part.volume, part.first_index, part.first_ns) == (90, 2, 1, 5)
