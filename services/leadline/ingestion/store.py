"""The tables that ingestion writes (run) and reads (demand, and how far the readers of the prints are)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog

from leadline.ingestion.runs import run_id
from leadline.runtime.database import DATABASE_LOST, Pool

RETRY_SECONDS: Final = 0.5

_log = structlog.get_logger(__name__)
_Answer = TypeVar("_Answer")

# A finished run is found again only by the launch that made it: any other start wants a new one.
_FIND: Final = """
    SELECT number, tape, finished_at IS NOT NULL AS finished FROM run
    WHERE code_version = $1 AND content = $2 AND (finished_at IS NULL OR ($3 <> '' AND launch = $3))
    ORDER BY number DESC LIMIT 1
"""
_RESUME: Final = "UPDATE run SET launch = $2 WHERE number = $1"
_NEXT: Final = "SELECT nextval(pg_get_serial_sequence('run', 'number'))"
_OPEN: Final = """
    INSERT INTO run (number, tape, code_version, content, launch, feed, details) OVERRIDING SYSTEM VALUE
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_FINISH: Final = "UPDATE run SET finished_at = now() WHERE tape = $1 AND finished_at IS NULL"
_OTHERS: Final = "SELECT tape FROM run WHERE tape <> $1 ORDER BY number"
_DEMAND: Final = "SELECT strategy, account, contract, venue, session, bars, ticks_per_row FROM demand"
_STORED: Final = "SELECT contract, last_index FROM tick_position WHERE tape = $1"
_INSTANTS: Final = "SELECT account, instant_ns FROM account_state WHERE tape = $1"


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A run's row. `resumed`: it was there before."""

    tape: str
    resumed: bool
    finished: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row of the demand: `bars` is the token of a bar specification, None for prints only."""

    strategy: str
    account: str
    contract: str
    venue: str
    session: str | None
    bars: str | None
    ticks_per_row: int | None


class Store:
    """Access to the tables. While the database is away, every call waits for it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def open_run(
        self, code_version: str, content: str, launch: str, feed: str, details: Mapping[str, Any]
    ) -> OpenedRun:
        """The unfinished run of this code and content, or the one that this launch has finished; else a new one."""
        return await self._patiently(lambda: self._open_run(code_version, content, launch, feed, details))

    async def finish_run(self, tape: str) -> None:
        """Write down that the whole tape is published."""
        await self._patiently(lambda: self._pool.execute(_FINISH, tape))

    async def other_tapes(self, tape: str) -> list[str]:
        """The tapes of all other runs, oldest first."""
        rows = await self._patiently(lambda: self._pool.fetch(_OTHERS, tape))
        return [row["tape"] for row in rows]

    async def demand(self) -> list[Wanted]:
        """What the strategies and accounts need."""
        rows = await self._patiently(lambda: self._pool.fetch(_DEMAND))
        return [Wanted(**row) for row in rows]

    async def stored(self, tape: str) -> dict[str, int]:
        """The source index of the last print that is stored, by contract."""
        rows = await self._patiently(lambda: self._pool.fetch(_STORED, tape))
        return {row["contract"]: row["last_index"] for row in rows}

    async def instants(self, tape: str) -> dict[str, int]:
        """The instant of each account on a tape, ns UTC."""
        rows = await self._patiently(lambda: self._pool.fetch(_INSTANTS, tape))
        return {row["account"]: row["instant_ns"] for row in rows}

    async def _open_run(
        self, code_version: str, content: str, launch: str, feed: str, details: Mapping[str, Any]
    ) -> OpenedRun:
        async with self._pool.acquire() as connection, connection.transaction():
            found = await connection.fetchrow(_FIND, code_version, content, launch)
            if found is not None:
                await connection.execute(_RESUME, found["number"], launch)
                return OpenedRun(found["tape"], resumed=True, finished=found["finished"])
            number = await connection.fetchval(_NEXT)
            tape = run_id(code_version, content, number)
            await connection.execute(_OPEN, number, tape, code_version, content, launch, feed, dict(details))
            return OpenedRun(tape, resumed=False, finished=False)

    async def _patiently(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        while True:
            try:
                return await ask()
            except DATABASE_LOST as error:
                _log.warning("database.waiting", reason=str(error) or type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)
