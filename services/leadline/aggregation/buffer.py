"""The prints of an open bar, kept in bounded memory."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import numpy as np

from leadline.aggregation.kernel import BarPart, fold, merge
from leadline.model.ticks import TickColumns

CAPACITY: Final = 1 << 14
"""Prints that wait in columns before they are folded, and that are folded at once: the processor's cache holds them."""

# Batches of prints that wait before they are joined: a small batch costs as much memory as a hundred prints.
_BATCHES: Final = 256


class PrintBuffer:
    """Collects consecutive prints and yields their sums, which are the same for any way of adding.

    ticks_per_row: height of a footprint row, in ticks of the instrument.

    The columns that it is given are not to be changed any more.
    """

    def __init__(self, ticks_per_row: int) -> None:
        self._ticks_per_row = ticks_per_row
        # What waits: batches in the order in which they came, most of them joined already.
        self._batches: list[TickColumns] = []
        self._joined = 0
        self._waiting = 0
        self._folded: BarPart | None = None

    def __len__(self) -> int:
        """Prints held."""
        return self._waiting if self._folded is None else self._waiting + self._folded.prints

    @property
    def batches(self) -> int:
        """Pieces of columns that wait."""
        return len(self._batches)

    def add(self, ticks: TickColumns) -> None:
        """Append prints, at least one, that follow those held."""
        self._batches.append(ticks)
        self._waiting += len(ticks)
        if self._waiting >= CAPACITY:
            self._fold_waiting()
        elif len(self._batches) - self._joined >= _BATCHES:
            self._batches[self._joined :] = [_join(self._batches[self._joined :])]
            self._joined += 1

    def cut(self, ticks: TickColumns, stops: Sequence[int]) -> list[BarPart]:
        """Append prints that follow those held; the sums of the runs that end before the rows `stops`, rising from 1.

        The first run begins with the prints that were held; the prints after the last run are held now.
        """
        parts: list[BarPart] = []
        taken = start = 0
        while taken < len(stops):
            # As many runs as are folded at once; a longer one is folded piece by piece.
            many = bisect_right(stops, start + CAPACITY - self._waiting, lo=taken)
            if many == taken:
                self.add(ticks.slice(start, stops[taken]))
                start = stops[taken]
                parts.append(self.take())
                taken += 1
                continue
            held, folded = self._waiting, self._folded
            runs = self._take_waiting(ticks.slice(start, stops[many - 1]))
            found = fold(runs, [stop - start + held for stop in stops[taken:many]], self._ticks_per_row)
            if folded is not None:
                found[0], self._folded = merge(folded, found[0]), None
            parts += found
            taken, start = many, stops[many - 1]
        if start < len(ticks):
            self.add(ticks.slice(start, len(ticks)))
        return parts

    def take(self) -> BarPart:
        """The sums over all prints held, at least one; empties the buffer."""
        if self._waiting:
            self._fold_waiting()
        part, self._folded = self._folded, None
        if part is None:
            raise ValueError("no print was added")
        return part

    def _take_waiting(self, then: TickColumns | None = None) -> TickColumns:
        """The prints that wait, at least one, and those that come `then`."""
        batches = self._batches if then is None else [*self._batches, then]
        self._batches, self._joined, self._waiting = [], 0, 0
        return _join(batches)

    def _fold_waiting(self) -> None:
        ticks = self._take_waiting()
        for start in range(0, len(ticks), CAPACITY):
            piece = ticks.slice(start, start + CAPACITY)
            (part,) = fold(piece, [len(piece)], self._ticks_per_row)
            self._folded = part if self._folded is None else merge(self._folded, part)


def _join(batches: Sequence[TickColumns]) -> TickColumns:
    """The prints of batches of which each follows the one before."""
    if len(batches) == 1:
        return batches[0]
    return TickColumns(
        np.concatenate([ticks.time_ns for ticks in batches]),
        np.concatenate([ticks.price for ticks in batches]),
        np.concatenate([ticks.size for ticks in batches]),
        np.concatenate([ticks.aggressor for ticks in batches]),
        batches[0].first_index,
    )
