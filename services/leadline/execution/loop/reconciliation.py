"""Book and venue, compared: after a start, after an answer that was not heard, and before a difference is cleared."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from leadline.execution.core.book import Book, Changes, is_entry
from leadline.execution.core.booking import other_positions, other_working
from leadline.execution.core.exit_reasons import ExitReason
from leadline.execution.core.order_reports import was_faster
from leadline.execution.core.orders import UNRESOLVED, follow, move
from leadline.execution.core.venue_reports import check_order, check_positions, shown, storable
from leadline.execution.loop.bookkeeper import Bookkeeper
from leadline.execution.loop.deps import Deps
from leadline.execution.loop.order_sender import OrderSender
from leadline.execution.loop.ports import Unavailable
from leadline.model.halts import HaltSource
from leadline.model.ids import ClientOrderId, ContractId, LegKind
from leadline.model.loop_phase import LoopPhase
from leadline.model.orders import Order, OrderState, VenueOrder
from leadline.model.ticks import NS_PER_SECOND

READS: Final = 5
"""How often the venue is read again because something happened while it was read."""

CHECKED_IDS: Final = 256
"""By how many of the newest orders rows and journal are compared at a start: the newest are those that are lost."""

UNPROTECTED_NS: Final = 5 * NS_PER_SECOND
"""A position whose stop is in doubt for so long is closed."""

Read = TypeVar("Read")
_NEVER_LEFT: Final = frozenset({OrderState.PENDING, OrderState.EXPIRED_LOCAL})


class Reconciliation:
    """Brings one account's book and its venue to the same, and halts the account where they cannot be.

    `_in_doubt` has the orders that may still come to the venue, each with the instant (ns) since which that is so.
    """

    def __init__(self, keeper: Bookkeeper, orders: OrderSender) -> None:
        self._keeper = keeper
        self._orders = orders
        self._in_doubt: dict[ClientOrderId, int] = {}
        self._looked_ns = 0

    @property
    def _deps(self) -> Deps:
        return self._keeper.deps

    @property
    def _book(self) -> Book:
        return self._keeper.book

    async def run(self) -> None:
        """Learn from the venue what happened since the book was written, settle every order whose fate is open.

        What was being closed is closed on at the same instant, before any print can come between. Raises `Unavailable`
        while a part does not answer; a difference is no error, it halts.
        """
        await self._check_rows()
        await self._keeper.catch_up()
        for client_id in [order.client_id for order in self._book.live_orders()]:
            order = self._book.orders.get(client_id)
            if order is not None and not order.state.terminal:
                await self._settle_once(order)
        await self._take_over_unknown()
        await self._compare_positions()
        await self._check_journal()
        self._keeper.doubted = False
        await self._orders.carry_out()

    async def _compare_positions(self) -> None:
        """Compare what book and venue hold.

        Where the venue does not tell it with its events, the book takes over what two reads say alike.
        """
        found = await self._at_rest(self._deps.venue.positions)
        self._keeper.compare(found)
        if self._keeper.tells_positions or not other_positions(self._book, found):
            return
        await self._deps.pause(LoopPhase.RECONCILING)
        again, _ = check_positions(await self._at_rest(self._deps.venue.positions))
        if again is not None and again == found:
            await self._keeper.take_over_positions(again)

    async def look_for_doubted(self) -> None:
        """Ask once a second for the orders that may still come to the venue, until they are there or cannot come.

        A position whose stop is among them for longer than `UNPROTECTED_NS` is closed: nobody knows of a stop of its.
        """
        book = self._book
        if not self._in_doubt or book.instant_ns < self._looked_ns + NS_PER_SECOND:
            return
        self._looked_ns = book.instant_ns
        for client_id, since_ns in list(self._in_doubt.items()):
            order = book.orders.get(client_id)
            if order is None or order.state is not OrderState.UNKNOWN:
                del self._in_doubt[client_id]
                continue
            await self._settle_once(order)
            order = self._book.orders.get(client_id, order)
            owner = self._book.strategies.get(order.strategy)
            naked = order.leg.kind is LegKind.STOP and order.state is OrderState.UNKNOWN
            long_ns = UNPROTECTED_NS * self._book.clock_rate
            if naked and owner is not None and not owner.flatten and self._book.instant_ns >= since_ns + long_ns:
                self._keeper.differs(f"stop {client_id} is in doubt: its position is closed")
                owner.flatten = ExitReason.UNPROTECTED
                self._keeper.due = True
                await self._keeper.commit(Changes())

    def _may_still_come(self, order: Order) -> bool:
        """Whether an order that the venue does not show may still come to it: a look-up is no proof until then."""
        if not self._book.live or not self._deps.settle_ns:
            return False
        since_ns = self._in_doubt.setdefault(order.client_id, self._book.instant_ns)
        return self._book.instant_ns < since_ns + self._deps.settle_ns * self._book.clock_rate

    async def look(self) -> None:
        """Compare orders and positions while both go on. What differs in two reads halts, and is settled as at a start.

        One read may show what an event is about to tell. Raises as `run`.
        """
        difference = await self._difference()
        if not difference:
            return
        await self._deps.pause(LoopPhase.RECONCILING)
        if difference == await self._difference():
            self._keeper.differs(difference)
            self._keeper.doubted = True

    async def _difference(self) -> str:
        """In what the venue's orders and positions differ from the book's, as they were read; empty when they agree."""
        await self._keeper.catch_up()
        working, positions = await self._at_rest(self._orders_and_positions)
        believed, doubt = check_positions(positions)
        if believed is None:
            return doubt
        return other_positions(self._book, believed) or other_working(self._book, working)

    async def _orders_and_positions(self) -> tuple[Sequence[VenueOrder], Mapping[ContractId, int]]:
        return await self._deps.venue.working(), await self._deps.venue.positions()

    async def _at_rest(self, read: Callable[[], Awaitable[Read]]) -> Read:
        """The venue's answer, with nothing having happened between it and the book.

        Where time waits for nobody the events are asked for again behind it. Raises Unavailable where something happens
        each time.
        """
        for _ in range(READS):
            before = self._book.venue_event
            found = await read()
            if not self._book.live:
                return found
            await self._keeper.catch_up()
            if self._book.venue_event == before:
                return found
        raise Unavailable(f"the venue's events did not come to rest in {READS} reads", "venue")

    async def _take_over_unknown(self) -> None:
        """Take over the orders that work at the venue and that the book does not have: no event told of them.

        So the book knows each order that can change its positions, also where a venue's events of a time when nobody
        listened are lost. One at which processes have ended is left alone.
        """
        for found in await self._deps.venue.working():
            if self._book.live and found.client_id not in self._book.orders:
                await self._keeper.catch_up()  # it may have come meanwhile, with the fill that has made it
            if found.client_id in self._book.orders:  # its own events and its look-up tell of it
                continue
            name = f"order {shown(found.client_id)} as the venue has it"
            why = self._deps.marks.poison(name)
            if why or not storable(found.client_id):
                self._keeper.differs(f"{name} is passed over: {why or 'no table holds its id'}")
                continue
            with self._deps.marks.at(name):
                await self._keeper.take_over(found)

    async def _settle_once(self, order: Order) -> None:
        """Settle an order, unless processes have ended at it: it stays as the book has it then."""
        marks, name = self._deps.marks, f"order {order.client_id} as the venue has it"
        why = marks.poison(name)
        if why:
            self._keeper.differs(f"{name} is passed over: {why}")
            return
        with marks.at(name):
            await self._settle(order)

    async def _settle(self, order: Order) -> None:
        """An order found PENDING was never sent; one found SENDING may have been, and only the venue knows.

        A row that says PENDING of an order in the journal is older than what happened: it may have been sent, too.
        """
        if order.state not in UNRESOLVED:
            await self._ask_again(order)
            return
        if order.state is OrderState.PENDING and order.client_id in self._deps.journal.written:
            order = move(order, OrderState.SENDING)
        if order.state is OrderState.PENDING:
            protects = bool(order.parent) and not self._deps.makes_brackets
            if order.decided_at_ns == self._book.instant_ns or protects:
                await self._orders.send(order)
            else:
                await self._keeper.commit_order(move(order, OrderState.EXPIRED_LOCAL, reason=ExitReason.NEVER_SENT))
            return
        if self._orders.known_unsent(order):
            await self._orders.hand_in(order)
            return
        if order.state is OrderState.SENDING:
            order = move(order, OrderState.UNKNOWN)
            await self._keeper.commit_order(order)
        found = await self._orders.look_up(order)
        if found is None and self._may_still_come(order):
            return
        self._in_doubt.pop(order.client_id, None)
        if found is None:
            await self._keeper.commit_order(move(order, OrderState.DEAD, reason=ExitReason.ABSENT))
        else:
            await self._keeper.catch_up()
            if self._book.orders[order.client_id].state in UNRESOLVED:  # found, and no event tells of it
                await self._orders.follow(self._book.orders[order.client_id], found)

    async def _ask_again(self, order: Order) -> None:
        """A live order has to be at the venue, and as the book has it.

        A cancel whose outcome was not heard is no difference: an order that still works is wanted out again, if it
        still is. One that the venue does not have can neither fill nor protect; one answer alone is no proof of that.
        """
        found = await self._orders.look_up(order)
        for _ in range(READS if self._book.live else 0):
            if found is None or not was_faster(order, found):
                break
            await self._keeper.catch_up()  # what it did meanwhile is told by its events
            order = self._book.orders.get(order.client_id, order)
            found = await self._orders.look_up(order)
        if found is None:
            self._keeper.differs(f"order {order.client_id}, which is {order.state} in the book, is absent at the venue")
            await self._keeper.commit_order(follow(order, OrderState.DEAD, reason=ExitReason.ABSENT))
        else:
            await self._orders.follow(order, found)
            if order.client_id in self._book.orders:  # one that has ended may be so old that nothing looks at it
                await self._take_filled(self._book.orders[order.client_id], found)

    async def _take_filled(self, order: Order, found: VenueOrder) -> None:
        """Take the venue's word on how much of an entry has filled: the events that told of it were not believed.

        A stop or a target that still works goes on as the book has it: its position tells whether that is right.
        """
        checked = check_order(order, found)
        if checked.order is None or "filled" in checked.doubted or not (is_entry(order) or order.state.terminal):
            return
        filled = checked.order.filled
        if filled == order.filled:
            return
        self._keeper.differs(
            f"order {order.client_id} has {filled} filled at the venue, its fills come to {order.filled}"
        )
        await self._keeper.commit_order(replace(order, filled=filled, version=order.version + 1))

    async def _check_rows(self) -> None:
        """Rows that do not know an order of the journal are older than it: the database has lost its tail.

        The venue knows what happened since, and is followed; entries stop until a person has looked.
        """
        newest = self._deps.journal.newest(CHECKED_IDS)
        rows = (await self._deps.store.recall(newest, [])).orders if newest else {}
        left = [number for number, name in enumerate(newest, 1) if name in rows and rows[name].state not in _NEVER_LEFT]
        lost = newest[max(left, default=0) :]  # those before an order that the rows know were looked at when it left
        if lost:
            self._keeper.differs(
                f"the database has lost its tail: orders that may have left are not in it: {', '.join(lost)}"
            )

    async def where_they_differ(self) -> str:
        """In what book and venue differ now; empty when they agree."""
        await self._keeper.catch_up()
        positions, doubt = check_positions(await self._deps.venue.positions())
        if positions is None:
            return doubt
        return other_positions(self._book, positions) or await self._other_orders()

    async def _other_orders(self) -> str:
        """The first order that the venue does not show as the book has it, and how it shows it."""
        for order in self._book.live_orders():
            said = await self._deps.venue.find(order.client_id)
            found = None if said is None else check_order(order, said).order
            if said is None and (order.state is OrderState.PENDING or order.client_id in self._in_doubt):
                continue  # it has not left, or may still come: it is not expected there
            if found is None or found.state.terminal or found.filled != order.filled:
                shown = "nothing" if found is None else f"{found.state} with {found.filled} filled"
                return f"of {order.client_id} the venue shows {shown}, not {order.state} with {order.filled} filled"
        return ""

    async def _check_journal(self) -> None:
        """A journal without orders that the venue has had is empty or older than the book: what left is not known.

        Nothing is entered until the venue has shown every order that works as the book has it. Then the journal is made
        whole again; a difference stops entries until a person has looked.
        """
        missing = await self._deps.store.sent(CHECKED_IDS) - self._deps.journal.written
        if not missing:
            return
        difference = await self._other_orders()
        if difference:
            self._deps.halt(HaltSource.DIFFERENCE, f"the send journal was lost, and {difference}")
            return
        try:
            self._deps.journal.restore(missing)
        except OSError as error:
            raise Unavailable(f"the disk does not take the journal: {error}", "disk") from error
