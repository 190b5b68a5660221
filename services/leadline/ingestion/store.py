"""The tables that ingestion writes (run) and reads (demand, and how far the readers of the prints are)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeVar

import structlog

from leadline.ingestion.normaliser import QuarantinedPrint
from leadline.ingestion.runs import run_id
from leadline.ingestion.tally import Tally, number_text
from leadline.model.ids import AccountId, ContractId, RunId, StrategyId
from leadline.model.market.hours import SessionHours
from leadline.runtime.database import DATABASE_LOST, Pool
from leadline.runtime.retry import until_done

_log = structlog.get_logger(__name__)
_Answer = TypeVar("_Answer")

# The newest run goes on while its prints are not all published, or an account has not come to the end of them. One that
# is over is found again only by the launch that made it, and so is every run by a launch that wants one of its own.
_FIND: Final = """
    WITH newest AS (
        SELECT number, tape, launch, failure, finished_at IS NOT NULL AS finished FROM run
        WHERE code_version = $1 AND content = $2 ORDER BY number DESC LIMIT 1
    )
    SELECT number, tape, launch, finished FROM newest
    WHERE ($3 <> '' AND launch = $3) OR NOT $4 AND (NOT finished OR (
        coalesce(failure, '') = ''
        AND EXISTS (SELECT FROM account_behind WHERE account_behind.tape = newest.tape)
    ))
"""
_RESUME: Final = "UPDATE run SET launch = $2 WHERE number = $1"
_NEXT: Final = "SELECT nextval(pg_get_serial_sequence('run', 'number'))"
_OPEN: Final = """
    INSERT INTO run (number, tape, code_version, content, launch, feed, details) OVERRIDING SYSTEM VALUE
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_LIVE: Final = "SELECT details FROM run WHERE tape = $1"
_OPEN_LIVE: Final = """
    INSERT INTO run (tape, code_version, content, launch, feed, details) VALUES ($1, $2, '', '', $3, $4)
"""
_LAST_STORED: Final = """
    SELECT tick_position.last_index, last.last_ns AS ts_ns, last.price[cardinality(last.price)] AS price
    FROM tick_position LEFT JOIN LATERAL (
        SELECT last_ns, price FROM tick_block WHERE tick_block.source = tick_position.source
        ORDER BY last_ns DESC, first_index DESC LIMIT 1
    ) AS last ON true
    WHERE tape = $1 AND contract = $2
"""
_LIVE_NOW: Final = "UPDATE run SET details = $2, code_version = $3 WHERE tape = $1"
_FINISH: Final = """
    UPDATE run SET finished_at = now(), failure = $2, details = details || jsonb_build_object('prints', $3::jsonb)
    WHERE tape = $1 AND finished_at IS NULL
"""
_FAILURE: Final = "SELECT failure FROM run WHERE tape = $1"
# A restarted process reads a source again from its begin, or takes again what a client pushed and was not settled: what
# it has counted so far is no news until it is more. It has not always seen the first prints, which are the samples.
_COUNT: Final = """
    INSERT INTO kept_out (tape, contract, trading_day, reason, prints, samples) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (tape, contract, trading_day, reason) DO UPDATE
    SET prints = EXCLUDED.prints, samples = CASE
        WHEN jsonb_array_length(EXCLUDED.samples) <= jsonb_array_length(kept_out.samples) THEN kept_out.samples
        ELSE EXCLUDED.samples
    END
    WHERE kept_out.prints < EXCLUDED.prints
"""
_COUNTS: Final = "SELECT trading_day, reason, prints FROM kept_out WHERE tape = $1 AND contract = $2"
_OTHERS: Final = "SELECT tape FROM run WHERE tape <> $1 ORDER BY number"
_DEMAND: Final = "SELECT strategy, account, contract, venue, session, hours, bars, ticks_per_row FROM demand"
_STORED: Final = "SELECT contract, last_index FROM tick_position WHERE tape = $1"
_BEHIND: Final = "SELECT account FROM account_behind WHERE tape = $1 ORDER BY account"
_INSTANTS: Final = "SELECT account, instant_ns FROM account_state WHERE tape = $1"


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A run's row. `resumed`: it was there before. `own`: it is this launch's, and not one that goes on before it."""

    tape: RunId
    resumed: bool
    finished: bool
    own: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row of the demand: `bars` is the token of a bar specification, and `hours` are its session's.

    All four are None for prints only.
    """

    strategy: StrategyId
    account: AccountId
    contract: ContractId
    venue: str
    session: str | None
    hours: SessionHours | None
    bars: str | None
    ticks_per_row: int | None


class Store:
    """Access to the tables. While the database is away, every call waits for it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def open_run(
        self,
        code_version: str,
        content: str,
        launch: str,
        feed: str,
        details: Mapping[str, Any],
        *,
        adopt: bool,
        new: bool = False,
    ) -> OpenedRun:
        """The newest run of this code and content, if it is not over or this launch's; else a new one.

        A run is over when all its prints are published and no account is behind their end, or when it has failed.
        adopt: an unfinished run of another launch becomes this one's. new: no run of another launch is found.
        """
        return await self._with_retries(
            lambda: self._open_run(code_version, content, launch, feed, details, adopt, new)
        )

    async def live_tape(self, tape: RunId) -> dict[str, Any] | None:
        """The details that are kept of the tape `live`; None before its first opening."""
        found: dict[str, Any] | None = await self._with_retries(lambda: self._pool.fetchval(_LIVE, tape))
        return found

    async def open_live_tape(self, tape: RunId, code_version: str, feed: str, details: Mapping[str, Any]) -> None:
        """Keep that the tape `live` was opened."""
        await self._with_retries(lambda: self._pool.execute(_OPEN_LIVE, tape, code_version, feed, dict(details)))

    async def keep_live_tape(self, tape: RunId, code_version: str, details: Mapping[str, Any]) -> None:
        """Keep what the tape `live` has by now."""
        await self._with_retries(lambda: self._pool.execute(_LIVE_NOW, tape, dict(details), code_version))

    async def last_stored(self, tape: RunId, contract: ContractId) -> tuple[int, int, int] | None:
        """The last print of a contract that was stored: source index, time (ns UTC) and price (ticks); None for none.

        The time is -1 where the print itself is not kept any more.
        """
        row = await self._with_retries(lambda: self._pool.fetchrow(_LAST_STORED, tape, contract))
        if row is None:
            return None
        kept = row["ts_ns"] is not None
        return row["last_index"], row["ts_ns"] if kept else -1, row["price"] if kept else 0

    async def finish_run(self, tape: RunId, failure: str, prints: Mapping[ContractId, int]) -> None:
        """Write down that the whole tape is published, how many prints each contract has on it, and why the run failed.

        failure: empty when it did not.
        """
        await self._with_retries(lambda: self._pool.execute(_FINISH, tape, failure, dict(prints)))

    async def failure(self, tape: RunId) -> str:
        """Why a finished run failed; empty when it did not."""
        found: str | None = await self._with_retries(lambda: self._pool.fetchval(_FAILURE, tape))
        return found or ""

    async def write_counts(self, tape: RunId, tallies: Mapping[ContractId, Tally]) -> None:
        """Store how many prints of each contract did not reach a bar."""
        rows = [
            (
                tape,
                contract,
                day,
                reason,
                prints,
                [_sample(each) for each in tally.samples() if _is_of(each, day, reason)],
            )
            for contract, tally in tallies.items()
            for (day, reason), prints in tally.counts().items()
        ]
        if rows:
            await self._with_retries(lambda: self._pool.executemany(_COUNT, rows))

    async def counts(self, tape: RunId, contract: ContractId) -> dict[tuple[date | None, str], int]:
        """The counts of a contract that `write_counts` stored."""
        rows = await self._with_retries(lambda: self._pool.fetch(_COUNTS, tape, contract))
        return {(row["trading_day"], row["reason"]): row["prints"] for row in rows}

    async def behind(self, tape: RunId) -> list[AccountId]:
        """The accounts that have not come to the end of a tape, and trade or hold something on it."""
        rows = await self._with_retries(lambda: self._pool.fetch(_BEHIND, tape))
        return [row["account"] for row in rows]

    async def other_tapes(self, tape: RunId) -> list[RunId]:
        """The tapes of all other runs, oldest first."""
        rows = await self._with_retries(lambda: self._pool.fetch(_OTHERS, tape))
        return [row["tape"] for row in rows]

    async def demand(self) -> list[Wanted]:
        """The demand of strategies and accounts."""
        rows = await self._with_retries(lambda: self._pool.fetch(_DEMAND))
        return [Wanted(**{**row, "hours": _hours(row["session"], row["hours"])}) for row in rows]

    async def stored(self, tape: RunId) -> dict[str, int]:
        """The source index of the last print that is stored, by contract."""
        rows = await self._with_retries(lambda: self._pool.fetch(_STORED, tape))
        return {row["contract"]: row["last_index"] for row in rows}

    async def instants(self, tape: RunId) -> dict[AccountId, int]:
        """The instant of each account on a tape, ns UTC."""
        rows = await self._with_retries(lambda: self._pool.fetch(_INSTANTS, tape))
        return {row["account"]: row["instant_ns"] for row in rows}

    async def _open_run(
        self,
        code_version: str,
        content: str,
        launch: str,
        feed: str,
        details: Mapping[str, Any],
        adopt: bool,
        new: bool,
    ) -> OpenedRun:
        async with self._pool.acquire() as connection, connection.transaction():
            found = await connection.fetchrow(_FIND, code_version, content, launch, new)
            if found is not None:
                if adopt:
                    await connection.execute(_RESUME, found["number"], launch)
                own = adopt or found["launch"] == launch
                return OpenedRun(found["tape"], resumed=True, finished=found["finished"], own=own)
            number = await connection.fetchval(_NEXT)
            tape = run_id(code_version, content, number)
            await connection.execute(_OPEN, number, tape, code_version, content, launch, feed, dict(details))
            return OpenedRun(tape, resumed=False, finished=False)

    async def _with_retries(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        return await until_done(ask, "database", DATABASE_LOST)


def _hours(session: str | None, hours: Mapping[str, str] | None) -> SessionHours | None:
    return None if hours is None else SessionHours(hours["open"], hours["close"], hours["zone"], id=session or "")


def _is_of(sample: QuarantinedPrint, day: date | None, reason: str) -> bool:
    return (sample.trading_day, sample.reason.value) == (day, reason)


def _sample(sample: QuarantinedPrint) -> dict[str, Any]:
    return {
        "source": sample.source,
        "row": sample.row,
        "ts_ns": sample.time_ns,
        "price": number_text(sample.price),
        "size": number_text(sample.size),
        "side": sample.side,
    }
