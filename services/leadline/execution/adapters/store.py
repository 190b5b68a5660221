"""The book in PostgreSQL. Every change of it is one transaction, written under the account's epoch.

The epoch is a number that only grows: whoever takes the account over raises it, and every transaction of an earlier
holder then fails. It enters no id and no result.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import date
from typing import Any, Final, TypeAlias

import asyncpg

from leadline.execution.adapters import halt_rows, metrics, order_rows, rows
from leadline.execution.adapters.book_statement import HELD, book_statement
from leadline.execution.core.account import looked_back_on_ns
from leadline.execution.core.book import KEPT_NS, Book, Changes, StrategyBook
from leadline.execution.core.booking import Stored
from leadline.execution.core.halts import StoredHalts
from leadline.execution.core.orders import UNRESOLVED
from leadline.execution.loop.ports import (
    LEASE_SECONDS,
    NOT_AS_LEFT,
    Fenced,
    LimitRefused,
    NotTaken,
    Refused,
    Unavailable,
)
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, FillId, RunId
from leadline.model.manifest.specs import TradingAccount
from leadline.model.orders import OrderState
from leadline.model.proposals import Action
from leadline.model.ticks import NS_PER_SECOND
from leadline.runtime.bus.dead_letters import INSERT_DEAD_LETTER, dead_letter_row
from leadline.runtime.clock import monotonic_s, wall_ns
from leadline.runtime.database import DATABASE_LOST, Pool, answering

FRESH_SECONDS: Final = 1.0
"""An answer within this time of its question is taken for the present state of the lease."""

SEND_BOUND_NS: Final = 3 * NS_PER_SECOND
"""A live order may leave for this long after its decision."""

# A holder that stands still in the middle of a transaction holds the lease's row: its sessions, which are named like
# it, end after as long as a lease lasts. A role may end sessions of its own.
_CUT: Final = """
    SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a JOIN lease l ON l.account = $1
    WHERE a.datname = current_database() AND a.usename = current_user AND a.application_name = left(l.holder, 63)
    AND a.xact_start < clock_timestamp() - make_interval(secs => $2)
"""
_LOCK_PATIENCE: Final = "1s"
_ACCOUNT: Final = "SELECT *, xmin::text AS writer FROM account_state WHERE tape = $1 AND account = $2"
_ACCOUNT_LOCKED: Final = f"{_ACCOUNT} FOR UPDATE"
_RENEW: Final = """
    UPDATE lease SET expires_at = clock_timestamp() + make_interval(secs => $3) WHERE account = $1 AND epoch = $2
    RETURNING (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint AS now_ns,
    (SELECT xmin::text FROM account_state WHERE tape = $4 AND account = $1) AS writer
"""
_STRATEGIES: Final = "SELECT * FROM strategy_state WHERE tape = $1 AND account = $2 ORDER BY strategy"
_STRATEGIES_LOCKED: Final = "SELECT * FROM strategy_state WHERE tape = $1 AND account = $2 ORDER BY strategy FOR UPDATE"
# Each part of it has an index: the orders of a tape without an end are many.
_ORDERS: Final = """
    SELECT * FROM intent WHERE tape = $1 AND account = $2 AND client_id = ANY(ARRAY(
        SELECT client_id FROM intent WHERE tape = $1 AND account = $2 AND decided_at_ns >= $3
        UNION SELECT client_id FROM intent WHERE tape = $1 AND account = $2 AND state = ANY($4)
        UNION SELECT client_id FROM intent WHERE tape = $1 AND account = $2
        AND decision_id = ANY(ARRAY(SELECT decision_id FROM position
                                    WHERE tape = $1 AND account = $2 AND quantity <> 0))
        UNION SELECT lot->>4 FROM position, jsonb_array_elements(lots) AS lot
        WHERE tape = $1 AND account = $2 AND quantity <> 0))
"""
_DECISIONS: Final = """
    SELECT decision_id, instant_ns, accepted AND proposal->>'action' = ANY($4) AS entered FROM decision
    WHERE tape = $1 AND account = $2 AND instant_ns >= $3 ORDER BY instant_ns, strategy
"""
_ORDERS_BY_ID: Final = "SELECT * FROM intent WHERE tape = $1 AND account = $2 AND client_id = ANY($3)"
_DECIDED: Final = "SELECT 1 FROM decision WHERE tape = $1 AND account = $2 AND decision_id = $3"
_FILLS_BY_ID: Final = "SELECT * FROM fill WHERE tape = $1 AND account = $2 AND fill_id = ANY($3)"

Connection = Any
Part: TypeAlias = tuple[rows.Insertion, rows.Values]


class PostgresStore:
    """One account on one tape. `acquire` first; then `load` and `commit`.

    A database that has not done what it was asked for as long as a lease lasts is taken for lost. `renewed_s`: when
    the lease was last renewed, on the monotonic clock. `clock_offset_ns`: this machine's clock less the database's
    then, and when the account was taken over.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        tape: RunId,
        manifest: TradingAccount,
        feed_contracts: Collection[ContractId],
        trade_from: date,
        holder: str,
        clock_rate: int = 1,
    ) -> None:
        self.epoch = 0
        self._pool = pool
        self._tape = tape
        self._manifest = manifest
        self._account = manifest.full_name
        self._feed_contracts = feed_contracts
        self._trade_from = trade_from
        self._holder = holder
        self._clock_rate = clock_rate
        self._written: dict[str, StrategyBook] = {}
        # The transaction that has written the account's row, as this store last saw it: empty where there is no row,
        # None before it has looked.
        self._writer: str | None = None
        self.renewed_s = monotonic_s()
        self.clock_offset_ns = 0

    async def acquire(self) -> bool:
        """Take the account over when nobody holds it or the holder went silent; says whether it is ours.

        A holder keeps its name over a restart, so its own lease does not hold it up. False, too, while the holder is in
        the middle of a transaction: ask again.
        """
        row = None
        async with self._connection() as connection:
            await connection.execute(_CUT, self._account, LEASE_SECONDS)
            with contextlib.suppress(asyncpg.LockNotAvailableError):
                async with connection.transaction():
                    await connection.execute("SELECT set_config('lock_timeout', $1, true)", _LOCK_PATIENCE)
                    sent_ns = wall_ns()
                    row = await connection.fetchrow(
                        """
                        INSERT INTO lease (account, epoch, holder, expires_at)
                        VALUES ($1, 1, $2, clock_timestamp() + make_interval(secs => $3))
                        ON CONFLICT (account) DO UPDATE
                        SET epoch = lease.epoch + 1, holder = $2, expires_at = excluded.expires_at
                        WHERE lease.expires_at < clock_timestamp() OR lease.holder = $2
                        RETURNING epoch, (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint AS now_ns
                        """,
                        self._account,
                        self._holder,
                        LEASE_SECONDS,
                    )
                    if row is not None:
                        self._compare_clocks(sent_ns, row["now_ns"])
        self.epoch = 0 if row is None else row["epoch"]
        return row is not None

    async def renew(self) -> None:
        """Keep the account. Raises `Fenced` when another has taken it.

        A word that took long to come may be an old one, because this process stood still: it is asked for again.
        """
        await self._renew()

    async def confirm(self) -> None:
        """As `renew`. Raises `Unavailable` where the account's row is not the one that this store knows."""
        if await self._renew() != self._writer and self._writer is not None:
            raise Unavailable(NOT_AS_LEFT, "database")

    async def _renew(self) -> str:
        """Keep the account; the transaction that has written its row, empty where there is no row."""
        while True:
            asked_s = monotonic_s()
            async with self._connection() as connection:
                sent_ns = wall_ns()
                row = await connection.fetchrow(_RENEW, self._account, self.epoch, LEASE_SECONDS, self._tape)
                if row is not None:
                    self._compare_clocks(sent_ns, row["now_ns"])
            if row is None:
                raise Fenced(f"another writer holds {self._account}")
            if monotonic_s() - asked_s < FRESH_SECONDS:
                self.renewed_s = asked_s
                return row["writer"] or ""

    def _compare_clocks(self, sent_ns: int, database_ns: int) -> None:
        """By as much as the two differ in any case, whenever since it was asked the database looked at its own."""
        self.clock_offset_ns = max(0, sent_ns - database_ns) + min(0, wall_ns() - database_ns)

    async def release(self) -> None:
        """Give the account back: who waits for it takes it over at once. Nothing may be written or sent after this."""
        async with self._connection() as connection:
            await connection.execute(
                "UPDATE lease SET expires_at = clock_timestamp() WHERE account = $1 AND epoch = $2",
                self._account,
                self.epoch,
            )

    async def load(self) -> Book | None:
        """The book as last committed; None when the account has none on this tape yet."""
        async with self._connection() as connection, connection.transaction(isolation="repeatable_read"):
            book, writer = await self._load(connection, lock=False)
        self._written, self._writer = {}, writer
        return book

    async def commit(self, book: Book, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        """Write everything in one transaction; see `leadline.execution.loop.ports.Store.commit`."""
        began_s = monotonic_s()
        alone = check is None and not (changes.halts or changes.cleared or changes.refused)
        async with self._connection() as connection, nullcontext() if alone else connection.transaction():
            if check is not None:
                if await connection.fetchval(HELD, self._account, self.epoch) is None:
                    raise Fenced(f"another writer holds {self._account}")
                locked, _ = await self._load(connection, lock=True)
                refusal = "unresolved" if locked is None else check(locked)
                if refusal is not None:
                    raise LimitRefused(refusal)
            written, self._written = self._written, {}
            writer = await self._write(connection, book, changes, written)
        self._writer = writer
        metrics.COMMIT_SECONDS.labels(self._account).observe(monotonic_s() - began_s)
        self._written = {name: replace(strategy) for name, strategy in book.strategies.items()}

    async def recall(self, client_ids: Sequence[ClientOrderId], fill_ids: Sequence[FillId]) -> Stored:
        """The orders and fills of these ids that have rows, however old."""
        scope = (self._tape, self._account)
        orders: list[Any] = []
        fills: list[Any] = []
        async with self._connection() as connection:
            if client_ids:
                orders = await connection.fetch(_ORDERS_BY_ID, *scope, list(client_ids))
            if fill_ids:
                fills = await connection.fetch(_FILLS_BY_ID, *scope, list(fill_ids))
        return Stored(
            {row["client_id"]: order_rows.order_of(row) for row in orders},
            {row["fill_id"]: order_rows.fill_of(row) for row in fills},
        )

    async def decided(self, decision: DecisionId) -> bool:
        """Whether a decision has a row, however old."""
        async with self._connection() as connection:
            found = await connection.fetchval(_DECIDED, self._tape, self._account, decision)
        return found is not None

    async def sent(self, newest: int) -> frozenset[ClientOrderId]:
        """Client ids of the newest orders of this tape that left here: the venue has proved that it got them."""
        async with self._connection() as connection:
            found = await connection.fetch(
                """
                SELECT client_id FROM intent WHERE tape = $1 AND account = $2 AND state <> ALL($3)
                AND parent = '' AND decision_id <> client_id ORDER BY decided_at_ns DESC LIMIT $4
                """,
                self._tape,
                self._account,
                [state.value for state in (*UNRESOLVED, OrderState.DEAD, OrderState.EXPIRED_LOCAL)],
                newest,
            )
        return frozenset(row["client_id"] for row in found)

    async def halts(self, numbers: Sequence[int]) -> StoredHalts:
        """The account's halts that are in force by their rows, on whatever tape, and those with these numbers."""
        async with self._connection() as connection, connection.transaction(isolation="repeatable_read"):
            found = await connection.fetch(halt_rows.SELECT_HALTS, self._account, list(numbers))
            last = await connection.fetchval(halt_rows.LAST_HALT, self._account)
        halts = {row["number"]: (halt_rows.halt_of(row), row["cleared_at"] is not None) for row in found}
        return StoredHalts(last, halts)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            async with answering(self._pool, LEASE_SECONDS) as connection:
                yield connection
        except DATABASE_LOST as error:
            raise Unavailable(f"the database does not answer: {error}", "database") from error
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            raise NotTaken(f"the database does not take what the book says: {error}", "database") from error
        except asyncpg.PostgresError as error:
            raise Refused(f"the database does not take what the book says: {error}", "database") from error

    async def _load(self, connection: Connection, *, lock: bool) -> tuple[Book | None, str]:
        """The book, and the transaction that has written the account's row.

        With `lock` nobody else writes it meanwhile, and of what is over it has what the limits of an entry look at.
        """
        scope = (self._tape, self._account)
        account = await connection.fetchrow(_ACCOUNT_LOCKED if lock else _ACCOUNT, *scope)
        if account is None:
            return None, ""
        book = rows.book_of(account, self._manifest, tuple(self._feed_contracts), self._trade_from)
        book.clock_rate = self._clock_rate
        for row in await connection.fetch(_STRATEGIES_LOCKED if lock else _STRATEGIES, *scope):
            book.strategies[row["strategy"]] = rows.strategy_of(row)
        book.positions = {
            (row["strategy"], row["contract"]): order_rows.position_of(row)
            for row in await connection.fetch("SELECT * FROM position WHERE tape = $1 AND account = $2", *scope)
        }
        # What is over is many rows, and the limits of an entry look at few of them.
        since = book.instant_ns - (looked_back_on_ns(book) if lock else KEPT_NS)
        unended = [state.value for state in OrderState if not state.terminal]
        found = await connection.fetch(_ORDERS, *scope, since, unended)
        book.orders = {row["client_id"]: order_rows.order_of(row) for row in found}
        entering = [action.value for action in Action if action.enters]
        for row in await connection.fetch(_DECISIONS, *scope, since, entering):
            if row["instant_ns"] >= book.decided_since_ns:
                book.decided[row["decision_id"]] = row["instant_ns"]
            if row["entered"]:
                book.entry_instants.append(row["instant_ns"])
        return book, account["writer"]

    async def _write(
        self, connection: Connection, book: Book, changes: Changes, written: dict[str, StrategyBook]
    ) -> str:
        """Write the account, what has changed of its strategies since they were `written`, and the changes.

        Returns the transaction that writes. All but halts and letters is one statement, which is a transaction where
        there is no other. Raises `Fenced`, and `Unavailable` where another has written what it would write over.
        """
        parts = self._parts(book, changes, written)
        values = (value for _, row in parts for value in row)
        statement = book_statement(tuple(insertion for insertion, _ in parts))
        [found] = await connection.fetch(
            statement, self._account, self.epoch, self._writer, *rows.account_row(book), *values
        )
        if found["epoch"] is None:
            raise Fenced(f"another writer holds {self._account}")
        if found["writer"] is None:
            raise Unavailable(NOT_AS_LEFT, "database")
        for halt in changes.halts:
            await connection.execute(halt_rows.INSERT_HALT, *halt_rows.halt_row(book.account, halt))
        for clearing in changes.cleared:
            await connection.execute(halt_rows.CLEAR_HALT, *halt_rows.clearing_row(book.account, clearing))
        for refused in changes.refused:
            row = dead_letter_row("execution", refused.stream, refused, refused.why)
            await connection.execute(INSERT_DEAD_LETTER, *row)
        writer: str = found["writer"]
        return writer

    def _parts(self, book: Book, changes: Changes, written: dict[str, StrategyBook]) -> list[Part]:
        """The rows of a book's changes, each with the way in which it is written."""
        owners = [owner for name, owner in book.strategies.items() if written.get(name) != owner]
        orders = [order_rows.intent_row(book, each, self.epoch, SEND_BOUND_NS) for each in changes.orders.values()]
        decisions = [order_rows.decision_row(book, each, self.epoch) for each in changes.decisions]
        return [
            *((rows.UPSERT_STRATEGY, rows.strategy_row(book, owner)) for owner in owners),
            *((order_rows.INSERT_DECISION, row) for row in decisions),
            *((order_rows.UPSERT_INTENT, row) for row in orders),
            *((order_rows.INSERT_FILL, order_rows.fill_row(book, *each)) for each in changes.fills),
            *((order_rows.UPSERT_POSITION, order_rows.position_row(book, each)) for each in changes.positions.values()),
            *((rows.INSERT_EVENT, rows.event_row(book, event)) for event in changes.events),
        ]
