"""While a part of a unit is on its way out: what fills into the unit, and what its strategy says of the rest."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.adapters.convert import state_to_proto
from leadline.execution.v1 import execution_pb2 as pb
from leadline.model.ids import LegKind, StrategyId
from leadline.model.orders import Bracket, OrderType
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal
from leadline.model.signals import BarSignals
from tests.execution.harness.builders import MES, SELL, account, bar, says, strategy, tape
from tests.execution.harness.desk import Books, Desk, Session
from tests.execution.harness.stores import IN_BOTH

NAME = StrategyId("default/mes")
TWO = Proposal(Action.ENTER, Direction.LONG, bracket=Bracket(stop_ticks=20, target_ticks=40), quantity=2)
BARE = replace(TWO, action=Action.ADD, entry=EntryTerms(OrderType.LIMIT, 19_990), bracket=Bracket(), quantity=1)
"""An addition without a stop, which waits below the market."""
TARGETED = replace(BARE, bracket=Bracket(target_ticks=40))
LEAVE = Proposal(Action.EXIT, quantity=1)

QUIET = ((599, 20_000), (601, 20_000), (649, 19_995), (699, 19_995))
LATE = ((700.02, 19_989), (702, 19_992), (703, 19_995), (705, 19_995), (1000, 19_995))
"""The addition fills at 19990 before the close of the part, asked for at 700, meets the print of 702."""


def protect(stop: int, target: int | None = None) -> Proposal:
    return Proposal(Action.PROTECT, bracket=Bracket(stop_price=stop, target_price=target))


STOP = protect(19_970)


def at(seconds: float, *proposals: Proposal) -> BarSignals:
    return replace(bar(seconds, close=19_995), regime=None, signals=(), proposals=proposals)


def desk_of(books: Books, folder: Path, bars: tuple[BarSignals, ...], *rows: Any, name: str = "tape") -> Desk:
    speech: dict[str, Any] = {NAME: says(bars, end=1100)}
    prints = {MES: tape(*((second, price, 4, SELL) for second, price in (*QUIET, *(rows or LATE))))}
    limits = {"maxPosition": 6, "dayLoss": "2000"}
    manifest = account(limits=limits, noStopRiskTicks={"MES": 100})
    return Desk(books, folder, prints, speech, [strategy(size=3)], manifest, ends=1100, name=name)


def live(session: Session) -> list[tuple[Any, ...]]:
    """What works at the venue, as (leg, size, price)."""
    orders = session.market.live_orders()
    return sorted((order.leg, order.remaining, order.stop_price or order.limit_price) for order in orders)


async def fills(desk: Desk) -> list[tuple[str, float, int]]:
    """Fills as (leg, second, size)."""
    return [(leg, second, size) for leg, second, _, size, _ in await desk.fills()]


@IN_BOTH
@pytest.mark.parametrize("more", [BARE, TARGETED], ids=["nothing", "target"])
async def test_an_entry_without_a_stop_fills_while_a_part_of_its_unit_leaves(
    books: Books, folder: Path, more: Proposal
):
    desk = desk_of(books, folder, (at(600, TWO), at(650, more), at(700, LEAVE)))
    session = desk.open(read_back=True)
    await session.until(701)
    [goal] = session.book.strategies[NAME].exits
    assert (goal.quantity, goal.bare) == (1, 0)
    assert live(session)[:2] == [("F1", 1, None), ("S1", 1, 19_981)]
    await session.run()
    session.close()
    assert not session.halted
    [held] = session.book.open_positions()
    assert (held.quantity, held.without_stop) == (2, 1)
    targets = [("T1", 1, 20_030)] if more is TARGETED else []
    assert live(session) == [("S1", 1, 19_981), *targets, ("T1", 1, 20_041)]
    assert await fills(desk) == [("E", 601, 2), ("E", 700.02, 1), ("F1", 702, 1)]


@IN_BOTH
async def test_a_stop_that_somebody_takes_away_while_a_part_leaves_is_missed(books: Books, folder: Path):
    """One of three has no stop on purpose, and another leaves: the third is asked for its stop all the same."""
    desk = desk_of(books, folder, (at(600, TWO), at(650, BARE), at(700, LEAVE)))
    session = desk.open()
    await session.until(701)
    [stop] = [order for order in session.market.live_orders() if order.leg.kind is LegKind.STOP]
    session.market.cancel(stop.client_id, "somebody")  # the venue's own screen
    await session.run()
    session.close()
    assert "behind stops for 0 and targets for 1, and 1 without a stop, while 1 are" in session.halted
    assert session.market.positions() == {}


@IN_BOTH
async def test_the_rest_gets_a_stop_while_a_part_leaves(books: Books, folder: Path):
    """Three without a stop; the close of one waits from 700 to 702 for its print."""
    desk = desk_of(books, folder, (at(600, replace(TWO, quantity=3, bracket=Bracket())), at(700, LEAVE, STOP)))
    session = desk.open(read_back=True)
    await session.until(701)
    assert live(session) == [("F1", 1, None), ("S1", 2, 19_970)]
    [shown] = state_to_proto(session.book, phase="", halts=(), epoch=1, heard={}).strategies
    assert list(shown.leaving) == [pb.LeavingUnit(unit="main", quantity=1, without_stop=1, reason="exit")]
    assert session.book.positions[NAME, MES].without_stop == 1
    await session.run()
    session.close()
    assert not session.halted
    assert [reason for *_, reason in await desk.decisions()] == ["", "", ""]
    assert (live(session), session.book.positions[NAME, MES].without_stop) == ([("S1", 2, 19_970)], 0)


@IN_BOTH
async def test_the_rest_gets_a_stop_as_the_pair_of_its_target_while_a_part_leaves(books: Books, folder: Path):
    desk = desk_of(books, folder, (at(600, replace(TWO, bracket=Bracket(target_ticks=40))), at(700, LEAVE, STOP)))
    session = await desk.run(read_back=True)
    assert not session.halted
    assert live(session) == [("S1", 1, 19_970), ("T1", 1, 20_041)]
    assert session.book.positions[NAME, MES].without_stop == 0


@IN_BOTH
async def test_what_has_a_stop_and_what_gets_one_stay_apart_while_a_part_leaves(books: Books, folder: Path):
    """Of two with a stop one leaves; the third has come without one, and gets one before that close has its print."""
    desk = desk_of(books, folder, (at(600, TWO), at(650, TARGETED), at(700, LEAVE), at(701, STOP)))
    session = desk.open(read_back=True)
    await session.until(701.5)
    both = [("S1", 1, 19_970), ("S1", 1, 19_970), ("T1", 1, 20_030), ("T1", 1, 20_041)]
    assert live(session) == [("F1", 1, None), *both]
    assert session.book.positions[NAME, MES].without_stop == 0
    await session.run()
    session.close()
    assert not session.halted
    assert live(session) == both


@IN_BOTH
async def test_a_later_fill_gets_its_exits_while_a_part_of_its_unit_leaves(books: Books, folder: Path):
    """Two of three fill at 602 and get a stop at 603; the third fills while one of them leaves."""
    patient = replace(BARE, action=Action.ENTER, quantity=3)
    rows = ((601.5, 19_989, 2), (602.5, 19_995, 1), (606.9, 19_995, 1), (607.02, 19_988, 1), (609, 19_995, 1))
    desk = desk_of(books, folder, (at(600, patient), at(603, protect(19_970, 20_040)), at(607, LEAVE)))
    desk = replace(
        desk, prints={MES: tape(*((s, p, q, SELL) for s, p, q in ((599, 20_000, 1), *rows, (899, 19_960, 1))))}
    )
    session = desk.open(read_back=True)
    await session.until(700)
    assert live(session) == [("S1", 1, 19_970), ("S5", 1, 19_970), ("T1", 1, 20_040), ("T5", 1, 20_040)]
    await session.run()
    session.close()
    assert not session.halted
    assert await fills(desk) == [
        *(("E", 601.5, 2), ("E", 607.02, 1), ("F1", 609, 1)),
        *(("S1", 899, 1), ("S5", 899, 1)),
    ]
