"""Prints as a source hands them over: columns, before anything is checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.ticks import Int64Array

# Prices and sizes are read into integers of a billionth: exact for every decimal with at most nine places.
NANO_PLACES: Final = 9
NANO: Final = 10**NANO_PLACES

# Stands where a number did not fit; its negative stands for one that did not fit below zero.
TOO_LARGE: Final = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True)
class RawColumns:
    """Prints of one contract in the order of their source, unchecked.

    `time_ns` int64 nanoseconds UTC; `price` and `size` int64 billionths of one point and of one unit (1313.7 is
    1_313_700_000_000), or `TOO_LARGE`; `side` int64, where 1 buy, -1 sell and 0 unknown are meant. All four have
    shape (n,), as has `row`, int64: where the print stands in its source, for a file the number of its line. `source`
    is what the source is called.
    """

    contract: ContractId
    time_ns: Int64Array
    price: Int64Array
    size: Int64Array
    side: Int64Array
    row: Int64Array
    source: str = ""

    def __len__(self) -> int:
        return len(self.time_ns)

    def only(self, rows: slice | NDArray[np.bool_] | Int64Array) -> "RawColumns":
        """Some of the rows: a part, those of a mask, or those at places in their order."""
        return RawColumns(
            self.contract,
            self.time_ns[rows],
            self.price[rows],
            self.size[rows],
            self.side[rows],
            self.row[rows],
            self.source,
        )


def joined(parts: Sequence[RawColumns]) -> RawColumns:
    """Prints of one contract that follow each other; at least one part, whose source is theirs."""
    return RawColumns(
        parts[0].contract,
        np.concatenate([part.time_ns for part in parts]),
        np.concatenate([part.price for part in parts]),
        np.concatenate([part.size for part in parts]),
        np.concatenate([part.side for part in parts]),
        np.concatenate([part.row for part in parts]),
        parts[0].source,
    )


def nano(value: Decimal, field: str) -> int:
    """A decimal as an integer of billionths. Raises InvalidInput when it has more than nine decimals."""
    scaled = value * NANO
    if scaled != scaled.to_integral_value():
        raise InvalidInput(field, str(value), f"a decimal with at most {NANO_PLACES} places")
    return int(scaled)


def to_nano(values: Int64Array, step: int) -> Int64Array:
    """Counts of a step (ticks, size steps) as billionths, shape (n,); `TOO_LARGE` where they do not fit."""
    limit = TOO_LARGE // step
    product = np.clip(values, -limit, limit) * step
    product[values > limit] = TOO_LARGE
    product[values < -limit] = -TOO_LARGE
    return product
