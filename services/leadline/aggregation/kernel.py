"""The sums that consecutive prints add to bars: one numpy implementation for live and past.

Neighbouring runs of prints are folded into `BarPart`s together, because a call of numpy costs as much as hundreds of
prints; parts of neighbouring runs are merged. Both are exact integer arithmetic, so a bar does not depend on how its
prints were cut into runs.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.model.bars import FootprintRows
from leadline.model.ticks import Int64Array, TickColumns

# Above this many levels the price ladders of the runs are compacted before counting: a far-off print costs no memory.
DENSE_LADDER_TICKS: Final = 1 << 16

MOST_PRINTS: Final = 1 << 16
"""Prints that one call folds, at most."""

# Volume and prints of a level and side are counted together as floats, of which each holds both exactly: below this bit
# the volume, from it on the prints, which are 2^16 at most. A float of 64 bits holds integers below 2^53.
_VOLUME_BITS: Final = 36
_ONE_PRINT: Final = 1 << _VOLUME_BITS

_INT64_SAFE: Final = 1 << 62

# Rows of a table of levels. Those of volume and of prints stand in the order of `Aggressor`.
_PRICE, _VOLUME, _PRINTS, _COLUMNS = 0, slice(1, 4), slice(4, 7), 7


class ValueArea(NamedTuple):
    """Point of control and the outer rows of the value area, all prices of rows in ticks."""

    poc: int
    low: int
    high: int


class BarPart(NamedTuple):
    """Sums over a run of consecutive prints. Prices in ticks, volumes in size steps, times in ns UTC.

    `delta` = ask - bid volume; `min_delta` and `max_delta` are the extremes of its running sum from 0, 0 included.
    `price_volume` and `price2_volume` are the sums of price x size and price^2 x size, as unbounded integers.
    """

    open: int
    high: int
    low: int
    close: int
    volume: int
    prints: int
    delta: int
    min_delta: int
    max_delta: int
    price_volume: int
    price2_volume: int
    first_ns: int
    last_ns: int
    first_index: int
    last_index: int
    rows: FootprintRows


class _Levels(NamedTuple):
    """The price levels of neighbouring runs, rising in each.

    `table`, shape (7, levels): price; volume of sellers, of nobody and of buyers; their prints. `start`, shape (runs,):
    the first level of each run.
    """

    table: Int64Array
    start: Int64Array


def fold(ticks: TickColumns, stops: Sequence[int], ticks_per_row: int) -> list[BarPart]:
    """The sums over neighbouring runs of `ticks`, of which there are 1 to `MOST_PRINTS`.

    `stops`, strictly rising from 1 at least to the number of `ticks`, are the rows before which the runs end.
    Footprint rows are of `ticks_per_row` >= 1 ticks.
    """
    edges = np.array([0, *stops], dtype=np.int64)
    start, stop = edges[:-1], edges[1:]
    length, last = stop - start, stop - 1
    low, high = np.minimum.reduceat(ticks.price, start), np.maximum.reduceat(ticks.price, start)
    lowest, highest = int(low.min()), int(high.max())
    levels = _levels(ticks, low, high, length, highest - lowest + 1)
    price, volume = levels.table[_PRICE], np.add.reduce(levels.table[_VOLUME])
    total = np.add.reduceat(volume, levels.start)
    if max(abs(lowest), abs(highest)) ** 2 * int(total.sum()) >= _INT64_SAFE:
        # Python's integers: price^2 x size of a busy session of a finely divided instrument does not fit 64 bits.
        price = price.astype(object)
    weighed = price * volume
    signed = ticks.size * ticks.aggressor
    running = signed.cumsum()
    before = running[start] - signed[start]
    columns: tuple[NDArray[np.generic], ...] = (
        ticks.price[start],
        high,
        low,
        ticks.price[last],
        total,
        length,
        running[last] - before,
        np.minimum(np.minimum.reduceat(running, start) - before, 0),
        np.maximum(np.maximum.reduceat(running, start) - before, 0),
        np.add.reduceat(weighed, levels.start),
        np.add.reduceat(weighed * price, levels.start),
        ticks.time_ns[start],
        ticks.time_ns[last],
        start + ticks.first_index,
        last + ticks.first_index,
    )
    return list(map(BarPart, *[column.tolist() for column in columns], _footprints(levels, ticks_per_row)))


def merge(earlier: BarPart, later: BarPart) -> BarPart:
    """The sums over both runs; `later` begins where `earlier` ended and has rows of the same height."""
    return BarPart(
        open=earlier.open,
        high=max(earlier.high, later.high),
        low=min(earlier.low, later.low),
        close=later.close,
        volume=earlier.volume + later.volume,
        prints=earlier.prints + later.prints,
        delta=earlier.delta + later.delta,
        min_delta=min(earlier.min_delta, earlier.delta + later.min_delta),
        max_delta=max(earlier.max_delta, earlier.delta + later.max_delta),
        price_volume=earlier.price_volume + later.price_volume,
        price2_volume=earlier.price2_volume + later.price2_volume,
        first_ns=earlier.first_ns,
        last_ns=later.last_ns,
        first_index=earlier.first_index,
        last_index=later.last_index,
        rows=_merge_rows(earlier.rows, later.rows),
    )


def value_area(rows: FootprintRows, ticks_per_row: int) -> ValueArea:
    """Point of control and 70 % value area of a footprint with at least one row (market profile).

    The point of control is the row with the largest volume; of equals the one nearest to the middle of the lowest and
    the highest row, then the lower. From there the area takes the larger of the next two rows above and the next two
    below (equal: above; a side with one row left counts it alone; an exhausted side is not asked) until it holds at
    least 70 % of the volume. A row between the lowest and the highest in which nothing was traded counts as zero.
    """
    prices: list[int] = rows.price.tolist()
    volumes: list[int] = (rows.bid + rows.ask + rows.unknown).tolist()
    centre = _point_of_control(prices, volumes)
    low = high = prices[centre]
    top, bottom, reach = prices[-1], prices[0], 2 * ticks_per_row
    held, enough = volumes[centre], sum(volumes) * 7
    # The next traded rows outside of the area, and what the pairs next to it hold; None where the side is exhausted.
    above, below = centre + 1, centre - 1
    gain_above = _gain(prices, volumes, above, 1, reach + high) if high < top else None
    gain_below = _gain(prices, volumes, below, -1, low - reach) if low > bottom else None
    while held * 10 < enough:
        if gain_above is not None and (gain_below is None or gain_above >= gain_below):
            # As long as both sides are empty, pair after pair above is taken: all of the gap at once.
            gap = 0 if gain_above else (prices[above] - high - ticks_per_row) // reach - 1
            high = min(high + reach * (1 + gap), top)
            held += gain_above
            while above < len(prices) and prices[above] <= high:
                above += 1
            gain_above = _gain(prices, volumes, above, 1, high + reach) if high < top else None
        else:
            assert gain_below is not None, "the area holds all rows only with all of the volume"
            gap = 0 if gain_below else (low - prices[below] - ticks_per_row) // reach - 1
            low = max(low - reach * (1 + gap), bottom)
            held += gain_below
            while below >= 0 and prices[below] >= low:
                below -= 1
            gain_below = _gain(prices, volumes, below, -1, low - reach) if low > bottom else None
    return ValueArea(prices[centre], low, high)


def _gain(prices: list[int], volumes: list[int], row: int, step: int, limit: int) -> int:
    """Volume of the traded rows from `row` on, upwards (`step` 1) or downwards (-1), up to the price `limit`.

    They are two at most, for the pair is next to the area.
    """
    if step * (prices[row] - limit) > 0:
        return 0
    after = row + step
    if 0 <= after < len(prices) and step * (prices[after] - limit) <= 0:
        return volumes[row] + volumes[after]
    return volumes[row]


def _point_of_control(prices: Sequence[int], volumes: list[int]) -> int:
    most = max(volumes)
    if volumes.count(most) == 1:
        return volumes.index(most)
    twice_middle = prices[0] + prices[-1]
    equals = [row for row, volume in enumerate(volumes) if volume == most]
    return min(equals, key=lambda row: (abs(2 * prices[row] - twice_middle), prices[row]))


def _levels(ticks: TickColumns, low: Int64Array, high: Int64Array, length: Int64Array, span: int) -> _Levels:
    """The traded prices of runs of these lengths, each from `low` to `high`; `span` ticks hold those of all runs."""
    if span <= DENSE_LADDER_TICKS:
        width = high - low + 1
        end = width.cumsum()
        if (levels := int(end[-1])) <= DENSE_LADDER_TICKS:
            # One ladder after the other, and of all of them the levels with prints.
            begin = end - width
            offset = low - begin
            table = _count(ticks.price - offset.repeat(length), levels, ticks)
            np.add(np.arange(levels), offset.repeat(width), out=table[_PRICE])
            traded = np.add.reduce(table[_PRINTS]).nonzero()[0]
            return _Levels(table.take(traded, axis=1), traded.searchsorted(begin))
    prices, level = np.unique(ticks.price, return_inverse=True)
    run = np.arange(len(length)).repeat(length)
    traded, cell = np.unique(run * len(prices) + level, return_inverse=True)
    table = _count(cell, len(traded), ticks)
    table[_PRICE] = prices[traded % len(prices)]
    return _Levels(table, traded.searchsorted(np.arange(len(length)) * len(prices)))


def _count(level: Int64Array, levels: int, ticks: TickColumns) -> Int64Array:
    """The table of so many levels, of which each print is at one; without prices."""
    table = np.empty((_COLUMNS, levels), dtype=np.int64)
    sides = table[_VOLUME].size
    cell = level + (ticks.aggressor + np.int64(1)) * levels
    if int(ticks.size.max()) * MOST_PRINTS < _ONE_PRINT:
        both = np.bincount(cell, np.add(ticks.size, float(_ONE_PRINT)), sides).astype(np.int64).reshape(3, -1)
        np.bitwise_and(both, _ONE_PRINT - 1, out=table[_VOLUME])
        np.right_shift(both, _VOLUME_BITS, out=table[_PRINTS])
    else:
        volume = np.zeros(sides, dtype=np.int64)
        np.add.at(volume, cell, ticks.size)
        table[_VOLUME] = volume.reshape(3, -1)
        table[_PRINTS] = np.bincount(cell, minlength=sides).reshape(3, -1)
    return table


def _footprints(levels: _Levels, ticks_per_row: int) -> list[FootprintRows]:
    """The rows of each run."""
    table, start = levels
    if ticks_per_row > 1:
        bottom = table[_PRICE] - table[_PRICE] % ticks_per_row
        begins = np.diff(bottom, prepend=bottom[0] - 1) != 0
        begins[start] = True
        rows = np.flatnonzero(begins)
        table, start = np.add.reduceat(table, rows, axis=1), rows.searchsorted(start)
        table[_PRICE] = bottom[rows]
    price, bid, unknown, ask, bid_prints, unknown_prints, ask_prints = table
    return [
        FootprintRows(
            price[row:end],
            bid[row:end],
            ask[row:end],
            unknown[row:end],
            bid_prints[row:end],
            ask_prints[row:end],
            unknown_prints[row:end],
        )
        for row, end in pairwise([*start.tolist(), table.shape[1]])
    ]


def _merge_rows(one: FootprintRows, other: FootprintRows) -> FootprintRows:
    both = np.concatenate([one.price, other.price])
    prices, row = np.unique(both, return_inverse=True)

    def joined(a: Int64Array, b: Int64Array) -> Int64Array:
        total = np.zeros(len(prices), dtype=np.int64)
        np.add.at(total, row, np.concatenate([a, b]))
        return total

    return FootprintRows(
        prices,
        joined(one.bid, other.bid),
        joined(one.ask, other.ask),
        joined(one.unknown, other.unknown),
        joined(one.bid_prints, other.bid_prints),
        joined(one.ask_prints, other.ask_prints),
        joined(one.unknown_prints, other.unknown_prints),
    )
