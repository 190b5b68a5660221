"""Columns of prints: the form in which market data travels inside Leadline.

A `TickColumns` holds many prints of one contract. There is no object for a single print: every
stage works on whole columns, so the cost of Python is paid per batch and not per print.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from leadline.model import durations
from leadline.model.frozen import quickly_made
from leadline.model.ids import ContractId, RunId

Int64Array = NDArray[np.int64]
Int8Array = NDArray[np.int8]

# Times of ticks are nanoseconds: who works with ticks finds the units here.
NS_PER_SECOND: Final = durations.NS_PER_SECOND
NS_PER_MINUTE: Final = durations.NS_PER_MINUTE


class Aggressor(IntEnum):
    """The side that crossed the spread. UNKNOWN stays unknown: it counts in volume and range, on no side."""

    SELL = -1
    UNKNOWN = 0
    BUY = 1


@quickly_made
@dataclass(frozen=True, slots=True)
class TickColumns:
    """Prints of one contract in tape order.

    `time_ns` int64 nanoseconds UTC, not decreasing; `price` int64 in ticks of the instrument; `size` int64 in
    size steps, > 0; `aggressor` int8 of `Aggressor`. All four have shape (n,). `first_index` is the source
    index of row 0; row i has index `first_index + i` (contiguous per tape and contract, from 0).
    """

    time_ns: Int64Array
    price: Int64Array
    size: Int64Array
    aggressor: Int8Array
    first_index: int = 0

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def last_index(self) -> int:
        """Source index of the last row; `first_index - 1` when there is none."""
        return self.first_index + len(self) - 1

    def slice(self, start: int, stop: int) -> "TickColumns":
        """Rows [start, stop) as views, with their own source indices."""
        start, stop, _ = slice(start, stop).indices(len(self))
        return TickColumns(
            self.time_ns[start:stop],
            self.price[start:stop],
            self.size[start:stop],
            self.aggressor[start:stop],
            self.first_index + start,
        )

    @staticmethod
    def of(rows: Iterable[tuple[int, int, int, int]], first_index: int = 0) -> "TickColumns":
        """From rows (time_ns, price ticks, size steps, aggressor): for tests and small inputs."""
        table = list(rows)
        columns = [np.array([row[i] for row in table], dtype=np.int64) for i in range(4)]
        return TickColumns(columns[0], columns[1], columns[2], columns[3].astype(np.int8), first_index)

    @staticmethod
    def empty(first_index: int = 0) -> "TickColumns":
        """No rows, at a position."""
        return TickColumns.of((), first_index)


def concat(parts: Iterable[TickColumns]) -> TickColumns:
    """Join parts that follow each other without a gap.

    Raises ValueError when one part does not begin where the part before it ended.
    """
    found = list(parts)
    if not found:
        return TickColumns.empty()
    for before, after in pairwise(found):
        if after.first_index != before.last_index + 1:
            raise ValueError(f"ticks {after.first_index} do not follow {before.last_index}")
    return TickColumns(
        np.concatenate([p.time_ns for p in found]),
        np.concatenate([p.price for p in found]),
        np.concatenate([p.size for p in found]),
        np.concatenate([p.aggressor for p in found]),
        found[0].first_index,
    )


@dataclass(frozen=True, slots=True)
class SenderPosition:
    """How far the prints that a client pushes for one contract are settled: published, or kept out and counted.

    next_index: the sender's index of its first print that is not settled. settled: ranges [from, until) of settled
    prints behind it, in order. last_time_ns and last_price, in ticks: of the last published print, -1 and 0 before the
    first. kept_out: settled prints that did not reach a bar, by trading day (None: they have none) and reason.
    """

    next_index: int = 0
    settled: tuple[tuple[int, int], ...] = ()
    last_time_ns: int = -1
    last_price: int = 0
    kept_out: Mapping[tuple[date | None, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TickBatch:
    """One message of the tick stream.

    `watermark_ns` promises that no print with a time below it follows on this contract; `final` closes that
    instant too and ends the tape. `ticks` may be empty: then the batch is only the promise. `sender`: of a pushed
    feed, how far its sender is with this message.

    On the tape `live` alone: `late` prints are older than a watermark that was given; they are stored and make
    revisions of closed bars, and nothing else. `gap_from_ns`: prints between this time and the batch's first print, or
    its watermark where it has none, may be missing for ever; 0 where none are.
    """

    tape: RunId
    venue: str
    contract: ContractId
    ticks: TickColumns
    watermark_ns: int
    final: bool = False
    sender: SenderPosition | None = None
    late: bool = False
    gap_from_ns: int = 0
