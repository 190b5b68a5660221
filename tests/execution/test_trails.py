"""A stop that trails at a venue which moves none: the loop moves it, at the same prints in every process."""

import random
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.core.account import worst_case
from leadline.execution.core.book import Changes
from leadline.execution.core.trails import PAUSE_NS, move_stops, next_look, trail_watches
from leadline.execution.loop.deps import Deps
from leadline.execution.loop.ports import Refused
from leadline.model.ids import StrategyId
from leadline.model.manifest.venues import Capability
from leadline.model.orders import (
    Bracket,
    LastPrint,
    OrderState,
    OrderType,
    Replacement,
    Side,
    Trail,
    Trailing,
    VenueOrder,
    Watch,
    WatchedPosition,
)
from leadline.model.proposals import Action, Direction, Proposal
from leadline.model.ticks import NS_PER_SECOND
from tests.execution.harness.books import book_of, order_of, position_of
from tests.execution.harness.builders import MES, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Books, Desk, Session
from tests.execution.harness.faults import TrippedVenue, Tripwire
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.harness.stores import IN_BOTH

WITHOUT = frozenset(Capability) - {Capability.TRAILING}
NAME = StrategyId("default/mes")
ENTRY = ((599, 21_000), (601, 21_000))  # in: 1 at 21001
LONG = Proposal(Action.ENTER, Direction.LONG, bracket=Bracket(stop_ticks=30, trail=Trail(22, 6)))


class Untrailing(TrippedVenue):
    """A venue that does not trail: it takes no order that asks for it."""

    def __init__(self, venue: Any) -> None:
        super().__init__(venue, Tripwire())
        self.moves: list[int | None] = []

    async def submit(self, order: VenueOrder) -> VenueOrder:
        assert order.trail is None
        assert order.bracket is None or order.bracket.trail is None
        return await super().submit(order)

    async def replace(self, wanted: Replacement) -> VenueOrder:
        self.moves.append(wanted.stop_price)
        return await super().replace(wanted)


def untrailing(deps: Deps) -> Deps:
    return replace_venue(deps, Untrailing(venue_of(deps)))


def desk_of(
    books: Books, folder: Path, *prints: tuple[float, int], proposal: Proposal = LONG, name: str = "tape"
) -> Desk:
    said = [replace(bar(600, close=21_000), regime=None, signals=(), proposals=(proposal,))]
    desk = Desk(books, folder, {MES: tape(*ENTRY, *prints)}, {NAME: says(said, end=900)}, [strategy()], ends=900)
    desk.capabilities, desk.name = WITHOUT, name
    return desk


def moves_of(session: Session) -> list[tuple[float, int]]:
    """When the venue's stop was moved, and where to."""
    found: list[tuple[float, int]] = []
    stands: int | None = None
    for event in session.market.events_after(0):
        price = event.order.stop_price
        if price is None or price == stands:
            continue
        if stands is not None:
            found.append(((event.instant_ns - ns(0)) / NS_PER_SECOND, price))
        stands = price
    return found


@IN_BOTH
async def test_the_loop_moves_a_stop_once_it_is_triggered_and_never_back(books: Books, folder: Path):
    """In at 21001: from 21023 on the stop stays 6 behind the best print."""
    rows = ((610, 21_022), (620, 21_023), (630, 21_031), (640, 21_026), (650, 21_024), (660, 21_040))
    desk = desk_of(books, folder, *rows)
    session = await desk.run(through=untrailing, read_back=True)
    assert moves_of(session) == [(620, 21_017), (630, 21_025)]
    assert [(leg, second, price) for leg, second, price, *_ in await desk.fills()] == [
        ("E", 601, 21_001),
        ("S1", 650, 21_023),  # the stop at 21025 meets 21024, and a tick is lost
    ]


async def test_a_short_is_the_mirror_and_a_stop_at_a_price_is_triggered_from_its_fill_too(books: Books, folder: Path):
    short = Proposal(Action.ENTER, Direction.SHORT, bracket=Bracket(stop_price=21_030, trail=Trail(22, 6)))
    rows = ((610, 20_978), (620, 20_977), (630, 20_969), (640, 20_974), (650, 20_976))  # in at 20999
    desk = desk_of(books, folder, *rows, proposal=short)
    session = await desk.run(through=untrailing, read_back=True)
    assert moves_of(session) == [(620, 20_983), (630, 20_975)]
    assert [(leg, second, price) for leg, second, price, *_ in await desk.fills()][1:] == [("S1", 650, 20_977)]


async def test_it_is_moved_once_a_second_at_the_most_and_then_to_where_the_market_is(books: Books, folder: Path):
    rows = ((620, 21_023), (620.5, 21_060), (620.9, 21_032), (640, 21_026.0), (650, 21_030))
    desk = desk_of(books, folder, *((second, int(price)) for second, price in rows))
    session = await desk.run(through=untrailing, read_back=True)
    # 21060 came and went within the second; at its end the last print is 21032.
    assert moves_of(session) == [(620, 21_017), (621, 21_026)]


async def test_prints_of_one_instant_move_it_by_the_last_and_those_of_the_fill_not_at_all(books: Books, folder: Path):
    rows = ((601, 21_050), (610, 21_040), (610, 21_033))
    desk = desk_of(books, folder, *rows)
    session = await desk.run(through=untrailing, read_back=True)
    assert moves_of(session) == [(610, 21_027)]


async def test_a_stop_that_is_better_already_is_not_moved_by_its_trigger(books: Books, folder: Path):
    desk = desk_of(books, folder, (610, 21_006), proposal=replace(LONG, bracket=Bracket(2, trail=Trail(3, 10))))
    session = await desk.run(through=untrailing)
    assert moves_of(session) == []


@pytest.mark.parametrize("seed", range(6))
async def test_where_else_it_stops_and_how_often_it_begins_again_changes_no_move(books: Books, folder: Path, seed: int):
    chance = random.Random(seed)
    second, price, rows = 602.0, 21_000, []
    for _ in range(60):
        second += chance.choice([0, 0.1, 0.4, 0.5, 3])
        price += chance.choice([-4, -1, 0, 2, 4, 7])
        rows.append((round(second, 1), price))
    wide = replace(LONG, bracket=Bracket(stop_ticks=30, trail=Trail(chance.choice([0, 4, 10]), chance.choice([6, 11]))))
    undisturbed = desk_of(books, folder, *rows, proposal=wide)
    expected = moves_of(await undisturbed.run(through=untrailing))
    assert expected

    other = desk_of(books, folder, *rows, proposal=wide, name="stops")
    for stop in sorted(chance.uniform(600, second) for _ in range(8)):
        session = other.open(untrailing, read_back=True)
        await session.until(stop)
        session.close()
    assert moves_of(await other.run(through=untrailing)) == expected
    assert await other.fills() == await undisturbed.fills()


async def test_a_stop_that_is_taken_out_meanwhile_is_not_moved(books: Books, folder: Path):
    desk = desk_of(books, folder, (620, 21_023), (630, 21_050))
    session = desk.open(untrailing)
    await session.until(610)
    await session.loop.flatten(NAME, "a person")
    await session.run()
    session.close()
    assert moves_of(session) == []


class Fixed(Untrailing):
    """A venue that moves nothing."""

    async def replace(self, wanted: Replacement) -> VenueOrder:
        self.moves.append(wanted.stop_price)
        raise Refused(f"no other terms for {wanted.client_id}", "venue")


async def test_a_venue_that_refuses_to_move_it_is_asked_once_and_a_person_has_to_look(books: Books, folder: Path):
    asked: list[Fixed] = []

    def fixed(deps: Deps) -> Deps:
        asked.append(Fixed(venue_of(deps)))
        return replace_venue(deps, asked[-1])

    desk = desk_of(books, folder, (620, 21_023), (630, 21_031), (640, 21_039))
    session = await desk.run(through=fixed, read_back=True)
    assert "stays at 20971" in session.halted
    assert [one for venue in asked for one in venue.moves] == [21_017]
    assert await desk.rows("intent", "leg, stop_price, wanted_price, trail", "leg") == [
        ("E", None, None, None),
        ("S1", 20_971, None, None),
    ]


# --- by hand ---


def stop_of(stop: int | None = 19_980, side: Side = Side.SELL, **fields: Any) -> Any:
    terms = {"trail": Trailing(20_010, 6), "decided_at_ns": ns(601), **fields}
    return order_of(OrderState.WORKING, "S1", side=side, type=OrderType.STOP, stop_price=stop, **terms)


def moved(order: Any, price: int, *, printed: float = 700, now: float = 700, **strategy_fields: Any) -> Any:
    """The order after a print, in ticks, and where time stands still for it next."""
    book, _ = book_of(order, position=1, seconds=now, **strategy_fields)
    book.last_prints[MES] = LastPrint(price, ns(printed), 1)
    changes = Changes()
    move_stops(book, changes)
    return changes.orders.get(order.client_id)


def test_a_print_at_the_level_moves_it_and_one_before_it_does_not():
    assert moved(stop_of(), 20_009) is None
    after = moved(stop_of(), 20_010)
    assert (after.wanted_price, after.moved_ns, after.version) == (20_004, ns(700), 2)
    assert moved(stop_of(20_004), 20_010) is None  # a whole tick at the least
    assert moved(stop_of(20_004), 20_011).wanted_price == 20_005
    assert moved(stop_of(20_004), 20_010, now=701) is None


def test_nothing_moves_what_is_moved_or_taken_out_otherwise():
    assert moved(stop_of(wanted_price=19_990), 20_050) is None
    assert moved(replace(stop_of(), state=OrderState.PENDING_CANCEL), 20_050) is None
    assert moved(stop_of(trail=None), 20_050) is None
    assert moved(stop_of(), 20_050, flatten="a person") is None
    assert moved(stop_of(strategy=""), 20_050) is None
    assert moved(stop_of(wanted_trail=Trailing(20_020, 6)), 20_050) is None
    assert moved(stop_of(stop=None), 20_050) is None
    book, changes = book_of(stop_of(), position=1, seconds=700)
    book.flatten, book.last_prints[MES] = "day_loss", LastPrint(20_050, ns(700), 1)
    move_stops(book, changes)
    assert changes.orders == {}


def test_before_the_first_print_nothing_moves():
    book, changes = book_of(stop_of(), position=1, seconds=700)
    move_stops(book, changes)
    assert changes.orders == {}


def test_a_print_that_is_as_old_as_the_fill_or_the_last_move_moves_nothing():
    assert moved(stop_of(), 20_050, printed=601) is None
    assert moved(stop_of(moved_ns=ns(650)), 20_050, printed=650) is None
    assert moved(stop_of(moved_ns=ns(699.5)), 20_050) is None
    assert moved(stop_of(moved_ns=ns(699)), 20_050).wanted_price == 20_044


def test_time_stands_still_at_the_print_that_moves_it_and_after_its_rest():
    def price(below: int | None, above: int | None) -> Watch:
        bounds = [None if bound is None else Decimal(bound) for bound in (below, above)]
        return Watch(Decimal(0), (WatchedPosition(MES, 1, Decimal(0), Decimal(1)),), *bounds)

    book, _ = book_of(stop_of(20_008), position=1, seconds=700)
    assert (trail_watches(book), next_look(book)) == ((price(None, 20_015),), None)
    book, _ = book_of(stop_of(19_995, Side.BUY, trail=Trailing(19_990, 6)), position=-1, seconds=700)
    assert trail_watches(book) == (price(19_988, None),)
    book, _ = book_of(stop_of(moved_ns=ns(699.5)), position=1, seconds=700)
    assert (trail_watches(book), next_look(book)) == ((), ns(699.5) + PAUSE_NS)
    book.instant_ns = ns(699.5) + PAUSE_NS
    assert (trail_watches(book), next_look(book)) == ((price(None, 20_010),), None)
    book.feed_contracts = ()
    assert trail_watches(book) == ()


def test_of_two_stops_that_rest_the_one_that_is_free_first_is_looked_at_next():
    rests = [stop_of(moved_ns=ns(at), client_id=f"stop {at}") for at in (699.5, 699.2, 699.8)]
    book, _ = book_of(*rests, position=3, seconds=700)
    assert next_look(book) == ns(699.2) + PAUSE_NS


def test_until_the_venue_has_moved_it_the_stop_counts_where_it_was():
    book, _ = book_of(seconds=700)
    book.last_prints[MES] = LastPrint(20_012, ns(700), 1)
    before = worst_case(book, [position_of(1)], [stop_of()])
    assert worst_case(book, [position_of(1)], [moved(stop_of(), 20_012)]) == before
