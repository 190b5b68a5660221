"""Faults planted in the real code, one function each: what the simulation has to find, or it is worth nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from leadline.execution import service
from leadline.execution.adapters.journal import SendJournal
from leadline.execution.adapters.kill_switch import KillSwitch
from leadline.execution.adapters.memory_store import MemoryStore
from leadline.execution.adapters.outbox import event_message, event_subjects
from leadline.execution.core import account, booking, day, exits, unit_exits
from leadline.execution.core.book import Book, Changes
from leadline.execution.core.decisions import venue_order
from leadline.execution.core.exits import Cancel, Shrink
from leadline.execution.core.halts import Halts
from leadline.execution.core.orders import follow, move
from leadline.execution.core.records import AccountRecords
from leadline.execution.loop import account_loop, bookkeeper, order_sender
from leadline.execution.loop.account_halts import AccountHalts
from leadline.execution.loop.account_loop import AccountLoop
from leadline.execution.loop.bookkeeper import Bookkeeper
from leadline.execution.loop.order_sender import OrderSender
from leadline.execution.loop.ports import PartFailed
from leadline.execution.loop.reconciliation import Reconciliation
from leadline.execution.loop.signal_queue import SignalQueue
from leadline.execution.service import Account
from leadline.execution.venues.live_clock import LiveClock
from leadline.execution.venues.live_prints import LivePrints
from leadline.model.ids import LegKind
from leadline.model.orders import Advanced, Order, OrderState, Position, Replacement

Plant = tuple[object, str, Callable[[Any], Any]]
"""Where a function stands, its name there, and what stands in its place, made of it."""


def _does_nothing(_: Any) -> Any:
    return lambda *args, **options: None


def _waits_for_nothing(_: Any) -> Any:
    async def nothing(*args: Any, **options: Any) -> None:
        """As if it were done."""

    return nothing


def _says(value: Any) -> Callable[[Any], Any]:
    return lambda _: lambda *args, **options: value


# --- sending ---


def _sent_before_it_is_committed(_: Any) -> Any:
    async def send(self: OrderSender, order: Order) -> None:
        await self.hand_in(move(order, OrderState.SENDING))

    return send


def _sent_again_when_nothing_is_heard(hand_in: Any) -> Any:
    async def twice(self: OrderSender, order: Order) -> None:
        try:
            await hand_in(self, order)
        except PartFailed:
            await self._deps.venue.submit(venue_order(order, trails=self._deps.trails))
            raise

    return twice


def _kept_in_memory(_: Any) -> Any:
    def write(self: SendJournal, client_id: Any) -> None:
        self._written[client_id] = None

    return write


def _written_when_it_is_answered(hand_in: Any) -> Any:
    async def late(self: OrderSender, order: Order) -> None:
        submit, journal = self._deps.venue.submit, self._deps.journal

        class Late:
            def __getattr__(self, name: str) -> Any:
                return getattr(journal, name)

            def write(self, client_id: Any) -> None:
                """Not yet."""

        class Venue:
            def __getattr__(self, name: str) -> Any:
                return getattr(deps.venue, name)

            async def submit(self, sent: Any) -> Any:
                answer = await submit(sent)
                journal.write(sent.client_id)
                return answer

        keeper, deps = self._keeper, self._deps
        keeper.deps = replace(deps, journal=Late(), venue=Venue())
        try:
            await hand_in(self, order)
        finally:
            keeper.deps = deps

    return late


def _not_renewed(hand_in: Any) -> Any:
    async def unlooked(self: OrderSender, order: Order) -> None:
        keeper, deps = self._keeper, self._deps

        class Store:
            def __getattr__(self, name: str) -> Any:
                return getattr(deps.store, name)

            async def confirm(self) -> None:
                """The lease is taken for granted, and the rows are."""

        keeper.deps = replace(deps, store=Store())
        try:
            await hand_in(self, order)
        finally:
            keeper.deps = deps

    return unlooked


# --- orders whose fate is open ---


def _unknown_is_rejected(_: Any) -> Any:
    async def settle(self: Reconciliation, order: Order) -> None:
        if order.state in (OrderState.SENDING, OrderState.UNKNOWN):
            await self._keeper.commit_order(follow(order, OrderState.REJECTED, reason="no answer"))

    return settle


def _sent_again_when_absent(look_up: Any) -> Any:
    async def again(self: OrderSender, order: Order) -> Any:
        found = await look_up(self, order)
        return found or await self._deps.venue.submit(venue_order(order, trails=self._deps.trails))

    return again


def _unknown_is_dead(_: Any) -> Any:
    async def look_up(self: OrderSender, order: Order) -> None:
        """Nobody is asked."""

    return look_up


def _cancelled_when_asked(cancel: Any) -> Any:
    async def at_once(self: OrderSender, order: Order, reason: str) -> Any:
        found = await cancel(self, order, reason)
        live = self._book.orders.get(order.client_id)
        if live is not None and live.state is OrderState.PENDING_CANCEL:
            await self._keeper.commit_order(follow(live, OrderState.CANCELLED, reason=reason))
        return found

    return at_once


def _cancel_without_answer_is_done(cancel: Any) -> Any:
    async def done(self: OrderSender, order: Order, reason: str) -> Any:
        try:
            return await cancel(self, order, reason)
        except PartFailed:
            live = self._book.orders[order.client_id]
            await self._keeper.commit_order(follow(live, OrderState.CANCELLED, reason=reason))
            return None

    return done


# --- booking ---


def _unknown_order_is_ignored(real: Any) -> Any:
    def ignoring(book: Book, changes: Changes, events: Any, *rest: Any) -> list[str]:
        known = {order.client_id for order in book.orders.values()}
        kept = [event for event in events if event.order.client_id in known or event.order.parent]
        surprises: list[str] = real(book, changes, kept, *rest)
        book.venue_event = max([book.venue_event, *(event.event for event in events)])
        return surprises

    return ignoring


def _second_fill_is_dropped(real: Any) -> Any:
    def dropping(book: Book, changes: Changes, order: Order, event: int, fill: Any, *rest: Any) -> Order:
        return order if fill.k > 1 else real(book, changes, order, event, fill, *rest)

    return dropping


def _counted_twice(real: Any) -> Any:
    def twice(book: Book, *rest: Any) -> None:
        before = book.realised
        real(book, *rest)
        book.realised += book.realised - before

    return twice


def _position_is_not_written(real: Any) -> Any:
    def forgetting(book: Book, changes: Changes, *rest: Any) -> None:
        real(book, changes, *rest)
        changes.positions.clear()

    return forgetting


def _booked_again(_: Any) -> Any:
    return lambda book, events: list(events)


def _rolled_twice(real: Any) -> Any:
    def twice(book: Book) -> bool:
        carried = book.realised
        rolled: bool = real(book)
        if rolled:
            book.equity_at_roll += carried
        return rolled

    return twice


def _no_event_is_caught_up_with(_: Any) -> Any:
    async def catch_up(self: Bookkeeper) -> None:
        """What the venue has to say is heard when time goes on."""

    return catch_up


def _event_is_skipped(real: Any) -> Any:
    async def take_in(self: Bookkeeper, advanced: Advanced) -> None:
        await real(self, replace(advanced, events=advanced.events[:1]) if len(advanced.events) > 3 else advanced)

    return take_in


# --- protection and exits ---


def _cleared_before_it_is_proven(real: Any) -> Any:
    def clearing(book: Book) -> bool:
        for position in book.open_positions():
            owner = book.strategies.get(position.strategy)
            if owner is not None and owner.flatten and not book.live_orders(position.strategy):
                book.hold(replace(position, quantity=0, lots=()))
        found: bool = real(book)
        return found

    return clearing


def _targets_stay(real: Any) -> Any:
    def keeping(*args: Any, **options: Any) -> list[Any]:
        found = real(*args, **options)
        return [each for each in found if not (isinstance(each, Cancel) and each.order.leg.kind is LegKind.TARGET)]

    return keeping


def _stops_do_not_count(real: Any) -> Any:
    def closing(book: Book, orders: list[Order], positions: list[Position], *rest: Any) -> Any:
        return real(book, [order for order in orders if order.leg.kind is not LegKind.STOP], positions, *rest)

    return closing


def _closes_beside_a_close(real: Any) -> Any:
    def closing(book: Book, orders: list[Order], positions: list[Position], *rest: Any) -> Any:
        return real(book, [order for order in orders if order.leg.kind is not LegKind.FLATTEN], positions, *rest)

    return closing


def _any_pair_first(_: Any) -> Any:
    def turn(pair: Any) -> tuple[int, int, int, str]:
        states = {order.state for order in pair}
        known = 0 if OrderState.PENDING_CANCEL in states else 1
        return (known, *min((order.decided_at_ns, len(order.leg), order.leg) for order in pair))

    return turn


def _one_question_a_step(_: Any) -> Any:
    return 1


def _sized_by_what_is_left(_: Any) -> Any:
    return property(lambda self: Replacement(self.order.client_id, quantity=max(1, self.left - 1)))


def _one_more_than_is_held(real: Any) -> Any:
    def more(*args: Any, **options: Any) -> Order:
        order: Order = real(*args, **options)
        return replace(order, quantity=order.quantity + 1)

    return more


def _closed_before_room_is_made(_: Any) -> Any:
    return lambda book, position, wanted, stands: (
        not any(order.leg.kind is LegKind.FLATTEN for order in book.live_orders(position.strategy))
    )


# --- limits, halts and commands ---


def _working_orders_do_not_count(_: Any) -> Any:
    return lambda positions, entries: sum(abs(position.quantity) for position in positions)


def _halts_let_entries_work(real: Any) -> Any:
    def unhalted(book: Book, *, halted: bool, **options: Any) -> Any:
        return real(book, halted=False, **options)

    return unhalted


def _all_halts_are_cleared(_: Any) -> Any:
    return lambda self, seen: tuple(entry.halt for entry in self.standing)


def _forgotten_at_the_disk(_: Any) -> Any:
    def keep(self: KillSwitch) -> None:
        self.durable = True

    return keep


def _answered_before_it_is_written(_: Any) -> Any:
    async def commit(self: AccountLoop, changes: Changes | None = None) -> None:
        self._keeper.due = True

    return commit


def _known_decisions_are_forgotten(load: Any) -> Any:
    def without(self: AccountRecords, *args: Any) -> Book | None:
        book: Book | None = load(self, *args)
        return None if book is None else replace(book, decided={})

    return without


def _bars_come_and_go(push: Any) -> Any:
    def dropping(self: SignalQueue, message: Any) -> bool:
        if message.bar is not None and self.waits:
            message = replace(message, bar=None)
        found: bool = push(self, message)
        return found

    return dropping


def _lease_is_anybodys(_: Any) -> Any:
    return lambda self: self._database.leases[self._account]


def _book_is_not_read_again(load: Any) -> Any:
    async def kept(self: Bookkeeper) -> None:
        if not self.book.strategies:
            await load(self)

    return kept


def _more_than_a_contract_costs(real: Any) -> Any:
    return lambda *args: real(*args) * 2


# --- the live tape and the outbox ---


def _any_age_will_do(_: Any) -> Any:
    return 10**18


def _rows_are_not_asked_for(_: Any) -> Any:
    async def confirm(self: MemoryStore) -> None:
        await self.renew()

    return confirm


def _is_never_doubted(_: Any) -> Any:
    return property(lambda self: "")


def _prints_are_of_now(last: Any) -> Any:
    def fresh(self: LivePrints, contracts: Any, now_ns: int) -> Any:
        return {name: replace(found, time_ns=now_ns) for name, found in last(self, contracts, now_ns).items()}

    return fresh


def _was_never_decided(_: Any) -> Any:
    async def asked(self: AccountLoop, strategy: Any, what: Any) -> bool:
        return False

    return asked


def _marked_before_they_are_out(_: Any) -> Any:
    async def publish(rows: Any, bus: Any) -> int:
        found = await rows.unpublished()
        await rows.published([row["event"] for row in found])
        subjects = event_subjects(rows.tape, rows.account)
        said = [(subjects[row["kind"]], event_message(row).SerializeToString(), row["key"]) for row in found]
        if said:
            await bus.publish_many(said)
        return len(found)

    return publish


def _only_the_first_goes_out(publish: Any) -> Any:
    async def first(rows: Any, bus: Any) -> int:
        class Bus:
            async def publish_many(self, messages: Any) -> None:
                await bus.publish_many(messages[:3])

        found: int = await publish(rows, Bus())
        return found

    return first


def _forgives_without_saying_again(_: Any) -> Any:
    async def resume(rows: Any, bus: Any) -> int:
        for subject in event_subjects(rows.tape, rows.account).values():
            await bus.resume("", subject)
        return 0

    return resume


PLANTED: Final[dict[str, Plant]] = {
    "sent before it is committed": (OrderSender, "send", _sent_before_it_is_committed),
    "sent again when nothing is heard": (OrderSender, "hand_in", _sent_again_when_nothing_is_heard),
    "sent again when the look-up finds nothing": (OrderSender, "look_up", _sent_again_when_absent),
    "journal in memory alone": (SendJournal, "write", _kept_in_memory),
    "journal after the answer": (OrderSender, "hand_in", _written_when_it_is_answered),
    "lease not renewed before the byte": (OrderSender, "hand_in", _not_renewed),
    "epoch not checked": (MemoryStore, "_lease", _lease_is_anybodys),
    "UNKNOWN taken for rejected": (Reconciliation, "_settle", _unknown_is_rejected),
    "UNKNOWN given up without a look-up": (OrderSender, "look_up", _unknown_is_dead),
    "a cancel without an answer taken for done": (OrderSender, "_cancel", _cancel_without_answer_is_done),
    "a cancel taken for done when it was asked": (OrderSender, "_cancel", _cancelled_when_asked),
    "a fill of an unknown order dropped": (bookkeeper, "book_venue_events", _unknown_order_is_ignored),
    "the second fill of an order dropped": (booking, "_with_fill", _second_fill_is_dropped),
    "events told again booked again": (booking, "not_booked", _booked_again),
    "a fill without its position": (booking, "_book_fill", _position_is_not_written),
    "a result counted twice": (booking, "_book_fill", _counted_twice),
    "a commission booked twice": (booking, "commission_of", _more_than_a_contract_costs),
    "the day rolled twice": (bookkeeper, "roll", _rolled_twice),
    "events between passed over": (Bookkeeper, "take_in", _event_is_skipped),
    "nothing caught up with at a start": (Bookkeeper, "catch_up", _no_event_is_caught_up_with),
    "the book not read again after a failure": (Bookkeeper, "load", _book_is_not_read_again),
    "a book cleared on an unverified flatten": (bookkeeper, "settled", _cleared_before_it_is_proven),
    "a position without a stop left alone": (Bookkeeper, "_protect", _does_nothing),
    "a target left alive by a flatten": (order_sender, "wanted", _targets_stay),
    "a close beside the stops": (exits, "_leaving", _stops_do_not_count),
    "two closes at a time": (exits, "_leaving", _closes_beside_a_close),
    "a close larger than the position": (exits, "_closing", _one_more_than_is_held),
    "exits of one instant without an order": (unit_exits, "_turn", _any_pair_first),
    "one question at each step": (order_sender, "ROUNDS", _one_question_a_step),
    "exits sized by the event": (Shrink, "replacement", _sized_by_what_is_left),
    "a part closed before its exits have shrunk": (exits, "may_close", _closed_before_room_is_made),
    "working orders left out of the exposure": (account, "_exposure", _working_orders_do_not_count),
    "an entry sent in spite of a halt": (OrderSender, "_kept_back", _says("")),
    "an entry left working in spite of a halt": (order_sender, "wanted", _halts_let_entries_work),
    "a halt that nobody has seen cleared": (Halts, "clearable", _all_halts_are_cleared),
    "a halt not on the disk": (KillSwitch, "keep", _forgotten_at_the_disk),
    "halts in rows not read": (AccountHalts, "read", _waits_for_nothing),
    "halts without rows": (AccountHalts, "tell", _waits_for_nothing),
    "answered before it is written": (AccountLoop, "commit", _answered_before_it_is_written),
    "decisions of the instant forgotten": (AccountRecords, "load", _known_decisions_are_forgotten),
    "an entry decided again that has left": (AccountLoop, "_sent_before", _says(None)),
    "bars of the bus dropped": (SignalQueue, "push", _bars_come_and_go),
    "an old bar traded on a live tape": (account_loop, "LATE_NS", _any_age_will_do),
    "an entry that leaves too late": (Account, "_is_late", _says(False)),
    "a clock that was set believed": (LiveClock, "doubt", _is_never_doubted),
    "old prints taken for new ones": (LivePrints, "last", _prints_are_of_now),
    "a bar decided again after a long stop": (AccountLoop, "_was_decided", _was_never_decided),
    "rows not asked for before the byte": (MemoryStore, "confirm", _rows_are_not_asked_for),
    "events marked before they are published": (service, "publish_pending", _marked_before_they_are_out),
    "a batch of events cut short": (service, "publish_pending", _only_the_first_goes_out),
    "events lost by the bus not said again": (service, "resume_outbox", _forgives_without_saying_again),
    "the close of the session forgotten": (day, "close_of_session", _says(())),
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The code with one of these faults in it."""
    owner, attribute, make = PLANTED[name]
    real = getattr(owner, attribute)
    setattr(owner, attribute, make(real))
    try:
        yield
    finally:
        setattr(owner, attribute, real)
