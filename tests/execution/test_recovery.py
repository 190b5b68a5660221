"""Kills and silence at every call of the loop: nothing is sent twice, no fill is lost, and the book is the venue's.

A kill throws the process away; the next one has the database, the journal and the venue's ledger, and nothing else. The
venue is made again from its ledger each time, too.
"""

import random
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.loop import World
from leadline.execution.ports import Fenced, Unavailable, Venue
from leadline.model.orders import OrderType, Side, VenueOrder
from tests.execution.harness.builders import BUY, MES, SELL, account, bar, ns, says, strategy, tape
from tests.execution.harness.days import eventful
from tests.execution.harness.faults import Killed, TrippedVenue, Tripwire, tripped
from tests.execution.harness.world import Books, Desk, Session, replace_venue, venue_fills

pytestmark = pytest.mark.integration

GIVEN_UP = {"DEAD", "EXPIRED_LOCAL"}


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
    speech = {"default/mes": says([bar(600)], end=23_400)}
    return Desk(books, folder, prints, speech, [strategy()], ends=23_400, name=name)


class Swallow(TrippedVenue):
    """A venue that never hears of some orders."""

    def __init__(self, venue: Venue, client_ids: frozenset[str]) -> None:
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


async def check_against_venue(desk: Desk, session: Session) -> frozenset[str]:
    """Book and venue hold the same orders, fills and positions; the entries that the book gave up."""
    rows = await desk.books.reader.fetch(
        "SELECT fill_id, client_id, quantity, price FROM fill WHERE tape = $1 ORDER BY venue_event", desk.tape
    )
    assert [tuple(row) for row in rows] == venue_fills(session.market.events_after(0))
    held = {position.contract: position.quantity for position in session.book.open_positions()}
    assert held == session.market.positions()
    orders = await desk.books.reader.fetch("SELECT client_id, leg, state, filled FROM intent WHERE tape = $1", desk.tape)
    at_venue = {order.client_id: order for order in session.market.orders()}
    for row in orders:
        if row["state"] in GIVEN_UP:
            assert row["client_id"] not in at_venue
        else:
            reported = at_venue.pop(row["client_id"])
            assert (row["state"], row["filled"]) == (reported.state, reported.filled)
    assert set(at_venue) <= {row["client_id"] for row in orders}
    assert max(desk.sent.values(), default=1) == 1
    assert not session.latch.reason
    return frozenset(row["client_id"] for row in orders if row["leg"] == "E" and row["state"] in GIVEN_UP)


class Reference:
    """What the day comes to when some of its entries are never heard by the venue, each such day run once."""

    def __init__(self, books: Books, folder: Path) -> None:
        self._books = books
        self._folder = folder
        self._known: dict[frozenset[str], list[dict[str, Any]]] = {}

    async def without(self, client_ids: frozenset[str]) -> list[dict[str, Any]]:
        if client_ids not in self._known:
            desk = eventful(self._books, self._folder, f"reference-{len(self._known)}")
            session = await desk.run(through=lambda world: replace_venue(world, Swallow(world.venue, client_ids)))
            assert await check_against_venue(desk, session) == client_ids
            self._known[client_ids] = essence(await desk.lines())
        return self._known[client_ids]


async def killed(desk: Desk, *at: int) -> Session:
    """Run the desk, kill it at those calls, one after the other, and let the last process go on to the end."""
    for number in at:
        session = desk.open(lambda world, number=number: tripped(world, Tripwire(number)))  # type: ignore[misc]
        try:
            await session.run()
        except Killed:
            pass
        finally:
            session.close()
    return await desk.run()


async def test_a_kill_at_any_call_loses_nothing_and_sends_nothing_twice(books: Books, folder: Path):
    # Between two calls nothing leaves the process: a kill after a call took effect is one before the next call.
    wire = Tripwire()
    undisturbed = eventful(books, folder, "undisturbed")
    await undisturbed.run(through=lambda world: tripped(world, wire), read_back=True)
    assert len(wire.calls) > 100
    assert {name.split()[0] for name in wire.calls} >= {"risk.decide", "journal.write", "venue.submit", "venue.cancel"}

    reference = Reference(books, folder)
    assert await reference.without(frozenset()) == essence(await undisturbed.lines())
    given_up = 0
    for number, name in enumerate(wire.calls):
        desk = eventful(books, folder, f"killed-{number}")
        try:
            lost = await check_against_venue(desk, await killed(desk, number))
            assert essence(await desk.lines()) == await reference.without(lost)
        except BaseException as error:
            error.add_note(f"killed at call {number}: {name}, after {wire.calls[max(0, number - 4) : number]}")
            raise
        in_doubt = wire.calls[number : number + 2] == ["journal.write", "venue.submit E"] or name == "venue.submit E"
        assert bool(lost) == in_doubt  # from the row SENDING until the venue has the entry
        given_up += bool(lost)
    assert given_up == 2 * 4  # of four entries


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
    await undisturbed.run(through=lambda world: tripped(world, wire))
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
                session = await desk.run(through=lambda world, fault=fault: tripped(world, fault))
                assert fault.tripped
                lost = await check_against_venue(desk, session)
                if lost:
                    assert (name, after) == ("venue.submit E", False)
                    assert await desk.fills() == []
                else:
                    assert essence(await desk.lines()) == expected
            except BaseException as error:
                error.add_note(f"no answer {'after' if after else 'before'} call {number}: {name}")
                raise
