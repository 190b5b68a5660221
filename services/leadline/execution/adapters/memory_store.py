"""The book in memory: the transactions of `leadline.execution.adapters.store`, for a backtest and for tests.

What is written and what is read are copies, so that whoever holds a book can change it without changing the store. A
refused transaction changes nothing. Nothing here waits: a method is done before another one can begin.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from leadline.execution.core.book import Book, Changes, RefusedSignal
from leadline.execution.core.booking import Stored
from leadline.execution.core.halts import Clearing, StoredHalts
from leadline.execution.core.records import AccountRecords, refused
from leadline.execution.loop.ports import LEASE_SECONDS, NOT_AS_LEFT, Fenced, LimitRefused, Unavailable
from leadline.model.halts import Halt
from leadline.model.ids import AccountId, ClientOrderId, ContractId, DecisionId, FillId, RunId
from leadline.model.manifest.specs import TradingAccount

MOST_REFUSED_PER_SUBJECT: Final = 100
"""So many refused messages of a subject are kept."""


@dataclass(slots=True)
class Lease:
    """The lease of an account's writer: its epoch, and its end (of the database's clock, seconds) when not renewed."""

    epoch: int
    holder: str
    expires_s: float


@dataclass(frozen=True, slots=True)
class StoredHalt:
    """A halt as it was written, and how it was cleared; None while it is in force."""

    halt: Halt
    cleared: Clearing | None = None


class MemoryDatabase:
    """All that outlives a process: of each account its lease and its halts, and its records on each tape.

    now_s: a clock for leases, seconds.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.now_s = now_s
        self.leases: dict[AccountId, Lease] = {}
        self.halts: dict[AccountId, dict[int, StoredHalt]] = {}
        self.records: dict[tuple[RunId, AccountId], AccountRecords] = {}
        self.refused: dict[str, list[RefusedSignal]] = {}


class MemoryStore:
    """One account on one tape. `acquire` first; then `load` and `commit`."""

    def __init__(
        self,
        database: MemoryDatabase,
        *,
        tape: RunId,
        manifest: TradingAccount,
        feed_contracts: Collection[ContractId],
        trade_from: date,
        holder: str,
    ) -> None:
        self.epoch = 0
        self._database = database
        self._manifest = manifest
        self._account = manifest.full_name
        self._feed_contracts = feed_contracts
        self._trade_from = trade_from
        self._holder = holder
        self._records = database.records.setdefault((tape, self._account), AccountRecords())
        self._halts = database.halts.setdefault(self._account, {})
        # The account's record as this store last saw it: each transaction makes another.
        self._seen: Book | None = None
        self._loaded = False

    async def acquire(self) -> bool:
        """Take the account over when nobody holds it or the holder went silent; says whether it is ours.

        A holder keeps its name over a restart, so its own lease does not hold it up.
        """
        now_s = self._database.now_s()
        lease = self._database.leases.get(self._account)
        if lease is not None and lease.holder != self._holder and lease.expires_s >= now_s:
            self.epoch = 0
            return False
        self.epoch = 1 if lease is None else lease.epoch + 1
        self._database.leases[self._account] = Lease(self.epoch, self._holder, now_s + LEASE_SECONDS)
        return True

    async def renew(self) -> None:
        """Keep the account. Raises `Fenced` when another has taken it."""
        self._lease().expires_s = self._database.now_s() + LEASE_SECONDS

    async def confirm(self) -> None:
        """As `renew`. Raises `Unavailable` where the rows are not those that this store has loaded or written last."""
        await self.renew()
        self._check_rows()

    async def release(self) -> None:
        """Give the account back; see `leadline.execution.adapters.store.PostgresStore.release`."""
        lease = self._database.leases.get(self._account)
        if lease is not None and lease.epoch == self.epoch:
            lease.expires_s = -math.inf

    async def load(self) -> Book | None:
        """The book as last committed; None when the account has none on this tape yet."""
        self._seen, self._loaded = self._records.account, True
        return self._load()

    async def commit(self, book: Book, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        """Write everything or nothing; see `leadline.execution.loop.ports.Store.commit`. Raises `Refused`, too."""
        self._lease()
        self._check_rows()
        if check is not None:
            written = self._load()
            refusal = "unresolved" if written is None else check(written)
            if refusal is not None:
                raise LimitRefused(refusal)
        halts = self._halts_after(changes)
        self._records.write(book, changes, self.epoch)
        self._seen = self._records.account
        self._halts.update(halts)
        for message in changes.refused:
            self._keep(message)

    async def recall(self, client_ids: Sequence[ClientOrderId], fill_ids: Sequence[FillId]) -> Stored:
        """The orders and fills of these ids that were ever written."""
        return self._records.recall(client_ids, fill_ids)

    async def decided(self, decision: DecisionId) -> bool:
        """Whether a decision was ever written."""
        return decision in self._records.decisions

    async def sent(self, newest: int) -> frozenset[ClientOrderId]:
        """Client ids of the newest orders of this tape that left here: the venue has proved that it got them."""
        return self._records.sent(newest)

    async def halts(self, numbers: Sequence[int]) -> StoredHalts:
        """The account's halts that are in force, on whatever tape, and those with these numbers."""
        asked = set(numbers)
        found = {
            number: (stored.halt, stored.cleared is not None)
            for number, stored in sorted(self._halts.items())
            if stored.cleared is None or number in asked
        }
        return StoredHalts(max(self._halts, default=0), found)

    def _load(self) -> Book | None:
        return self._records.load(self._manifest, tuple(self._feed_contracts), self._trade_from)

    def _check_rows(self) -> None:
        if self._loaded and self._records.account is not self._seen:
            raise Unavailable(NOT_AS_LEFT, "database")

    def _lease(self) -> Lease:
        """The lease, as long as it is this store's."""
        lease = self._database.leases.get(self._account)
        if lease is None or lease.epoch != self.epoch:
            raise Fenced(f"another writer holds {self._account}")
        return lease

    def _halts_after(self, changes: Changes) -> dict[int, StoredHalt]:
        """The halts that a transaction changes, as it leaves them; their times in whole microseconds."""
        found: dict[int, StoredHalt] = {}
        for halt in changes.halts:
            if halt.number < 1 or halt.number in found or halt.number in self._halts:
                raise refused(f"halt {halt.number} is there, or has no number")
            found[halt.number] = StoredHalt(replace(halt, at_ns=halt.at_ns - halt.at_ns % 1000))
        for clearing in changes.cleared:
            number = clearing.halt.number
            stored = found.get(number) or self._halts.get(number)
            if stored is not None and stored.cleared is None:
                found[number] = replace(stored, cleared=clearing)
        return found

    def _keep(self, message: RefusedSignal) -> None:
        """Keep a refused message to be looked at, each content once."""
        kept = self._database.refused.setdefault(message.subject, [])
        known = any(message.payload == other.payload for other in kept)
        if not known and len(kept) < MOST_REFUSED_PER_SUBJECT:
            kept.append(message)
