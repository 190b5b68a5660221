"""Prints of days in memory that processes share: one has read a day, and another matches orders against it."""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.context import ForkServerContext
from typing import Any, Final

import numpy as np

from leadline.backtest.work import ContractDay
from leadline.model.ids import ContractId
from leadline.model.ticks import Int8Array, Int64Array, TickColumns

_WIDE: Final = 8
"""Bytes of a number of a column; of the aggressors, one byte each, as many are taken as come to whole ones."""


class SharedDays:
    """Room for the prints of so many days, each in the place of one that nobody wants any more.

    days: the tapes of those that may be put in. It is handed over to a process when that starts.
    """

    def __init__(self, context: ForkServerContext, days: Sequence[Sequence[ContractDay]], places: int) -> None:
        self._places = places
        self._bytes = max((sum(map(_size, tapes)) for tapes in days), default=0)
        self._memory: Any = context.RawArray(ctypes.c_byte, self._bytes * places)

    def put(self, number: int, tapes: Sequence[ContractDay], ticks: Mapping[ContractId, TickColumns]) -> None:
        """Write the prints of a day, in the place of the day that was written so many days before it."""
        for contract, into in self.of(number, tapes).items():
            given = ticks[contract]
            into.time_ns[:], into.price[:] = given.time_ns, given.price
            into.size[:], into.aggressor[:] = given.size, given.aggressor

    def of(self, number: int, tapes: Sequence[ContractDay]) -> dict[ContractId, TickColumns]:
        """The prints of a day that was written, as they stand there."""
        return dict(self._columns(number % self._places * self._bytes, tapes))

    def _columns(self, start: int, tapes: Sequence[ContractDay]) -> Iterator[tuple[ContractId, TickColumns]]:
        for part in tapes:
            wide: Int64Array = np.frombuffer(self._memory, np.int64, 3 * part.prints, start).reshape(3, -1)
            narrow: Int8Array = np.frombuffer(self._memory, np.int8, part.prints, start + wide.nbytes)
            yield part.contract, TickColumns(wide[0], wide[1], wide[2], narrow, part.first_index)
            start += _size(part)


def _size(part: ContractDay) -> int:
    return 3 * part.prints * _WIDE + -(-part.prints // _WIDE) * _WIDE
