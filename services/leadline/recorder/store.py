"""The tables of market data in PostgreSQL. Everything can be written again without being there twice."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Final, TypeVar

import asyncpg

from leadline.model.bars import Bar, BarMessage
from leadline.model.errors import RefusedMessage
from leadline.model.ids import ContractId, RunId
from leadline.model.signals import SignalMessage
from leadline.model.ticks import TickBatch
from leadline.recorder.partition_store import Partitions
from leadline.recorder.rows import (
    BAR_KEY_COLUMNS,
    CANDLE_COLUMNS,
    FOOTPRINT_COLUMNS,
    SIGNAL_COLUMNS,
    TICK_BLOCK_COLUMNS,
    UNFINISHED_COLUMNS,
    Row,
    Unseen,
    bar_key_row,
    candle_row,
    footprint_table,
    signal_row,
    tick_block_rows,
    tick_dates,
    unfinished_row,
    unseen,
)
from leadline.runtime.bus.bus import Received
from leadline.runtime.bus.dead_letters import INSERT_DEAD_LETTER, dead_letter_row
from leadline.runtime.database import Pool, copy_binary, copy_rows

UNSTORABLE: Final = "unstorable"
"""Why a message is a dead letter that can be read, and that the database refuses."""

_OPEN_POSITION: Final = """
    INSERT INTO tick_position (tape, contract, venue, last_index) VALUES ($1, $2, $3, -1)
    RETURNING source, last_index
"""
_LOCK_POSITION: Final = """
    SELECT source, last_index FROM tick_position WHERE tape = $1 AND contract = $2 FOR UPDATE
"""
_MOVE_POSITION: Final = "UPDATE tick_position SET last_index = $2 WHERE source = $1"
_SKIP_TICKS: Final = """
    WITH moved AS (
        UPDATE tick_position SET last_index = $4 - 1 WHERE tape = $1 AND contract = $2 AND last_index = $3 - 1
        RETURNING tape, contract
    )
    INSERT INTO tick_gap (tape, contract, first_index, last_index) SELECT tape, contract, $3, $4 - 1 FROM moved
"""


def _values(columns: Sequence[str]) -> str:
    names = ", ".join(columns)
    return f"({names}) VALUES ({', '.join(f'${number}' for number in range(1, len(columns) + 1))})"


_UPSERT_CANDLE: Final = f"""
    INSERT INTO candle {_values(CANDLE_COLUMNS)}
    ON CONFLICT ({", ".join(BAR_KEY_COLUMNS)}) DO UPDATE SET
        {", ".join(f"{name} = EXCLUDED.{name}" for name in CANDLE_COLUMNS if name not in BAR_KEY_COLUMNS)}
    WHERE candle.revision < EXCLUDED.revision
    RETURNING {", ".join(BAR_KEY_COLUMNS)}
"""
_INSERT_UNFINISHED: Final = f"""
    INSERT INTO unfinished_bar {_values(UNFINISHED_COLUMNS)} ON CONFLICT (tape, contract, session, spec) DO NOTHING
"""
_DELETE_FOOTPRINT: Final = f"""
    DELETE FROM footprint WHERE ({", ".join(BAR_KEY_COLUMNS)}) = ($1, $2, $3, $4, $5, $6)
"""  # noqa: S608  # made of our own column names
_INSERT_SIGNAL: Final = f"""
    INSERT INTO signal {_values(SIGNAL_COLUMNS)}
    ON CONFLICT (tape, account, strategy, bar_key, analysis_hash, trading_day) DO NOTHING
"""

Result = TypeVar("Result")


class Store:
    """Writes what the bus carries. Each call is one transaction; it raises what asyncpg raises, and then wrote nothing.

    pool: connections of a role that may write these tables, with a codec for JSON. partitions: where the rows go; by
    default those of the wall clock's today.
    """

    def __init__(self, pool: Pool, partitions: Partitions | None = None) -> None:
        self._pool = pool
        self._partitions = partitions or Partitions(pool)

    async def write_ticks(self, batches: Sequence[TickBatch]) -> Unseen:
        """Store prints of one tape and contract that are not stored yet, up to a hole, together with the position."""
        return await self._write({"tick_block": tick_dates(batches)}, lambda: self._write_ticks(batches))

    async def _write_ticks(self, batches: Sequence[TickBatch]) -> Unseen:
        tape, contract, venue = batches[0].tape, batches[0].contract, batches[0].venue
        async with self._pool.acquire() as connection, connection.transaction():
            position = await connection.fetchrow(_LOCK_POSITION, tape, contract)
            if position is None:
                position = await connection.fetchrow(_OPEN_POSITION, tape, contract, venue)
            assert position is not None
            source, last_index = position
            found = unseen(batches, last_index)
            if found.parts:
                await copy_binary(connection, "tick_block", TICK_BLOCK_COLUMNS, tick_block_rows(source, found.parts))
                await connection.execute(_MOVE_POSITION, source, found.last_index)
        return found

    async def skip_ticks(self, tape: RunId, contract: ContractId, first_index: int, next_index: int) -> None:
        """Give the prints [first_index, next_index) up: they cannot be had. The gap is stored for all to see."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SKIP_TICKS, tape, contract, first_index, next_index)

    async def write_bars(self, messages: Sequence[BarMessage]) -> int:
        """Store candles with their footprints; returns how many were new. A later revision replaces an earlier one.

        With the end of a tape also what of it is in no bar.
        """
        bars = [(message, message.bar) for message in messages if message.bar is not None]
        tails = [unfinished_row(each, each.unfinished) for each in messages if each.unfinished is not None]
        if not bars and not tails:
            return 0
        bars.sort(key=lambda pair: pair[1].revision)
        days = {bar.key.trading_day for _, bar in bars}
        return await self._write({"candle": days, "footprint": days}, lambda: self._write_bars(bars, tails))

    async def _write_bars(self, bars: Sequence[tuple[BarMessage, Bar]], tails: Sequence[Row]) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            if tails:
                await connection.executemany(_INSERT_UNFINISHED, tails)
            if not bars:
                return 0
            written = await connection.fetchmany(_UPSERT_CANDLE, [candle_row(*bar) for bar in bars])
            fresh = {tuple(row) for row in written}
            stored = {bar_key_row(message.tape, bar): (message, bar) for message, bar in bars}
            stored = {key: value for key, value in stored.items() if key in fresh}
            replaced = [key for key, (_, bar) in stored.items() if bar.revision]
            if replaced:
                await connection.executemany(_DELETE_FOOTPRINT, replaced)
            rows = [row for message, bar in stored.values() for row in footprint_table(message, bar)]
            await copy_rows(connection, "footprint", FOOTPRINT_COLUMNS, rows)
        return len(stored)

    async def write_signals(self, messages: Sequence[SignalMessage]) -> int:
        """Store what strategies said at closed bars; returns how many messages had a bar."""
        rows = [signal_row(message, message.bar) for message in messages if message.bar is not None]
        if rows:
            days = {message.bar.bar.trading_day for message in messages if message.bar is not None}
            await self._write({"signal": days}, lambda: self._insert_signals(rows))
        return len(rows)

    async def _insert_signals(self, rows: Sequence[Row]) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.executemany(_INSERT_SIGNAL, rows)

    async def _write(self, dates: Mapping[str, Collection[date]], work: Callable[[], Awaitable[Result]]) -> Result:
        """Do `work`, whose rows are of these dates, by table."""
        await self._partitions.use(dates)
        try:
            return await work()
        except asyncpg.CheckViolationError as error:
            # That a row has no partition breaks no constraint with a name. The database was put back to an earlier day.
            if error.constraint_name is not None:
                raise
            self._partitions.forget()
            await self._partitions.use(dates)
            return await work()

    async def dead_letter(self, stream: str, message: Received, error: Exception) -> None:
        """Keep a message that cannot be stored, with the reason."""
        refused = error if isinstance(error, RefusedMessage) else RefusedMessage(UNSTORABLE, str(error))
        async with self._pool.acquire() as connection:
            await connection.execute(INSERT_DEAD_LETTER, *dead_letter_row("recorder", stream, message, refused))
