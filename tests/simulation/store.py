"""The database of a schedule: the transactions of the store in memory, over a wire, one open transaction at a time.

A transaction locks the account's lease, as `SELECT ... FOR SHARE` does: whoever wants the account meanwhile waits. One
that stands open for longer than a lease lasts is cut off by the next who wants the account, and one whose process has
died is rolled back.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from leadline.execution.adapters.memory_store import MemoryStore
from leadline.execution.adapters.store import FRESH_SECONDS
from leadline.execution.core.book import Book, Changes
from leadline.execution.core.booking import Stored
from leadline.execution.core.halts import StoredHalts
from leadline.execution.loop.ports import LEASE_SECONDS, NOT_AS_LEFT, LimitRefused
from leadline.model.errors import LeadlineError, Unavailable
from leadline.model.ids import ClientOrderId, DecisionId, FillId
from leadline.model.orders import OrderState
from leadline.runtime.clock import wall_ns
from tests.simulation.tape_clock import WALL_NS
from tests.simulation.wire import NEAR_S, Caller, Wire

LOCK_S: Final = 0.02
"""How often a transaction looks whether the row that it waits for is free."""

LONGEST_WAY_S: Final = 8.0
"""After so many seconds a commit that was on its way has come or is lost."""

Result = TypeVar("Result")


@dataclass(slots=True)
class Transaction:
    """An open transaction: whose it is, since when (seconds), and whether it has locked the account's row."""

    caller: Caller
    since_s: float
    has_written: bool = False


class Transactions:
    """The open transactions of an account."""

    def __init__(self) -> None:
        self.open: list[Transaction] = []

    def begin(self, caller: Caller, now_s: float) -> Transaction:
        """Begin one."""
        self.open.append(begun := Transaction(caller, now_s))
        return begun

    def end(self, transaction: Transaction) -> None:
        """Whatever became of it, it is open no more."""
        if transaction in self.open:
            self.open.remove(transaction)

    def locked(self, now_s: float) -> bool:
        """Whether somebody is in the midst of one; those of the dead, and those that stand for too long, end here."""
        self.open = [each for each in self.open if each.caller.alive and now_s - each.since_s <= LEASE_SECONDS]
        return bool(self.open)


class ModelStore:
    """The store of one process."""

    def __init__(
        self,
        wire: Wire,
        caller: Caller,
        store: MemoryStore,
        transactions: Transactions,
        committed: Callable[[int], None],
    ) -> None:
        self.inner = store
        self.renewed_s = wire.loop.time()
        self.clock_offset_ns = 0
        self.confirmed_life = 0
        """Of which life of the database it was heard last that it has all that this store has written."""
        self._wire = wire
        self._caller = caller
        self._transactions = transactions
        self._committed = committed

    @property
    def epoch(self) -> int:
        """Under which epoch it writes; 0 before it has the account."""
        return self.inner.epoch

    async def acquire(self) -> bool:
        """As `PostgresStore.acquire`."""

        def take() -> int:
            if self._transactions.locked(self._wire.loop.time()):
                return 0
            known = self.inner.epoch
            now(self.inner.acquire())
            taken, self.inner.epoch = self.inner.epoch, known  # the process knows when it hears of it
            return taken

        self.inner.epoch = await self._call("acquire", take)
        self._compare_clocks()
        return self.inner.epoch > 0

    async def renew(self) -> None:
        """As `PostgresStore.renew`, with its rule of an answer that took too long."""
        await self._fresh("renew", lambda: now(self.inner.renew()))

    async def confirm(self) -> None:
        """As `PostgresStore.confirm`."""

        def look() -> None:
            now(self.inner.confirm())
            self.confirmed_life = self._wire.lives.get("database", 0)

        await self._fresh("confirm", look)

    async def _fresh(self, name: str, work: Callable[[], None]) -> None:
        while True:
            asked_s = self._wire.loop.time()
            await self._call(name, work)
            if self._wire.loop.time() - asked_s < FRESH_SECONDS:
                self.renewed_s = asked_s
                self._compare_clocks()
                return

    def _compare_clocks(self) -> None:
        self.clock_offset_ns = wall_ns() - WALL_NS - int(1e9 * self._wire.loop.time())

    async def release(self) -> None:
        """As `PostgresStore.release`."""
        await self._call("release", lambda: now(self.inner.release()))

    async def load(self) -> Book | None:
        """As `PostgresStore.load`."""
        inner = self.inner

        def read() -> tuple[Book | None, Book | None]:
            return inner._load(), inner._records.account

        found, inner._seen = await self._call("load", read)
        inner._loaded = True
        return found

    async def commit(self, book: Book, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        """As `PostgresStore.commit`: the lease is locked, the limits are checked, it is written and then committed.

        What is written locks the account's row: another transaction waits, and finds then that it is not the row that
        it knows.
        """
        open_ones, inner, loop = self._transactions, self.inner, self._wire.loop
        sends = any(order.state is OrderState.SENDING for order in changes.orders.values())
        name = "sending" if sends else "commit"  # after one of these a byte leaves

        def begin() -> tuple[Transaction, Book | None]:
            inner._lease()
            return open_ones.begin(self._caller, loop.time()), None if check is None else inner._load()

        transaction, locked = await self._call("begin", begin)
        try:
            if check is not None:
                refusal = "unresolved" if locked is None else check(locked)
                if refusal is not None:
                    raise LimitRefused(refusal)
            while not await self._call("write", lambda: self._write(transaction)):  # noqa: ASYNC110 - as a lock does
                await asyncio.sleep(LOCK_S)
        except (LeadlineError, asyncio.CancelledError):
            loop.call_later(NEAR_S, open_ones.end, transaction, context=loop.world)
            raise

        def commit() -> Book | None:
            if transaction not in open_ones.open:
                raise Unavailable("the transaction was cut off", "database")
            open_ones.end(transaction)
            known, inner._seen = inner._seen, inner._records.account
            try:
                now(inner.commit(book, changes))
                self._committed(inner.epoch)
                return inner._records.account
            finally:
                inner._seen = known  # the process knows when it hears of it

        try:
            inner._seen = await self._call(name, commit, lambda: _told(book, changes))
        except Unavailable:
            loop.call_later(LONGEST_WAY_S, open_ones.end, transaction, context=loop.world)
            raise

    def _write(self, transaction: Transaction) -> bool:
        """Lock the account's row; False while another transaction has it."""
        open_ones, inner = self._transactions, self.inner
        if transaction not in open_ones.open:
            raise Unavailable("the transaction was cut off", "database")
        if any(each.has_written and each.caller.alive for each in open_ones.open if each is not transaction):
            return False
        if inner._loaded and inner._records.account is not inner._seen:
            raise Unavailable(NOT_AS_LEFT, "database")
        transaction.has_written = True
        return True

    async def recall(self, client_ids: Sequence[ClientOrderId], fill_ids: Sequence[FillId]) -> Stored:
        """As `PostgresStore.recall`."""
        return await self._call("recall", lambda: now(self.inner.recall(client_ids, fill_ids)))

    async def decided(self, decision: DecisionId) -> bool:
        """As `PostgresStore.decided`."""
        return await self._call("decided", lambda: now(self.inner.decided(decision)))

    async def sent(self, newest: int) -> frozenset[ClientOrderId]:
        """As `PostgresStore.sent`."""
        return await self._call("sent", lambda: now(self.inner.sent(newest)))

    async def halts(self, numbers: Sequence[int]) -> StoredHalts:
        """As `PostgresStore.halts`."""
        return await self._call("halts", lambda: now(self.inner.halts(numbers)))

    async def _call(self, name: str, work: Callable[[], Result], detail: Callable[[], str] = str) -> Result:
        return await self._wire.call(self._caller, "database", f"store.{name}", work, detail=detail)


def _told(book: Book, changes: Changes) -> str:
    """What a transaction has written, in a line."""
    decisions = [f"{each.proposal.action} {each.reason or 'accepted'}" for each in changes.decisions]
    orders = [f"{order.leg} {order.client_id} {order.state}" for order in changes.orders.values()]
    fills = [f"fill of {fill.quantity} at {fill.price}" for fill, _, _ in changes.fills]
    leaving = [f"flatten {owner.flatten}" for owner in book.strategies.values() if owner.flatten]
    halts = [f"halt {halt.reason}" for halt in changes.halts]
    return ", ".join([*decisions, *orders, *fills, *leaving, *halts])


def now(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    raise AssertionError("it waits for something")
