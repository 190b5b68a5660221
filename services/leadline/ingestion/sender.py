"""The numbers that a sender gives its prints: which of them are settled, wherever it cuts and repeats them."""

from collections.abc import Mapping
from datetime import date
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from leadline.model.ticks import Int64Array, SenderPosition


class SenderRows:
    """A sender's numbers of one contract.

    sender: how far an earlier process came. next_index: the number to go on from. overlapping: prints that were given
    again and dropped, a count. last: time and price in ticks of the last published print.
    """

    def __init__(self, sender: SenderPosition) -> None:
        self.next_index = sender.next_index
        self.overlapping = 0
        self.last = (sender.last_time_ns, sender.last_price)
        # Settled by an earlier process, and behind `next_index`.
        self._settled = sender.settled

    def fresh(self, row: Int64Array) -> NDArray[np.bool_]:
        """Which prints of these numbers were not taken before; shape (n,). The others are counted."""
        fresh = row >= self.next_index
        for begin, stop in self._settled:
            fresh &= (row < begin) | (row >= stop)
        self.overlapping += len(row) - int(fresh.sum())
        return fresh

    def go_on_from(self, index: int) -> None:
        """All before this number were given, now or earlier."""
        index = max(index, self.next_index)
        for begin, stop in self._settled:
            if begin <= index:
                index = max(index, stop)
        self._settled = tuple(each for each in self._settled if each[0] > index)
        self.next_index = index

    def position(
        self, open_row: Int64Array, kept_out: Mapping[tuple[date | None, str], int] | None = None
    ) -> SenderPosition:
        """How far the sender is. open_row: numbers of prints that were given and are not published yet."""
        edges = np.append(np.sort(open_row), self.next_index).tolist()
        between = [(begin + 1, stop) for begin, stop in pairwise(edges) if begin + 1 < stop]
        return SenderPosition(edges[0], (*between, *self._settled), *self.last, kept_out or {})
