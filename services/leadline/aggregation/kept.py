"""The closed bars of a session with their prints, so that late ones can change them."""

import zlib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from leadline.aggregation.kernel import BarPart, fold, merge, value_area
from leadline.model.bars import Bar, FootprintRows
from leadline.model.market.calendars import Session
from leadline.model.ticks import Int64Array, TickColumns

# Delta, size, price x size and price^2 x size.
_Sums: TypeAlias = tuple[int, int, int, int]

_FOLDED: Final = 1 << 14
NO_ROWS: Final = FootprintRows(*(np.empty(0, dtype=np.int64) for _ in range(7)))


@dataclass(frozen=True, slots=True)
class Prints:
    """Prints in the order of time, of equal times in that of their source indices, which may have holes."""

    ticks: TickColumns
    index: Int64Array

    @staticmethod
    def of(parts: Sequence[TickColumns]) -> "Prints":
        """Prints of several pieces, in any order, at least one."""
        times = np.concatenate([each.time_ns for each in parts])
        index = np.concatenate([np.arange(each.first_index, each.last_index + 1) for each in parts])
        order = np.lexsort((index, times))
        columns = (
            times[order],
            np.concatenate([each.price for each in parts])[order],
            np.concatenate([each.size for each in parts])[order],
            np.concatenate([each.aggressor for each in parts])[order],
        )
        return Prints(TickColumns(*columns), index[order])

    def with_late(self, late: "Prints") -> "Prints":
        """These and others."""
        index = np.concatenate([self.index, late.index])
        times = np.concatenate([self.ticks.time_ns, late.ticks.time_ns])
        order = np.lexsort((index, times))
        columns = (
            times[order],
            np.concatenate([self.ticks.price, late.ticks.price])[order],
            np.concatenate([self.ticks.size, late.ticks.size])[order],
            np.concatenate([self.ticks.aggressor, late.ticks.aggressor])[order],
        )
        return Prints(TickColumns(*columns), index[order])

    def only(self, rows: Int64Array | Sequence[int]) -> "Prints":
        """Some of them, by rows in order."""
        wanted, ticks = np.asarray(rows, dtype=np.int64), self.ticks
        columns = ticks.time_ns[wanted], ticks.price[wanted], ticks.size[wanted], ticks.aggressor[wanted]
        return Prints(TickColumns(*columns), self.index[wanted])

    def part(self, ticks_per_row: int) -> BarPart:
        """Their sums."""
        found: BarPart | None = None
        for start in range(0, len(self.ticks), _FOLDED):
            piece = self.ticks.slice(start, start + _FOLDED)
            (part,) = fold(piece, [len(piece)], ticks_per_row)
            found = part if found is None else merge(found, part)
        assert found is not None, "a bar has a print"
        return found._replace(first_index=int(self.index[0]), last_index=int(self.index[-1]))


@dataclass(frozen=True, slots=True)
class _Packed:
    """Prints that are seldom wanted: a session of them would fill the memory of a service as they are."""

    count: int
    data: bytes

    @staticmethod
    def of(prints: Prints) -> "_Packed":
        ticks = prints.ticks
        columns: tuple[NDArray[np.generic], ...] = (
            np.diff(ticks.time_ns, prepend=0),
            np.diff(ticks.price, prepend=0),
            ticks.size,
            np.diff(prints.index, prepend=0),
        )
        raw = np.concatenate([column.astype(np.int64) for column in columns]).tobytes()
        return _Packed(len(ticks), zlib.compress(raw + ticks.aggressor.astype(np.int8).tobytes(), 1))

    def prints(self) -> Prints:
        raw = zlib.decompress(self.data)
        numbers = np.frombuffer(raw[: 32 * self.count], dtype=np.int64).reshape(4, self.count)
        sides = np.frombuffer(raw[32 * self.count :], dtype=np.int8)
        times, price, index = (numbers[row].cumsum() for row in (0, 1, 3))
        return Prints(TickColumns(times, price, numbers[2], sides), index)


@dataclass(frozen=True, slots=True)
class _Closed:
    """A closed bar without its rows, its prints, and what it adds to the running sums of the session."""

    bar: Bar
    prints: _Packed
    own: _Sums


@dataclass(slots=True)
class KeptSession:
    """The closed bars of one session, by ordinal. ticks_per_row: of their rows."""

    session: Session
    ticks_per_row: int
    _closed: list[_Closed] = field(default_factory=list)
    _total: _Sums = (0, 0, 0, 0)

    def close(self, bar: Bar, prints: Prints) -> Bar:
        """Keep a bar, whose place and times are those of `bar`, with these prints. It follows all that are kept."""
        whole = self._put(len(self._closed), bar, prints)
        return _summed(whole, self._total)

    def place(self, ordinal: int) -> int:
        """The place of an ordinal among the closed bars."""
        return bisect_left(self._closed, ordinal, key=lambda each: each.bar.key.ordinal)

    def place_at(self, time_ns: int) -> int:
        """The place of the first bar that ends at a time or later; their number where none does."""
        return bisect_left(self._closed, time_ns, key=lambda each: each.bar.end_ns)

    def __len__(self) -> int:
        return len(self._closed)

    def bar_at(self, place: int) -> Bar | None:
        """The bar at a place, without rows; None where there is none."""
        return self._closed[place].bar if 0 <= place < len(self._closed) else None

    @property
    def bars(self) -> list[Bar]:
        """The closed bars, without their rows."""
        return [each.bar for each in self._closed]

    @property
    def bytes(self) -> int:
        """The size of their prints as they are kept."""
        return sum(len(each.prints.data) for each in self._closed)

    def add(self, place: int, late: Prints) -> None:
        """Put late prints into the bar at a place."""
        found = self._closed.pop(place)
        self._total = _plus(self._total, found.own, -1)
        self._put(place, found.bar, found.prints.prints().with_late(late))

    def insert(self, place: int, bar: Bar, late: Prints) -> None:
        """Put a bar in that nobody had a print of in time."""
        self._put(place, bar, late)

    def mark(self, place: int) -> None:
        """Say that prints of the bar at a place may be missing."""
        found = self._closed[place]
        self._closed[place] = replace(found, bar=replace(found.bar, gap=True))

    def revised(self, first: int) -> list[Bar]:
        """The bars from a place on, whole, each with its next revision: the session's sums run through all of them."""
        sums = self._sums_before(first)
        found: list[Bar] = []
        for place in range(first, len(self._closed)):
            closed = self._closed[place]
            head = replace(closed.bar, revision=closed.bar.revision + 1)
            self._closed[place] = replace(closed, bar=head)
            whole = _filled(head, closed.prints.prints().part(self.ticks_per_row), self.ticks_per_row)
            sums = _plus(sums, closed.own)
            found.append(_summed(whole, sums))
        return found

    def _put(self, place: int, bar: Bar, prints: Prints) -> Bar:
        part = prints.part(self.ticks_per_row)
        whole = _filled(bar, part, self.ticks_per_row)
        own = part.delta, part.volume, part.price_volume, part.price2_volume
        self._closed.insert(place, _Closed(replace(whole, rows=NO_ROWS), _Packed.of(prints), own))
        self._total = _plus(self._total, own)
        return whole

    def _sums_before(self, place: int) -> _Sums:
        sums = (0, 0, 0, 0)
        for closed in self._closed[:place]:
            sums = _plus(sums, closed.own)
        return sums


def _plus(one: _Sums, other: _Sums, times: int = 1) -> _Sums:
    return (
        one[0] + times * other[0],
        one[1] + times * other[1],
        one[2] + times * other[2],
        one[3] + times * other[3],
    )


def _summed(bar: Bar, sums: _Sums) -> Bar:
    delta, volume, price, price2 = sums
    return replace(bar, cumulative_delta=delta, vwap_volume=volume, vwap_price_volume=price, vwap_price2_volume=price2)


def _filled(bar: Bar, part: BarPart, ticks_per_row: int) -> Bar:
    """The bar of these sums in the place of another one, and with its bounds."""
    area = value_area(part.rows, ticks_per_row)
    return replace(
        bar,
        start_ns=min(bar.start_ns, part.first_ns),
        open=part.open,
        high=part.high,
        low=part.low,
        close=part.close,
        volume=part.volume,
        prints=part.prints,
        delta=part.delta,
        min_delta=part.min_delta,
        max_delta=part.max_delta,
        poc=area.poc,
        value_area_low=area.low,
        value_area_high=area.high,
        first_index=part.first_index,
        last_index=part.last_index,
        rows=part.rows,
    )
