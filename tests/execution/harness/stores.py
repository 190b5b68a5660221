"""Where the tests' accounts have their books: in memory, or in a database that many tests share."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Any

import orjson
import pytest

from leadline.execution.adapters import order_rows, rows
from leadline.execution.adapters.memory_store import MemoryDatabase, MemoryStore
from leadline.execution.adapters.store import SEND_BOUND_NS, PostgresStore
from leadline.execution.core.book import Book
from leadline.execution.core.halts import Clearing
from leadline.execution.core.records import AccountRecords
from leadline.execution.loop.ports import LEASE_SECONDS
from leadline.model.ids import ClientOrderId, ContractId, RunId
from leadline.model.manifest.specs import TradingAccount
from leadline.runtime.database import Pool
from leadline.views.digest import lines_from
from leadline.views.digest_store import lines_of

IN_POSTGRES = pytest.mark.parametrize(
    "books_in", [pytest.param("postgres", marks=pytest.mark.integration)], indirect=True, ids=str
)
"""The test's books are in PostgreSQL."""

IN_BOTH = pytest.mark.parametrize(
    "books_in", ["memory", pytest.param("postgres", marks=pytest.mark.integration)], indirect=True, ids=str
)
"""The test runs once with books in memory, and once with books in PostgreSQL."""

_TABLES = ("account_state", "strategy_state", "decision", "intent", "fill", "position", "order_event")
_CLEAR_HALTS = """
    UPDATE halt SET cleared_by = 'test', cleared_at = now(), clear_reason = 'another desk' WHERE cleared_at IS NULL
"""

Row = dict[str, Any]


@dataclass(frozen=True)
class PostgresBooks:
    """Connections to one database: with the rights of execution, and with those of somebody who only looks."""

    pool: Pool
    reader: Pool
    test: str

    def store(
        self,
        tape: RunId,
        manifest: TradingAccount,
        feed_contracts: tuple[ContractId, ...],
        trade_from: date,
        holder: str,
    ) -> PostgresStore:
        return PostgresStore(
            self.pool,
            tape=tape,
            manifest=manifest,
            feed_contracts=feed_contracts,
            trade_from=trade_from,
            holder=holder,
        )

    async def rows(self, tape: RunId, table: str, columns: str, order: str) -> list[tuple[Any, ...]]:
        query = f"SELECT {columns} FROM {table} WHERE tape = $1 ORDER BY {order}"
        return [tuple(row) for row in await self.reader.fetch(query, tape)]

    async def lines(self, tape: RunId) -> list[bytes]:
        async with self.reader.acquire() as connection:
            return [line for line, _ in await lines_of(connection, RunId(tape))]

    async def written(self, tape: RunId, client_id: ClientOrderId) -> tuple[str, int, int] | None:
        query = "SELECT i.state, i.epoch, l.epoch FROM intent i JOIN lease l USING (account)"
        row = await self.pool.fetchrow(f"{query} WHERE tape = $1 AND client_id = $2", tape, client_id)
        return None if row is None else (row[0], row[1], row[2])

    async def clear_halts(self) -> None:
        await self.pool.execute(_CLEAR_HALTS)

    async def let_the_lease_run_out(self) -> None:
        await self.pool.execute("UPDATE lease SET expires_at = clock_timestamp() - interval '1 second'")

    async def copy(self, before: RunId, after: RunId) -> None:
        for table in _TABLES:
            await self.pool.execute(
                f"INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object('tape', $2::text))).*"
                f" FROM {table} t WHERE tape = $1",
                before,
                after,
            )

    async def move(self, tape: RunId, by_ns: int) -> None:
        await self.pool.execute("UPDATE account_state SET instant_ns = instant_ns + $2 WHERE tape = $1", tape, by_ns)


@dataclass
class MemoryBooks:
    """Books in memory, whose clock stands still until a test moves it."""

    test: str = "test"
    clock_s: float = 0
    database: MemoryDatabase = field(init=False)

    def __post_init__(self) -> None:
        self.database = MemoryDatabase(lambda: self.clock_s)

    def store(
        self,
        tape: RunId,
        manifest: TradingAccount,
        feed_contracts: tuple[ContractId, ...],
        trade_from: date,
        holder: str,
    ) -> MemoryStore:
        return MemoryStore(
            self.database,
            tape=tape,
            manifest=manifest,
            feed_contracts=feed_contracts,
            trade_from=trade_from,
            holder=holder,
        )

    async def rows(self, tape: RunId, table: str, columns: str, order: str) -> list[tuple[Any, ...]]:
        keys = order.split(", ")
        found = sorted(self._table(tape, table), key=lambda row: [row[key] for key in keys])
        return [tuple(row.values() if columns == "*" else (row[name] for name in columns.split(", "))) for row in found]

    async def lines(self, tape: RunId) -> list[bytes]:
        decisions = {row["decision_id"]: row for row in self._table(tape, "decision")}
        intents = {row["client_id"]: row for row in self._table(tape, "intent")}

        def bar(order: Row) -> Row:
            key = decisions.get(order["decision_id"], {}).get("bar_key")
            return {"bar_key": key, "sort": key}

        def fill(row: Row) -> Row:
            order = intents[row["client_id"]]
            return {**row, **bar(order), "at": row["ts_ns"], "leg": order["leg"]}

        said = {
            "fill": [fill(row) for row in self._table(tape, "fill")],
            "bar": [],
            "signal": [],
            "decision": [
                {**row, "at": row["instant_ns"], "sort": row["bar_key"], "leg": ""} for row in decisions.values()
            ],
            "order": [{**row, **bar(row), "at": row["decided_at_ns"]} for row in intents.values()],
        }
        return [line for line, _ in lines_from(said)]

    async def written(self, tape: RunId, client_id: ClientOrderId) -> tuple[str, int, int] | None:
        for (of, account), records in self.database.records.items():
            if of == tape and client_id in records.orders:
                order, epoch = records.orders[client_id]
                return order.state.value, epoch, self.database.leases[account].epoch
        return None

    async def clear_halts(self) -> None:
        for halts in self.database.halts.values():
            for number, stored in halts.items():
                if stored.cleared is None:
                    halts[number] = replace(stored, cleared=Clearing(stored.halt, "test", "another desk", 0))

    async def let_the_lease_run_out(self) -> None:
        self.clock_s += LEASE_SECONDS + 1

    async def copy(self, before: RunId, after: RunId) -> None:
        for (tape, account), records in list(self.database.records.items()):
            if tape == before:
                again = deepcopy(records)
                if again.account is not None:
                    again.account.tape = after
                self.database.records[after, account] = again

    def as_they_are(self) -> "MemoryBooks":
        """Books of their own, in which everything is as it is here now."""
        found = MemoryBooks(self.test, self.clock_s)
        of, to = self.database, found.database
        to.leases, to.halts = deepcopy(of.leases), deepcopy(of.halts)
        to.records, to.refused = deepcopy(of.records), deepcopy(of.refused)
        return found

    def put_back(self, kept: "MemoryBooks") -> None:
        """Make all accounts what they were when `as_they_are` kept them, under the stores that hold on to them."""
        for key, records in self.database.records.items():
            before = deepcopy(kept.database.records[key])
            for each in fields(AccountRecords):
                setattr(records, each.name, getattr(before, each.name))

    async def move(self, tape: RunId, by_ns: int) -> None:
        for records in self._of(tape):
            assert records.account is not None
            records.account.instant_ns += by_ns

    def _of(self, tape: RunId) -> list[AccountRecords]:
        return [records for (of, _), records in sorted(self.database.records.items()) if of == tape]

    def _table(self, tape: RunId, table: str) -> list[Row]:
        """The records of a tape as the rows that a database has of them."""
        found: list[Row] = []
        for records in self._of(tape):
            if records.account is not None:
                statement, values = _ROWS[table](records.account, records)
                names = statement.columns
                found += [dict(zip(names, map(_stored, row), strict=True)) for row in values]
        return found


def _stored(value: Any) -> Any:
    """A value as a database gives it back: JSON knows neither decimals nor tuples."""
    return orjson.loads(orjson.dumps(value, default=str)) if isinstance(value, dict | list) else value


_Rows = tuple[rows.Insertion, Sequence[tuple[Any, ...]]]
_ROWS: dict[str, Callable[[Book, AccountRecords], _Rows]] = {
    "account_state": lambda book, _: (rows.UPSERT_ACCOUNT, [rows.account_row(book)]),
    "strategy_state": lambda book, records: (
        rows.UPSERT_STRATEGY,
        [rows.strategy_row(book, strategy) for strategy in records.strategies.values()],
    ),
    "decision": lambda book, records: (
        order_rows.INSERT_DECISION,
        [order_rows.decision_row(book, decision, 0) for decision in records.decisions.values()],
    ),
    "intent": lambda book, records: (
        order_rows.UPSERT_INTENT,
        [order_rows.intent_row(book, order, epoch, SEND_BOUND_NS) for order, epoch in records.orders.values()],
    ),
    "fill": lambda book, records: (
        order_rows.INSERT_FILL,
        [order_rows.fill_row(book, *fill) for fill in records.fills.values()],
    ),
    "position": lambda book, records: (
        order_rows.UPSERT_POSITION,
        [order_rows.position_row(book, position) for position in records.positions.values()],
    ),
    "order_event": lambda book, records: (
        rows.INSERT_EVENT,
        [
            (book.tape, book.account, e.event, e.kind, e.key, e.version, e.instant_ns, e.body)
            for e in records.events.values()
        ],
    ),
}
