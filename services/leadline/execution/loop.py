"""The account's loop: the only code that opens exposure.

It goes from instant to instant. At each, in this order: the venue matches the prints up to it, fills are booked, limits
and timed actions run, and then the bars known at that instant are decided, strategies by name, each seeing what the one
before reserved. Everything it needs comes in by `leadline.execution.ports`, so that a backtest runs the same loop.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from leadline.execution.account import account_view, limits_in_force, question, settings
from leadline.execution.book import (
    Book,
    BookEvent,
    Changes,
    StrategyBook,
    count_entry,
    fence_off,
    forget,
    is_entry,
    new_order,
    note,
    put_order,
)
from leadline.execution.booking import Stored, asked_of_rows, book_venue_events, other_positions, told, unheard
from leadline.execution.contracts import tape_contract
from leadline.execution.day import apply_limits, around_the_roll, next_timer, roll, watches
from leadline.execution.decisions import decision_facts, decision_of, venue_order
from leadline.execution.exits import Cancel, next_try, settled, wanted
from leadline.execution.halt_rows import note_clearing, note_halt
from leadline.execution.halts import Clearing, Seen
from leadline.execution.inbox import Inbox
from leadline.execution.orders import UNRESOLVED, follow, move
from leadline.execution.ports import (
    HaltStands,
    Journal,
    LimitRefused,
    NotAdmitted,
    PartFailed,
    Refused,
    Risk,
    Store,
    Switch,
    Unavailable,
    Venue,
)
from leadline.execution.protection import UNPROTECTED, unprotected
from leadline.model.errors import InvalidInput
from leadline.model.halts import FIELD_REASON, Halt, HaltSource, printable
from leadline.model.ids import Leg, client_order_id, decision_id
from leadline.model.orders import Advanced, Decision, Order, OrderState, VenueOrder
from leadline.model.signals import BarSignals
from leadline.risk.decide import execution_instrument
from leadline.risk.limits import order_refusal
from leadline.risk.reasons import Reason
from leadline.risk.view import Answer, Entry, Question

END_OF_TIME: Final = 2**63 - 1
HALTED_BY: Final = "execution"
"""Who halted, where no person did."""
LONGEST_ERROR: Final = 500
"""Characters of a part's refusal that are stored."""

CHECKED_IDS: Final = 256
"""By how many of the newest orders rows and journal are compared at a start: the newest are those that are lost."""

_NEVER_LEFT: Final = frozenset({OrderState.PENDING, OrderState.EXPIRED_LOCAL})


@dataclass(frozen=True, slots=True)
class World:
    """The parts that the loop runs with.

    `pause(phase)` waits a little before the venue is asked again what it may not know yet; `idle()` waits until there
    is a signal, progress or command; `switch` holds the halts; `committed(events)` is told what became durable.
    """

    store: Store
    venue: Venue
    risk: Risk
    journal: Journal
    inboxes: dict[str, Inbox]
    pause: Callable[[str], Awaitable[None]]
    idle: Callable[[], Awaitable[None]]
    switch: Switch
    committed: Callable[[list[BookEvent]], None]

    def halted(self) -> str:
        """Why nothing may be entered; empty when no halt is in force."""
        return self.switch.halts.words

    def halt(self, source: HaltSource, reason: str) -> None:
        """Stop entries: durable when this returns."""
        self.switch.halt(source, reason, HALTED_BY)


class AccountLoop:
    """One account on one tape. `book` is what the last committed transaction says."""

    def __init__(self, world: World, new_book: Callable[[], Book]) -> None:
        self.book = new_book()
        self.phase = "starting"
        self._new_book = new_book
        self._world = world
        self._unsent = ""
        self._reconciled = False
        self._due = False
        self._difference = ""

    # --- start: the only way in is recovery ---

    async def load(self) -> None:
        """Read the book. Commands may run from here on; nothing is entered before the venue has been asked."""
        self.phase = "reconciling"
        self._reconciled = False
        await self._read_halts()
        self.book = await self._world.store.load() or self._new_book()
        if self.book.trading_day is None:
            roll(self.book)
        if self.book.manifest.spec.halt and not self._world.switch.halts.of(HaltSource.FIELD):
            self._world.halt(HaltSource.FIELD, FIELD_REASON)
        await self.tell_halts()

    async def recover(self) -> None:
        """Read the book, and reconcile it with the venue."""
        await self.load()
        with self._looked_at():
            await self._reconcile()

    @contextmanager
    def _looked_at(self) -> Iterator[None]:
        """Stop entries when venue or database answer what contradicts this account, or means nothing to it."""
        try:
            yield
        except NotAdmitted:
            raise
        except Refused as error:
            self._differs(str(error))
            raise

    async def _reconcile(self) -> None:
        """Learn from the venue what happened since the book was written, settle every order whose fate is open.

        What was being closed is closed on at the same instant, before any print can come between. Raises `Unavailable`
        while a part does not answer; a difference is no error, it halts.
        """
        self.phase = "reconciling"
        await self._check_rows()
        await self._book(await self._advance(self.book.instant_ns))
        for client_id in [order.client_id for order in self.book.live_orders()]:
            order = self.book.orders.get(client_id)
            if order is not None and not order.state.terminal:
                await self._settle(order)
        self._compare(await self._world.venue.positions())
        await self._check_journal()
        await self._flatten()
        self._reconciled = True

    async def _settle(self, order: Order) -> None:
        """An order found PENDING was never sent; one found SENDING may have been, and only the venue knows.

        A row that says PENDING of an order in the journal is older than what happened: it may have been sent, too.
        """
        if order.state not in UNRESOLVED:
            await self._ask_again(order)
            return
        if order.state is OrderState.PENDING and order.client_id in self._world.journal.written:
            order = move(order, OrderState.SENDING)
        if order.state is OrderState.PENDING:
            if order.decided_at_ns == self.book.instant_ns:
                await self._send(order)
            else:
                await self._commit_order(move(order, OrderState.EXPIRED_LOCAL, reason="never sent"))
            return
        if order.client_id == self._unsent:
            await self._hand_in(order)
            return
        if order.state is OrderState.SENDING:
            order = move(order, OrderState.UNKNOWN)
            await self._commit_order(order)
        found = await self._world.venue.find(order.client_id)
        if found is None:
            await self._world.pause("waiting_for_venue")  # a request that was under way has its time to land
            found = await self._world.venue.find(order.client_id)
        if found is None:
            await self._commit_order(move(order, OrderState.DEAD, reason="absent at the venue"))
        else:
            await self._book(await self._advance(self.book.instant_ns))
            if self.book.orders[order.client_id].state in UNRESOLVED:  # found, and no event tells of it
                await self._follow(self.book.orders[order.client_id], found)

    async def _ask_again(self, order: Order) -> None:
        """A live order has to be at the venue, and as the book has it.

        A cancel whose outcome was not heard is no difference: an order that still works is wanted out again, if it
        still is. One that the venue does not have can neither fill nor protect.
        """
        found = await self._world.venue.find(order.client_id)
        if found is None:
            self._differs(f"order {order.client_id}, which is {order.state} in the book, is absent at the venue")
            await self._commit_order(follow(order, OrderState.DEAD, reason="absent at the venue"))
        else:
            await self._follow(order, found)

    async def _follow(self, order: Order, reported: VenueOrder) -> None:
        """Take the venue's word on an order; what the book had not foreseen in it stops entries."""
        after, surprises = told(order, reported)
        for surprise in surprises:
            self._differs(surprise)
        if after != order:
            await self._commit_order(after)

    def _differs(self, reason: str) -> None:
        """Stop entries because book and venue do not say the same."""
        self._world.halt(HaltSource.DIFFERENCE, reason)

    def _compare(self, venue: Mapping[str, int]) -> None:
        """Stop entries where book and venue hold different positions; told once for as long as it stays the same."""
        difference = other_positions(self.book, venue)
        if difference and difference != self._difference:
            self._differs(difference)
        self._difference = difference

    async def _check_rows(self) -> None:
        """Rows that do not know an order of the journal are older than it: the database has lost its tail.

        The venue knows what happened since, and is followed; entries stop until a person has looked.
        """
        newest = self._world.journal.newest(CHECKED_IDS)
        rows = (await self._world.store.recall(newest, [])).orders if newest else {}
        left = [number for number, name in enumerate(newest, 1) if name in rows and rows[name].state not in _NEVER_LEFT]
        lost = newest[max(left, default=0) :]  # those before an order that the rows know were looked at when it left
        if lost:
            self._differs(f"the database has lost its tail: orders that may have left are not in it: {', '.join(lost)}")

    async def _where_they_differ(self) -> str:
        """In what book and venue differ now; empty when they agree."""
        await self._book(await self._advance(self.book.instant_ns))
        return other_positions(self.book, await self._world.venue.positions()) or await self._other_orders()

    async def _other_orders(self) -> str:
        """The first order that the venue does not show as the book has it, and how it shows it."""
        for order in self.book.live_orders():
            found = await self._world.venue.find(order.client_id)
            if found is None or found.state.terminal or found.filled != order.filled:
                shown = "nothing" if found is None else f"{found.state} with {found.filled} filled"
                return f"of {order.client_id} the venue shows {shown}, not {order.state} with {order.filled} filled"
        return ""

    async def _check_journal(self) -> None:
        """A journal without orders that the venue has had is empty or older than the book: what left is not known.

        Nothing is entered until the venue has shown every order that works as the book has it. Then the journal is made
        whole again; a difference stops entries until a person has looked.
        """
        missing = await self._world.store.sent(CHECKED_IDS) - self._world.journal.written
        if not missing:
            return
        difference = await self._other_orders()
        if difference:
            self._world.halt(HaltSource.DIFFERENCE, f"the send journal was lost, and {difference}")
            return
        self._world.journal.restore(missing)

    # --- one step ---

    async def step(self) -> None:
        """Go to the next instant at which something may happen, or wait for news.

        Before that, whatever is not done yet of what a start or a command calls for.
        """
        with self._looked_at():
            if not self._reconciled:
                await self._reconcile()
            else:
                await self._step()

    async def _step(self) -> None:
        await self.tell_halts()
        if self._world.halted():
            self._due = True  # an entry that works must not meet another print
        await self.carry_out()
        await self._fence_refused()
        book = self.book
        target = None if book.finished else self._target()
        if target is None:
            self.phase = "finished" if book.finished else "waiting_for_signals"
            await self._world.idle()
            return
        self.phase = "running"
        advanced = await self._advance(target)
        await self._book(advanced)
        await self._flatten()
        if self._complete_through() >= book.instant_ns:
            for inbox, bar in self._undecided():
                await self._decide(self.book.strategies[inbox.strategy], bar)
        if advanced.final and not self._anything_follows():
            await self._finish()

    async def _fence_refused(self) -> None:
        """Fence off the strategies of which a message was refused and all that came before it is decided."""
        undecided = {inbox.strategy for inbox, _ in self._undecided()}
        changes = Changes()
        for name, inbox in sorted(self._world.inboxes.items()):
            strategy = self.book.strategies.get(name)
            refused = inbox.refused_at(self.book.instant_ns)
            if refused is not None and strategy is not None and strategy.waited_for and name not in undecided:
                fence_off(self.book, changes, strategy, refused, inbox.progress_ns)
        if changes.refused:
            await self._commit(changes)

    def _target(self) -> int | None:
        """The next instant to go to; None when there is nothing to do before more is heard."""
        book = self.book
        waited = [name for name, strategy in book.strategies.items() if strategy.waited_for]
        if not book.strategies or any(name not in self._world.inboxes for name in waited):
            return None
        complete = self._complete_through()
        bars = [self._world.inboxes[name].first_after(book.instant_ns) for name in waited]
        earliest = min((bar.known_at_ns for bar in bars if bar is not None), default=END_OF_TIME)
        if complete >= book.instant_ns and self._undecided():
            return book.instant_ns
        timers = [timer for timer in (next_timer(book), next_try(book)) if timer is not None]
        target = min(complete, earliest, *timers)
        return target if target > book.instant_ns else None

    def _complete_through(self) -> int:
        """The last instant at which no strategy that is waited for can still speak."""
        found = [
            self._world.inboxes[name].complete_through_ns
            for name, strategy in self.book.strategies.items()
            if strategy.waited_for
        ]
        return min((through for through in found if through is not None), default=END_OF_TIME)

    def _undecided(self) -> list[tuple[Inbox, BarSignals]]:
        """Bars known at this instant that have no decision yet, strategies by name and bars by ordinal.

        A strategy that is not waited for has none: whether its bar came in time would be chance.
        """
        book = self.book
        return [
            (inbox, bar)
            for name, inbox in sorted(self._world.inboxes.items())
            if name in book.strategies and book.strategies[name].waited_for
            for bar in inbox.known_at(book.instant_ns)
            if decision_id(book.account, name, bar.bar) not in book.decided
        ]

    def _anything_follows(self) -> bool:
        waited = [name for name, strategy in self.book.strategies.items() if strategy.waited_for]
        return any(not self._world.inboxes[name].final for name in waited)

    async def _advance(self, target: int) -> Advanced:
        book = self.book
        return await self._world.venue.advance(book.instant_ns, target, book.venue_event, self._tapes(), watches(book))

    def _tapes(self) -> tuple[str, ...]:
        """Every contract of the feed whose prints can move this account now; before there is a strategy, all of them.

        An account whose strategies are all forgotten goes on with the tapes that they have had.
        """
        book = self.book
        found = {position.tape_contract for position in book.open_positions()}
        for strategy in [strategy for _, strategy in book.present()] or book.strategies.values():
            found.update(book.tapes(strategy))
        return tuple(sorted(found & set(book.feed_contracts))) or book.feed_contracts

    async def _book(self, advanced: Advanced) -> None:
        """One transaction: the instant, the day's roll, the venue's events, the limits and what is due.

        What happened at the instant that begins a trading day belongs to that day.
        """
        book, changes = self.book, Changes()
        asked = asked_of_rows(book, unheard(book, advanced.events))
        stored = await self._world.store.recall(*asked) if any(asked) else Stored()
        if advanced.instant_ns > book.instant_ns:
            book.instant_ns = advanced.instant_ns
            book.decided.clear()
        book.last_prints.update(advanced.last_prints)
        before, after = around_the_roll(book, advanced.events)
        surprises = book_venue_events(book, changes, before, stored)
        roll(book)
        surprises += book_venue_events(book, changes, after, stored)
        apply_limits(book)
        for surprise in surprises:
            self._differs(surprise)
        if advanced.positions is not None:
            self._compare(advanced.positions)
        settled(book)
        await self._commit(changes)

    async def _finish(self) -> None:
        self.book.finished = True
        await self._commit(Changes())

    # --- getting out ---

    async def _flatten(self) -> None:
        """Carry out what the book wants out of the market: cancels first, and then what closes the positions.

        What is refused or has gone wrong is tried again at the next step, so that one instant cannot last for ever.
        """
        for _ in range(2):
            actions = wanted(self.book, halted=bool(self._world.halted()), spent=self._world.journal.written)
            if not actions:
                return
            for action in actions:
                if isinstance(action, Cancel):
                    await self._commit_order(move(action.order, OrderState.PENDING_CANCEL, reason=action.reason))
                    await self._world.venue.cancel(action.order.client_id, action.reason)
                else:
                    await self._commit_order(action.order)
                    await self._send(action.order)
            await self._book(await self._advance(self.book.instant_ns))

    async def cancel(self, order: Order, reason: str) -> None:
        """Cancel one working order and book what the venue says of it."""
        await self._commit_order(move(order, OrderState.PENDING_CANCEL, reason=reason))
        await self._world.venue.cancel(order.client_id, reason)
        await self._book(await self._advance(self.book.instant_ns))

    async def flatten(self, strategy: str, reason: str) -> None:
        """Have one strategy, or with an empty name the whole account, leave the market; durable on return.

        It is carried out by the loop's next step, and goes on for as long as something is left.
        """
        if strategy:
            self.book.strategies[strategy].flatten = reason
        else:
            self.book.flatten = reason
        await self.commit()

    # --- getting in ---

    async def _decide(self, strategy: StrategyBook, bar: BarSignals) -> None:
        """One decision: risk's word, then the transaction that checks the limits again and writes the intent."""
        book = self.book
        asked = question(book, strategy, bar, halt=self._world.halted())
        answer = self._sent_before(strategy, bar) or await self._ask_risk(asked)
        decision = decision_of(book, strategy, bar, answer)
        if not decision.accepted:
            await self._commit_decision(decision, None, strategy)
            return
        client_id = client_order_id(decision.decision_id, Leg.ENTRY)
        tape = tape_contract(decision.contract, asked.strategy.signal_contract, book.feed_contracts)
        order = new_order(decision, client_id, book.instant_ns, tape)
        try:
            await self._commit_decision(decision, order, strategy, bar.close)
        except LimitRefused as refused:
            self.book = await self._world.store.load() or self.book
            refusal = Answer(False, refused.reason, patterns=answer.patterns, arithmetic=answer.arithmetic)
            again = self.book.strategies[strategy.strategy]
            await self._commit_decision(decision_of(self.book, again, bar, refusal), None, again)
            return
        await self._send(order)

    def _sent_before(self, strategy: StrategyBook, bar: BarSignals) -> Answer | None:
        """The refusal of a bar whose entry has left before, although no row of its decision is there any more."""
        decision = decision_id(self.book.account, strategy.strategy, bar.bar)
        client_id = client_order_id(decision, Leg.ENTRY)
        if client_id in self.book.orders or client_id in self._world.journal.written:
            return Answer(False, Reason.SENT_BEFORE.value)
        return None

    async def _ask_risk(self, asked: Question) -> Answer:
        """Risk's word; a question that it cannot answer is refused, so that no bar can hold the account up."""
        try:
            return await self._world.risk.decide(asked)
        except NotAdmitted:
            raise
        except (Refused, InvalidInput) as refused:
            return Answer(False, Reason.RISK_ERROR.value, arithmetic=(("error", str(refused)[:LONGEST_ERROR]),))

    async def _commit_decision(
        self, decision: Decision, order: Order | None, strategy: StrategyBook, close: int = 0
    ) -> None:
        """Tx A: decision, reservation and intent together, the limits checked on the rows as they are locked.

        `close` is that of the bar which decided, ticks; an order needs it.
        """
        book, changes = self.book, Changes()
        book.decided.add(decision.decision_id)
        changes.decisions.append(decision)
        note(book, changes, "decision", decision.decision_id, 1, decision_facts(decision))
        if order is None:
            await self._commit_refusal(changes, decision.reason)
            return
        count_entry(book, strategy)
        put_order(book, changes, order)
        await self._commit(changes, lambda locked: self._refusal(locked, order, close))

    async def _commit_refusal(self, changes: Changes, reason: str) -> None:
        """Entries that come too often halt the account: something repeats itself, and a person has to see why.

        The halt is written with the refusal, so that a crash leaves both or none.
        """
        if reason != Reason.MAX_ENTRIES_PER_HOUR:
            await self._commit(changes)
            return
        most = limits_in_force(self.book).max_entries_per_hour
        cause = f"one more entry than the {most} that are allowed within an hour"
        halt = self._world.switch.draft(HaltSource.LIMIT, cause, HALTED_BY)
        note_halt(self.book, changes, halt)
        await self._commit(changes)
        self._world.switch.adopt(halt)

    def _refusal(self, locked: Book, order: Order, close: int) -> str | None:
        """The first limit that an entry would break, by the rows as they are locked."""
        view = account_view(locked, halt=self._world.halted())
        own = settings(locked, locked.strategies[order.strategy])
        instrument = execution_instrument(view, own)
        if isinstance(instrument, Reason):
            return instrument.value
        entry = Entry(order.side, order.quantity, order.decided_at_ns, close)
        refusal = order_refusal(view, own, instrument, entry)
        return None if refusal is None else refusal.value

    async def _send(self, order: Order) -> None:
        """The only code that sends an order: SENDING is committed, the id is on disk, and then it is written once."""
        halt = self._world.halted()
        if halt and is_entry(order):
            await self._commit_order(move(order, OrderState.EXPIRED_LOCAL, reason=halt))
            return
        order = move(order, OrderState.SENDING)
        self._unsent = order.client_id  # this process knows, should the database not say whether it has committed
        await self._commit_order(order)
        await self._hand_in(order)

    async def _hand_in(self, order: Order) -> None:
        """Write an order to the venue, once, by the one who holds the account when the byte leaves.

        Whatever has halted the account up to here keeps an entry from leaving; nothing is awaited between this last
        question and the byte.
        """
        await self._world.store.renew()
        halt = self._world.halted()
        if halt and is_entry(order):
            self._unsent = ""
            await self._commit_order(move(order, OrderState.EXPIRED_LOCAL, reason=halt))
            return
        try:
            self._world.journal.write(order.client_id)
        except OSError as error:  # it has not left, and this process knows: handed in when the disk takes it
            self._unsent = order.client_id
            raise Unavailable(f"the disk does not take the journal: {error}", "disk") from error
        self._unsent = ""
        try:
            reported = await self._world.venue.submit(venue_order(order))
        except PartFailed:
            await self._commit_order(move(order, OrderState.UNKNOWN))
            raise
        await self._follow(order, reported)

    # --- durability ---

    async def _commit_order(self, order: Order) -> None:
        changes = Changes()
        put_order(self.book, changes, order)
        await self._commit(changes)

    async def _commit(self, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        for found in unprotected(self.book):
            self._differs(f"{found.why}: it is closed")
            self.book.strategies[found.strategy].flatten = UNPROTECTED
            self._due = True
        forget(self.book)
        await self._world.store.commit(self.book, changes, check)
        self._world.committed(changes.events)

    async def commit(self) -> None:
        """Write what a command has changed. What that calls for is carried out at this instant, by the next step."""
        apply_limits(self.book)
        settled(self.book)
        await self._commit(Changes())
        self._due = True

    async def carry_out(self) -> None:
        """Do what a command has called for, at the instant at which it was given."""
        if self._due:
            await self._flatten()
            self._due = False

    # --- halts ---

    async def _read_halts(self) -> None:
        """What the database has of halts holds, too: what stands in either place stands."""
        switch = self._world.switch
        switch.merge(await self._world.store.halts([halt.number for halt in switch.halts.in_force]))

    async def tell_halts(self) -> None:
        """Give each halt its row and its line in the audit, once; close the rows of those that were replaced."""
        switch = self._world.switch
        switch.keep()
        untold, replaced = switch.halts.untold, switch.halts.replaced
        if not untold and not replaced:
            return
        changes = Changes()
        for halt in untold:
            note_halt(self.book, changes, halt)
        for clearing in replaced:
            note_clearing(self.book, changes, clearing)
        await self._commit(changes)
        switch.told(untold, replaced, HALTED_BY)

    async def resume(self, seen: Seen, by: str, reason: str, now_ns: int) -> tuple[Halt, ...]:
        """Clear the halts that somebody has seen, all of them or none, and return them.

        What was cleared or said again since he asked is not cleared. Raises `HaltStands` for one that a person's word
        alone does not clear.
        """
        switch = self._world.switch
        await self.tell_halts()
        wanted = switch.halts.clearable(seen)
        if self.book.manifest.spec.halt and any(halt.source is HaltSource.FIELD for halt in wanted):
            raise HaltStands("the account's manifest still says `halt: true`: take it back there")
        if any(halt.source is HaltSource.DIFFERENCE for halt in wanted):
            difference = await self._where_they_differ()
            if difference:
                raise HaltStands(f"{difference}: settle it first")
        return await self.clear_halts(switch.halts.clearable(seen), seen, by, reason, now_ns)

    async def follow_field(self, seen: Seen, by: str, person: str, now_ns: int) -> None:
        """Halt where the account's manifest says so; else clear what it has halted, when a person took it back.

        `seen` is of the field's halts as they stood when the manifest came: a newer one has said otherwise since.
        """
        if not self.book.manifest.spec.halt:
            if person:
                await self.resume(seen, person, "the account's manifest no longer says halt", now_ns)
        elif not self._world.switch.halts.of(HaltSource.FIELD):
            self._world.switch.halt(HaltSource.FIELD, FIELD_REASON, by)

    async def clear_halts(
        self, halts: Iterable[Halt], seen: Seen, by: str, reason: str, now_ns: int
    ) -> tuple[Halt, ...]:
        """Clear halts, first in the database, then on disk and in memory: a crash between leaves them in force."""
        switch = self._world.switch
        wanted, changes = tuple(halts), Changes()
        if not wanted:
            return ()
        for halt in wanted:
            note_clearing(self.book, changes, Clearing(halt, printable(by), printable(reason), now_ns))
        await self._commit(changes)
        still = {halt.number for halt in switch.halts.clearable(seen)}
        try:
            switch.clear(halt for halt in wanted if halt.number in still)
        except OSError as error:
            raise Unavailable(f"the disk does not take what was cleared: {error}", "disk") from error
        await self._read_halts()  # one that was said again meanwhile stands on, under another number
        return tuple(halt for halt in wanted if halt.number in still)
