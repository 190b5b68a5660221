"""A venue that refuses to cancel an order which works: the account halts with the reason, goes on, and asks again."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.loop.ports import Refused
from leadline.model.ids import ClientOrderId, StrategyId
from leadline.model.orders import Bracket, OrderType
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal
from leadline.model.signals import BarSignals
from tests.execution.harness.builders import MES, bar, says, strategy, tape
from tests.execution.harness.desk import Books, Desk
from tests.execution.harness.faults import TrippedVenue, Tripwire
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.harness.stores import IN_BOTH

NAME = StrategyId("default/mes")
ENTER = Proposal(Action.ENTER, Direction.LONG, bracket=Bracket(stop_ticks=20, target_ticks=40), unit="first")
WAITS = replace(ENTER, entry=EntryTerms(OrderType.LIMIT, 19_990))
LEAVE = Proposal(Action.EXIT, unit="first")
PART = replace(LEAVE, quantity=1)
ALL = Proposal(Action.EXIT)
BACK = Proposal(Action.CANCEL)


class Keeping(TrippedVenue):
    """A venue that refuses to cancel a leg so many times, and notes each time that it is asked."""

    def __init__(self, venue: Any, leg: str, times: float, asked: list[ClientOrderId]) -> None:
        super().__init__(venue, Tripwire())
        self.leg, self.times, self.asked = leg, times, asked

    async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
        found = await super().find(client_id)
        if found is not None and found.leg == self.leg:
            self.asked.append(client_id)
            if len(self.asked) <= self.times:
                raise Refused("not now", "venue")
        await super().cancel(client_id, reason)


def desk_of(books: Books, folder: Path, *said: tuple[float, Proposal]) -> Desk:
    bars: list[BarSignals] = [
        replace(bar(second), regime=None, signals=(), proposals=(proposal,)) for second, proposal in said
    ]
    rows = tape(*((second, 20_000) for second in (599, 601, 699, 701, 720, 740, 900, 1099)))
    return Desk(books, folder, {MES: rows}, {NAME: says(bars, end=1100)}, [strategy()], ends=1100)


CASES = {
    "target-of-a-unit": (ENTER, LEAVE, "T1"),
    "stop-of-a-unit": (ENTER, LEAVE, "S1"),
    "target-of-a-part": (ENTER, PART, "T1"),
    "target-of-all": (ENTER, ALL, "T1"),
    "entry": (WAITS, BACK, "E"),
}


@IN_BOTH
@pytest.mark.parametrize(("first", "then", "leg"), CASES.values(), ids=CASES)
async def test_an_order_that_the_venue_keeps_is_asked_for_again_and_goes_when_it_lets_it(
    books: Books, folder: Path, first: Proposal, then: Proposal, leg: str
):
    asked: list[ClientOrderId] = []
    desk = desk_of(books, folder, (600, first), (700, then))
    session = await desk.run(
        through=lambda deps: replace_venue(deps, Keeping(venue_of(deps), leg, 3, asked)), read_back=True
    )
    assert "is not taken out of the market: not now" in session.halted
    assert len(asked) == 4  # at 700, and after 1, 2 and 4 seconds
    assert (session.market.positions(), list(session.market.live_orders())) == ({}, [])
    assert session.book.strategies[NAME].exits == ()


@pytest.mark.parametrize(("first", "then", "leg"), CASES.values(), ids=CASES)
async def test_an_order_that_the_venue_never_lets_go_is_asked_for_at_a_bounded_rate(
    books: Books, folder: Path, first: Proposal, then: Proposal, leg: str
):
    asked: list[ClientOrderId] = []
    desk = desk_of(books, folder, (600, first), (700, then))
    session = await desk.run(through=lambda deps: replace_venue(deps, Keeping(venue_of(deps), leg, math.inf, asked)))
    assert "is not taken out of the market: not now" in session.halted
    # In 400 seconds at 0, 1, 3, 7, 15, 31, 63, and every 60 seconds after that.
    assert len(asked) == 12
    stops = [order.leg for order in session.market.live_orders() if order.leg == "S1"]
    assert len(stops) == abs(session.market.positions().get(MES, 0)), "what is held keeps its stop"


async def test_an_order_that_the_venue_does_not_have_is_given_up(books: Books, folder: Path):
    class Without(Keeping):
        """A venue that does not find what it refuses to cancel."""

        async def find(self, client_id: ClientOrderId) -> Any:
            return None if client_id in self.asked else await super().find(client_id)

    asked: list[ClientOrderId] = []
    desk = desk_of(books, folder, (600, WAITS), (700, BACK))
    session = await desk.run(through=lambda deps: replace_venue(deps, Without(venue_of(deps), "E", math.inf, asked)))
    assert "is not taken out of the market: not now" in session.halted
    assert "is absent at the venue" in session.halted
    assert len(asked) == 1
