"""The prints of an open bar, kept in bounded memory."""

from dataclasses import replace
from typing import Final

import numpy as np

from leadline.aggregation.kernel import BarPart, fold, merge
from leadline.model.ticks import TickColumns

# Prints that wait in columns before they are folded. Folding costs the same for one print as for a thousand.
CAPACITY: Final = 4096


class PrintBuffer:
    """Collects consecutive prints and yields their sums; `take` gives the same for any way of adding.

    ticks_per_row: height of a footprint row, in ticks of the instrument.
    """

    def __init__(self, ticks_per_row: int) -> None:
        self._ticks_per_row = ticks_per_row
        self._columns = TickColumns(
            np.empty(CAPACITY, dtype=np.int64),
            np.empty(CAPACITY, dtype=np.int64),
            np.empty(CAPACITY, dtype=np.int64),
            np.empty(CAPACITY, dtype=np.int8),
        )
        self._waiting = 0
        self._first_index = 0
        self._folded: BarPart | None = None

    def __len__(self) -> int:
        """Prints held."""
        return self._waiting if self._folded is None else self._waiting + self._folded.prints

    def add(self, ticks: TickColumns) -> None:
        """Append prints that follow those held."""
        if self._waiting + len(ticks) > CAPACITY:
            self._fold_waiting()
        if len(ticks) > CAPACITY:
            self._fold(ticks)
            return
        if not self._waiting:
            self._first_index = ticks.first_index
        start, stop = self._waiting, self._waiting + len(ticks)
        self._columns.time_ns[start:stop] = ticks.time_ns
        self._columns.price[start:stop] = ticks.price
        self._columns.size[start:stop] = ticks.size
        self._columns.aggressor[start:stop] = ticks.aggressor
        self._waiting = stop

    def take(self) -> BarPart:
        """The sums over all prints held, at least one; empties the buffer."""
        self._fold_waiting()
        part, self._folded = self._folded, None
        if part is None:
            raise ValueError("no print was added")
        return part

    def _fold_waiting(self) -> None:
        if self._waiting:
            waiting = self._columns.slice(0, self._waiting)
            self._waiting = 0
            self._fold(replace(waiting, first_index=self._first_index))

    def _fold(self, ticks: TickColumns) -> None:
        part = fold(ticks, self._ticks_per_row)
        self._folded = part if self._folded is None else merge(self._folded, part)
