"""Several entries of one strategy that wait at a time, as its manifest says: the first fill takes the others out."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.core.account import settings
from leadline.execution.core.booking import Stored, book_venue_events
from leadline.execution.core.exits import Cancel, wanted
from leadline.execution.core.protection import unprotected
from leadline.model.ids import ClientOrderId, StrategyId
from leadline.model.manifest.specs import TradingStrategy
from leadline.model.orders import Bracket, Order, OrderState, OrderType, Side, VenueEvent
from leadline.model.proposals import Action, Direction, Proposal
from leadline.model.signals import BarSignals, Pattern
from leadline.model.ticks import NS_PER_SECOND
from tests.execution.harness.books import book_of, fill_of, order_of, reported_of
from tests.execution.harness.builders import LONG, MES, SHORT, account, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Books, Desk
from tests.execution.harness.stores import IN_BOTH

ROOM: dict[str, Any] = {"limits": {"maxPosition": 4, "dayLoss": "2000", "dayTarget": "5000"}}


def several(most: int | None = 2, **spec: Any) -> TradingStrategy:
    """Eight ticks beyond the close of each bar that says so."""
    own = {} if most is None else {"maxPending": most}
    return strategy(entries={"type": "Stop", "offsetTicks": 8, **own}, **spec)


def desk_of(
    books: Books,
    folder: Path,
    bars: Sequence[tuple[float, Pattern]] | Sequence[BarSignals],
    *rows: tuple[float, ...],
    of: TradingStrategy | None = None,
    **spec: Any,
) -> Desk:
    """The strategy, and a print just before and after each of its bars."""
    said = [each if isinstance(each, BarSignals) else bar(*each) for each in bars]
    around = [((each.known_at_ns - ns(0)) / NS_PER_SECOND + away, each.close) for each in said for away in (-0.5, 0.5)]
    prints = {MES: tape(*sorted([*rows, *around, (1_990, 20_000)], key=lambda row: row[0]))}
    speech = {"default/mes": says(said, end=2_000)}
    return Desk(books, folder, prints, speech, [of or several()], account(**(spec or ROOM)), ends=2_000)


async def entries(desk: Desk) -> list[tuple[Any, ...]]:
    """The entries as (side, state, reason, whether another's fill took it out)."""
    found = await desk.rows("intent", "leg, side, state, reason, taken_out_by", "decided_at_ns, leg")
    return [(side, state, reason, bool(by)) for leg, side, state, reason, by in found if leg == "E"]


async def reasons(desk: Desk) -> list[str]:
    return [reason for *_, reason in await desk.decisions()]


@IN_BOTH
async def test_entries_of_successive_bars_wait_on_both_sides_and_the_first_fill_counts(books: Books, folder: Path):
    desk = desk_of(books, folder, [(600, LONG), (610, SHORT), (620, LONG)], (700, 20_009))
    session = await desk.run(read_back=True)
    assert not session.halted
    assert await reasons(desk) == ["", "", "max_pending"]
    assert await entries(desk) == [("BUY", "FILLED", "", False), ("SELL", "CANCELLED", "first_fill", True)]
    assert [position.quantity for position in session.book.open_positions()] == [1]


async def test_without_the_field_the_second_is_another_trade(books: Books, folder: Path):
    desk = desk_of(books, folder, [(600, LONG), (610, SHORT)], of=several(None))
    await desk.run()
    assert await reasons(desk) == ["", "max_open_trades"]


async def test_nothing_is_entered_from_the_fill_until_the_strategy_is_flat(books: Books, folder: Path):
    """However many trades at a time the account allows."""
    bars = [(600, LONG), (800, LONG), (1_000, LONG)]
    roomy: dict[str, Any] = {"limits": {**ROOM["limits"], "maxOpenTrades": 3}}
    desk = desk_of(books, folder, bars, (700, 20_009), (900, 20_035), **roomy)
    await desk.run(read_back=True)
    assert await reasons(desk) == ["", "not_flat", ""]


async def test_every_entry_that_waits_takes_its_part_of_the_position_limit(books: Books, folder: Path):
    desk = desk_of(books, folder, [(600, LONG), (610, SHORT)], limits={"maxPosition": 1})
    await desk.run()
    assert await reasons(desk) == ["", "max_position"]


async def test_a_second_fill_of_the_same_moment_is_closed_and_nobody_is_called(books: Books, folder: Path):
    desk = desk_of(books, folder, [(600, LONG), (610, SHORT)], (700, 20_009), (700, 19_990), (701, 20_000))
    session = await desk.run(read_back=True)
    assert not session.halted
    assert [entry[1] for entry in await entries(desk)] == ["FILLED", "FILLED"]
    assert not session.book.open_positions()
    assert not session.book.live_orders()


async def test_a_lower_number_takes_out_what_waits_beyond_it(books: Books, folder: Path):
    desk = desk_of(books, folder, [(600, LONG), (610, SHORT)], (700, 20_000))
    session = desk.open(read_back=True)
    await session.until(650)
    await session.set_strategy(several(1))
    await session.run()
    session.close()
    assert [entry[1:3] for entry in await entries(desk)] == [("CANCELLED", "max_pending")] * 2


async def test_what_a_class_adds_to_its_trade_waits_beside_and_is_not_taken_out(books: Books, folder: Path):
    more = Proposal(Action.ADD, Direction.LONG)
    adding = [replace(bar(at, close=20_010), signals=(), proposals=(more,)) for at in (800, 810)]
    desk = desk_of(books, folder, [bar(600), *adding], (700, 20_009), (900, 20_019), (901, 20_019))
    session = await desk.run(read_back=True)
    assert await reasons(desk) == ["", "", ""]
    assert await entries(desk) == [("BUY", "FILLED", "", False)] * 3
    assert not session.halted


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_the_prices_and_kills_one_entry_alone_is_kept(seed: int, books: Books, folder: Path):
    """Prices that jump within one instant, and a process that is replaced at random times."""
    chance = random.Random(seed)
    jumps = [-30, -12, -9, -2, 0, 2, 9, 12, 30]
    rows = [
        (second, 20_000 + chance.choice(jumps), chance.randint(1, 3))
        for second in range(601, 1_900, 9)
        for _ in range(chance.choice([1, 1, 2, 3]))
    ]
    closes = ((at, next((row[1] for row in reversed(rows) if row[0] < at), 20_000)) for at in range(600, 1_800, 60))
    bars = [bar(at, chance.choice([LONG, SHORT]), close=close) for at, close in closes]
    desk = desk_of(books, folder, bars, *rows, of=several(3))
    session = desk.open(read_back=True)
    for second in sorted(chance.sample(range(650, 1_900), 6)):
        await session.until(second)
        assert sum(abs(position.quantity) for position in session.book.open_positions()) <= 1
        assert list(unprotected(session.book)) == []
        session.close()
        session = desk.open(read_back=True)
    await session.run()
    assert not session.halted
    session.close()
    assert "FILLED" in {state for _, state, *_ in await entries(desk)}


def waiting(client_id: str, **fields: Any) -> Order:
    fields = {"type": OrderType.STOP, "stop_price": 20_008, "bracket": Bracket(16), **fields}
    return order_of(fields.pop("state", OrderState.WORKING), client_id=client_id, **fields)


def test_the_limits_see_one_group_without_a_name_and_how_many_wait():
    one, other = waiting("one"), waiting("other", side=Side.SELL, stop_price=19_992, quantity=2, group="bar/breakout")
    book, _ = book_of(one, other, manifest=account(**ROOM))
    book.strategies[StrategyId("default/mes")].manifest = several()
    day = settings(book, book.strategies[StrategyId("default/mes")]).day
    assert (day.groups, day.pending, day.exposure) == ((("", 1, 2),), 2, 3)


@pytest.mark.parametrize(("most", "taken_out"), [(2, ["one", "other"]), (None, ["one"])])
def test_the_fill_and_what_it_takes_out_are_told_once_each(most: int | None, taken_out: list[str]):
    """Without the field another entry of the strategy stays: it is another trade."""
    one, other = waiting("one"), waiting("other")
    book, changes = book_of(one, other, manifest=account(**ROOM))
    book.strategies[StrategyId("default/mes")].manifest = several(most)
    filled = reported_of(one, OrderState.FILLED, filled=1, bracket=Bracket(16))
    book_venue_events(book, changes, [VenueEvent(1, ns(600), filled, fill_of(one, time_ns=ns(600)))], Stored())
    assert sorted(event.key for event in changes.events if event.kind == "order") == taken_out
    assert book.orders[ClientOrderId("one")].taken_out_by == ""


def test_what_waits_for_a_strategy_that_holds_is_there_to_add():
    held, adds = waiting("held", filled=1, quantity=2, state=OrderState.PARTIAL), waiting("adds")
    book, changes = book_of(held, adds, position=1, manifest=account(**ROOM))
    book.strategies[StrategyId("default/mes")].manifest = several()
    again = reported_of(held, OrderState.FILLED, filled=2, bracket=Bracket(16))
    book_venue_events(book, changes, [VenueEvent(1, ns(601), again, fill_of(held, k=2))], Stored())
    assert [each for each in wanted(book, halted=False) if isinstance(each, Cancel)] == []
