"""Bounds of the fields of all messages, and one way to refuse bytes that are no message.

Bytes from the bus may be anything: a decoder raises `RefusedMessage` for all that are no message of its kind, and
nothing else.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from leadline.model.counted import counted
from leadline.model.errors import RefusedMessage

# More than any source publishes in one message, and less than can hurt.
MOST_PRINTS: Final = 65_536
MOST_ROWS: Final = 65_536
# Prices, sizes, volumes and their sums over a message stay far inside of int64.
LARGEST_NUMBER: Final = 1 << 45
LONGEST_NUMBER: Final = 64
LONGEST_NAME: Final = 128

Value = TypeVar("Value")


def decoded(payload: bytes, read: Callable[[bytes], Value]) -> Value:
    """A payload as `read` decodes it. Raises RefusedMessage and nothing else."""
    try:
        return read(payload)
    except RefusedMessage:
        raise
    except DecodeError as error:
        raise RefusedMessage("unreadable", f"no message in {counted(len(payload), 'byte')}: {error}") from None
    except (ValueError, ArithmeticError, LookupError, TypeError) as error:
        raise RefusedMessage("malformed", f"{type(error).__name__}: {error}") from None


def require(holds: object, detail: str) -> None:
    """Raise RefusedMessage, with the detail, unless something holds."""
    if not holds:
        raise RefusedMessage("malformed", detail)


def require_names(*names: str) -> None:
    """Raise RefusedMessage unless each name is there and of bounded length."""
    for name in names:
        require(0 < len(name) <= LONGEST_NAME, f"a name of {len(name)} characters")


def require_within(column: NDArray[np.int64], least: int, name: str) -> None:
    """Raise RefusedMessage unless a column lies between `least` and the largest number of a message."""
    if len(column):
        low, high = int(column.min()), int(column.max())
        require(least <= low and high <= LARGEST_NUMBER, f"{name} from {low} to {high}")


def decimal_of(text: str) -> Decimal:
    """A decimal string as a number. Raises RefusedMessage for one that is too long."""
    require(len(text) <= LONGEST_NUMBER, f"a number of {len(text)} characters")
    return Decimal(text)


def int64_column(field: object) -> NDArray[np.int64]:
    """A repeated field as a column."""
    return np.asarray(field, dtype=np.int64)
