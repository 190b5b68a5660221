"""A venue that ends no exit when another fills: only the stop rests, and the account takes the target itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.loop.ports import Refused, Unavailable
from leadline.execution.venues.both_ports import MatchingVenue
from leadline.model.manifest.venues import Capability
from leadline.model.orders import VenueOrder
from leadline.model.ticks import TickColumns
from tests.execution import test_recovery as recovery
from tests.execution.harness.builders import BUY, MES, account, bar, says, strategy, tape
from tests.execution.harness.days import eventful
from tests.execution.harness.desk import Books, Desk
from tests.execution.harness.faults import TrippedVenue, Tripwire
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.harness.stores import MemoryBooks
from tests.execution.test_attached_brackets import at_a_venue

IN = ((600, 20_000), (601, 20_000))
"""One at 20001: the stop is at 19985, the target at 20025."""


def stop_only(books: Books, folder: Path, name: str = "tape") -> Desk:
    """The eventful day, at a venue without brackets and without pairs."""
    return at_a_venue(eventful(books, folder, name), "StopOnly")


def desk_of(books: Books, folder: Path, prints: TickColumns, size: int = 1, name: str = "tape") -> Desk:
    said = {"default/mes": says([bar(600)], end=900)}
    manifest = account(limits={"maxPosition": 3})
    own = strategy(size=size, budget=False)
    return at_a_venue(Desk(books, folder, {MES: prints}, said, [own], manifest, ends=900, name=name), "StopOnly")


async def test_a_day_ends_flat_and_is_never_in_danger_of_being_turned_round(books: Books, folder: Path):
    desk = stop_only(books, folder)
    session = await desk.run(read_back=True)
    assert Capability.OCO not in desk.capabilities
    assert await recovery.check_against_venue(desk, session) == frozenset()
    assert session.halted == ""
    assert all(not order.oco and order.bracket is None for order in session.market.orders())
    assert len(await desk.fills()) == 6
    assert not session.book.open_positions()


async def test_a_kill_at_any_call_loses_nothing_and_sends_nothing_twice(books: MemoryBooks, folder: Path):
    await recovery.test_a_kill_at_any_call_loses_nothing_and_sends_nothing_twice(books, folder, stop_only, 3)


@pytest.mark.parametrize(
    ("rows", "fills", "orders"),
    [
        (  # through the target: the limit takes it there
            ((700, 20_025), (700.5, 20_026, 1, BUY), (701, 20_030)),
            [("E", 601), ("T1", 700.5)],
            [("E", "FILLED"), ("S1", "CANCELLED"), ("T1", "FILLED")],
        ),
        (  # touched, and away again: what has not filled in two seconds leaves at the market
            ((700, 20_025), (701, 20_020), (703, 20_018), (704, 20_017)),
            [("E", 601), ("F1", 703)],
            [("E", "FILLED"), ("F1", "FILLED"), ("S1", "CANCELLED"), ("T1", "CANCELLED")],
        ),
        (  # the stop alone
            ((700, 20_024), (701, 19_985), (702, 20_030)),
            [("E", 601), ("S1", 701)],
            [("E", "FILLED"), ("S1", "FILLED")],
        ),
    ],
)
async def test_the_target_is_taken_where_it_is_reached(
    books: Books, folder: Path, rows: Sequence[tuple[float, ...]], fills: list[Any], orders: list[Any]
):
    desk = desk_of(books, folder, tape(*IN, *rows))
    session = await desk.run(read_back=True)
    assert session.halted == ""
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == fills
    assert await desk.rows("intent", "leg, state", "leg") == orders


async def test_the_part_that_a_target_did_not_take_leaves_at_the_market(books: Books, folder: Path):
    rows = ((601, 20_000, 3), (700, 20_025, 1), (700.5, 20_026, 1), (701, 20_020, 9), (703, 20_018, 9), (704, 20_018))
    desk = desk_of(books, folder, tape((600, 20_000, 1), *rows), size=2)
    session = await desk.run(read_back=True)
    assert session.halted == ""
    assert [(leg, second, quantity) for leg, second, _, quantity, _ in await desk.fills()] == [
        ("E", 601, 2),
        ("T1", 700.5, 1),
        ("F1", 703, 1),
    ]


class Refuses(TrippedVenue):
    """A venue that takes no target."""

    def __init__(self, venue: MatchingVenue, error: Exception) -> None:
        super().__init__(venue, Tripwire())
        self._error = error

    async def submit(self, order: VenueOrder) -> VenueOrder:
        if order.leg == "T1":
            raise self._error
        return await super().submit(order)


@pytest.mark.parametrize(
    ("error", "targets", "closed"),
    [
        (Refused("no limit orders now", "venue"), {"T1": "REJECTED"}, 701),
        (Unavailable("nobody heard", "venue"), {"T1": "DEAD", "T2": "CANCELLED"}, 703),
    ],
)
async def test_a_target_that_the_venue_does_not_take_is_closed_at_the_market(
    books: Books, folder: Path, error: Exception, targets: dict[str, str], closed: int
):
    """One that was refused at once; one that the venue has not had is sent once more, and has two seconds in all."""
    desk = desk_of(books, folder, tape(*IN, (700, 20_025), (701, 20_024), (703, 20_020)))
    session = await desk.run(through=lambda deps: replace_venue(deps, Refuses(venue_of(deps), error)))
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("F1", closed)]
    states = dict(await desk.rows("intent", "leg, state", "leg"))
    assert {leg: state for leg, state in states.items() if leg.startswith("T")} == targets
    assert session.halted == ""


async def test_a_stop_that_could_not_be_cancelled_is_kept_where_the_market_has_left_the_target(
    books: Books, folder: Path
):
    class KeepsStops(TrippedVenue):
        async def cancel(self, client_id: str, reason: str) -> None:
            raise Refused("not now", "venue")

    desk = desk_of(books, folder, tape(*IN, (700, 20_025), (701, 20_010), (800, 19_985)))
    session = await desk.run(through=lambda deps: replace_venue(deps, KeepsStops(venue_of(deps), Tripwire())))
    assert "is not taken out of the market" in session.halted
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("S1", 800)]
