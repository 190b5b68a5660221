"""The account's book and the only ways to write it: what all parts of the loop share."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from leadline.execution.core.adoption import adopt_positions
from leadline.execution.core.book import Book, Changes, forget, forget_decided, put_order
from leadline.execution.core.booking import (
    Stored,
    asked_of_rows,
    book_venue_events,
    book_working_order,
    not_booked,
    other_positions,
)
from leadline.execution.core.day import apply_limits, around_the_roll, roll, watches
from leadline.execution.core.exit_reasons import ExitReason
from leadline.execution.core.exits import at_rest, settled
from leadline.execution.core.kept_targets import reach_targets, take_targets, target_watches
from leadline.execution.core.new_exits import exits_of_fills, exits_of_later_fills, renew_exits
from leadline.execution.core.protection import unprotected
from leadline.execution.core.settlements import settle_opposites
from leadline.execution.core.trails import move_stops, trail_watches
from leadline.execution.core.venue_reports import check_advanced, check_positions
from leadline.execution.loop.deps import Deps
from leadline.model.halts import HaltSource
from leadline.model.ids import ContractId
from leadline.model.orders import Advanced, Order, VenueEvent, VenueOrder
from leadline.model.ticks import NS_PER_SECOND

LONGEST_UNWRITTEN_NS: Final = NS_PER_SECOND
"""For so long an instant of the live tape at which nothing has happened need not be written."""

LONGEST_AHEAD_NS: Final = 60 * NS_PER_SECOND
"""So far, in wall time, a venue's clock may be ahead of a live account's; what is told of later cannot be."""


def _standing(book: Book) -> Book:
    """The book without what goes on by itself, to be compared with what it is later."""
    strategies = {name: replace(strategy) for name, strategy in book.strategies.items()}
    return replace(book, strategies=strategies, instant_ns=0, last_prints={}, decided={})


class Bookkeeper:
    """Keeps one account's book, which is what the last committed transaction says.

    `due` is set while something may have to leave the market before another print is met, and `doubted` from a word of
    the venue that was not believed to the next reconciliation. `unsettled` says that the next word of what the venue
    holds is what the book holds. `tells_positions`: the venue has told what it holds together with its events.
    """

    def __init__(self, deps: Deps, new_book: Callable[[], Book]) -> None:
        self.deps = deps
        self.book = new_book()
        self.due = False
        self.doubted = False
        self.unsettled = True
        self.tells_positions = False
        self._new_book = new_book
        self._protected: tuple[object, ...] = ()
        self._rests: tuple[tuple[object, ...], bool] = ((), False)
        self._difference = ""
        self._written_ns = self.book.instant_ns

    async def load(self) -> None:
        """Read the book as it was committed; an account that has none on this tape begins one."""
        self.book = await self.deps.store.load() or self._new_book()
        self.unsettled = True
        self._written_ns = self.book.instant_ns
        if self.book.trading_day is None:
            roll(self.book)

    async def commit(self, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        """Write the book and what has changed in it, in one transaction; see `Store.commit` for `check` and errors.

        A position without protection is on its way out before anything else is written.
        """
        if not self.deps.makes_brackets:
            renew_exits(self.book, changes)
        if not self.deps.pairs:
            take_targets(self.book, changes)
        self._protect()
        forget(self.book)
        await self.deps.store.commit(self.book, changes, check)
        self._written_ns = self.book.instant_ns
        self.deps.committed(changes.events)

    def _protect(self) -> None:
        """Have a position without protection closed; a book in which there was none is looked at again as it changes.

        Where there is one, nothing is remembered: what is wanted then is lost when this transaction is.
        """
        book, stands = self.book, self._stands()
        if stands == self._protected:
            return
        without = list(unprotected(book))
        for found in without:
            self.differs(f"{found.why}: it is closed")
            book.strategies[found.strategy].flatten = ExitReason.UNPROTECTED
            self.due = True
        if not without:
            self._protected = stands

    def at_rest(self) -> bool:
        """Whether nothing is wanted of the venue until something of the book changes; see `exits.at_rest`."""
        stands = self._stands()
        if stands != self._rests[0]:
            self._rests = (stands, at_rest(self.book))
        return self._rests[1]

    def _stands(self) -> tuple[object, ...]:
        """How orders, positions and strategies stand; what follows from these alone holds while they stay the same."""
        book = self.book
        leaving = [(name, strategy.flatten, strategy.exits) for name, strategy in book.strategies.items()]
        return (book.orders, book.positions, book.flatten, leaving)

    async def commit_order(self, order: Order) -> None:
        """Write one order as it stands now."""
        changes = Changes()
        put_order(self.book, changes, order)
        await self.commit(changes)

    async def advance(self, target: int) -> Advanced:
        """Let time pass up to an instant, nanoseconds, or to where something is watched; what the venue tells then."""
        book, deps = self.book, self.deps
        watched = watches(book) if deps.trails else (*watches(book), *trail_watches(book))
        watched = watched if deps.pairs else (*watched, *target_watches(book))
        passed = await deps.time.advance(book.instant_ns, target, book.venue_event, self._tapes(), watched)
        told = await deps.venue.events_since(book.venue_event, passed.instant_ns)
        self.tells_positions = self.tells_positions or told.positions is not None
        if told.lost:
            self.differs(told.lost)
        instant_ns = passed.instant_ns
        if book.live:  # a venue's clock may be ahead of this one, and what has happened there has happened
            latest_ns = instant_ns + LONGEST_AHEAD_NS * book.clock_rate
            instant_ns = max([instant_ns, *(at for each in told.events if (at := each.instant_ns) <= latest_ns)])
        return Advanced(instant_ns, told.events, passed.last_prints, passed.final, told.positions)

    def _tapes(self) -> tuple[ContractId, ...]:
        """Every contract of the feed whose prints can move this account now; before there is a strategy, all of them.

        An account whose strategies are all forgotten goes on with the tapes that they have had.
        """
        book = self.book
        found = {position.tape_contract for position in book.open_positions()}
        for strategy in [strategy for _, strategy in book.present()] or book.strategies.values():
            found.update(book.tapes(strategy))
        return tuple(sorted(found & set(book.feed_contracts))) or book.feed_contracts

    async def catch_up(self) -> None:
        """Book what the venue has to say at the book's own instant."""
        await self.take_in(await self.advance(self.book.instant_ns))

    async def take_in(self, advanced: Advanced) -> None:
        """One transaction: the instant, the day's roll, the venue's events, the limits and what is due.

        What happened at the instant that begins a trading day belongs to that day. Where something of the answer was
        not believed, or surprised, the book holds afterwards what the venue holds. An event at which processes ended is
        passed over; where they ended is known by one, or by all of the answer. Live, an instant at which nothing has
        happened is written with the next thing that does, or after a second.
        """
        come = [event.event for event in not_booked(self.book, advanced.events)] if advanced.events else []
        if not come:
            await self._take_in(advanced, "")
            return
        batch = f"events {come[0]} to {come[-1]} of the venue"
        with self.deps.marks.at(batch):
            await self._take_in(advanced, batch)

    async def _take_in(self, advanced: Advanced, batch: str) -> None:
        book, changes, marks = self.book, Changes(), self.deps.marks
        stood = _standing(book) if book.live and not advanced.events else None
        advanced, surprises = check_advanced(book, advanced)
        doubted = bool(surprises)
        stored = Stored()
        if advanced.events and any(asked := asked_of_rows(book, not_booked(book, advanced.events))):
            stored = await self.deps.store.recall(*asked)
        if advanced.instant_ns > book.instant_ns:
            book.instant_ns = advanced.instant_ns
            forget_decided(book)
        before, after = around_the_roll(book, advanced.events)
        if before:
            surprises += book_venue_events(book, changes, before, stored, marks, batch)
        roll(book)  # at the prints before it: the one that opens a trading day is that day's
        book.last_prints.update(advanced.last_prints)
        if after:
            surprises += book_venue_events(book, changes, after, stored, marks, batch)
        settle_opposites(book, changes)
        self.doubted = self.doubted or doubted or bool(changes.refused)
        self.unsettled = self.unsettled or bool(surprises)
        for surprise in surprises:
            self.differs(surprise)
        if advanced.positions is not None:
            self._compare(advanced.positions)
            if self.unsettled:
                for taken in adopt_positions(book, changes, advanced.positions):
                    self.differs(taken)
            self.unsettled = False
        apply_limits(book)
        self._exits(changes)
        settled(book)
        unwritten_ns = book.instant_ns - self._written_ns
        if stood is None or unwritten_ns >= LONGEST_UNWRITTEN_NS or changes != Changes() or stood != _standing(book):
            await self.commit(changes)

    def _exits(self, changes: Changes) -> None:
        """Have the exits that follow from fills and prints, where no venue has them by itself."""
        book, deps = self.book, self.deps
        if not deps.makes_brackets:
            exits_of_fills(book, changes, pairs=deps.pairs)
        exits_of_later_fills(book, changes, attaches=deps.attaches)
        if not deps.trails:
            move_stops(book, changes)
        if not deps.pairs:
            reach_targets(book, changes)

    async def take_over(self, found: VenueOrder) -> None:
        """Book an order that works at the venue and is not in the book; what that calls for is due."""
        book, changes = self.book, Changes()
        asked = asked_of_rows(book, [VenueEvent(book.venue_event, book.instant_ns, found)])
        for surprise in book_working_order(book, changes, found, await self.deps.store.recall(*asked)):
            self.differs(surprise)
        self.due = True
        await self.commit(changes)

    async def take_over_positions(self, venue: Mapping[ContractId, int]) -> None:
        """Have the book hold what the venue holds, net and signed by contract; what that calls for is due."""
        changes = Changes()
        for taken in adopt_positions(self.book, changes, venue):
            self.differs(taken)
        if changes.positions:
            self.due = True
            await self.commit(changes)

    def compare(self, venue: Mapping[ContractId, int]) -> None:
        """Stop entries where book and venue hold different positions; told once for as long as it stays the same."""
        believed, doubt = check_positions(venue)
        if believed is None:
            self.differs(doubt)
        else:
            self._compare(believed)

    def _compare(self, venue: Mapping[ContractId, int]) -> None:
        difference = other_positions(self.book, venue)
        if difference and difference != self._difference:
            self.differs(difference)
        self._difference = difference

    def differs(self, reason: str) -> None:
        """Stop entries because book and venue do not say the same."""
        self.deps.halt(HaltSource.DIFFERENCE, reason)
