"""The loop on the tape that is live, with a model of its clock: it waits for nobody, and says why it enters nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.loop.deps import Deps
from leadline.execution.loop.ports import Orders, Unavailable
from leadline.execution.venues.both_ports import MatchingVenue
from leadline.model.durations import NS_PER_SECOND
from leadline.model.ids import LIVE, ClientOrderId, ContractId, RunId
from leadline.model.orders import OrderEvents, VenueOrder
from leadline.model.signals import BarSignals
from leadline.risk.reasons import Reason
from leadline.risk.view import DecisionInputs, RiskDecision
from tests.execution.harness.builders import DAY_S, HOUR, MES, RTH_S, account, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Books, Bounded, Desk, Session
from tests.execution.harness.faults import TrippedVenue, Tripwire, tripped
from tests.execution.harness.ports import replace_venue, venue_of

PRINTS = tape(*((second, 20_000) for second in range(590, 720)), (20_000, 20_000), (RTH_S, 20_004))


@dataclass
class LiveDesk(Desk):
    """A desk on the tape that is live; `Session.until` is its clock."""

    @property
    def tape(self) -> RunId:
        return LIVE


def live_desk(books: Books, folder: Path) -> LiveDesk:
    return LiveDesk(books, folder, {MES: PRINTS}, {}, [strategy()], account(), ends=2 * RTH_S)


async def opened(desk: LiveDesk, seconds: float, through: Callable[[Deps], Deps] = lambda deps: deps) -> Session:
    """The account as its process has it at a second."""
    session = desk.open(through)
    await session.until(seconds)
    return session


async def hears(session: Session, said: BarSignals, seconds: float) -> None:
    """A bar comes at a second, and the loop looks once."""
    await session.until(seconds)
    [queue] = session.queues.values()
    session._hear(queue, says([said], end=RTH_S)[0])
    await steps(session, seconds)


async def steps(session: Session, seconds: float) -> None:
    """The clock goes on to a second, and the loop looks at least once."""
    clock = Bounded(venue_of(session.loop._deps), ns(seconds))
    session.replace_deps(lambda deps: replace_venue(deps, clock))
    await session.loop.step()
    while session.book.instant_ns < ns(seconds):
        await session.loop.step()
    session.replace_deps(lambda deps: replace_venue(deps, clock._venue))


async def test_nobody_is_waited_for(books: Books, folder: Path):
    session = await opened(live_desk(books, folder), 650)
    assert session.book.instant_ns == ns(650)  # no signal, no progress
    await hears(session, bar(649), 650.1)
    session.close()
    assert await session.desk.decisions() == [("default/mes", 650.1, True, "")]


@pytest.mark.parametrize(("age_s", "reason"), [(3.0, ""), (3.001, "late"), (60, "late")])
async def test_a_bar_is_late_by_the_instant_of_its_decision(books: Books, folder: Path, age_s: float, reason: str):
    session = await opened(live_desk(books, folder), 600)
    await hears(session, bar(601), 601 + age_s)
    session.close()
    assert await session.desk.decisions() == [("default/mes", 601 + age_s, not reason, reason)]


async def test_a_bar_of_a_clock_that_is_ahead_waits_until_it_is_known(books: Books, folder: Path):
    session = await opened(live_desk(books, folder), 600)
    [queue] = session.queues.values()
    session._hear(queue, says([bar(602)], end=RTH_S)[0])
    await session.until(601.9)
    assert not session.book.decided
    await session.until(602)
    session.close()
    assert await session.desk.decisions() == [("default/mes", 602, True, "")]


@pytest.mark.parametrize("reason", [Reason.CLOCK, Reason.LEASE, Reason.DISK])
async def test_a_machine_in_doubt_enters_nothing(books: Books, folder: Path, reason: Reason):
    doubts: list[tuple[Reason, str]] = [(reason, "words")]

    def doubtful(deps: Deps) -> Deps:
        return replace(deps, doubt=lambda: doubts[0] if doubts else None)

    session = await opened(live_desk(books, folder), 600, doubtful)
    await hears(session, bar(601), 601)
    doubts.clear()
    await hears(session, bar(602), 602)
    session.close()
    found = await session.desk.decisions()
    assert [(accepted, why) for _, _, accepted, why in found] == [(False, reason.value), (True, "")]


async def test_an_entry_that_may_not_leave_in_time_never_leaves(books: Books, folder: Path):
    asked: list[int] = []

    def late(at_ns: int) -> bool:
        asked.append(at_ns)
        return len(asked) > 1  # while it waits for its lease

    session = await opened(live_desk(books, folder), 600, lambda deps: replace(deps, late=late))
    await hears(session, bar(601), 602)
    session.close()
    assert asked == [ns(602)] * 2
    [(*_, state, reason)] = await session.desk.rows("intent", "leg, state, reason", "leg")
    assert (state, reason) == ("EXPIRED_LOCAL", "late")
    assert session.journal.written == frozenset()
    assert [accepted for _, _, accepted, _ in await session.desk.decisions()] == [True]


async def test_an_instant_at_which_nothing_happens_is_written_once_a_second(books: Books, folder: Path):
    wire = Tripwire()
    session = await opened(live_desk(books, folder), 600, lambda deps: tripped(deps, wire))

    async def commits(seconds: float) -> int:
        wire.calls.clear()
        await steps(session, seconds)
        return sum(call.startswith("store.commit") for call in wire.calls)

    await steps(session, 605)
    assert [await commits(605 + tenths / 10) for tenths in range(1, 21)] == ([0] * 9 + [1]) * 2
    written = await session.store.load()
    assert written is not None
    assert written.instant_ns == session.book.instant_ns == ns(607)
    session.halt("news")
    assert await commits(607.1) > 0
    session.close()


@dataclass
class Ahead:
    """A venue whose clock is ahead: its events happen later than it is here."""

    venue: Orders
    ahead_ns: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.venue, name)

    async def events_since(self, after_event: int, until_ns: int) -> OrderEvents:
        told = await self.venue.events_since(after_event, until_ns)
        return replace(told, events=tuple(replace(each, instant_ns=until_ns + self.ahead_ns) for each in told.events))


@pytest.mark.parametrize(("ahead_s", "halted"), [(2, False), (60, False), (61, True), (10_000, True)])
async def test_a_fill_of_a_venue_whose_clock_is_ahead_is_booked_at_once(
    books: Books, folder: Path, ahead_s: int, halted: bool
):
    def ahead(deps: Deps) -> Deps:
        return replace(deps, venue=Ahead(deps.venue, ahead_s * NS_PER_SECOND))

    session = await opened(live_desk(books, folder), 600)
    await hears(session, bar(601), 602)
    session.replace_deps(lambda deps: replace_venue(deps, Bounded(venue_of(deps), ns(604))))
    session.replace_deps(ahead)
    while not session.book.open_positions():
        await session.loop.step()
    session.close()
    assert session.book.instant_ns <= ns(604 + (0 if halted else ahead_s))
    assert ("an instant that cannot be" in session.halted) == halted


@dataclass
class FillsMeanwhile:
    """A venue whose market goes on to an instant before it says for the first time what works."""

    venue: MatchingVenue
    until_ns: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.venue, name)

    async def working(self) -> Sequence[VenueOrder]:
        until_ns, self.until_ns = self.until_ns, 0
        if until_ns:
            await self.venue.advance(until_ns, until_ns, 1, (MES,), ())
        return await self.venue.working()


async def test_exits_of_an_entry_that_fills_at_a_start_are_booked_with_its_fill(books: Books, folder: Path):
    desk = live_desk(books, folder)
    session = await opened(desk, 600)
    await hears(session, bar(601), 601)
    assert [order.leg for order in session.book.live_orders()] == ["E"]
    session.close()
    again = desk.open(lambda deps: replace_venue(deps, FillsMeanwhile(venue_of(deps), ns(604))))
    await again.start()
    assert [position.quantity for position in again.book.open_positions()] == [1]
    assert sorted(order.leg for order in again.book.live_orders()) == ["S1", "T1"]
    assert again.halted == ""
    again.close()


class Silent:
    """Risk that does not answer."""

    async def decide(self, inputs: DecisionInputs) -> RiskDecision:
        raise Unavailable("risk does not answer", "risk")


async def test_without_risk_nothing_is_entered_and_what_is_held_leaves(books: Books, folder: Path):
    session = await opened(live_desk(books, folder), 600)
    await hears(session, bar(601), 601)
    await session.until(605)
    [position] = session.book.open_positions()
    assert position.quantity == 1
    session.replace_deps(lambda deps: replace(deps, risk=Silent()))
    await hears(session, bar(606), 606)
    await session.loop.flatten(session.desk.strategies[0].full_name, "out")
    await session.until(610)
    assert session.book.open_positions() == []
    session.close()
    assert [why for *_, why in await session.desk.decisions()] == ["", Reason.RISK_UNAVAILABLE.value]


class GoesOn(TrippedVenue):
    """A venue whose market goes on to a second of its own before it is asked for one of the orders."""

    def __init__(self, venue: MatchingVenue) -> None:
        super().__init__(venue, Tripwire())
        self.before: tuple[ClientOrderId, float, int] | None = None

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        if self.before is not None and self.before[0] == client_id:
            (_, to_s, heard), self.before = self.before, None
            await self.advance(ns(to_s), ns(to_s), heard, (MES,), ())
        return await super().find(client_id)


async def test_a_stop_that_a_fill_of_its_target_has_made_smaller_is_no_difference(books: Books, folder: Path):
    """The target fills in part after the book has heard the venue, and before the venue is asked for the stop."""
    desk = live_desk(books, folder)
    desk.strategies = [strategy(size=2)]
    rows = [*((second, 20_000, 1) for second in range(590, 660)), (660, 20_030, 1), (670, 20_020, 1)]
    desk.prints = {MES: tape(*rows, (RTH_S, 20_004, 1))}
    session = await opened(desk, 600)
    await hears(session, bar(601), 601)
    await session.until(650)
    assert sorted((order.leg, order.quantity) for order in session.book.live_orders()) == [("S1", 2), ("T1", 2)]
    venue = GoesOn(venue_of(session.loop._deps))
    session.replace_deps(lambda deps: replace_venue(deps, venue))
    [stop] = [order.client_id for order in session.book.live_orders() if order.leg == "S1"]
    venue.before = (stop, 660, session.book.venue_event)
    await session.loop.recover()
    assert session.halted == ""
    [position] = session.book.open_positions()
    assert (position.quantity, session.book.instant_ns) == (1, ns(660))
    assert sorted((order.leg, order.remaining) for order in session.book.live_orders()) == [("S1", 1), ("T1", 1)]
    session.close()


async def test_a_bar_that_is_said_again_after_a_start_is_not_decided_again(books: Books, folder: Path):
    desk = live_desk(books, folder)
    session = await opened(desk, 600)
    await hears(session, bar(601), 606)
    await session.until(640)
    session.close()
    again = await opened(desk, 641)
    await hears(again, bar(601), 642)
    await hears(again, bar(640), 643)  # nobody was there
    again.close()
    assert [(second, why) for _, second, _, why in await desk.decisions()] == [(606, "late"), (643, "")]


async def test_a_bar_that_is_said_again_after_a_long_stop_is_not_decided_again(books: Books, folder: Path):
    desk = live_desk(books, folder)
    session = await opened(desk, 600)
    await hears(session, bar(601), 606)
    await session.until(700)
    session.close()
    again = await opened(desk, 700 + 1200)
    assert again.book.decided == {}
    await hears(again, bar(601), 1901)
    await hears(again, bar(1890), 1902)  # known too long ago as well, and never decided
    assert again.halted == ""
    again.close()
    assert [(second, why) for _, second, _, why in await desk.decisions()] == [(606, "late"), (1902, "late")]


async def test_the_book_keeps_the_decisions_of_ten_minutes(books: Books, folder: Path):
    session = await opened(live_desk(books, folder), 600)
    await hears(session, bar(601), 606)
    assert len(session.book.decided) == 1
    await session.until(606 + 600)
    assert len(session.book.decided) == 1
    await session.until(606 + 601)
    assert session.book.decided == {}
    session.close()


async def test_the_day_rolls_by_the_clock_alone(books: Books, folder: Path):
    desk = live_desk(books, folder)
    desk.ends, desk.strategies = 100 * HOUR, []
    session = await opened(desk, 10 * HOUR)
    days = session.book.trading_day
    session.close()
    assert days is not None
    assert days.isoformat() == "2025-06-11"


async def test_a_day_leaves_no_more_behind_than_the_day_before(books: Books, folder: Path):
    """In the book, the queue and the venue, each day a trade that the target ends and bars that come to nothing."""
    days, rows = 4, []
    for day in range(days):
        rows += [(day * DAY_S + second, 20_000) for second in range(600, 640)]
        rows += [(day * DAY_S + 640, 20_040)]
    desk = live_desk(books, folder)
    desk.prints, desk.ends = {MES: tape(*rows)}, days * DAY_S
    session = await opened(desk, 60)
    [queue], found = session.queues.values(), []
    for day in range(days):
        for second in (601, 602, 603):
            await hears(session, bar(day * DAY_S + second), day * DAY_S + second)
        await session.until(day * DAY_S + 5 * HOUR)
        book = session.book
        held = (book.orders, book.decided, book.entry_instants, book.positions, book.open_positions())
        found.append([len(each) for each in held] + [queue.waits])
    session.close()
    assert found == [[0, 0, 0, 1, 0, False]] * days
    kept = session.market.forget(session.book.venue_event, session.book.instant_ns)
    assert (kept.orders, kept.events, kept.positions, kept.step.resting) == ((), (), {}, {})
    assert sum(accepted for _, _, accepted, _ in await desk.decisions()) == days


async def test_a_strategy_goes_on_in_the_next_month_which_the_feed_has_gained_while_it_ran(books: Books, folder: Path):
    later = ContractId("MESU2025")
    desk = live_desk(books, folder)
    desk.prints, desk.ends = {MES: PRINTS, later: tape()}, 12 * DAY_S
    session = await opened(desk, HOUR)
    session.book.feed_contracts = (MES,)
    await steps(session, HOUR + 1)
    [owner] = session.book.strategies.values()
    assert (owner.contract, session.book.tapes(owner)) == (MES, (MES,))
    session.book.feed_contracts = (MES, later)  # as the service follows the run
    await steps(session, 2 * HOUR)
    [owner] = session.book.strategies.values()
    assert (owner.contract, set(session.book.tapes(owner))) == (MES, {MES, later})
    await steps(session, 11 * DAY_S)
    [owner] = session.book.strategies.values()
    assert owner.contract == later
    session.close()
