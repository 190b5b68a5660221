"""Kills and silence at every call of the loop: nothing is sent twice, no fill is lost, and the book is the venue's.

A kill throws the process away; the next one has the database, the journal and the venue's ledger, and nothing else. The
venue is made again from its ledger each time, too.
"""

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.loop.ports import Fenced, Unavailable
from leadline.execution.venues.both_ports import MatchingVenue
from leadline.model.halts import HaltSource
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, Leg, RunId
from leadline.model.orders import OrderState, OrderType, Side, VenueOrder
from tests.execution.harness.builders import BUY, ES, MES, SELL, bar, ns, says, strategy, tape
from tests.execution.harness.checks import CheckedVenue
from tests.execution.harness.days import beside_a_part, eventful, in_parts, managed, rivals, wandering
from tests.execution.harness.desk import Books, Desk, Session, venue_fills
from tests.execution.harness.faults import Killed, TrippedVenue, Tripwire, Watcher, tripped
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.harness.stores import IN_BOTH, MemoryBooks

GIVEN_UP = {"DEAD", "EXPIRED_LOCAL"}
SENDING = ("store.confirm", "journal.write", "venue.submit E")
"""The calls from the row SENDING until the venue has an entry."""


def flat_by(books: Books, folder: Path, name: str) -> Desk:
    """One long that is flat by the close."""
    prints = {
        MES: tape(
            (600, 20_000),
            (601, 20_000),
            (900, 20_004, 1, BUY),
            (23_101, 20_008, 1, SELL),
            (23_390, 20_010),
        )
    }
    signals = {"default/mes": says([bar(600)], end=23_400)}
    return Desk(books, folder, prints, signals, [strategy()], ends=23_400, name=name)


Day = Callable[[Books, Path, str], Desk]
"""A desk of that name, with a day of its own."""


class Swallow(TrippedVenue):
    """A venue that never hears of some orders."""

    def __init__(self, venue: MatchingVenue, client_ids: frozenset[ClientOrderId]) -> None:
        super().__init__(venue, Tripwire())
        self._client_ids = client_ids

    async def submit(self, order: VenueOrder) -> VenueOrder:
        if order.client_id in self._client_ids:
            raise Unavailable("nobody heard")
        return await super().submit(order)


def essence(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of the digest without orders that were given up; which attempt closed a position does not count."""
    kept = [line for line in lines if line.get("state") not in GIVEN_UP]
    return [{**line, "leg": line["leg"][:1]} if "leg" in line else line for line in kept]


async def check_against_venue(desk: Desk, session: Session, *, halted: bool = False) -> frozenset[ClientOrderId]:
    """Book and venue hold the same orders, fills and positions; the entries that the book gave up."""
    fills = await desk.rows("fill", "fill_id, client_id, quantity, price", "venue_event")
    assert fills == venue_fills(session.market.events_after(0))
    held = {position.contract: position.quantity for position in session.book.open_positions()}
    assert held == session.market.positions()
    orders = await desk.rows("intent", "client_id, leg, state, filled", "client_id")
    at_venue = {order.client_id: order for order in session.market.orders()}
    for client_id, _, state, filled in orders:
        if state in GIVEN_UP:
            assert client_id not in at_venue
        else:
            reported = at_venue.pop(client_id)
            assert (state, filled) == (reported.state, reported.filled)
    assert not at_venue
    assert max(desk.sent.values(), default=1) == 1
    assert bool(session.switch.halts.of(HaltSource.DIFFERENCE)) == halted
    return frozenset(client_id for client_id, leg, state, _ in orders if leg == "E" and state in GIVEN_UP)


class Reference:
    """What a day comes to when some of its entries are never heard by the venue, each such day run once."""

    def __init__(self, books: Books, folder: Path, day: Day = eventful) -> None:
        self._books = books
        self._folder = folder
        self._day = day
        self._known: dict[frozenset[ClientOrderId], list[dict[str, Any]]] = {}

    async def without(self, client_ids: frozenset[ClientOrderId]) -> list[dict[str, Any]]:
        if client_ids not in self._known:
            desk = self._day(self._books, self._folder, f"reference-{len(self._known)}")
            session = await desk.run(through=lambda deps: replace_venue(deps, Swallow(venue_of(deps), client_ids)))
            assert await check_against_venue(desk, session) == client_ids
            self._known[client_ids] = essence(await desk.lines())
        return self._known[client_ids]


async def killed(desk: Desk, *at: int) -> Session:
    """Run the desk, kill it at those calls, one after the other, and let the last process go on to the end."""
    for number in at:
        session = desk.open(lambda deps, number=number: tripped(deps, Tripwire(number)))  # type: ignore[misc]
        try:
            await session.run()
        except Killed:
            pass
        finally:
            session.close()
    return await desk.run()


@pytest.mark.parametrize(
    ("day", "entries"), [(eventful, 4), (managed, 4), (rivals, 4), (in_parts, 2), (beside_a_part, 0)]
)
async def test_a_kill_at_any_call_loses_nothing_and_sends_nothing_twice(
    books: MemoryBooks, folder: Path, day: Day, entries: int
):
    """Of a day with no `entries` to be killed at, kills begin after the last of them."""
    # Between two calls nothing leaves the process: a kill after a call took effect is one before the next call. What a
    # kill leaves is what is durable then, and nothing else: it is kept at each call of one run.
    left: list[Desk] = []

    def keep(number: int) -> None:
        there = folder / f"killed-{number}"
        shutil.copytree(undisturbed.folder, there)
        kept = replace(undisturbed, books=books.as_they_are(), folder=there, sent=dict(undisturbed.sent), begun=True)
        left.append(kept)

    wire = Watcher(keep)
    undisturbed = day(books, folder / "undisturbed", "undisturbed")
    undisturbed.folder.mkdir()
    await undisturbed.run(through=lambda deps: tripped(deps, wire), read_back=True)
    assert len(wire.calls) >= 80
    assert {name.split()[0] for name in wire.calls} >= {"risk.decide", "journal.write", "venue.submit", "venue.cancel"}

    reference = Reference(books, folder, day)
    assert await reference.without(frozenset()) == essence(await undisturbed.lines())
    given_up = 0
    first = 0 if entries else 1 + max(number for number, name in enumerate(wire.calls) if name == "venue.submit E")
    for number, (name, desk) in list(enumerate(zip(wire.calls, left, strict=True)))[first:]:
        try:
            lost = await check_against_venue(desk, await desk.run())
            assert essence(await desk.lines()) == await reference.without(lost)
        except BaseException as error:
            error.add_note(f"killed at call {number}: {name}, after {wire.calls[max(0, number - 4) : number]}")
            raise
        in_doubt = name in SENDING and "venue.submit E" in wire.calls[number : number + len(SENDING)]
        assert bool(lost) == in_doubt, f"killed at call {number}: {name}"
        given_up += bool(lost)
    assert given_up == len(SENDING) * entries


@pytest.mark.parametrize("seed", range(8))
async def test_kills_while_recovering_from_kills(books: Books, folder: Path, seed: int):
    chance = random.Random(seed)
    at = [chance.randrange(100), *(chance.randrange(30) for _ in range(4))]
    desk = eventful(books, folder)
    try:
        lost = await check_against_venue(desk, await killed(desk, *at))
        assert essence(await desk.lines()) == await Reference(books, folder).without(lost)
    except BaseException as error:
        error.add_note(f"killed at calls {at}")
        raise


async def test_a_part_that_does_not_answer_is_asked_again(books: Books, folder: Path):
    wire = Tripwire()
    undisturbed = flat_by(books, folder, "undisturbed")
    await undisturbed.run(through=lambda deps: tripped(deps, wire))
    expected = essence(await undisturbed.lines())
    fills = await undisturbed.fills()
    assert [fill[0] for fill in fills] == ["E", "F1"]

    for number, name in enumerate(wire.calls):
        if name == "journal.write":  # a disk that fails ends the process
            continue
        for after in (False, True):
            desk = flat_by(books, folder, f"silent-{number}-{after}")
            fault = Tripwire(number, after=after, error=Unavailable)
            try:
                session = await desk.run(through=lambda deps, fault=fault: tripped(deps, fault))
                assert fault.tripped
                lost = await check_against_venue(desk, session)
                assert bool(lost) == (name == "venue.submit E" and not after)
                assert lost or essence(await desk.lines()) == expected
            except BaseException as error:
                error.add_note(f"no answer {'after' if after else 'before'} call {number}: {name}")
                raise


async def test_exits_are_moved_once_where_the_venue_does_not_answer(books: Books, folder: Path):
    wire = Tripwire()
    undisturbed = managed(books, folder, "undisturbed")
    await undisturbed.run(through=lambda deps: tripped(deps, wire))
    expected = await undisturbed.lines()
    moves = [number for number, name in enumerate(wire.calls) if name == "venue.replace"]
    assert len(moves) == 5
    for number in moves:
        for after in (False, True):
            fault = Tripwire(number, after=after, error=Unavailable)
            desk = managed(books, folder, f"silent-{number}-{after}")
            session = await desk.run(through=lambda deps, fault=fault: tripped(deps, fault), read_back=True)
            await check_against_venue(desk, session)
            assert await desk.lines() == expected
            # Where the venue has done it, it is not asked again.
            assert fault.calls.count("venue.replace") == len(moves) + (not after)


@pytest.mark.parametrize("seed", range(4))
async def test_kills_on_days_of_chance(books: Books, folder: Path, seed: int):
    chance = random.Random(seed)
    at = [chance.randrange(20, 120) for _ in range(4)]
    desk = wandering(books, folder, seed)
    try:
        await check_against_venue(desk, await killed(desk, *at))
    except BaseException as error:
        error.add_note(f"killed at calls {at}")
        raise


class LandsLate(TrippedVenue):
    """A venue that hears of an order only after its sender stopped listening: when it is asked the n-th question."""

    def __init__(self, venue: MatchingVenue, questions: int) -> None:
        super().__init__(venue, Tripwire())
        assert isinstance(venue, CheckedVenue)
        self._behind = venue.behind
        self._questions = questions
        self._under_way: VenueOrder | None = None

    async def submit(self, order: VenueOrder) -> VenueOrder:
        self._under_way = order
        raise Unavailable("the answer was lost")

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        self._questions -= 1
        if self._under_way is not None and self._questions < 0:
            await self._behind.submit(self._under_way)
            self._under_way = None
        return await super().find(client_id)

    async def positions(self) -> dict[ContractId, int]:
        if self._under_way is not None:
            await self._behind.submit(self._under_way)
            self._under_way = None
        return await super().positions()


def one_trade(books: Books, folder: Path) -> Desk:
    """One long to its target."""
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_026))}
    return Desk(books, folder, prints, {"default/mes": says([bar(600)], end=900)}, [strategy()], ends=900)


@pytest.mark.parametrize("questions", [0, 1])
async def test_an_order_that_lands_while_it_is_looked_for_is_adopted(books: Books, folder: Path, questions: int):
    desk = one_trade(books, folder)
    session = await desk.run(through=lambda deps: replace_venue(deps, LandsLate(venue_of(deps), questions)))
    assert await check_against_venue(desk, session) == frozenset()
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("T1", 700)]


async def test_an_order_that_lands_after_it_was_given_up_is_booked_and_stops_entries(books: Books, folder: Path):
    desk = one_trade(books, folder)
    desk.signals = {"default/mes": says([bar(600), bar(800)], end=900)}
    session = await desk.run(through=lambda deps: replace_venue(deps, LandsLate(venue_of(deps), 2)), read_back=True)
    assert "given up as absent, has come up at the venue" in session.halted
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("T1", 700)]
    assert [state for *_, state in await desk.orders()] == ["FILLED", "CANCELLED", "FILLED"]
    assert [reason for *_, reason in await desk.decisions()] == ["", "halted"]
    assert session.market.positions() == {}


async def until_pending(desk: Desk) -> None:
    """Kill the account between the transaction that writes its first order and the next."""
    at = (await calls_of(desk)).index("store.commit SENDING")
    session = desk.open(lambda deps: tripped(deps, Tripwire(at)))
    with pytest.raises(Killed):
        await session.run()
    session.close()
    assert [state for *_, state in await desk.orders()] == ["PENDING"]


async def calls_of(desk: Desk) -> list[str]:
    """The calls of the desk's day, from a twin that is run through."""
    wire = Tripwire()
    twin = Desk(desk.books, desk.folder, desk.prints, desk.signals, desk.strategies, ends=desk.ends, name="twin")
    await twin.run(through=lambda deps: tripped(deps, wire))
    return wire.calls


async def test_an_entry_that_never_left_is_sent_at_the_same_instant(books: Books, folder: Path):
    desk = one_trade(books, folder)
    await until_pending(desk)
    await desk.run()
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("T1", 700)]


async def test_an_entry_that_never_left_is_dropped_when_entries_were_stopped_meanwhile(books: Books, folder: Path):
    desk = one_trade(books, folder)
    await until_pending(desk)
    session = desk.open()
    session.halt()
    await session.run()
    session.close()
    assert await desk.rows("intent", "state, reason", "leg") == [("EXPIRED_LOCAL", "a person")]
    assert desk.sent == {}


@pytest.mark.parametrize("state", [OrderState.PENDING, OrderState.SENDING])
async def test_an_entry_that_never_left_is_dropped_when_another_s_fill_has_taken_it_out(
    state: OrderState, books: Books, folder: Path
):
    desk = one_trade(books, folder)
    await until_pending(desk)
    session = desk.open()
    assert await session.store.acquire()
    await session.loop.load()
    [order] = session.book.orders.values()
    taken_out = replace(order, state=state, taken_out_by=ClientOrderId("another"))
    sender = session.loop._orders
    await (sender.send(taken_out) if state is OrderState.PENDING else sender.hand_in(taken_out))
    session.close()
    assert await desk.rows("intent", "state, reason", "leg") == [("EXPIRED_LOCAL", "first_fill")]
    assert desk.sent == {}


async def test_an_entry_that_never_left_is_dropped_when_its_instant_has_passed(books: Books, folder: Path):
    desk = one_trade(books, folder)
    await until_pending(desk)
    await books.move(RunId(desk.tape), 1)
    session = await desk.run()
    assert await desk.rows("intent", "state, reason", "leg") == [("EXPIRED_LOCAL", "never sent")]
    assert await check_against_venue(desk, session)


def stranger(contract: ContractId, client_id: ClientOrderId = ClientOrderId("somebody-else")) -> VenueOrder:
    """An order that the account never intended."""
    return VenueOrder(
        client_id=client_id,
        decision=DecisionId(""),
        leg=Leg("X"),
        contract=contract,
        tape_contract=MES,
        side=Side.BUY,
        type=OrderType.MARKET,
        quantity=1,
        decided_at_ns=ns(650),
    )


async def test_the_fill_of_an_order_that_nobody_here_intended_is_kept_and_stops_entries(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (700, 20_026), (701, 20_026), (900, 20_030))}
    signals = {"default/mes": says([bar(800)], end=900)}
    desk = Desk(books, folder, prints, signals, [strategy()], ends=900)
    session = desk.open()
    await session.start()
    session.market.submit(stranger(MES))
    await session.run()
    session.close()
    assert "which this book never intended" in session.halted
    assert [reason for *_, reason in await desk.decisions()] == ["halted"]
    # Its strategy trades that contract alone, so the position is its own now; it has no stop, and is closed.
    assert "default/mes holds 1 MESM2025 behind stops for 0" in session.halted
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("X", 700), ("F1", 701)]
    assert await desk.rows("intent", "leg, reason", "leg") == [("F1", "unprotected"), ("X", "")]
    assert session.market.positions() == {}


class Miscounts(TrippedVenue):
    """A venue that says that it holds what it does not hold."""

    async def positions(self) -> dict[ContractId, int]:
        return {**await super().positions(), ES: 1}


async def test_book_and_venue_that_hold_different_positions_stop_entries(books: Books, folder: Path):
    desk = one_trade(books, folder)
    session = await desk.run(through=lambda deps: replace_venue(deps, Miscounts(venue_of(deps), Tripwire())))
    assert session.halted == "book [] and venue [('ESM2025', 1)] hold different positions"
    assert await desk.decisions() == [("default/mes", 600, False, "halted")]


@IN_BOTH
async def test_a_second_writer_gets_the_account_when_the_first_is_silent_and_shuts_it_out(books: Books, folder: Path):
    desk = one_trade(books, folder)
    first = desk.open()
    await first.run(until=lambda book: True)
    desk.holder = "execution-1"
    second = desk.store()
    assert not await second.acquire()
    await books.let_the_lease_run_out()
    assert await second.acquire()
    assert second.epoch == first.store.epoch + 1
    before = await desk.rows("account_state", "*", "account")

    with pytest.raises(Fenced):
        await first.run()
    with pytest.raises(Fenced):
        await first.store.confirm()
    first.close()
    assert await desk.rows("account_state", "*", "account") == before
    assert (await desk.decisions(), await desk.orders(), desk.sent) == ([], [], {})
    await books.let_the_lease_run_out()


@IN_BOTH
@pytest.mark.parametrize(
    ("commit", "left"),
    [("store.commit decision PENDING", 0), ("store.commit SENDING", 0), ("store.commit WORKING", 1)],
)
async def test_a_writer_that_was_paused_while_another_took_over_sends_nothing_more(
    books: Books, folder: Path, commit: str, left: int
):
    desk = one_trade(books, folder)
    at = (await calls_of(desk)).index(commit)
    first = desk.open(lambda deps: tripped(deps, Tripwire(at, error=Paused)))
    with pytest.raises(Paused):
        await first.run()
    await books.let_the_lease_run_out()
    desk.holder = "execution-1"
    assert await desk.store().acquire()
    first.replace_deps(lambda deps: tripped(deps, Tripwire()))
    with pytest.raises(Fenced):
        await first.loop.commit()
    first.close()
    assert sum(desk.sent.values()) == left

    lost = await check_against_venue(desk, await desk.run())
    assert not lost
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("T1", 700)]
    await books.let_the_lease_run_out()


class Paused(BaseException):
    """The process does not get any further for a long time."""
