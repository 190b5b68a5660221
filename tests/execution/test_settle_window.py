"""An order of which no answer was heard may come to its venue later: until it cannot, it is not given up."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from leadline.execution.loop.deps import Deps
from leadline.execution.loop.ports import Unavailable
from leadline.execution.venues.both_ports import MatchingVenue
from leadline.model.ids import ContractId
from leadline.model.orders import Advanced, OrderState, VenueOrder, Watch
from leadline.model.ticks import NS_PER_SECOND
from tests.execution.harness.builders import RTH_S, bar, says
from tests.execution.harness.checks import CheckedVenue
from tests.execution.harness.desk import Books, Session
from tests.execution.harness.faults import TrippedVenue, Tripwire
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.test_attached_brackets import at_a_venue
from tests.execution.test_live_loop import live_desk

SETTLE_S = 30


class LateVenue(TrippedVenue):
    """A venue to which the first order of a leg comes `after_s` later; nobody hears an answer. None: it never comes."""

    def __init__(self, venue: MatchingVenue, leg: str, after_s: float | None) -> None:
        super().__init__(venue, Tripwire())
        assert isinstance(venue, CheckedVenue)
        self._behind, self._leg, self._after_s = venue.behind, leg, after_s
        self._under_way: VenueOrder | None = None
        self._lost = False

    async def submit(self, order: VenueOrder) -> VenueOrder:
        if order.leg != self._leg or self._lost:
            return await super().submit(order)
        self._lost, self._under_way = True, order
        raise Unavailable("nobody heard", "venue")

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        order, after_s = self._under_way, self._after_s
        if order is not None and after_s is not None and from_ns >= order.decided_at_ns + after_s * NS_PER_SECOND:
            self._under_way = None
            await self._behind.submit(replace(order, decided_at_ns=from_ns))
        if self._lost:  # live, the account looks each second
            to_ns = min(to_ns, from_ns + NS_PER_SECOND)
        return await super().advance(from_ns, to_ns, after_event, contracts, watches)


async def entered(books: Books, folder: Path, leg: str, after_s: float | None, settle_s: int = SETTLE_S) -> Session:
    """An account whose order of a leg is lost so, at the second 610."""

    def late(deps: Deps) -> Deps:
        return replace(replace_venue(deps, LateVenue(venue_of(deps), leg, after_s)), settle_ns=settle_s * NS_PER_SECOND)

    session = at_a_venue(live_desk(books, folder), "Attached").open(late)
    await session.until(609)
    [queue] = session.queues.values()
    session._hear(queue, says([bar(610)], end=RTH_S)[0])
    await session.until(611)
    return session


def states(session: Session) -> dict[str, OrderState]:
    return {str(order.leg): order.state for order in session.book.orders.values()}


@pytest.mark.parametrize(("settle_s", "state"), [(0, OrderState.DEAD), (SETTLE_S, OrderState.UNKNOWN)])
async def test_an_order_is_not_given_up_while_it_may_come(books: Books, folder: Path, settle_s: int, state: OrderState):
    session = await entered(books, folder, "E", None, settle_s)
    assert states(session) == {"E": state}
    await session.until(610 + SETTLE_S + 2)
    assert (states(session), session.halted) == ({"E": OrderState.DEAD}, "")
    session.close()


async def test_an_order_that_may_still_come_is_not_missed_at_the_venue(books: Books, folder: Path):
    """A journal that was lost is made whole beside it, and a person may clear a difference."""
    session = await entered(books, folder, "E", None)
    assert states(session) == {"E": OrderState.UNKNOWN}
    assert await session.loop._reconciliation.where_they_differ() == ""
    session.close()


async def test_an_order_that_comes_in_time_is_followed(books: Books, folder: Path):
    session = await entered(books, folder, "E", 20)
    await session.until(629)
    assert states(session) == {"E": OrderState.UNKNOWN}
    await session.until(640)
    assert states(session) == {"E": OrderState.FILLED, "S1": OrderState.WORKING, "T1": OrderState.WORKING}
    assert session.halted == ""
    session.close()


async def test_a_position_whose_stop_is_in_doubt_for_long_is_closed(books: Books, folder: Path):
    session = await entered(books, folder, "S1", None)
    await session.until(614)
    assert states(session)["S1"] is OrderState.UNKNOWN
    assert session.book.open_positions()
    await session.until(620)
    assert not session.book.open_positions()
    assert "is in doubt: its position is closed" in session.halted
    await session.until(610 + SETTLE_S + 3)
    assert states(session)["S1"] is OrderState.DEAD
    assert not session.book.live_orders()
    session.close()
