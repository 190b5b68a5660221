"""The halts that an account met on a tape, read from the book."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from leadline.execution.adapters.halt_rows import halt_of, moment_ns
from leadline.model.ids import AccountId, RunId
from leadline.model.market.calendars import Calendar
from leadline.views.halts import ReportedHalt

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


async def halts_of(connection: Any, tape: RunId, account: AccountId) -> tuple[ReportedHalt, ...]:
    """The halts of an account that a run met, by number."""
    return tuple(_reported(row) for row in await connection.fetch(_HALTS, tape, account))


async def met_on(
    connection: Any, tape: RunId, account: AccountId, halts: Sequence[ReportedHalt], day: date, market: Calendar
) -> tuple[ReportedHalt, ...]:
    """Of these halts those that were set on a trading day, or in force when it began. One without a day is older."""
    rows = await connection.fetch(
        "SELECT key, version, instant_ns FROM order_event WHERE tape = $1 AND account = $2 AND kind = 'halt'",
        tape,
        account,
    )
    days = {(row["key"], row["version"]): market.trading_day(row["instant_ns"]) for row in rows}

    def met(halt: ReportedHalt) -> bool:
        key = f"halt-{halt.number}"
        return days.get((key, 1), day) <= day <= days.get((key, 2), day)

    return tuple(filter(met, halts))


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
