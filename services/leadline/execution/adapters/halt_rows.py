"""Halts as rows, and back."""

from datetime import UTC, datetime, timedelta
from typing import Final

from leadline.execution.adapters.rows import Row, Values
from leadline.execution.core.halts import Clearing
from leadline.model.halts import Halt, HaltSource
from leadline.model.ids import AccountId

INSERT_HALT: Final = "INSERT INTO halt (account, number, source, reason, halted_by, at) VALUES ($1, $2, $3, $4, $5, $6)"
CLEAR_HALT: Final = """
    UPDATE halt SET cleared_by = $3, clear_reason = $4, cleared_at = $5
    WHERE account = $1 AND number = $2 AND cleared_at IS NULL
"""
SELECT_HALTS: Final = (
    "SELECT * FROM halt WHERE account = $1 AND (cleared_at IS NULL OR number = ANY($2)) ORDER BY number"
)
LAST_HALT: Final = "SELECT coalesce(max(number), 0) FROM halt WHERE account = $1"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def halt_row(account: AccountId, halt: Halt) -> Values:
    """A halt's row."""
    return (account, halt.number, halt.source.value, halt.reason, halt.by, _moment(halt.at_ns))


def clearing_row(account: AccountId, clearing: Clearing) -> Values:
    """The fields that the clearing of a halt changes in its row."""
    return (account, clearing.halt.number, clearing.by, clearing.reason, _moment(clearing.at_ns))


def halt_of(row: Row) -> Halt:
    """A row as its halt."""
    return Halt(row["number"], HaltSource(row["source"]), row["reason"], row["halted_by"], moment_ns(row["at"]))


def moment_ns(moment: datetime) -> int:
    """A moment of a row in ns UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _moment(at_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_ns // 1000)
