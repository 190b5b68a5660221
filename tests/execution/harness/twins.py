"""Two books of one account, in memory and in PostgreSQL: each is told the same, and has to answer the same."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from leadline.execution.adapters.halt_rows import halt_of
from leadline.execution.adapters.memory_store import MemoryStore, StoredHalt
from leadline.execution.adapters.store import PostgresStore
from leadline.execution.core.book import Book, Changes
from leadline.execution.core.booking import Stored
from leadline.execution.core.halts import Clearing, StoredHalts
from leadline.execution.loop.ports import Fenced, LimitRefused, Refused
from leadline.model.errors import LeadlineError
from leadline.model.ids import AccountId, ClientOrderId, ContractId, DecisionId, FillId, RunId
from leadline.model.manifest.specs import TradingAccount
from tests.execution.harness.stores import MemoryBooks, PostgresBooks

Result = TypeVar("Result")


class TwinStore:
    """A store that asks two, and compares; after each commit, taken or refused, everything that either can tell."""

    def __init__(self, memory: MemoryStore, postgres: PostgresStore) -> None:
        self._memory = memory
        self._postgres = postgres
        self._orders: dict[ClientOrderId, None] = {}
        self._fills: dict[FillId, None] = {}
        self._decision = DecisionId("the last one")

    @property
    def epoch(self) -> int:
        """The epoch in memory; in a database that others use, too, it is another number."""
        return self._memory.epoch

    async def acquire(self) -> bool:
        return await self._both(self._memory.acquire, self._postgres.acquire)

    async def renew(self) -> None:
        await self._both(self._memory.renew, self._postgres.renew)

    async def confirm(self) -> None:
        await self._both(self._memory.confirm, self._postgres.confirm)

    async def release(self) -> None:
        await self._both(self._memory.release, self._postgres.release)

    async def load(self) -> Book | None:
        return await self._both(self._memory.load, self._postgres.load)

    async def recall(self, client_ids: Sequence[ClientOrderId], fill_ids: Sequence[FillId]) -> Stored:
        asked = (client_ids, fill_ids)
        return await self._both(lambda: self._memory.recall(*asked), lambda: self._postgres.recall(*asked))

    async def decided(self, decision: DecisionId) -> bool:
        return await self._both(lambda: self._memory.decided(decision), lambda: self._postgres.decided(decision))

    async def halts(self, numbers: Sequence[int]) -> StoredHalts:
        return await self._both(lambda: self._memory.halts(numbers), lambda: self._postgres.halts(numbers))

    async def sent(self, newest: int) -> frozenset[ClientOrderId]:
        return await self._both(lambda: self._memory.sent(newest), lambda: self._postgres.sent(newest))

    async def commit(self, book: Book, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        self._orders.update(dict.fromkeys(changes.orders))
        for decision in changes.decisions:
            self._decision = decision.decision_id
        self._fills.update(dict.fromkeys(fill.fill_id for fill, _, _ in changes.fills))
        try:
            await self._both(
                lambda: self._memory.commit(book, changes, check), lambda: self._postgres.commit(book, changes, check)
            )
        finally:
            await self.look()

    async def look(self) -> None:
        """Compare all that the two have."""
        await self.load()
        await self.recall([*self._orders, ClientOrderId("never heard of")], [*self._fills, FillId("never heard of")])
        last = (await self.halts([])).last
        await self.halts(range(last + 2))
        await self.sent(10_000)
        await self.decided(self._decision)

    async def _both(self, first: Callable[[], Awaitable[Result]], second: Callable[[], Awaitable[Result]]) -> Result:
        found, expected = await _outcome(first), await _outcome(second)
        if isinstance(found, LeadlineError):
            assert type(found) is type(expected), (found, expected)
            if not isinstance(found, Refused):  # of a row that does not fit each has its own words
                assert str(found) == str(expected)
            raise found
        assert found == expected
        return found


async def _outcome(action: Callable[[], Awaitable[Result]]) -> Result | LeadlineError:
    try:
        return await action()
    except (Fenced, LimitRefused, Refused) as error:
        return error


@dataclass(frozen=True)
class TwinBooks:
    """Books in memory and in PostgreSQL at once."""

    memory: MemoryBooks
    postgres: PostgresBooks

    @classmethod
    async def begin(cls, postgres: PostgresBooks, account: AccountId) -> "TwinBooks":
        """Books in memory that know what the database has of an account from other tests: its halts."""
        memory = MemoryBooks(postgres.test)
        query = "SELECT *, cleared_at IS NOT NULL AS cleared FROM halt WHERE account = $1 ORDER BY number"
        halts = memory.database.halts.setdefault(account, {})
        for row in await postgres.pool.fetch(query, account):
            halt = halt_of(dict(row))
            halts[halt.number] = StoredHalt(halt, Clearing(halt, "", "", 0) if row["cleared"] else None)
        await postgres.let_the_lease_run_out()
        return cls(memory, postgres)

    @property
    def test(self) -> str:
        return self.postgres.test

    def store(
        self,
        tape: RunId,
        manifest: TradingAccount,
        feed_contracts: tuple[ContractId, ...],
        trade_from: date,
        holder: str,
    ) -> TwinStore:
        of = (tape, manifest, feed_contracts, trade_from, holder)
        return TwinStore(self.memory.store(*of), self.postgres.store(*of))

    async def rows(self, tape: RunId, table: str, columns: str, order: str) -> list[tuple[Any, ...]]:
        found = await self.memory.rows(tape, table, columns, order)
        assert found == await self.postgres.rows(tape, table, columns, order)
        return found

    async def lines(self, tape: RunId) -> list[bytes]:
        found = await self.memory.lines(tape)
        assert found == await self.postgres.lines(tape)
        return found

    async def written(self, tape: RunId, client_id: ClientOrderId) -> tuple[str, int, int] | None:
        found = await self.memory.written(tape, client_id)
        expected = await self.postgres.written(tape, client_id)
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            assert found[0] == expected[0]
            assert (found[1] == found[2]) == (expected[1] == expected[2])
        return found

    async def clear_halts(self) -> None:
        await self.memory.clear_halts()
        await self.postgres.clear_halts()

    async def let_the_lease_run_out(self) -> None:
        await self.memory.let_the_lease_run_out()
        await self.postgres.let_the_lease_run_out()

    async def copy(self, before: RunId, after: RunId) -> None:
        await self.memory.copy(before, after)
        await self.postgres.copy(before, after)

    async def move(self, tape: RunId, by_ns: int) -> None:
        await self.memory.move(tape, by_ns)
        await self.postgres.move(tape, by_ns)
