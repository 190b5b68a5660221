"""What a start asks of rows, journal and venue, and what it takes from each."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.adapters.deaths import MarkFile
from leadline.execution.core.book import KEPT_NS, Book, Changes
from leadline.execution.core.booking import Stored
from leadline.execution.loop.ports import Store, Unavailable
from leadline.execution.venues.both_ports import MatchingVenue
from leadline.model.ids import NO_CONTRACT, ClientOrderId, ContractId, FillId, RunId
from leadline.model.orders import OrderState, OrderType, VenueOrder
from tests.execution.harness.builders import MES
from tests.execution.harness.desk import Books, Desk, Session
from tests.execution.harness.faults import Killed, TrippedStore, TrippedVenue, Tripwire, tripped
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.test_journal import journal_of
from tests.execution.test_recovery import LandsLate, one_trade, stranger
from tests.execution.test_steps import go_on

NEWEST = 256
"""So many of the newest orders are compared, for all that are written between two commits are far fewer."""


class Counting(TrippedStore):
    """A store that remembers which orders it was asked for, and for how many of the newest that were sent."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, Tripwire())
        self.recalled: list[str] = []
        self.newest = 0

    async def recall(self, client_ids: Sequence[ClientOrderId], fill_ids: Sequence[FillId]) -> Stored:
        self.recalled += client_ids
        return await super().recall(client_ids, fill_ids)

    async def sent(self, newest: int) -> frozenset[ClientOrderId]:
        self.newest = newest
        return await super().sent(newest)


async def test_rows_and_journal_are_compared_by_the_newest_orders_of_each(books: Books, folder: Path):
    session = one_trade(books, folder).open()
    names = [f"L{number}" for number in range(NEWEST + 44)]
    for name in names:
        session.journal.write(ClientOrderId(name))
    store = Counting(session.loop._deps.store)
    session.replace_deps(lambda deps: replace(deps, store=store))
    await session.start()
    session.close()
    assert store.recalled == names[-NEWEST:]
    assert store.newest == NEWEST
    assert session.halted.startswith(
        "the database has lost its tail: orders that may have left are not in it: L44, L45"
    )


async def entry_in(desk: Desk, call: str) -> str:
    """Kill a process at the first call of that name: the id of the entry that its rows have then."""
    session = desk.open(lambda deps: tripped(deps, TripsAt(call)))
    with pytest.raises(Killed):
        await session.run()
    session.close()
    [(client_id,)] = await desk.rows("intent", "client_id", "leg")
    return str(client_id)


class TripsAt(Tripwire):
    """Lets a call of a name go wrong: the process dies there, where not said otherwise."""

    def __init__(self, call: str, error: Callable[[str], BaseException] = Killed) -> None:
        super().__init__(error=error)
        self._call = call

    def _note(self, name: str) -> bool:
        return super()._note(name) or name == self._call


@pytest.mark.parametrize("state", ["PENDING", "EXPIRED_LOCAL"])
async def test_a_row_that_says_of_a_written_order_that_it_never_left_is_older_than_the_journal(
    books: Books, folder: Path, state: str
):
    desk = one_trade(books, folder)
    name = await entry_in(desk, "store.commit SENDING")
    if state == "EXPIRED_LOCAL":
        session = desk.open()
        session.halt("news")
        await session.start()
        session.close()
    assert await desk.rows("intent", "state", "leg") == [(state,)]
    session = desk.open()
    session.journal.write(ClientOrderId(name))
    await session.start()
    session.close()
    reasons = [halt.reason for halt in session.switch.halts.in_force]
    assert f"the database has lost its tail: orders that may have left are not in it: {name}" in reasons
    assert desk.sent == {}  # it may have left once
    assert await desk.rows("intent", "state", "leg") == [("DEAD" if state == "PENDING" else state,)]


async def test_rows_that_know_the_newest_order_of_the_journal_have_lost_nothing(books: Books, folder: Path):
    """Those before it were looked at when it left: the rows may have forgotten them since."""
    desk = one_trade(books, folder)
    session = desk.open()
    await session.until(640)
    session.close()
    file = journal_of(desk)
    file.write_text(f"Lolder\n{file.read_text()}")
    again = await desk.run()
    assert again.journal.newest(2)[0] == "Lolder"
    assert again.halted == ""


ASKED = ["store.halts", "store.load", "store.recall", "venue.advance", "store.commit "]
"""What a start asks before it looks for a single order."""


@pytest.mark.parametrize(("error", "first"), [(Killed, ["store.commit UNKNOWN"]), (Unavailable, [])])
async def test_an_order_that_may_have_left_is_looked_for_twice_and_then_given_up(
    books: Books, folder: Path, error: type[BaseException], first: list[str]
):
    """The second time after a pause: a request that was under way has its time to land."""
    desk = one_trade(books, folder)
    session = desk.open(lambda deps: tripped(deps, TripsAt("venue.submit E", error)))
    await session.start()
    with pytest.raises(error):
        await go_on(session)
    session.close()
    wire = Tripwire()
    session = desk.open(lambda deps: tripped(deps, wire))
    await session.start()
    session.close()
    looked_for = ["venue.find", "venue.find", "store.commit DEAD"]
    assert wire.calls == [*ASKED, *first, *looked_for, "venue.working", "venue.positions", "store.sent"]
    assert session.pauses == 1


class Lands(LandsLate):
    """A venue at which an order lands when it is looked for; something else happens right after it was found."""

    def __init__(self, venue: MatchingVenue, then: Callable[[str], object]) -> None:
        super().__init__(venue, 0)
        self._then = then

    @property
    def calls(self) -> list[str]:
        """The calls that it got."""
        return self._wire.calls

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        found = await super().find(client_id)
        self._then(client_id)
        return found


@pytest.mark.parametrize("ended", [False, True])
async def test_what_is_found_is_booked_from_the_venue_s_events_which_are_newer_than_the_answer(
    books: Books, folder: Path, ended: bool
):
    session = one_trade(books, folder).open()
    venue = Lands(
        venue_of(session.loop._deps), lambda name: ended and session.market.cancel(ClientOrderId(name), "somebody")
    )
    session.replace_deps(lambda deps: replace_venue(deps, venue))
    await session.start()
    with pytest.raises(Unavailable):
        await go_on(session)
    venue.calls.clear()
    await session.loop.recover()
    session.close()
    assert venue.calls == ["venue.advance", "venue.find", "venue.advance", "venue.working", "venue.positions"]
    assert session.pauses == 0
    assert session.halted == ""
    [entry] = session.book.orders.values()
    assert entry.state is (OrderState.CANCELLED if ended else OrderState.WORKING)


class LandsWhileAnotherEnds(LandsLate):
    """A venue at which an order lands when it is looked for again, and another one ends just before."""

    def __init__(self, venue: MatchingVenue, ends: Callable[[], object]) -> None:
        super().__init__(venue, 1)
        self._ends = ends
        self.looked_for: list[str] = []

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        if len(self.looked_for) == 1:
            self._ends()
        self.looked_for.append(client_id)
        return await super().find(client_id)


@pytest.mark.parametrize("age_ns", [0, KEPT_NS + 1])
async def test_an_order_that_ended_while_another_one_was_looked_for_is_not_looked_for(
    books: Books, folder: Path, age_ns: int
):
    """An old one has left the book with its end."""
    session = one_trade(books, folder).open()
    market = session.market
    venue = LandsWhileAnotherEnds(
        venue_of(session.loop._deps), lambda: market.cancel(ClientOrderId("somebody-else"), "its owner")
    )
    session.replace_deps(lambda deps: replace_venue(deps, venue))
    await session.start()
    with pytest.raises(Unavailable):
        await go_on(session)
    market.submit(
        replace(stranger(MES), type=OrderType.LIMIT, limit_price=15_000, decided_at_ns=session.book.instant_ns - age_ns)
    )
    await session.loop.recover()
    session.close()
    [entry] = [order.client_id for order in session.book.orders.values() if order.leg == "E"]
    assert venue.looked_for == [entry, entry]
    assert ("somebody-else" in session.book.orders) is (age_ns == 0)


async def test_an_order_that_was_never_sent_is_not_sent_at_a_later_instant(books: Books, folder: Path):
    desk = one_trade(books, folder)
    await entry_in(desk, "store.commit SENDING")
    await books.move(RunId(desk.tape), 1)
    session = desk.open()
    await session.start()
    session.close()
    assert await desk.rows("intent", "state, reason", "leg") == [("EXPIRED_LOCAL", "never sent")]
    assert desk.sent == {}


async def test_every_order_of_the_journal_after_the_last_that_the_rows_know_is_lost(books: Books, folder: Path):
    desk = one_trade(books, folder)
    session = desk.open()
    await session.until(640)
    for name in ("Lone", "Lother"):
        session.journal.write(ClientOrderId(name))
    session.close()
    session = desk.open()
    await session.start()
    session.close()
    lost = "the database has lost its tail: orders that may have left are not in it: Lone, Lother"
    assert session.halted == lost


class Shows(TrippedVenue):
    """A venue that shows an order otherwise than its events have told: the stop of a position, where not said."""

    def __init__(
        self, venue: MatchingVenue, change: Callable[[VenueOrder], VenueOrder | None], leg: str = "S1"
    ) -> None:
        super().__init__(venue, Tripwire())
        self._change = change
        self._leg = leg

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        found = await super().find(client_id)
        return found if found is None or found.leg != self._leg else self._change(found)


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (lambda order: order, ""),
        (lambda order: None, "nothing"),
        (lambda order: replace(order, state=OrderState.CANCELLED), "CANCELLED with 0 filled"),
        (lambda order: replace(order, filled=1), "WORKING with 1 filled"),
    ],
)
async def test_book_and_venue_differ_where_the_venue_shows_an_order_otherwise(
    books: Books, folder: Path, change: Callable[[VenueOrder], VenueOrder | None], shown: str
):
    session = one_trade(books, folder).open()
    await session.until(640)
    session.replace_deps(lambda deps: replace_venue(deps, Shows(venue_of(deps), change)))
    [stop] = [order.client_id for order in session.book.live_orders() if order.leg == "S1"]
    said = await session.loop._reconciliation.where_they_differ()
    session.close()
    assert said == (f"of {stop} the venue shows {shown}, not WORKING with 0 filled" if shown else "")


class Writes(TrippedStore):
    """A store that remembers how much of an order was written as filled, and under which version."""

    def __init__(self, store: Store, client_id: ClientOrderId) -> None:
        super().__init__(store, Tripwire())
        self._client_id = client_id
        self.written: list[tuple[int, int]] = []

    async def commit(self, book: Book, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        await super().commit(book, changes, check)
        if (order := changes.orders.get(self._client_id)) is not None:
            self.written.append((order.filled, order.version))


@pytest.mark.parametrize(
    ("leg", "state", "told"),
    [
        ("E", OrderState.WORKING, [(1, 1)]),
        ("S1", OrderState.FILLED, [(0, 1), (1, 2)]),
        ("S1", OrderState.WORKING, []),  # what it protects tells whether that is right
    ],
)
async def test_how_much_of_an_entry_or_of_an_ended_order_has_filled_is_the_venue_s_word(
    books: Books, folder: Path, leg: str, state: OrderState, told: list[tuple[int, int]]
):
    """The events that told of it were not believed, or are lost."""
    session = one_trade(books, folder).open()
    await session.until(600 if leg == "E" else 640)
    [before] = [order for order in session.book.live_orders() if order.leg == leg]
    venue = Shows(venue_of(session.loop._deps), lambda found: replace(found, state=state, filled=1), leg)
    store = Writes(session.loop._deps.store, before.client_id)
    session.replace_deps(lambda deps: replace(replace_venue(deps, venue), store=store))
    await session.start()
    session.close()
    assert store.written[: len(told)] == [(filled, before.version + later) for filled, later in told]
    said = f"order {before.client_id} has 1 filled at the venue, its fills come to 0"
    assert (said in [halt.reason for halt in session.switch.halts.in_force]) is bool(told)
    assert bool(store.written) is bool(told)


class HoldsNonsense(TrippedVenue):
    """A venue that tells of a position that cannot be."""

    async def positions(self) -> dict[ContractId, int]:
        return {NO_CONTRACT: 1}


async def test_book_and_venue_differ_where_the_venue_holds_what_cannot_be(books: Books, folder: Path):
    session = one_trade(books, folder).open()
    await session.until(640)
    session.replace_deps(lambda deps: replace_venue(deps, HoldsNonsense(venue_of(deps), Tripwire())))
    said = await session.loop._reconciliation.where_they_differ()
    session.close()
    assert said == "the venue tells of a position that cannot be: 1 of ''"


async def test_an_order_at_which_processes_have_ended_stays_as_it_is_and_halts(books: Books, folder: Path):
    session = one_trade(books, folder).open()
    await session.until(640)
    [stop] = [order.client_id for order in session.book.live_orders() if order.leg == "S1"]
    marks, name = MarkFile(folder / "marks", RunId("tape")), f"order {stop} as the venue has it"
    for _ in range(2):
        with suppress(ValueError), marks.at(name):
            raise ValueError("nonsense")
    wire = Tripwire()
    session.replace_deps(lambda deps: replace(tripped(deps, wire), marks=marks))
    await session.start()
    session.close()
    assert wire.calls.count("venue.find") == 1  # the target's
    assert session.halted == f"{name} is passed over: {marks.poison(name)}"


class ShowsMore(TrippedVenue):
    """A venue at which one more order works, of which no event has told."""

    def __init__(self, venue: MatchingVenue, order: VenueOrder) -> None:
        super().__init__(venue, Tripwire())
        self._order = order

    async def working(self) -> Sequence[VenueOrder]:
        return [*await super().working(), self._order]

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        return self._order if client_id == self._order.client_id else await super().find(client_id)


async def test_an_order_that_works_at_the_venue_and_of_which_no_event_told_is_taken_over(books: Books, folder: Path):
    """Once: the book has it then, and looks for it as for any other."""
    session = one_trade(books, folder).open()
    await session.until(640)
    order = replace(stranger(MES), type=OrderType.LIMIT, limit_price=19_000)
    session.replace_deps(lambda deps: replace_venue(deps, ShowsMore(venue_of(deps), order)))
    for _ in range(2):
        await session.start()
    session.close()
    taken = session.book.orders[order.client_id]
    assert (taken.leg, taken.strategy, taken.state, taken.limit_price) == ("X", "default/mes", "WORKING", 19_000)
    assert session.halted == "the venue reports order somebody-else, which this book never intended"
    assert sorted(order.leg for order in session.book.live_orders()) == ["S1", "T1", "X"]


@pytest.mark.parametrize("client_id", ["a\x00b", "", "x" * 200])
async def test_a_working_order_whose_id_no_table_holds_halts_and_is_passed_over(
    books: Books, folder: Path, client_id: ClientOrderId
):
    session = one_trade(books, folder).open()
    await session.until(640)
    order = replace(stranger(MES), client_id=client_id)
    session.replace_deps(lambda deps: replace_venue(deps, ShowsMore(venue_of(deps), order)))
    await session.start()
    session.close()
    assert "is passed over: no table holds its id" in session.halted
    assert sorted(order.leg for order in session.book.live_orders()) == ["S1", "T1"]


async def test_a_working_order_at_which_processes_have_ended_is_left_alone(books: Books, folder: Path):
    session = one_trade(books, folder).open()
    await session.until(640)
    order, marks = stranger(MES), MarkFile(folder / "marks", RunId("tape"))
    name = f"order '{order.client_id}' as the venue has it"
    for _ in range(2):
        with suppress(ValueError), marks.at(name):
            raise ValueError("nonsense")
    session.replace_deps(lambda deps: replace(replace_venue(deps, ShowsMore(venue_of(deps), order)), marks=marks))
    await session.start()
    session.close()
    assert session.halted == f"{name} is passed over: {marks.poison(name)}"
    assert order.client_id not in session.book.orders


# --- while both go on ---


class SaysOtherwise(TrippedVenue):
    """A venue whose working orders and positions are not those that it has, for so many reads."""

    def __init__(self, venue: MatchingVenue, reads: int, **words: Callable[[Any], Any]) -> None:
        super().__init__(venue, Tripwire())
        self._reads = dict.fromkeys(words, reads)
        self._words = words

    def _said(self, name: str, answer: Any) -> Any:
        if self._reads.get(name, 0) <= 0:
            return answer
        self._reads[name] -= 1
        return self._words[name](answer)

    async def working(self) -> Sequence[VenueOrder]:
        found: Sequence[VenueOrder] = self._said("working", await super().working())
        return found

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        found: VenueOrder | None = self._said("find", await super().find(client_id))
        return found

    async def positions(self) -> dict[ContractId, int]:
        found: dict[ContractId, int] = self._said("positions", await super().positions())
        return found


@asynccontextmanager
async def holding(
    books: Books, folder: Path, reads: int = 0, **words: Callable[[Any], Any]
) -> AsyncIterator[tuple[Desk, Session]]:
    """A session with a position behind stop and target, and a venue that says otherwise from then on."""
    desk = one_trade(books, folder)
    session = desk.open()
    await session.until(650)
    assert sorted(order.leg for order in session.book.live_orders()) == ["S1", "T1"]
    venue = SaysOtherwise(venue_of(session.loop._deps), reads, **words)
    session.replace_deps(lambda deps: replace_venue(deps, venue))
    yield desk, session
    session.close()


async def test_a_venue_that_agrees_is_compared_without_a_word(books: Books, folder: Path):
    async with holding(books, folder) as (desk, session):
        before = session.book.venue_event
        await session.loop.compare()
        assert (session.halted, session.pauses, session.book.venue_event) == ("", 0, before)
        await session.run()
        assert [leg for leg, *_ in await desk.fills()] == ["E", "T1"]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("working", lambda found: found[1:]),
        ("working", lambda found: [*found, stranger(MES)]),
        ("positions", lambda found: {MES: 2}),
        ("positions", lambda found: {}),
        ("positions", lambda found: {MES: 1, ContractId("NQM2025"): 1}),
        ("positions", lambda found: {MES: 10**30}),
    ],
)
async def test_a_difference_of_one_read_is_none(books: Books, folder: Path, name: str, word: Callable[[Any], Any]):
    async with holding(books, folder, 1, **{name: word}) as (desk, session):
        await session.loop.compare()
        assert session.pauses == 1  # it was read again
        await session.run()
        assert session.halted == ""
        assert [leg for leg, *_ in await desk.fills()] == ["E", "T1"]


async def test_an_order_that_works_is_not_given_up_after_one_answer_without_it(books: Books, folder: Path):
    async with holding(books, folder, 1, find=lambda _: None) as (desk, session):
        await session.loop.recover()
        assert sorted(order.leg for order in session.book.live_orders()) == ["S1", "T1"]
        assert session.halted == ""
        await session.run()
        assert [leg for leg, *_ in await desk.fills()] == ["E", "T1"]


async def test_a_stop_that_the_venue_has_forgotten_is_missed_and_its_position_closed(books: Books, folder: Path):
    def without_stop(found: Sequence[VenueOrder]) -> Sequence[VenueOrder]:
        return [order for order in found if order.leg != "S1"]

    def not_stop(found: VenueOrder | None) -> VenueOrder | None:
        return None if found is not None and found.leg == "S1" else found

    async with holding(books, folder, 99, working=without_stop, find=not_stop) as (desk, session):
        await session.loop.compare()
        await session.loop.step()
        assert "is absent at the venue" in session.halted
        await session.run()
        assert [leg for leg, *_ in await desk.fills()] == ["E", "F1"]


async def test_an_order_of_somebody_else_is_found_halts_and_is_left_alone(books: Books, folder: Path):
    foreign = replace(stranger(MES), type=OrderType.LIMIT, limit_price=19_000)
    async with holding(books, folder, 99, working=lambda found: [*found, foreign]) as (_, session):
        await session.loop.compare()
        await session.loop.step()
        assert session.halted != ""
        assert session.book.orders[foreign.client_id].state is OrderState.WORKING
        assert all(order.client_id != foreign.client_id for order in session.market.orders())
        assert session.book.orders[foreign.client_id].state is not OrderState.PENDING_CANCEL


async def test_an_order_that_has_ended_in_the_book_and_works_at_the_venue_halts(books: Books, folder: Path):
    async with holding(books, folder) as (_, session):
        target = next(order for order in session.market.live_orders() if order.leg == "T1")
        await session.run()
        assert session.book.orders[target.client_id].state is OrderState.FILLED
        session.replace_deps(
            lambda deps: replace_venue(deps, SaysOtherwise(venue_of(deps), 99, working=lambda found: [target]))
        )
        await session.loop.compare()
        assert session.halted == f"order {target.client_id} works at the venue and has ended in the book"
