"""Units of a strategy's position: each has exits of its own, and leaves whole, or in part, by itself."""

from collections.abc import Awaitable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest

from leadline.execution.core.account import account_view
from leadline.execution.loop.ports import Refused, Unavailable
from leadline.model.ids import ClientOrderId, LegKind, StrategyId
from leadline.model.orders import Bracket, OrderType, Replacement, VenueOrder
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal
from leadline.model.signals import BarSignals
from leadline.venue.matching import PaperMarket
from tests.execution.harness.builders import MES, account, bar, says, strategy, tape
from tests.execution.harness.days import in_parts
from tests.execution.harness.desk import Books, Desk, Session
from tests.execution.harness.faults import TrippedVenue, Tripwire, tripped
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.harness.stores import IN_BOTH

Result = TypeVar("Result")

NAME = StrategyId("default/mes")
LIMITS = {"maxPosition": 6, "maxOpenTrades": 1}
FIRST = Proposal(Action.ENTER, Direction.LONG, bracket=Bracket(stop_ticks=20, target_ticks=40), unit="first")
SECOND = replace(FIRST, action=Action.ADD, unit="second")
STEADY = tape(*((second, 20_000) for second in (599, 601, 699, 701, 799, 801, 899, 901, 999, 1001, 1099)))


def leave(unit: str = "", quantity: int | None = None) -> Proposal:
    return Proposal(Action.EXIT, unit=unit, quantity=quantity)


def at(seconds: float, *proposals: Proposal) -> BarSignals:
    return replace(bar(seconds), regime=None, signals=(), proposals=proposals)


def desk_of(books: Books, folder: Path, *bars: BarSignals, **fields: Any) -> Desk:
    speech: dict[str, Any] = {NAME: says(bars, end=1100)}
    desk = Desk(books, folder, {MES: STEADY}, speech, [strategy(size=2)], ends=1100, manifest=account(limits=LIMITS))
    return replace(desk, **fields)


async def reasons(desk: Desk) -> list[str]:
    return [reason for *_, reason in await desk.decisions()]


async def legs(desk: Desk) -> list[tuple[Any, ...]]:
    """Every order as (unit, leg, quantity, filled, state, reason), unit by unit."""
    return await desk.rows("intent", "unit, leg, quantity, filled, state, reason", "unit, decided_at_ns, leg")


class Sums(TrippedVenue):
    """A venue at which what can close a position is never more than it, and which notes what it is asked."""

    def __init__(self, venue: Any, market: PaperMarket, asked: list[str]) -> None:
        super().__init__(venue, Tripwire())
        self.market, self.asked = market, asked

    async def submit(self, order: VenueOrder) -> VenueOrder:
        return await self._looked_at(f"submit {order.leg} {order.quantity}", super().submit(order))

    async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
        await self._looked_at(f"cancel {self.market.order(client_id).leg}", super().cancel(client_id, reason))

    async def replace(self, wanted: Replacement) -> VenueOrder:
        name = f"replace {self.market.order(wanted.client_id).leg} {wanted.quantity or wanted.stop_price}"
        return await self._looked_at(name, super().replace(wanted))

    async def _looked_at(self, name: str, action: Awaitable[Result]) -> Result:
        answer = await action
        self.asked.append(name)
        for contract, held in self.market.positions().items():
            live = [order for order in self.market.live_orders() if order.contract == contract]
            closing = sum(order.remaining for order in live if order.reduce_only)
            for kind in (LegKind.STOP, LegKind.TARGET):
                exits = sum(order.remaining for order in live if order.leg.kind is kind)
                assert exits + closing <= abs(held), f"after {name}: {exits} and {closing} of {held}"
        return answer


async def run(desk: Desk) -> tuple[Session, list[str]]:
    """The day, and what the venue was asked."""
    asked: list[str] = []
    session = desk.open(read_back=True)
    session.replace_deps(lambda deps: replace_venue(deps, Sums(venue_of(deps), session.market, asked)))
    await session.run()
    session.close()
    assert not session.halted
    return session, asked


@IN_BOTH
async def test_a_part_of_a_unit_leaves_once_its_exits_have_shrunk(books: Books, folder: Path):
    desk = desk_of(books, folder, at(600, FIRST), at(700, leave("first", 1)))
    session, asked = await run(desk)
    assert await reasons(desk) == ["", ""]
    assert asked == ["submit E 2", "replace T1 1", "replace S1 1", "submit F1 1"]
    assert await legs(desk) == [
        ("first", "E", 2, 2, "FILLED", ""),
        ("first", "S1", 1, 0, "WORKING", ""),
        ("first", "T1", 1, 0, "WORKING", ""),
        ("first", "F1", 1, 1, "FILLED", "exit"),
    ]
    # In at 20001, out at 19999: two ticks of 1.25, and three sides of 1.25.
    assert session.book.realised == -2 * Decimal("1.25") - 3 * Decimal("1.25")
    assert session.book.strategies[NAME].exits == ()


@IN_BOTH
async def test_a_unit_leaves_with_its_exits_and_its_entries_and_the_others_stay(books: Books, folder: Path):
    waits = replace(SECOND, entry=EntryTerms(OrderType.LIMIT, 19_990), unit="first")
    desk = desk_of(books, folder, at(600, FIRST), at(700, SECOND), at(800, waits), at(900, leave("first")))
    session, asked = await run(desk)
    assert asked[3:] == ["cancel E", "cancel T1", "cancel S1", "submit F1 2"]
    assert [row[:1] + row[1:] for row in await legs(desk)] == [
        ("first", "E", 2, 2, "FILLED", ""),
        ("first", "S1", 2, 0, "CANCELLED", "exit"),
        ("first", "T1", 2, 0, "CANCELLED", "exit"),
        ("first", "E", 2, 0, "CANCELLED", "its strategy"),
        ("first", "F1", 2, 2, "FILLED", "exit"),
        ("second", "E", 2, 2, "FILLED", ""),
        ("second", "S1", 2, 0, "WORKING", ""),
        ("second", "T1", 2, 0, "WORKING", ""),
    ]
    [held] = session.book.open_positions()
    assert (held.units, [(lot.price, lot.quantity) for lot in held.lots]) == (("second",), [(20_001, 2)])


@IN_BOTH
async def test_a_part_of_all_takes_the_oldest_first(books: Books, folder: Path):
    desk = desk_of(books, folder, at(600, FIRST), at(700, SECOND), at(800, leave(quantity=3)), at(900, leave()))
    session, asked = await run(desk)
    assert asked[2:10] == [
        *("cancel T1", "replace T1 1", "cancel S1", "replace S1 1"),
        *("submit F1 2", "submit F2 1", "cancel T1", "cancel S1"),
    ]
    assert asked[10:] == ["submit F3 1"]
    assert [row[:4] for row in await legs(desk) if row[1].startswith("F")] == [
        ("", "F3", 1, 1),  # what closes all is of no one unit
        ("first", "F1", 2, 2),
        ("second", "F2", 1, 1),
    ]
    assert session.market.positions() == {}


async def test_a_unit_may_be_of_several_fills_and_the_oldest_leaves_first(books: Books, folder: Path):
    more = replace(SECOND, unit="first", quantity=1)
    desk = desk_of(books, folder, at(600, FIRST), at(700, more), at(800, leave("first", 2)), at(900, leave("first", 1)))
    session, asked = await run(desk)
    assert asked[2:] == ["cancel T1", "cancel S1", "submit F1 2", "cancel T1", "cancel S1", "submit F2 1"]
    assert session.market.positions() == {}
    assert session.book.strategies[NAME].exits == ()


async def test_what_is_not_there_cannot_leave(books: Books, folder: Path):
    protect = Proposal(Action.PROTECT, unit="other", bracket=Bracket(stop_price=19_990))
    desk = desk_of(
        books,
        folder,
        at(599.5, leave(quantity=1), leave("first")),
        at(600, FIRST),
        at(700, leave("other"), leave("other", 1), protect, leave("first", 3), leave(quantity=3)),
        at(800, leave("first", 2), leave("first", 1), replace(protect, unit="first")),
        at(900, Proposal(Action.CANCEL, unit="first"), leave("first")),
    )
    await run(desk)
    assert await reasons(desk) == [
        *("nothing_held", "unit_not_held", ""),
        *("unit_not_held", "unit_not_held", "unit_not_held", "more_than_held", "more_than_held"),
        *("", "more_than_held", "no_such_exit", "nothing_working", "unit_not_held"),
    ]
    arithmetic = await desk.rows("decision", "reason, arithmetic", "instant_ns, source")
    assert [terms for reason, terms in arithmetic if reason == "more_than_held"] == [
        [["held", "2"]],
        [["held", "2"]],
        [["held", "0"]],
    ]


async def test_nothing_enters_a_unit_that_leaves_and_others_may(books: Books, folder: Path):
    again = replace(SECOND, unit="first")
    desk = desk_of(
        books, folder, at(600, FIRST), at(700, SECOND), at(800, leave("first"), again, SECOND), at(900, again)
    )
    session, _ = await run(desk)
    assert await reasons(desk) == ["", "", "", "unit_leaving", "", ""]
    [held] = session.book.open_positions()
    assert {unit: held.held_by(unit) for unit in held.units} == {"second": 4, "first": 2}


@IN_BOTH
async def test_only_the_exits_and_the_entries_of_a_unit_move_and_go(books: Books, folder: Path):
    waits = replace(SECOND, entry=EntryTerms(OrderType.LIMIT, 19_990), quantity=1)
    desk = desk_of(
        books,
        folder,
        at(600, FIRST),
        at(700, SECOND),
        at(800, Proposal(Action.PROTECT, unit="second", bracket=Bracket(stop_price=19_995))),
        at(900, replace(waits, unit="first"), waits, Proposal(Action.CANCEL, unit="first")),
    )
    await run(desk)
    stops = await desk.rows("intent", "unit, leg, stop_price", "unit")
    assert [row for row in stops if row[1] == "S1"] == [("first", "S1", 19_981), ("second", "S1", 19_995)]
    waiting = await desk.rows("intent", "unit, type, state", "unit")
    assert [row for row in waiting if row[1] == "LIMIT" and row[2] != "WORKING"] == [("first", "LIMIT", "CANCELLED")]


async def test_a_unit_whose_stop_is_wanted_beyond_the_market_leaves_alone(books: Books, folder: Path):
    wanted = Proposal(Action.PROTECT, unit="first", bracket=Bracket(stop_price=20_000))
    desk = desk_of(books, folder, at(600, FIRST), at(700, SECOND), at(800, wanted))
    session, _ = await run(desk)
    assert ("first", "F1", 2, 2, "FILLED", "beyond_stop") in await legs(desk)
    assert session.market.positions() == {MES: 2}


async def test_a_stop_that_fills_while_a_part_leaves_takes_nothing_twice(books: Books, folder: Path):
    # The close waits for its print from 700.05 on: the gap to 19970 fills the stop of what stays, and the close.
    rows = ((599, 20_000), (601, 20_000), (699, 20_000), (701, 19_970), (702, 19_960), (1099, 20_000))
    desk = desk_of(books, folder, at(600, FIRST), at(700, leave("first", 1)), prints={MES: tape(*rows)})
    session, _ = await run(desk)
    fills = [(leg, price, quantity) for leg, _, price, quantity, _ in await desk.fills()]
    assert fills == [("E", 20_001, 2), ("S1", 19_969, 1), ("F1", 19_969, 1)]
    assert (session.market.positions(), session.book.open_positions()) == ({}, [])


async def test_a_whole_unit_that_was_asked_for_after_a_part_of_it_leaves(books: Books, folder: Path):
    desk = desk_of(books, folder, at(600, FIRST), at(700, leave("first", 1), leave("first")))
    session, asked = await run(desk)
    assert asked[1:] == ["replace T1 1", "replace S1 1", "submit F1 1", "cancel T1", "cancel S1", "submit F2 1"]
    assert session.market.positions() == {}


@IN_BOTH
async def test_the_rest_keeps_its_stop_where_all_is_to_leave_while_a_part_does(books: Books, folder: Path):
    # The close of one waits from 700 to 720 for its print, and all is to leave from 705 on.
    rows = ((599, 20_000), (601, 20_000), (699, 20_000), (720, 19_990), (730, 19_985), (740, 19_985), (1099, 20_000))
    bars = at(600, replace(FIRST, quantity=3)), at(700, leave("first", 1)), at(705, leave())
    desk = desk_of(books, folder, *bars, prints={MES: tape(*rows)}, strategies=[strategy(size=3)])
    session = desk.open(read_back=True)
    await session.until(710)
    assert [(order.leg, order.remaining) for order in session.market.live_orders()] == [("S1", 2), ("F1", 1)]
    await session.run()
    session.close()
    # In at 20001; the part out at 19989, and the rest at the print after that: its stop went when the part had left.
    fills = [(leg, price, quantity) for leg, _, price, quantity, _ in await desk.fills()]
    assert fills == [("E", 20_001, 3), ("F1", 19_989, 1), ("F2", 19_984, 2)]
    assert (session.halted, session.market.positions()) == ("", {})


@IN_BOTH
async def test_a_stop_of_the_rest_fills_while_a_part_leaves_before_all(books: Books, folder: Path):
    # The print that fills the close of one at 720 is beyond the stop of the other two.
    rows = ((599, 20_000), (601, 20_000), (699, 20_000), (720, 19_970), (730, 19_900), (1099, 19_900))
    bars = at(600, replace(FIRST, quantity=3)), at(700, leave("first", 1)), at(705, leave())
    desk = desk_of(books, folder, *bars, prints={MES: tape(*rows)}, strategies=[strategy(size=3)])
    session, asked = await run(desk)
    assert asked == ["submit E 3", "replace T1 2", "replace S1 2", "submit F1 1", "cancel T1"]
    fills = [(leg, price, quantity) for leg, _, price, quantity, _ in await desk.fills()]
    assert fills == [("E", 20_001, 3), ("S1", 19_969, 2), ("F1", 19_969, 1)]
    assert (session.market.positions(), session.book.strategies[NAME].flatten) == ({}, "")


@pytest.mark.parametrize("more", [leave("first"), leave("first", 1)], ids=["whole", "part"])
async def test_what_is_to_leave_beside_a_part_keeps_its_stop_until_that_has_left(
    books: Books, folder: Path, more: Proposal
):
    # The close of the first part waits from 700 to 720 for its print, and more is to leave from 705 on.
    rows = ((599, 20_000), (601, 20_000), (699, 20_000), (720, 19_990), (730, 19_985), (740, 19_985), (1099, 20_000))
    bars = at(600, replace(FIRST, quantity=3)), at(700, leave("first", 1)), at(705, more)
    desk = desk_of(books, folder, *bars, prints={MES: tape(*rows)}, strategies=[strategy(size=3)])
    session = desk.open(read_back=True)
    await session.until(710)
    live = sorted((order.leg, order.remaining) for order in session.market.live_orders())
    assert live == [("F1", 1), ("S1", 2), ("T1", 2)]
    await session.run()
    session.close()
    left = more.quantity or 2
    fills = [(leg, price, quantity) for leg, _, price, quantity, _ in await desk.fills()]
    assert fills == [("E", 20_001, 3), ("F1", 19_989, 1), ("F2", 19_984, left)]
    assert (session.halted, sum(session.market.positions().values())) == ("", 2 - left)


class Unwilling(TrippedVenue):
    """A venue that makes no exit of a leg smaller."""

    def __init__(self, venue: Any, market: PaperMarket, leg: str) -> None:
        super().__init__(venue, Tripwire())
        self.market, self.leg = market, leg

    async def replace(self, wanted: Replacement) -> VenueOrder:
        if self.market.order(wanted.client_id).leg == self.leg:
            raise Refused("no other terms", "venue")
        return await super().replace(wanted)


@pytest.mark.parametrize("leg", ["S1", "T1"])
async def test_a_part_whose_exits_the_venue_does_not_shrink_stays_and_a_person_has_to_look(
    books: Books, folder: Path, leg: str
):
    desk = desk_of(books, folder, at(600, FIRST), at(700, leave("first", 1)))
    session = desk.open()
    session.replace_deps(lambda deps: replace_venue(deps, Unwilling(venue_of(deps), session.market, leg)))
    session.replace_deps(lambda deps: replace(deps, store=session.store))  # a target may be smaller than its stop
    await session.run()
    session.close()
    assert "stays at 2 size steps" in session.halted
    assert session.book.strategies[NAME].exits == ()
    assert session.market.positions() == {MES: 2}
    assert ("first", "S1", 2, 0, "WORKING", "") in await legs(desk)
    assert not [row for row in await legs(desk) if row[1].startswith("F")]


async def test_a_part_of_what_was_entered_without_a_stop_leaves_its_stops_alone(books: Books, folder: Path):
    bare = replace(FIRST, bracket=Bracket(target_ticks=40))
    more = replace(SECOND, unit="first")
    desk = desk_of(
        books,
        folder,
        at(600, bare),
        at(700, more),
        at(800, leave("first", 1)),
        at(900, leave("first", 2)),
        manifest=account(limits={**LIMITS, "dayLoss": "2000"}, noStopRiskTicks={"MES": 100}),
    )
    session, asked = await run(desk)
    # Two without a stop and two with one: the first part needs no stop less, of the second one goes.
    assert asked[2:] == ["replace T1 1", "submit F1 1", "cancel T1", "replace T1 1", "replace S1 1", "submit F2 2"]
    [held] = session.book.open_positions()
    assert (held.quantity, held.stopless) == (1, ())


async def test_a_day_in_parts(books: Books, folder: Path):
    desk = in_parts(books, folder)
    session, _ = await run(desk)
    assert await reasons(desk) == [""] * 6
    assert [(leg, price, quantity) for leg, _, price, quantity, _ in await desk.fills()] == [
        *(("E", 20_001, 2), ("E", 20_005, 2), ("F1", 20_005, 1), ("F2", 20_007, 1)),
        *(("F3", 20_008, 1), ("T1", 20_030, 1)),
    ]
    # Each at the price of its own unit; four contracts, two sides of 1.25 each.
    assert session.book.realised == (4 + 6 + 3 + 25) * Decimal("1.25") - 8 * Decimal("1.25")


async def test_where_the_venue_does_not_answer_a_part_leaves_once(books: Books, folder: Path):
    wire = Tripwire()
    undisturbed = in_parts(books, folder, "undisturbed")
    await undisturbed.run(through=lambda deps: tripped(deps, wire))
    asked = ("venue.replace", "venue.cancel", "venue.submit F")
    calls = [number for number, name in enumerate(wire.calls) if name.startswith(asked)]
    assert len(calls) == 5 + 2 + 3

    async def essence(desk: Desk) -> list[tuple[Any, ...]]:
        return [(leg[0], *rest) for leg, *rest in await desk.fills()]

    for number in calls:
        for after in (False, True):
            fault = Tripwire(number, after=after, error=Unavailable)
            desk = in_parts(books, folder, f"silent-{number}-{after}")
            session = await desk.run(through=lambda deps, fault=fault: tripped(deps, fault))
            assert fault.tripped
            assert not session.halted
            assert await essence(desk) == await essence(undisturbed), (wire.calls[number], after)


async def test_a_unit_leaves_that_is_filled_in_part(books: Books, folder: Path):
    waits = replace(SECOND, entry=EntryTerms(OrderType.LIMIT, 19_990), unit="third")
    rows = ((599, 20_000), (601, 20_000), (699, 20_000), (701, 19_989), (705, 20_000), (799, 20_000), (1099, 20_000))
    desk = desk_of(books, folder, at(600, FIRST), at(700, waits), at(710, leave("third")), prints={MES: tape(*rows)})
    session, asked = await run(desk)
    assert asked[2:] == ["cancel E", "cancel T1", "cancel S1", "submit F1 1"]
    assert session.market.positions() == {MES: 2}
    assert session.book.strategies[NAME].exits == ()


RUNNER = replace(FIRST, action=Action.ADD, quantity=1, bracket=Bracket(stop_ticks=20))
"""An addition that no target ends."""
PAIR = replace(FIRST, quantity=1)
BARE = replace(FIRST, action=Action.ADD, quantity=1, bracket=Bracket(target_ticks=30))
LATER = Proposal(Action.PROTECT, bracket=Bracket(target_price=20_031), unit="first")


@IN_BOTH
@pytest.mark.parametrize(
    ("said", "stays"),
    [
        # The older one leaves with its target, and not the target of one with the stop of the other.
        ((PAIR, RUNNER, None), {"S1": 19_981}),
        # What has no stop on purpose leaves first, with its target, and the pair stays one.
        ((PAIR, BARE, None), {"S1": 19_981, "T1": 20_041}),
        # The older one got its target after the younger one: both are pairs, and the older pair goes.
        ((replace(RUNNER, action=Action.ENTER), replace(PAIR, action=Action.ADD), LATER), {"S1": 19_981, "T1": 20_031}),
    ],
)
async def test_a_stop_and_its_target_leave_together(
    books: Books, folder: Path, said: tuple[Proposal, Proposal, Proposal | None], stays: dict[str, int]
):
    first, second, later = said
    bars = [at(600, first), at(700, second), *([] if later is None else [at(750, later)]), at(800, leave("first", 1))]
    quiet = tape(*((second, 20_000) for second in (599, 601, 699, 701, 749, 751, 799, 801)), (1000, 20_001))
    desk = desk_of(books, folder, *bars, prints={MES: quiet})
    desk = replace(desk, manifest=account(limits=LIMITS, noStopRiskTicks={"MES": 100}))
    session = await desk.run(read_back=True)
    assert not session.halted
    live = session.book.live_orders(NAME)
    assert [held.quantity for held in session.book.open_positions()] == [1]
    assert {order.leg: order.stop_price or order.limit_price for order in live} == stays
    # Whatever fills, the other goes with it: nothing can turn the position round.
    assert len(live) == 1 or {order.oco for order in live} == {order.client_id for order in live}


async def test_what_leaves_counts_down_to_the_stop_that_has_made_room(books: Books, folder: Path):
    """Two at 20001 behind 19971, the market at 20000: 29 ticks and one of slippage at 1.25, and two commissions."""
    far = replace(FIRST, bracket=Bracket(stop_ticks=30))
    waits = tape((599, 20_000), (601, 20_000), (690, 20_000), (900, 19_990))
    desk = desk_of(books, folder, at(600, far), at(700, leave("first")), prints={MES: waits})
    session = desk.open(read_back=True)
    await session.until(650)
    before = account_view(session.book, halt="").worst_case
    await session.until(710)
    assert [(order.leg, order.stop_price) for order in session.book.live_orders(NAME)] == [("F1", None)]
    assert account_view(session.book, halt="").worst_case == before == 2 * 30 * Decimal("1.25") + 2 * Decimal("1.25")
    await session.run()
    session.close()
    assert session.book.strategies[NAME].exits == ()
