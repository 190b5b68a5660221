"""Faults at the loop's ports. Every call through any of them is numbered, and one of them can be made to go wrong."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import TypeVar

from leadline.execution.core.book import Book, Changes
from leadline.execution.core.booking import Stored
from leadline.execution.core.halts import StoredHalts
from leadline.execution.loop.deps import Deps
from leadline.execution.loop.ports import Journal, Risk, Store
from leadline.execution.venues.both_ports import MatchingVenue
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, FillId
from leadline.model.orders import Advanced, Replacement, VenueOrder, Watch
from leadline.risk.view import DecisionInputs, RiskDecision
from tests.execution.harness.ports import replace_venue, venue_of

Result = TypeVar("Result")


class Killed(BaseException):
    """The process died here. Nothing in it may catch this."""


class Tripwire:
    """Numbers the calls; the one with the number `at` raises `error`, before it took effect or after it."""

    def __init__(
        self, at: int | None = None, *, after: bool = False, error: Callable[[str], BaseException] = Killed
    ) -> None:
        self.calls: list[str] = []
        self._at = at
        self._after = after
        self._error = error

    @property
    def tripped(self) -> bool:
        """Whether the call came."""
        return self._at is not None and len(self.calls) > self._at

    async def around(self, name: str, action: Callable[[], Awaitable[Result]]) -> Result:
        """Make a call, or let it go wrong."""
        struck = self._note(name)
        if struck and not self._after:
            raise self._error(name)
        result = await action()
        if struck:
            raise self._error(name)
        return result

    def around_now(self, name: str, action: Callable[[], Result]) -> Result:
        """As `around`, for a call that is not awaited."""
        struck = self._note(name)
        if struck and not self._after:
            raise self._error(name)
        result = action()
        if struck:
            raise self._error(name)
        return result

    def _note(self, name: str) -> bool:
        self.calls.append(name)
        return len(self.calls) - 1 == self._at


def tripped(deps: Deps, wire: Tripwire) -> Deps:
    """The world with every port behind a tripwire."""
    return replace(
        replace_venue(deps, TrippedVenue(venue_of(deps), wire)),
        store=TrippedStore(deps.store, wire),
        risk=TrippedRisk(deps.risk, wire),
        journal=TrippedJournal(deps.journal, wire),
    )


class Watcher(Tripwire):
    """Nothing goes wrong; before each call somebody looks, who is told its number."""

    def __init__(self, look: Callable[[int], None]) -> None:
        super().__init__()
        self._look = look

    def _note(self, name: str) -> bool:
        self._look(len(self.calls))
        return super()._note(name)


class TrippedStore:
    """A store behind a tripwire."""

    def __init__(self, store: Store, wire: Tripwire) -> None:
        self._store = store
        self._wire = wire

    async def load(self) -> Book | None:
        return await self._wire.around("store.load", self._store.load)

    async def commit(self, book: Book, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        name = "store.commit " + " ".join(
            ["decision"] * bool(changes.decisions)
            + sorted(order.state for order in changes.orders.values())
            + ["fill"] * len(changes.fills)
        )
        await self._wire.around(name, lambda: self._store.commit(book, changes, check))

    async def recall(self, client_ids: Sequence[ClientOrderId], fill_ids: Sequence[FillId]) -> Stored:
        return await self._wire.around("store.recall", lambda: self._store.recall(client_ids, fill_ids))

    async def confirm(self) -> None:
        await self._wire.around("store.confirm", self._store.confirm)

    async def decided(self, decision: DecisionId) -> bool:
        return await self._wire.around("store.decided", lambda: self._store.decided(decision))

    async def halts(self, numbers: Sequence[int]) -> StoredHalts:
        return await self._wire.around("store.halts", lambda: self._store.halts(numbers))

    async def sent(self, newest: int) -> frozenset[ClientOrderId]:
        return await self._wire.around("store.sent", lambda: self._store.sent(newest))


class TrippedVenue:
    """A venue behind a tripwire."""

    def __init__(self, venue: MatchingVenue, wire: Tripwire) -> None:
        self._venue = venue
        self._wire = wire

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        return await self._wire.around(
            "venue.advance", lambda: self._venue.advance(from_ns, to_ns, after_event, contracts, watches)
        )

    async def working(self) -> Sequence[VenueOrder]:
        return await self._wire.around("venue.working", self._venue.working)

    async def submit(self, order: VenueOrder) -> VenueOrder:
        return await self._wire.around(f"venue.submit {order.leg}", lambda: self._venue.submit(order))

    async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
        await self._wire.around("venue.cancel", lambda: self._venue.cancel(client_id, reason))

    async def replace(self, wanted: Replacement) -> VenueOrder:
        return await self._wire.around("venue.replace", lambda: self._venue.replace(wanted))

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        return await self._wire.around("venue.find", lambda: self._venue.find(client_id))

    async def positions(self) -> dict[ContractId, int]:
        return await self._wire.around("venue.positions", self._venue.positions)


class TrippedRisk:
    """Risk behind a tripwire."""

    def __init__(self, risk: Risk, wire: Tripwire) -> None:
        self._risk = risk
        self._wire = wire

    async def decide(self, inputs: DecisionInputs) -> RiskDecision:
        return await self._wire.around("risk.decide", lambda: self._risk.decide(inputs))


class TrippedJournal:
    """A journal behind a tripwire."""

    def __init__(self, journal: Journal, wire: Tripwire) -> None:
        self._journal = journal
        self._wire = wire

    @property
    def written(self) -> AbstractSet[ClientOrderId]:
        return self._journal.written

    def newest(self, count: int) -> list[ClientOrderId]:
        return self._journal.newest(count)

    def restore(self, client_ids: Iterable[ClientOrderId]) -> None:
        self._wire.around_now("journal.restore", lambda: self._journal.restore(client_ids))

    def write(self, client_id: ClientOrderId) -> None:
        self._wire.around_now("journal.write", lambda: self._journal.write(client_id))
