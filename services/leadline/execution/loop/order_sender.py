"""The way of an order to the venue: written once, by the one that holds the account, and followed by its answer."""

from typing import Final

from leadline.execution.core.book import Book, Changes, is_entry, put_order
from leadline.execution.core.booking import joined
from leadline.execution.core.decisions import venue_order
from leadline.execution.core.exit_reasons import ExitReason
from leadline.execution.core.exits import LONGEST_WAIT_NS, Cancel, Move, OrderChange, Shrink, wanted
from leadline.execution.core.new_exits import sent_again
from leadline.execution.core.order_reports import apply_report, was_faster
from leadline.execution.core.orders import move
from leadline.execution.core.protection import is_outdone
from leadline.execution.core.throttle import Purpose, Throttle
from leadline.execution.core.unit_exits import is_whole_unit_leaving
from leadline.execution.core.venue_reports import check_order, shown
from leadline.execution.loop.bookkeeper import Bookkeeper
from leadline.execution.loop.deps import Deps
from leadline.execution.loop.ports import NotAdmitted, PartFailed, Refused, Unavailable
from leadline.model.frozen import replace
from leadline.model.halts import printable
from leadline.model.ids import ClientOrderId, LegKind
from leadline.model.loop_phase import LoopPhase
from leadline.model.orders import Order, OrderState, VenueOrder
from leadline.model.ticks import NS_PER_SECOND

ROUNDS: Final = 3
"""Questions of what has to go at one instant: what protects no position, then its stops, then its close."""


class OrderSender:
    """Sends the orders of one account, and takes them out of the market again.

    `_kept_in` has the live orders that the venue refuses to cancel: how often it has, and the instant (ns) from which
    on it is asked again.
    """

    def __init__(self, keeper: Bookkeeper) -> None:
        self._keeper = keeper
        self._unsent = ""
        self._kept_in: dict[ClientOrderId, tuple[int, int]] = {}
        self._throttle: Throttle | None = None
        self._held_until_ns: int | None = None

    @property
    def _deps(self) -> Deps:
        return self._keeper.deps

    @property
    def _book(self) -> Book:
        return self._keeper.book

    def may_send(self, purpose: Purpose) -> bool:
        """Whether the venue's quota has a message of a purpose left now; it is counted then."""
        most, now_ns = self._book.manifest.spec.limits.max_messages_per_second, self._book.instant_ns
        if most is None:
            return True
        if self._throttle is None or self._throttle.per_second != most:
            self._throttle = Throttle(most)
        if self._throttle.take(purpose, now_ns):
            return True
        if purpose is not Purpose.ENTER:  # an entry is refused, and the others come again
            self._held_until_ns = self._throttle.ready_ns(purpose, now_ns)
        return False

    def known_unsent(self, order: Order) -> bool:
        """Whether this process knows that an order which is SENDING in the book has not left."""
        return order.client_id == self._unsent

    def _kept_back(self, order: Order) -> str:
        """Why an order does not leave that has not left yet: empty while it may.

        An exit stays here whose pair has filled. Nothing else keeps an order back that is no entry.
        """
        if not is_entry(order):
            return ExitReason.NEVER_SENT if is_outdone(self._book, order) else ""
        if order.taken_out_by:
            return self._deps.halted() or ExitReason.FIRST_FILL
        return self._deps.halted() or (ExitReason.LATE if self._deps.late(order.decided_at_ns) else "")

    async def send(self, order: Order) -> None:
        """The only code that sends an order: SENDING is committed, the id is on disk, and then it is written once."""
        if reason := self._kept_back(order):
            await self._keeper.commit_order(move(order, OrderState.EXPIRED_LOCAL, reason=reason))
            return
        order = move(order, OrderState.SENDING)
        self._unsent = order.client_id  # this process knows, should the database not say whether it has committed
        await self._keeper.commit_order(order)
        await self.hand_in(order)

    async def hand_in(self, order: Order) -> None:
        """Write an order to the venue, once, by the one who holds the account then and whose rows have the order.

        Whatever has halted the account up to here, or taken an entry out, keeps it from leaving; nothing is awaited
        between this last question and the byte.
        """
        await self._deps.store.confirm()
        if reason := self._kept_back(order):
            self._unsent = ""
            await self._keeper.commit_order(move(order, OrderState.EXPIRED_LOCAL, reason=reason))
            return
        try:
            self._deps.journal.write(order.client_id)
        except OSError as error:  # it has not left, as this process still knows: handed in when the disk takes it
            raise Unavailable(f"the disk does not take the journal: {error}", "disk") from error
        self._unsent = ""
        try:
            able = self._deps
            sent = venue_order(order, trails=able.trails, brackets=able.makes_brackets, pairs=able.pairs)
            reported = await self._deps.venue.submit(sent)
            if reported.client_id != order.client_id:  # what became of ours is asked for by its own id
                raise Refused(f"the venue answers order {order.client_id} with {shown(reported.client_id)}", "venue")
        except PartFailed as error:
            order = move(order, OrderState.UNKNOWN)
            await self._keeper.commit_order(order)
            if is_entry(order) or isinstance(error, NotAdmitted) or not isinstance(error, Refused):
                raise
            await self._refused(order, error)
            return
        await self.follow(order, reported)

    async def look_up(self, order: Order) -> VenueOrder | None:
        """An order as the venue has it; None when it has none. A request that was under way has its time to land."""
        with self._deps.marks.waiting():
            found = await self._deps.venue.find(order.client_id)
            if found is None:
                await self._deps.pause(LoopPhase.WAITING_FOR_VENUE)
                found = await self._deps.venue.find(order.client_id)
        return found

    async def _refused(self, order: Order, refused: Refused) -> None:
        """Book what closes something and was refused without a word on the order itself, once that it is absent.

        The account goes on: a crash would leave the rest that it holds alone, and each start would send another. What
        rests without its stop is closed then, and a close is tried again, later each time.
        """
        found = await self.look_up(order)
        if found is not None:
            if found.state is not OrderState.REJECTED:
                self._keeper.differs(f"order {order.client_id} is {found.state} at the venue: {refused}")
            await self.follow(order, found)
            return
        after = move(order, OrderState.REJECTED, reason=printable(str(refused)))
        await self._keeper.commit_order(after)
        if after.parent:
            await self._not_taken(after)
        else:
            self._keeper.differs(f"order {order.client_id} is not taken: {after.reason}")

    async def follow(self, order: Order, reported: VenueOrder) -> None:
        """Take the venue's word on an order; what the book had not foreseen in it, or cannot be, stops entries."""
        checked = check_order(order, reported)
        if checked.words:
            self._keeper.differs(f"the venue says of order {order.client_id} what cannot be, {checked.words}")
        if checked.order is None:
            raise AssertionError(f"order {order.client_id} is known, and no word of it was heard")
        after, surprises = apply_report(order, checked.order)
        for surprise in surprises:
            self._keeper.differs(surprise)
        if after != order:
            changes = Changes()
            put_order(self._book, changes, after)
            joined(self._book, changes, order, after)
            await self._keeper.commit(changes)
        if after.parent and after.state is OrderState.REJECTED and order.state is not after.state:
            await self._not_taken(after)

    async def _not_taken(self, order: Order) -> None:
        """Have a person look at an exit that the venue does not take, unless its pair was faster."""
        pair = await self._deps.venue.find(order.oco) if order.oco else None
        if pair is None or not pair.state.terminal:
            self._keeper.differs(f"exit {order.client_id} is not taken at {order.price}: {order.reason}")

    async def _send_exits(self) -> None:
        """Send the exits that are in the book and have not left: new ones, and those that the venue does not have.

        Stops go before targets: until its stop is there, a position has no protection.
        """
        if not self._deps.attaches:
            return
        while (found := next(sent_again(self._book), None)) is not None:
            changes = Changes()
            for order in found:
                put_order(self._book, changes, order)
            await self._keeper.commit(changes)
        for each in sorted(self._book.live_orders(), key=lambda order: order.leg.kind is not LegKind.STOP):
            order = self._book.orders.get(each.client_id, each)  # what was sent before it may have changed it
            if order.state is OrderState.PENDING and order.parent:
                owner = self._book.strategies.get(order.strategy)
                leaves = owner is not None and (owner.flatten or is_whole_unit_leaving(owner, order.unit))
                if self._book.flatten or leaves:
                    await self._keeper.commit_order(move(order, OrderState.EXPIRED_LOCAL, reason=ExitReason.NEVER_SENT))
                elif self.may_send(Purpose.PROTECT):
                    await self.send(order)

    async def cancel(self, order: Order, reason: str) -> None:
        """Cancel one working order and book what the venue says of it. Raises Refused where the venue does not."""
        refused = await self._cancel(order, reason)
        await self._keeper.catch_up()
        if refused is not None:
            raise refused

    async def move(self, move: Move) -> None:
        """Have an exit at another price, or trail otherwise; what is wanted has been committed before.

        What becomes of it is told by the venue's events. While that is not known the order counts where more is lost;
        the venue is asked where it is before the same terms are said again. One that the venue refuses stays where it
        is, and a person has to look, unless the order was faster: then its end is booked when the venue's events tell
        of it, and what has filled in part meanwhile is moved after that.
        """
        order = move.order
        if order.wanted_trail is not None and not self._deps.trails:  # it is the loop that moves it
            order = _trails_as_wanted(replace(order, moved_ns=self._book.instant_ns))
            await self._keeper.commit_order(order)
            if order.wanted_price is None:
                return
        await self._deps.store.confirm()
        try:
            await self._deps.venue.replace(Move(order).replacement)
        except NotAdmitted:
            raise
        except Refused as refused:
            found = await self._deps.venue.find(order.client_id)
            if found is not None and was_faster(order, found):
                if not found.state.terminal:
                    return
            else:
                self._keeper.differs(f"order {order.client_id} stays at {order.price}: {refused}")
                order = order if self._deps.trails else replace(order, trail=None)  # it would be refused again
            left = replace(order, wanted_price=None, wanted_trail=None, version=order.version + 1)
            await self._keeper.commit_order(left)
        else:
            if order.wanted_trail is not None:  # a venue need not say how a stop trails
                await self._keeper.commit_order(_trails_as_wanted(order))

    async def _cancel(self, order: Order, reason: str) -> Refused | None:
        """Take an order out of the market, once that it is on its way out is committed; the venue's refusal, or None.

        A venue that refuses because the order was faster has nothing to take out: its events tell what became of it.
        One that refuses an order that works keeps it: a person has to look, and while the book still wants the order
        out the venue is asked again, each time after twice as long. One that does not have it is asked for all orders.
        """
        order = move(order, OrderState.PENDING_CANCEL, reason=reason)
        await self._keeper.commit_order(order)
        try:
            await self._deps.venue.cancel(order.client_id, reason)
        except NotAdmitted:
            raise
        except Refused as refused:
            found = await self._deps.venue.find(order.client_id)
            if found is not None and was_faster(order, found):
                return None
            self._keeper.differs(f"order {order.client_id} is not taken out of the market: {refused}")
            if found is None:
                self._keeper.doubted = True
                return refused
            tries, _ = self._kept_in.get(order.client_id, (0, 0))
            wait_ns = min(NS_PER_SECOND << min(tries, 6), LONGEST_WAIT_NS)
            self._kept_in[order.client_id] = (tries + 1, self._book.instant_ns + wait_ns)
            await self.follow(order, found)
            return refused
        self._kept_in.pop(order.client_id, None)
        return None

    def next_try(self) -> int | None:
        """The next instant, ns, at which the venue is asked again to cancel an order that it has kept.

        Or at which its quota has a message again for what has waited for one.
        """
        held_ns = self._held_until_ns
        held_ns = None if held_ns is None or held_ns <= self._book.instant_ns else held_ns
        if not self._kept_in:
            return held_ns
        live = {order.client_id for order in self._book.live_orders()}
        self._kept_in = {name: kept for name, kept in self._kept_in.items() if name in live}
        again = [at for _, at in self._kept_in.values() if at > self._book.instant_ns]
        return min([*again, *([] if held_ns is None else [held_ns])], default=None)

    def _is_kept_in(self, action: OrderChange) -> bool:
        """Whether an action is a cancel for which it is too early, after the venue has refused it."""
        _, again_ns = self._kept_in.get(action.order.client_id, (0, 0))
        return isinstance(action, Cancel) and self._book.instant_ns < again_ns

    async def shrink(self, shrink: Shrink) -> None:
        """Have an exit close less; that a part of its unit is to leave has been committed before.

        What becomes of it is told by the venue's events, and while that is not known, nothing closes that part. Where
        the venue refuses, the part stays where it is, behind the exits that it has, and a person has to look, unless
        the order was faster.
        """
        order = shrink.order
        owner = self._book.strategies[order.strategy]
        if not any(goal.unit == order.unit for goal in owner.exits):  # another of its exits was refused just now
            return
        await self._deps.store.confirm()
        try:
            await self._deps.venue.replace(shrink.replacement)
        except NotAdmitted:
            raise
        except Refused as refused:
            found = await self._deps.venue.find(order.client_id)
            if found is not None and was_faster(order, found):
                return
            self._keeper.differs(f"order {order.client_id} stays at {order.remaining} size steps: {refused}")
            owner.exits = tuple(goal for goal in owner.exits if goal.unit != order.unit)
            await self._keeper.commit(Changes())

    async def carry_out(self) -> None:
        """Carry out what the book wants of the venue: cancels, those of stops last, what closes positions, and moves.

        What is refused or has gone wrong is tried again at the next step, so that one instant cannot last for ever.
        """
        if self._keeper.at_rest():
            return
        for _ in range(ROUNDS):
            await self._send_exits()
            found = wanted(self._book, halted=bool(self._deps.halted()), spent=self._deps.journal.written)
            actions = [action for action in found if not self._is_kept_in(action)]
            if not actions:
                return
            sent = [action for action in actions if self.may_send(_purpose(action))]
            if not sent:
                return
            for action in sent:
                if isinstance(action, Cancel):
                    await self._cancel(action.order, action.reason)
                elif isinstance(action, Move):
                    await self.move(action)
                elif isinstance(action, Shrink):
                    await self.shrink(action)
                else:
                    await self._keeper.commit_order(action.order)
                    await self.send(action.order)
            await self._keeper.catch_up()


def _purpose(action: OrderChange) -> Purpose:
    return Purpose.PROTECT if isinstance(action, Move) else Purpose.LEAVE


def _trails_as_wanted(order: Order) -> Order:
    """The stop with the trail that its strategy wants."""
    return replace(order, trail=order.wanted_trail, wanted_trail=None, version=order.version + 1)
