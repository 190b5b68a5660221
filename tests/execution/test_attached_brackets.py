"""A venue that makes no stop and no target: the account makes them behind each fill, and the days come out the same."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from leadline.execution.loop.ports import Unavailable
from leadline.execution.v1 import execution_pb2 as pb
from leadline.execution.venues.both_ports import MatchingVenue
from leadline.model.manifest.specs import TradingAccount, able_at
from leadline.model.manifest.venues import Capability
from leadline.model.orders import OrderState, VenueOrder
from tests.execution import test_recovery as recovery
from tests.execution.harness.builders import MES, account, bar, says, strategy, tape
from tests.execution.harness.days import beside_a_part, eventful, in_parts, managed, rivals, wandering
from tests.execution.harness.desk import Books, Desk
from tests.execution.harness.faults import TrippedVenue, Tripwire
from tests.execution.harness.platform import Platform, set_strategy, state_of
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.harness.stores import MemoryBooks
from tests.execution.test_processes import platform

__all__ = ["platform"]

Day = Callable[[Books, Path, str], Desk]


def at_a_venue(desk: Desk, brackets: str) -> Desk:
    """The desk at a paper venue with brackets of that kind, at which orders match without delay."""
    document = desk.manifest.to_manifest()
    document["spec"]["paper"] = {"brackets": brackets, "latency": "0ms"}
    manifest = TradingAccount.from_manifest(document)
    return replace(desk, manifest=manifest, capabilities=desk.capabilities & able_at(manifest))


def attached(books: Books, folder: Path, name: str = "tape") -> Desk:
    """The eventful day, at a venue without brackets."""
    return at_a_venue(eventful(books, folder, name), "Attached")


def wanders(books: Books, folder: Path, name: str = "tape") -> Desk:
    return wandering(books, folder, 3, name)


@pytest.mark.parametrize("day", [eventful, managed, rivals, in_parts, beside_a_part, wanders])
async def test_a_day_fills_as_at_a_venue_with_brackets(books: Books, folder: Path, day: Day):
    fills = {}
    for brackets in ("Native", "Attached"):
        desk = at_a_venue(day(books, folder, brackets.lower()), brackets)
        session = await desk.run()
        assert await recovery.check_against_venue(desk, session) == frozenset()
        assert session.halted == ""
        fills[brackets] = [(leg[:1], *rest) for leg, *rest in await desk.fills()]
        if brackets == "Attached":
            assert Capability.NATIVE_BRACKET not in desk.capabilities
            assert all(order.bracket is None for order in session.market.orders())
    assert fills["Attached"] == fills["Native"]
    assert len(fills["Native"]) > 1


async def test_a_kill_at_any_call_leaves_no_fill_without_its_stop(books: MemoryBooks, folder: Path):
    await recovery.test_a_kill_at_any_call_loses_nothing_and_sends_nothing_twice(books, folder, attached, 4)


class NeverGets(TrippedVenue):
    """A venue that never gets the first stop."""

    def __init__(self, venue: MatchingVenue) -> None:
        super().__init__(venue, Tripwire())
        self._got = False

    async def submit(self, order: VenueOrder) -> VenueOrder:
        if order.leg == "S1" and not self._got:
            self._got = True
            raise Unavailable("nobody heard")
        return await super().submit(order)


async def test_a_stop_that_the_venue_never_got_is_sent_anew_under_another_id(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_001), (800, 19_984), (801, 19_984))}
    desk = at_a_venue(
        Desk(books, folder, prints, {"default/mes": says([bar(600)], end=900)}, [strategy()], ends=900), "Attached"
    )
    session = await desk.run(through=lambda deps: replace_venue(deps, NeverGets(venue_of(deps))))
    assert session.halted == ""
    states = await desk.rows("intent", "leg, state", "leg")
    assert states == [("E", "FILLED"), ("S1", "DEAD"), ("S2", "FILLED"), ("T1", OrderState.CANCELLED.value)]
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("S2", 800)]


class Remembers(TrippedVenue):
    """A venue that remembers the legs of what it was sent."""

    def __init__(self, venue: MatchingVenue, got: list[str]) -> None:
        super().__init__(venue, Tripwire())
        self._got = got

    async def submit(self, order: VenueOrder) -> VenueOrder:
        self._got.append(order.leg)
        return await super().submit(order)


async def test_the_stops_of_a_fill_are_sent_before_its_targets(books: Books, folder: Path):
    got: list[str] = []
    await attached(books, folder).run(through=lambda deps: replace_venue(deps, Remembers(venue_of(deps), got)))
    exits = "".join(leg[0] for leg in got)
    assert exits.count("S") == exits.count("T") > 2
    assert "ET" not in exits
    assert exits.replace("ST", "").strip("EF") == ""


@pytest.mark.integration
@pytest.mark.parametrize("brackets", ["Attached", "StopOnly"])
async def test_processes_trade_at_a_venue_without_brackets(platform: Platform, brackets: str):
    """The venue's process is told of its section by its settings, and execution by the manifest."""
    params = {"account": "default/paper", "native_brackets": False, "pairs": brackets != "StopOnly"}
    platform.start("venue", "plain", nats=platform.nats.settings("venue"), params=params)
    platform.execution("first", account(paper={"brackets": brackets}), platform.addresses["plain"])
    async with platform.calls() as stub:
        await set_strategy(stub)
        said, end = says([bar(600)], end=1500)
        await platform.publish([said, end])
        state = await state_of(stub, lambda state: state.phase == "finished")
        assert (list(state.halts), state.strategies[0].position) == ([], 0)
        orders = list((await stub.GetOrders(pb.GetOrdersRequest(), timeout=5)).orders)
    found = {order.leg: order.state for order in orders}
    ended = {"E": "FILLED", "S1": "CANCELLED", "T1": "FILLED"}
    # One print alone is at the target: an order that goes out behind it comes too late, and the rest leaves.
    assert found == (ended if brackets == "Attached" else {**ended, "T1": "CANCELLED", "F1": "FILLED"})
