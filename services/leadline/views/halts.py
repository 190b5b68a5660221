"""The halts of a run: why nothing was entered for a while, since when, and who let it go on."""

from dataclasses import dataclass
from typing import Any, Final

from leadline.execution.adapters.halt_rows import halt_of, moment_ns

# Those that were set in this run, and those of an earlier one that were in force when it began.
_HALTS: Final = """
    SELECT h.* FROM halt h JOIN run r ON r.tape = $1 WHERE h.account = $2 AND (
        EXISTS (
            SELECT FROM order_event e
            WHERE e.tape = $1 AND e.account = $2 AND e.kind = 'halt' AND e.key = 'halt-' || h.number AND e.version = 1
        )
        OR (h.at < r.opened_at AND (h.cleared_at IS NULL OR h.cleared_at > r.opened_at))
    ) ORDER BY h.number
"""


@dataclass(frozen=True, slots=True)
class ReportedHalt:
    """One halt. `by` set it, `cleared_by` let entries go on; the three of the clearing are None while it is in force.

    Times are those of the wall, ns UTC, in a replay too: a person acts in his own time, not in the tape's.
    """

    number: int
    source: str
    reason: str
    by: str
    at_ns: int
    cleared_by: str | None = None
    cleared_at_ns: int | None = None
    clear_reason: str | None = None


async def halts_of(connection: Any, tape: str, account: str) -> tuple[ReportedHalt, ...]:
    """The halts of an account that a run met, by number."""
    return tuple(_reported(row) for row in await connection.fetch(_HALTS, tape, account))


def _reported(row: Any) -> ReportedHalt:
    halt = halt_of(row)
    cleared = row["cleared_at"]
    return ReportedHalt(
        number=halt.number,
        source=halt.source.value,
        reason=halt.reason,
        by=halt.by,
        at_ns=halt.at_ns,
        cleared_by=row["cleared_by"],
        cleared_at_ns=None if cleared is None else moment_ns(cleared),
        clear_reason=row["clear_reason"],
    )
