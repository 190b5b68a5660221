"""The sums that consecutive prints add to a bar: one numpy implementation for live and past.

A run of prints of any length is folded into a `BarPart`; parts of neighbouring runs are merged. Both are exact integer
arithmetic, so a bar does not depend on how its prints were cut into runs.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from leadline.model.bars import FootprintRows
from leadline.model.ticks import Aggressor, Int64Array, TickColumns

# Above this width the price ladder of a run is compacted before counting, so that a far-off print costs no memory.
DENSE_LADDER_TICKS: Final = 1 << 16

_SIDES: Final = len(Aggressor)


@dataclass(frozen=True, slots=True)
class ValueArea:
    """Point of control and the outer rows of the value area, all prices of rows in ticks."""

    poc: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class BarPart:
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


def fold(ticks: TickColumns, ticks_per_row: int) -> BarPart:
    """The sums over `ticks`, shape (n,) with n >= 1; rows of `ticks_per_row` >= 1 ticks."""
    prices, volume, prints = _ladder(ticks)
    running_delta = np.cumsum(ticks.size * ticks.aggressor)
    # Python integers: price^2 x size of a busy session of a finely divided instrument does not fit 64 bits.
    levels = list(zip(prices.tolist(), volume.sum(axis=1).tolist(), strict=True))
    return BarPart(
        open=int(ticks.price[0]),
        high=int(prices[-1]),
        low=int(prices[0]),
        close=int(ticks.price[-1]),
        volume=int(volume.sum()),
        prints=len(ticks),
        delta=int(running_delta[-1]),
        min_delta=min(0, int(running_delta.min())),
        max_delta=max(0, int(running_delta.max())),
        price_volume=sum(price * size for price, size in levels),
        price2_volume=sum(price * price * size for price, size in levels),
        first_ns=int(ticks.time_ns[0]),
        last_ns=int(ticks.time_ns[-1]),
        first_index=ticks.first_index,
        last_index=ticks.last_index,
        rows=_rows(prices, volume, prints, ticks_per_row),
    )


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
    numbers = [price // ticks_per_row for price in prices]
    volume_of = dict(zip(numbers, volumes, strict=True))
    low = high = numbers[centre]
    held, total = volumes[centre], sum(volumes)
    while held * 10 < total * 7:
        above = range(high + 1, min(high + 2, numbers[-1]) + 1)
        below = range(max(low - 2, numbers[0]), low)
        gain_above = sum(volume_of.get(number, 0) for number in above)
        gain_below = sum(volume_of.get(number, 0) for number in below)
        if above and (not below or gain_above >= gain_below):
            # As long as both sides are empty, pair after pair above is taken: all of the gap at once.
            pairs = 1 if gain_above else (numbers[bisect_right(numbers, high)] - high - 1) // 2
            high += len(above) * pairs
            held += gain_above
        else:
            pairs = 1 if gain_below else (low - numbers[bisect_left(numbers, low) - 1] - 1) // 2
            low -= len(below) * pairs
            held += gain_below
    return ValueArea(prices[centre], low * ticks_per_row, high * ticks_per_row)


def _point_of_control(prices: Sequence[int], volumes: Sequence[int]) -> int:
    twice_middle = prices[0] + prices[-1]
    return min(range(len(prices)), key=lambda i: (-volumes[i], abs(2 * prices[i] - twice_middle), prices[i]))


def _ladder(ticks: TickColumns) -> tuple[Int64Array, Int64Array, NDArray[np.int64]]:
    """Traded prices, shape (levels,), rising; volume and prints, shape (levels, sides) in the order of `Aggressor`."""
    prices = ticks.price
    low = int(prices.min())
    width = int(prices.max()) - low + 1
    if width <= DENSE_LADDER_TICKS:
        ladder = np.arange(low, low + width, dtype=np.int64)
        level = prices - low
    else:
        ladder, level = np.unique(prices, return_inverse=True)
    # Integer accumulation at (level, side): a weighted bincount would pass volumes through floats.
    cell = level * _SIDES + (ticks.aggressor - int(Aggressor.SELL))
    volume = np.zeros(len(ladder) * _SIDES, dtype=np.int64)
    np.add.at(volume, cell, ticks.size)
    prints = np.bincount(cell, minlength=len(volume)).reshape(-1, _SIDES)
    traded = prints.any(axis=1)
    return ladder[traded], volume.reshape(-1, _SIDES)[traded], prints[traded].astype(np.int64, copy=False)


def _rows(prices: Int64Array, volume: Int64Array, prints: Int64Array, ticks_per_row: int) -> FootprintRows:
    if ticks_per_row > 1:
        bottoms = prices - prices % ticks_per_row
        starts = np.flatnonzero(np.diff(bottoms, prepend=bottoms[0] - 1))
        prices = bottoms[starts]
        volume = np.add.reduceat(volume, starts, axis=0)
        prints = np.add.reduceat(prints, starts, axis=0)
    bid, unknown, ask = np.ascontiguousarray(volume.T)
    bid_prints, unknown_prints, ask_prints = np.ascontiguousarray(prints.T)
    return FootprintRows(prices, bid, ask, unknown, bid_prints, ask_prints, unknown_prints)


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
