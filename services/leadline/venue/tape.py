"""Prints on their way from the bus to the market: one bounded buffer per contract."""

from dataclasses import replace
from typing import Final

import numpy as np

from leadline.model.errors import LeadlineError
from leadline.model.ticks import TickBatch, TickColumns

_FIRST_CAPACITY: Final = 4_096


class TapeGap(LeadlineError):
    """Prints are missing between two batches: read the tape again."""


class TapeBuffer:
    """Prints of one contract that have arrived and are not matched yet, and how far the tape is complete.

    Prints that are known already are dropped as they arrive, so a tape may be read from its beginning at any time.
    `after_index` is the source index of the last print that was matched; None when none was.
    """

    def __init__(self, after_index: int | None = None) -> None:
        self._next = None if after_index is None else after_index + 1
        self._store = _allocate(_FIRST_CAPACITY)
        self._begin = 0
        self._end = 0
        self._watermark_ns: int | None = None
        self._final = False

    def __len__(self) -> int:
        return self._end - self._begin

    @property
    def final(self) -> bool:
        """The tape has ended."""
        return self._final

    @property
    def watermark_ns(self) -> int | None:
        """No print before it will come; None until the tape has said so."""
        return self._watermark_ns

    @property
    def complete_ns(self) -> int | None:
        """The last instant of which every print has arrived; None when there is none yet."""
        if self._watermark_ns is None:
            return None
        return self._watermark_ns if self._final else self._watermark_ns - 1

    def add(self, batch: TickBatch) -> int:
        """Take a batch; how many prints of it were new. TapeGap when prints before it never came."""
        ticks = batch.ticks
        if self._next is not None:
            if ticks.first_index > self._next:
                raise TapeGap(f"{batch.contract}: print {ticks.first_index} came, {self._next} was expected")
            ticks = ticks.slice(min(max(0, self._next - ticks.first_index), len(ticks)), len(ticks))
        if len(ticks):
            self._append(ticks)
            self._next = ticks.last_index + 1
        if self._watermark_ns is None or batch.watermark_ns > self._watermark_ns:
            self._watermark_ns = batch.watermark_ns
        self._final = self._final or batch.final
        return len(ticks)

    def _append(self, ticks: TickColumns) -> None:
        if self._end + len(ticks) > len(self._store):
            # A new store, because somebody may still look at the rows of the old one.
            waiting = self._store.slice(self._begin, self._end)
            self._store = _allocate(max(len(self._store), 2 * (len(waiting) + len(ticks))))
            _copy(waiting, self._store, 0)
            self._begin, self._end = 0, len(waiting)
        _copy(ticks, self._store, self._end)
        self._end += len(ticks)

    def ticks(self) -> TickColumns:
        """The prints that have arrived and were not dropped, as views that stay as they are."""
        rows = self._store.slice(self._begin, self._end)
        return replace(rows, first_index=(self._next or 0) - len(self))

    def drop_until(self, source_index: int) -> None:
        """Forget the prints up to that one, inclusive: they are matched."""
        first = (self._next or 0) - len(self)
        self._begin += min(max(0, source_index + 1 - first), len(self))


def _allocate(rows: int) -> TickColumns:
    time_ns, price, size = (np.empty(rows, dtype=np.int64) for _ in range(3))
    return TickColumns(time_ns, price, size, np.empty(rows, dtype=np.int8))


def _copy(ticks: TickColumns, store: TickColumns, at: int) -> None:
    place = slice(at, at + len(ticks))
    store.time_ns[place] = ticks.time_ns
    store.price[place] = ticks.price
    store.size[place] = ticks.size
    store.aggressor[place] = ticks.aggressor


def complete_until(tapes: list[TapeBuffer]) -> tuple[int | None, bool]:
    """The last instant that is complete on all tapes (None when one has not begun), and whether all have ended.

    An ended tape holds nobody up; when all have ended, it is the latest end.
    """
    if any(tape.complete_ns is None for tape in tapes):
        return None, False
    ends = [tape.complete_ns for tape in tapes if tape.complete_ns is not None]
    if all(tape.final for tape in tapes):
        return max(ends), True
    return min(end for tape, end in zip(tapes, ends, strict=True) if not tape.final), False
