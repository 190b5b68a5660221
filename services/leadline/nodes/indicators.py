"""Streaming indicators: one value in, one value or None out.

None means "not available yet": before its warm-up an indicator says nothing, neither 0 nor the raw input, so no later
data can leak into an earlier bar. All state is a few numbers; sums that are not of integers are taken in a fixed order
or correctly rounded, so that two machines and two versions of Python agree to the last bit. Prices may be ticks or any
other unit: outputs are in the unit of the inputs, oscillators from 0 to 100.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from leadline.model.bars import Bar

Candle: TypeAlias = tuple[float, float, float]
"""High, low and close of a bar."""


class SimpleAverage:
    """Simple moving average: the mean of the last `length` values, from value number `length` on."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._window: deque[float] = deque(maxlen=length)

    def update(self, value: float) -> float | None:
        """Take one value in; the mean of the window, None while it is not full."""
        self._window.append(value)
        if len(self._window) < self._length:
            return None
        return math.fsum(self._window) / len(self._window)


class _SeededAverage:
    """An exponential average that starts from the mean of its first `length` values."""

    def __init__(self, length: int, weight: float) -> None:
        self._length = length
        self._weight = weight
        self._seed: list[float] = []
        self.value: float | None = None

    def update(self, value: float) -> float | None:
        """Take one value in; the average, None before value number `length`."""
        if self.value is not None:
            self.value += self._weight * (value - self.value)
            return self.value
        self._seed.append(value)
        if len(self._seed) == self._length:
            self.value = math.fsum(self._seed) / self._length
            self._seed.clear()
        return self.value

    def extend(self, values: Iterable[float]) -> list[float]:
        """Take values in; the average at each of them from value number `length` on, as `update` gives it."""
        found, left = [], iter(values)
        while self.value is None:
            try:
                first = self.update(next(left))
            except StopIteration:
                return []
            if first is not None:
                found.append(first)
        value, weight = self.value, self._weight
        for each in left:
            value += weight * (each - value)
            found.append(value)
        self.value = value
        return found


class ExponentialAverage(_SeededAverage):
    """Exponential moving average with weight 2 / (length + 1), seeded with the mean of the first `length` values."""

    def __init__(self, length: int) -> None:
        super().__init__(length, 2 / (length + 1))


class WilderAverage(_SeededAverage):
    """Wilder's smoothing (Wilder 1978): weight 1 / length, seeded with the mean of the first `length` values."""

    def __init__(self, length: int) -> None:
        super().__init__(length, 1 / length)


class RelativeStrength:
    """Relative Strength Index (Wilder 1978); its first value comes with change number `length`.

    100 when nothing was lost, 50 when nothing moved at all.
    """

    def __init__(self, length: int) -> None:
        self._gain = WilderAverage(length)
        self._loss = WilderAverage(length)
        self._before: float | None = None

    def update(self, close: float) -> float | None:
        """Take one close in; the index from 0 to 100."""
        before, self._before = self._before, close
        if before is None:
            return None
        gain = self._gain.update(max(close - before, 0))
        loss = self._loss.update(max(before - close, 0))
        if gain is None or loss is None:
            return None
        if loss == 0:
            return 100.0 if gain > 0 else 50.0
        return 100 - 100 / (1 + gain / loss)


class AverageTrueRange:
    """Average True Range (Wilder 1978); the first bar's range counts, so the first value comes with bar `length`."""

    def __init__(self, length: int) -> None:
        self._average = WilderAverage(length)
        self._close: float | None = None

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take one bar in; the average range in the unit of price."""
        true_range = high - low if self._close is None else _true_range(high, low, self._close)
        self._close = close
        return self._average.update(true_range)

    def extend(self, bars: Sequence[Candle]) -> list[float]:
        """Take bars in; the average range at each of them from bar `length` on, as `update` gives it."""
        if not bars:
            return []
        found = [] if (first := self.update(*bars[0])) is None else [first]
        found += self._average.extend(_true_range(bar[0], bar[1], before[2]) for before, bar in pairwise(bars))
        self._close = bars[-1][2]
        return found


class DirectionalIndex:
    """Average Directional Index (Wilder 1978); its first value comes with bar 2 x `length`.

    Movement and range are smoothed from the second bar on; equal moves up and down count as neither; where nothing
    moved the index of that bar is 0.
    """

    def __init__(self, length: int) -> None:
        self._plus = WilderAverage(length)
        self._minus = WilderAverage(length)
        self._range = WilderAverage(length)
        self._average = WilderAverage(length)
        self._before: tuple[float, float, float] | None = None
        self.directional: float | None = None

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take one bar in; the index from 0 to 100. `directional` holds the unsmoothed one (DX)."""
        before, self._before = self._before, (high, low, close)
        if before is None:
            return None
        high_before, low_before, close_before = before
        up, down = _moves(high - high_before, low_before - low)
        plus, minus = self._plus.update(up), self._minus.update(down)
        true_range = self._range.update(_true_range(high, low, close_before))
        if plus is None or minus is None or true_range is None:
            return None
        self.directional = _directional(plus, minus, true_range)
        return self._average.update(self.directional)

    def extend(self, bars: Sequence[Candle]) -> list[float]:
        """Take bars in; the index at each of them from bar 2 x `length` on, as `update` gives it."""
        if not bars:
            return []
        found = [] if (first := self.update(*bars[0])) is None else [first]
        pairs = list(pairwise(bars))
        moves = [_moves(bar[0] - before[0], before[1] - bar[1]) for before, bar in pairs]
        plus, minus = self._plus.extend(up for up, _ in moves), self._minus.extend(down for _, down in moves)
        ranges = self._range.extend(_true_range(bar[0], bar[1], before[2]) for before, bar in pairs)
        values = list(map(_directional, plus, minus, ranges))
        self._before = bars[-1]
        self.directional = values[-1] if values else self.directional
        return found + self._average.extend(values)


def _true_range(high: float, low: float, close_before: float) -> float:
    return max(high - low, abs(high - close_before), abs(low - close_before))


def _moves(up: float, down: float) -> tuple[float, float]:
    """The movement up and that down, of which the smaller counts for nothing."""
    return (up if up > down and up > 0 else 0), (down if down > up and down > 0 else 0)


def _directional(plus: float, minus: float, true_range: float) -> float:
    if true_range == 0:
        return 0.0
    plus_index, minus_index = 100 * plus / true_range, 100 * minus / true_range
    total = plus_index + minus_index
    return 100 * abs(plus_index - minus_index) / total if total else 0.0


class DonchianChannel:
    """Highest high and lowest low of the `length` bars before (Donchian); the current bar is not among them.

    With the current bar inside, no close could ever break out.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._bars: deque[tuple[float, float]] = deque(maxlen=length)

    def update(self, high: float, low: float) -> tuple[float, float] | None:
        """Take one bar in; (upper, lower) of the bars before it, None while there are fewer than `length`."""
        channel = None
        if len(self._bars) == self._length:
            channel = max(high for high, _ in self._bars), min(low for _, low in self._bars)
        self._bars.append((high, low))
        return channel


class Percentile:
    """The share of the last `window` values below the current one, from 0 to 100; the current is not counted.

    With fewer values than the window what exists is used, with fewer than `least` there is no answer.
    """

    def __init__(self, window: int, least: int) -> None:
        self._window = window
        self._least = least
        self._past: deque[float] = deque()
        # The same values from the least to the greatest.
        self._ranked: list[float] = []

    def update(self, value: float) -> float | None:
        """Take one value in; its percentile among those before it."""
        share = None
        if len(self._past) >= self._least:
            share = 100 * bisect_left(self._ranked, value) / len(self._past)
        if len(self._past) == self._window:
            del self._ranked[bisect_left(self._ranked, self._past.popleft())]
        self._past.append(value)
        insort(self._ranked, value)
        return share

    def extend(self, values: Sequence[float]) -> None:
        """Take values in as `update` does."""
        self._past = deque([*self._past, *values][-self._window :])
        self._ranked = sorted(self._past)


@dataclass(frozen=True, slots=True)
class Vwap:
    """Volume-weighted average price since the session's open and its standard deviation, both in ticks."""

    price: float
    deviation: float

    def bands(self, multiples: Sequence[float]) -> tuple[tuple[float, float], ...]:
        """(lower, upper) in ticks for each multiple of the deviation."""
        return tuple((self.price - k * self.deviation, self.price + k * self.deviation) for k in multiples)


def vwap(bar: Bar) -> Vwap | None:
    """VWAP at the bar's close, from the exact running sums that the bar carries; None while nothing has traded."""
    volume = bar.vwap_volume
    if volume == 0:
        return None
    spread = bar.vwap_price2_volume * volume - bar.vwap_price_volume**2
    return Vwap(bar.vwap_price_volume / volume, math.sqrt(spread / volume**2))
