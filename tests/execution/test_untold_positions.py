"""A venue whose events do not say what it holds: it is found when book and venue are compared."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from leadline.execution.loop.deps import Deps
from leadline.execution.venues.both_ports import MatchingVenue
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, Leg
from leadline.model.orders import Advanced, OrderType, Side, VenueOrder, Watch
from tests.execution.harness.builders import MES, ns
from tests.execution.harness.checks import CheckedStore, CheckedVenue
from tests.execution.harness.desk import Books, Session
from tests.execution.harness.faults import TrippedVenue, Tripwire
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.test_live_loop import live_desk

THEIRS = VenueOrder(
    ClientOrderId("theirs"), DecisionId("theirs"), Leg("X"), MES, MES, Side.BUY, OrderType.MARKET, 2, ns(610)
)


class TellsNoPositions(TrippedVenue):
    """A venue that tells nothing of somebody else's orders, and whose first answers on positions may be others."""

    def __init__(self, venue: MatchingVenue, answers: Sequence[dict[ContractId, int]]) -> None:
        super().__init__(venue, Tripwire())
        self._answers = list(answers)
        self._hidden = 0

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        told = await super().advance(from_ns, to_ns, max(after_event, self._hidden), contracts, watches)
        theirs = (event.event for event in told.events if event.order.client_id == THEIRS.client_id)
        self._hidden = max(self._hidden, *theirs, 0)
        events = tuple(event for event in told.events if event.order.client_id != THEIRS.client_id)
        return replace(told, events=events, positions=None)

    async def working(self) -> Sequence[VenueOrder]:
        return [order for order in await super().working() if order.client_id != THEIRS.client_id]

    async def positions(self) -> dict[ContractId, int]:
        return self._answers.pop(0) if self._answers else await super().positions()


async def with_theirs(books: Books, folder: Path, answers: Sequence[dict[ContractId, int]] = ()) -> Session:
    """An account at the second 620, at whose venue somebody else has bought two."""

    def through(deps: Deps) -> Deps:
        venue = venue_of(deps)
        assert isinstance(deps.store, CheckedStore)
        assert isinstance(venue, CheckedVenue)
        kept.append(venue)
        return replace(replace_venue(deps, TellsNoPositions(venue, ())), store=deps.store._store)

    kept: list[CheckedVenue] = []
    session = live_desk(books, folder).open(through)
    await session.until(610)
    await kept[0].behind.submit(THEIRS)
    await session.until(620)
    assert session.market.positions() == {MES: 2}
    assert not session.book.open_positions()
    return session


async def test_the_book_takes_over_what_two_reads_say_alike_and_closes_it(books: Books, folder: Path):
    session = await with_theirs(books, folder)
    await session.loop.compare()
    await session.until(640)
    assert "is taken over from the venue" in session.halted
    assert session.market.positions() == {}
    assert not session.book.open_positions()
    session.close()


async def test_what_two_reads_do_not_say_alike_is_no_proof(books: Books, folder: Path, monkeypatch: pytest.MonkeyPatch):
    session = await with_theirs(books, folder)
    venue = venue_of(session.loop._deps)
    answers: list[dict[ContractId, int]] = [{MES: 5}, {}]

    async def unsteady() -> dict[ContractId, int]:
        return answers.pop(0) if answers else {}

    monkeypatch.setattr(venue, "positions", unsteady)
    session.replace_deps(lambda deps: replace_venue(deps, venue))
    session.loop._keeper.doubted = True
    await session.until(640)
    assert "hold different positions" in session.halted
    assert not session.book.open_positions()
    session.close()
