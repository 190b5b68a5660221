"""The digest of a tape, from what the database has of it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import asyncpg

from leadline.model.durations import NS_PER_SECOND
from leadline.model.errors import Unknown
from leadline.model.ids import RunId
from leadline.model.market.calendars import Calendar, calendar
from leadline.views.digest import KINDS, digest_lines, lines_from

_QUERIES: Final[dict[str, str]] = {
    "fill": """
        SELECT f.*, f.ts_ns AS at, i.leg, f.account, f.strategy, d.bar_key AS sort FROM fill f
        JOIN intent i USING (tape, account, client_id)
        LEFT JOIN decision d ON d.tape = i.tape AND d.decision_id = i.decision_id
        WHERE f.tape = $1""",
    "bar": """
        SELECT c.*, c.prints AS trades,
            c.known_at_ns AS at, '' AS account, '' AS strategy, c.bar_key AS sort, '' AS leg,
            (SELECT jsonb_agg(jsonb_build_array(price, bid, ask, unknown, bid_prints, ask_prints, unknown_prints)
                              ORDER BY price)
             FROM footprint p WHERE p.tape = c.tape AND p.contract = c.contract AND p.session = c.session
               AND p.spec = c.spec AND p.trading_day = c.trading_day AND p.ordinal = c.ordinal) AS rows
        FROM candle c WHERE c.tape = $1""",
    "signal": """
        SELECT s.*, s.known_at_ns AS at, s.bar_key AS sort, '' AS leg FROM signal s
        JOIN strategy_state t USING (tape, account, strategy, analysis_hash) WHERE s.tape = $1""",
    "decision": """
        SELECT d.*, d.instant_ns AS at, d.bar_key AS sort, '' AS leg FROM decision d WHERE d.tape = $1""",
    "order": """
        SELECT i.*, i.decided_at_ns AS at, d.bar_key, d.bar_key AS sort FROM intent i
        LEFT JOIN decision d USING (tape, decision_id) WHERE i.tape = $1""",
}

_OF_A_DAY: Final[dict[str, str]] = {
    "fill": "f.ts_ns >= $2 AND f.ts_ns < $3",
    "bar": "c.trading_day = $2",
    "signal": "s.trading_day = $2",
    "decision": "d.trading_day = $2",
    "order": "i.decided_at_ns >= $2 AND i.decided_at_ns < $3",
}
"""Rows of a trading day by its date, or by instants around it; of these the account's calendar says which belong to it.
"""


async def run_of(connection: Any, tape: RunId) -> Any:
    """The row of a tape's run. Raises Unknown, with the newest tapes, when there is none."""
    run = await connection.fetchrow("SELECT * FROM run WHERE tape = $1", tape)
    if run is None:
        known = await connection.fetch("SELECT tape FROM run ORDER BY opened_at DESC LIMIT 10")
        raise Unknown("tape", tape, tuple(row["tape"] for row in known))
    return run


async def digest(dsn: str, tape: RunId, day: date | None = None) -> str:
    """The digest of a tape, or of one trading day of it, in lower-case hexadecimal.

    Raises Unknown when there is no such tape, or nothing on that day.
    """
    connection = await asyncpg.connect(dsn)
    try:
        await run_of(connection, tape)
        return await digest_of(connection, tape, day)
    finally:
        await connection.close()


async def digest_of(connection: Any, tape: RunId, day: date | None = None) -> str:
    """As `digest`, on an open connection and of a tape that is there."""
    lines = await (lines_of(connection, tape) if day is None else lines_of_day(connection, tape, day))
    if day is not None and not lines:
        raise Unknown("trading day of the tape", day.isoformat())
    return digest_lines([line for line, _ in lines])


async def lines_of(connection: Any, tape: RunId) -> list[tuple[bytes, str]]:
    """The canonical lines of a tape in their order, each with its kind."""
    return lines_from({kind: await connection.fetch(_QUERIES[kind], tape) for kind in KINDS})


async def lines_of_day(connection: Any, tape: RunId, day: date) -> list[tuple[bytes, str]]:
    """The canonical lines of one trading day of a tape in their order, each with its kind."""
    bounds = day_bounds(day)
    named = await connection.fetch("SELECT account, calendar FROM account_state WHERE tape = $1", tape)
    days = {row["account"]: calendar(row["calendar"]) for row in named if row["calendar"]}
    rows: dict[str, list[Any]] = {}
    for kind in KINDS:
        query = f"{_QUERIES[kind]} AND {_OF_A_DAY[kind]}"
        if "$3" in query:
            found = await connection.fetch(query, tape, *bounds)
            rows[kind] = [row for row in found if _is_of(row, day, days)]
        else:
            rows[kind] = await connection.fetch(query, tape, day)
    return lines_from(rows)


def day_bounds(day: date) -> tuple[int, int]:
    """Times, ns UTC, between which a trading day of any calendar lies, holidays before it included."""
    noon_ns = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * NS_PER_SECOND
    reach_ns = int(timedelta(days=8).total_seconds()) * NS_PER_SECOND
    return noon_ns - reach_ns, noon_ns + reach_ns


def _is_of(row: Mapping[str, Any], day: date, days: Mapping[str, Calendar]) -> bool:
    """Whether something happened on a trading day, by the calendar of its account."""
    return row["account"] in days and days[row["account"]].trading_day(row["at"]) == day
