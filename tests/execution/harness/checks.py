"""What must hold whenever a transaction of the book has committed, and whenever an order leaves."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from typing import Protocol

from leadline.execution.core.book import Book, Changes
from leadline.execution.core.booking import Stored
from leadline.execution.core.exits import at_rest, wanted
from leadline.execution.core.halts import StoredHalts
from leadline.execution.core.new_exits import sent_again
from leadline.execution.core.unit_parts import in_place_of_stop
from leadline.execution.loop.ports import Store
from leadline.execution.venues.paper.direct import DirectVenue
from leadline.model.ids import ENTRY, ClientOrderId, ContractId, DecisionId, FillId, LegKind, RunId, client_order_id
from leadline.model.orders import Advanced, Bracket, OrderState, Position, Replacement, VenueOrder, Watch
from leadline.venue.matching import PaperMarket


class AccountStore(Store, Protocol):
    """A store whose account has to be taken before it can be written."""

    @property
    def epoch(self) -> int:
        """Under which epoch it writes; 0 before it has the account."""

    async def acquire(self) -> bool:
        """Take the account; says whether it is ours."""


class CheckedStore:
    """The store of the book; after each commit the invariants of the book are looked at.

    With `read_back` the committed rows are read again, too, and must be the book in memory.
    """

    def __init__(self, store: AccountStore, market: PaperMarket, *, read_back: bool) -> None:
        self._store = store
        self._market = market
        self._read_back = read_back

    async def load(self) -> Book | None:
        return await self._store.load()

    async def commit(self, book: Book, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        await self._store.commit(book, changes, check)
        check_book(book, self._market)
        if self._read_back:
            stored = await self._store.load()
            assert stored is not None
            for item in (each for each in fields(Book) if each.compare):
                assert getattr(stored, item.name) == getattr(book, item.name), item.name

    async def recall(self, client_ids: Sequence[ClientOrderId], fill_ids: Sequence[FillId]) -> Stored:
        return await self._store.recall(client_ids, fill_ids)

    async def decided(self, decision: DecisionId) -> bool:
        return await self._store.decided(decision)

    async def halts(self, numbers: Sequence[int]) -> StoredHalts:
        return await self._store.halts(numbers)

    async def confirm(self) -> None:
        await self._store.confirm()

    async def sent(self, newest: int) -> frozenset[ClientOrderId]:
        return await self._store.sent(newest)


class CheckedVenue:
    """The venue; an order that is handed in must have its committed row of the present epoch, and comes once.

    `sent` counts the orders that were handed in, over every restart of the account; `behind` is the venue itself.
    """

    def __init__(
        self,
        venue: DirectVenue,
        written: Callable[[RunId, ClientOrderId], Awaitable[tuple[str, int, int] | None]],
        store: AccountStore,
        tape: RunId,
        sent: dict[str, int],
    ) -> None:
        self._venue = self.behind = venue
        self._written = written
        self._store = store
        self._tape = tape
        self._sent = sent

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        return await self._venue.advance(from_ns, to_ns, after_event, contracts, watches)

    async def working(self) -> Sequence[VenueOrder]:
        return await self._venue.working()

    async def submit(self, order: VenueOrder) -> VenueOrder:
        found = await self._written(self._tape, order.client_id)
        assert found is not None, f"{order.client_id} left without an intent"
        state, epoch, present = found
        assert (state, epoch) == ("SENDING", present) == ("SENDING", self._store.epoch)
        self._sent[order.client_id] = self._sent.get(order.client_id, 0) + 1
        assert self._sent[order.client_id] == 1, f"{order.client_id} was sent twice"
        return await self._venue.submit(order)

    async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
        await self._venue.cancel(client_id, reason)

    async def replace(self, wanted: Replacement) -> VenueOrder:
        return await self._venue.replace(wanted)

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        return await self._venue.find(client_id)

    async def positions(self) -> dict[ContractId, int]:
        return await self._venue.positions()


def _targets_of(book: Book, position: Position, unit: str) -> int:
    """How much of a unit targets have to cover: none of it where its entry asked for no target."""
    entries = [order for order in book.orders.values() if order.leg.kind is LegKind.ENTRY and order.unit == unit]
    opened = {lot.fill_id for lot in position.lots if lot.unit == unit}
    entry = book.orders.get(client_order_id(position.decision, ENTRY)) if opened else None
    if entry is None or entry.unit != unit:
        entry = max((order for order in entries if order.filled), key=lambda order: order.decided_at_ns, default=None)
    bracket = None if entry is None else entry.bracket
    without = bracket is not None and bracket.target_ticks is None and bracket.target_price is None
    return 0 if without else position.held_by(unit)


def _is_mixed(book: Book, position: Position, unit: str) -> bool:
    """Whether entries have filled into a unit since it was opened of which some have a target and others none."""
    opening = book.orders.get(client_order_id(position.decision, ENTRY))
    since_ns = 0 if opening is None else opening.first_fill_ns or 0
    entries = [order for order in book.orders.values() if order.leg.kind is LegKind.ENTRY and order.unit == unit]
    brackets = [
        (order.bracket or Bracket(), order.protection or Bracket())
        for order in entries
        if (order.first_fill_ns or -1) >= since_ns
    ]
    return len({own.has_target or wanted.has_target for own, wanted in brackets}) > 1


def _without_stop(order: VenueOrder, quantity: int) -> int:
    """By how much a fill changes what is held without a stop on purpose."""
    if order.leg.kind is LegKind.ENTRY and (order.bracket is None or not order.bracket.has_stop):
        return quantity
    return -quantity if order.leg.kind is LegKind.TARGET and not order.oco else 0


def check_book(book: Book, market: PaperMarket) -> None:
    """Positions are the venue's, each is protected or being closed, and its exits cannot turn it round.

    Of a book at rest nothing is wanted.
    What was entered without a stop has none; all else has stops of its size, unit by unit, but for what is to leave.
    What no strategy looks after has no bracket: it is somebody else's, or it is being closed.
    """
    assert not (at_rest(book) and (wanted(book, halted=True) or any(sent_again(book))))
    proven: dict[str, int] = {}
    bare: dict[str, int] = {}
    closed: set[str] = set()
    for event in market.events_after(0)[: book.venue_event]:
        if event.fill is not None:
            signed = event.fill.side.sign * event.fill.quantity
            proven[event.fill.contract] = proven.get(event.fill.contract, 0) + signed
            without = bare.get(event.fill.contract, 0) + _without_stop(event.order, event.fill.quantity)
            bare[event.fill.contract] = min(without, abs(proven[event.fill.contract]))
            closed.update([event.fill.contract] if event.order.leg.kind is LegKind.FLATTEN else [])
    held = {position.contract: position.quantity for position in book.open_positions()}
    assert held == {contract: quantity for contract, quantity in proven.items() if quantity}
    for position in book.open_positions():
        assert sum(position.held_by(unit) for unit in position.units) == abs(position.quantity)
        assert position.contract in closed or position.without_stop <= bare[position.contract]
        for unit in position.units:
            check_unit(book, position, unit, pairs=market._rules.pairs)
    unresolved = [order for order in book.orders.values() if order.state in {"PENDING", "SENDING", "UNKNOWN"}]
    entries = [(order.strategy, order.contract) for order in unresolved if order.leg.kind is LegKind.ENTRY]
    assert len(entries) == len(set(entries))


def check_unit(book: Book, position: Position, unit: str, *, pairs: bool) -> None:
    """A unit has exits of its size; while a part of it leaves, what stays has a stop, and nothing can turn it round.

    Where the venue ends no exit with another (`pairs`), all of them together are no more than it, and a target stands
    only where its stop has gone for it.
    """
    live = [order for order in book.live_orders() if order.contract == position.contract and order.unit in ("", unit)]
    stops, targets, closing = (
        sum(order.remaining for order in live if order.leg.kind is kind)
        for kind in (LegKind.STOP, LegKind.TARGET, LegKind.FLATTEN)
    )
    if not pairs:
        placed = [order for order in live if in_place_of_stop(book, order)]
        assert stops + targets + closing <= abs(position.quantity), f"{position} can be turned round"
        assert targets == sum(order.remaining for order in placed), f"a target rests beside stops of {position}"
        stops, targets = stops + targets, 0
    strategy = book.strategies.get(position.strategy)
    size, free = position.held_by(unit), position.without_stop_of(unit)
    if strategy is None or book.flatten or strategy.flatten or any(not order.unit for order in live):
        doubted = sum(order.remaining for order in live if order.leg.is_exit and order.state is OrderState.UNKNOWN)
        assert max(stops, targets) + closing - doubted <= abs(position.quantity), f"{position} can be turned round"
        return
    asked = [goal for goal in strategy.exits if goal.unit == unit]
    part, bare = (
        (0, 0) if not asked else (size, free) if asked[0].quantity is None else (asked[0].quantity, asked[0].bare)
    )
    part = min(part, size)
    bare = min(max(bare, part - (size - free)), free, part)  # its other fills may have closed some of either
    assert max(stops, targets) + closing <= size, f"{unit} of {position} can be turned round"
    assert closing <= part, f"{closing} of {unit} of {position} are being closed, and {part} are to leave"
    assert stops >= size - part - (free - bare), f"what stays of {unit} of {position} is not protected"
    if not part:
        # One that its strategy has given a stop or a target since has more than it was entered with.
        wanted = (
            range(size + 1)
            if not pairs or _is_mixed(book, position, unit)
            else {_targets_of(book, position, unit), size}
        )
        covered = size - free <= stops <= size and targets in wanted
        assert covered, f"{unit} of {position} is not protected"
