"""The sums over one run of prints at a time, and the value area by its rows' numbers: what the kernel must agree with.

Slower than the kernel, and closer to the words that say what a footprint bar holds.
"""

from bisect import bisect_left, bisect_right

import numpy as np

from leadline.aggregation.kernel import BarPart, ValueArea
from leadline.model.bars import FootprintRows
from leadline.model.ticks import Aggressor, Int64Array, TickColumns

SIDES = len(Aggressor)


def fold_one(ticks: TickColumns, ticks_per_row: int) -> BarPart:
    prices, volume, prints = _ladder(ticks)
    running_delta = np.cumsum(ticks.size * ticks.aggressor)
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


def value_area_of(rows: FootprintRows, ticks_per_row: int) -> ValueArea:
    prices = rows.price.tolist()
    volumes = (rows.bid + rows.ask + rows.unknown).tolist()
    twice_middle = prices[0] + prices[-1]
    centre = min(range(len(prices)), key=lambda i: (-volumes[i], abs(2 * prices[i] - twice_middle), prices[i]))
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
            pairs = 1 if gain_above else (numbers[bisect_right(numbers, high)] - high - 1) // 2
            high += len(above) * pairs
            held += gain_above
        else:
            pairs = 1 if gain_below else (low - numbers[bisect_left(numbers, low) - 1] - 1) // 2
            low -= len(below) * pairs
            held += gain_below
    return ValueArea(prices[centre], low * ticks_per_row, high * ticks_per_row)


def _ladder(ticks: TickColumns) -> tuple[Int64Array, Int64Array, Int64Array]:
    ladder, level = np.unique(ticks.price, return_inverse=True)
    cell = level * SIDES + (ticks.aggressor - int(Aggressor.SELL))
    volume = np.zeros(len(ladder) * SIDES, dtype=np.int64)
    np.add.at(volume, cell, ticks.size)
    prints = np.bincount(cell, minlength=len(volume)).reshape(-1, SIDES)
    return ladder, volume.reshape(-1, SIDES), prints


def _rows(prices: Int64Array, volume: Int64Array, prints: Int64Array, ticks_per_row: int) -> FootprintRows:
    bottoms = prices - prices % ticks_per_row
    starts = np.flatnonzero(np.diff(bottoms, prepend=bottoms[0] - 1))
    bid, unknown, ask = np.add.reduceat(volume, starts, axis=0).T
    bid_prints, unknown_prints, ask_prints = np.add.reduceat(prints, starts, axis=0).T
    return FootprintRows(bottoms[starts], bid, ask, unknown, bid_prints, ask_prints, unknown_prints)
