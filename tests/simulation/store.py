"""The database of a schedule: the transactions of the store in memory, over a wire, one open transaction at a time.

A transaction locks the account's lease, as `SELECT ... FOR SHARE` does: whoever wants the account meanwhile waits. One
that stands open for longer than a lease lasts is cut off by the next who wants the account, and one whose process has
died is rolled back.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from leadline.execution.adapters.memory_store import MemoryStore
from leadline.execution.adapters.store import FRESH_SECONDS
from leadline.execution.core.book import Book, Changes
from leadline.execution.core.booking import Stored
from leadline.execution.core.halts import StoredHalts
from leadline.execution.loop.ports import LEASE_SECONDS, LimitRefused
from leadline.model.errors import Unavailable
from leadline.model.ids import ClientOrderId, FillId
from tests.simulation.wire import Caller, Wire

Result = TypeVar("Result")


class Transactions:
    """The open transactions of an account: of each its caller and when it began, seconds."""

    def __init__(self) -> None:
        self.open: dict[int, tuple[Caller, float]] = {}
        self._last = 0

    def begin(self, caller: Caller, now_s: float) -> int:
        """Begin one, and return its number."""
        self._last += 1
        self.open[self._last] = (caller, now_s)
        return self._last

    def locked(self, now_s: float) -> bool:
        """Whether somebody is in the midst of one; those of the dead, and those that stand for too long, end here."""
        self.open = {
            number: (caller, since_s)
            for number, (caller, since_s) in self.open.items()
            if caller.alive and now_s - since_s <= LEASE_SECONDS
        }
        return bool(self.open)


class ModelStore:
    """The store of one process."""

    def __init__(self, wire: Wire, caller: Caller, store: MemoryStore, transactions: Transactions) -> None:
        self.inner = store
        self._wire = wire
        self._caller = caller
        self._transactions = transactions

    @property
    def epoch(self) -> int:
        """Under which epoch it writes; 0 before it has the account."""
        return self.inner.epoch

    async def acquire(self) -> bool:
        """As `PostgresStore.acquire`."""

        def take() -> bool:
            if self._transactions.locked(self._wire.loop.time()):
                return False
            return now(self.inner.acquire())

        return await self._call("acquire", take)

    async def renew(self) -> None:
        """As `PostgresStore.renew`, with its rule of an answer that took too long."""
        while True:
            asked_s = self._wire.loop.time()
            await self._call("renew", lambda: now(self.inner.renew()))
            if self._wire.loop.time() - asked_s < FRESH_SECONDS:
                return

    async def load(self) -> Book | None:
        """As `PostgresStore.load`."""
        return await self._call("load", lambda: now(self.inner.load()))

    async def commit(self, book: Book, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        """As `PostgresStore.commit`: the lease is locked first, the limits are checked here, then it is written."""
        open_ones, loop = self._transactions, self._wire.loop

        def begin() -> tuple[int, Book | None]:
            self.inner._lease()
            locked = self.inner._load() if check is not None else None
            return open_ones.begin(self._caller, loop.time()), locked

        number, locked = await self._call("begin", begin)
        if check is not None:
            refusal = "unresolved" if locked is None else check(locked)
            if refusal is not None:
                await self._call("rollback", lambda: open_ones.open.pop(number, None))
                raise LimitRefused(refusal)

        def write() -> None:
            if open_ones.open.pop(number, None) is None:
                raise Unavailable("the transaction was cut off", "database")
            now(self.inner.commit(book, changes))

        await self._call("commit", write, lambda: _told(book, changes))

    async def recall(self, client_ids: Sequence[ClientOrderId], fill_ids: Sequence[FillId]) -> Stored:
        """As `PostgresStore.recall`."""
        return await self._call("recall", lambda: now(self.inner.recall(client_ids, fill_ids)))

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
