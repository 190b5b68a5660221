"""Entries of one group: the first that fills takes the others out, and a second fill on its heels is closed."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.core.account import account_view, settings
from leadline.execution.core.booking import Stored, book_venue_events
from leadline.execution.core.exits import Cancel, wanted
from leadline.execution.core.protection import unprotected
from leadline.model.ids import ClientOrderId, StrategyId
from leadline.model.orders import Bracket, Order, OrderState, OrderType, Side, VenueEvent
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal
from leadline.model.signals import BarSignals
from tests.execution.harness.books import book_of, fill_of, order_of, reported_of
from tests.execution.harness.builders import MES, account, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Books, Desk
from tests.execution.harness.stores import IN_BOTH

ABOVE = Proposal(Action.ENTER, Direction.LONG, EntryTerms(OrderType.STOP, 20_008), Bracket(16, 24), group="breakout")
BELOW = Proposal(Action.ENTER, Direction.SHORT, EntryTerms(OrderType.STOP, 19_992), Bracket(16, 24), group="breakout")
ROOM: dict[str, Any] = {"limits": {"maxPosition": 4, "dayLoss": "1000"}}


def saying(seconds: float, *proposals: Proposal, close: int = 20_000) -> BarSignals:
    return replace(bar(seconds, close=close), regime=None, signals=(), proposals=proposals)


def desk_of(books: Books, folder: Path, *rows: tuple[float, ...], bars: list[BarSignals] | None = None) -> Desk:
    """A breakout either way of 20000 after ten minutes, and prints from then on."""
    said = says(bars or [saying(600, ABOVE, BELOW)], end=5_000)
    prints = {MES: tape((599, 20_000), *rows, (5_000, rows[-1][1]))}
    return Desk(books, folder, prints, {"default/mes": said}, [strategy()], account(**ROOM), ends=5_000)


async def entries(desk: Desk) -> list[tuple[Any, ...]]:
    rows = await desk.rows("intent", "side, state, reason, filled", "decided_at_ns, side, leg")
    legs = await desk.rows("intent", "leg", "decided_at_ns, side, leg")
    return [row for row, (leg,) in zip(rows, legs, strict=True) if leg == "E"]


@IN_BOTH
async def test_both_wait_as_one_trade_and_the_first_fill_takes_the_other_out(books: Books, folder: Path):
    desk = desk_of(books, folder, (700, 20_009), (800, 19_980), (900, 20_000))
    session = await desk.run(read_back=True)
    assert not session.halted
    assert [decision[2:] for decision in await desk.decisions()] == [(True, ""), (True, "")]
    assert await entries(desk) == [("BUY", "FILLED", "", 1), ("SELL", "CANCELLED", "first_fill", 0)]
    assert [fill[0] for fill in await desk.fills()] == ["E", "S1"]


async def test_without_a_group_the_second_is_refused_as_it_was(books: Books, folder: Path):
    alone = [saying(600, replace(ABOVE, group=""), replace(BELOW, group=""))]
    desk = desk_of(books, folder, (700, 20_009), bars=alone)
    await desk.run()
    assert [decision[2:] for decision in await desk.decisions()] == [(True, ""), (False, "max_open_trades")]


async def test_two_groups_are_two_trades(books: Books, folder: Path):
    desk = desk_of(books, folder, (700, 20_001), bars=[saying(600, ABOVE, replace(BELOW, group="other"))])
    await desk.run()
    assert [decision[2:] for decision in await desk.decisions()] == [(True, ""), (False, "max_open_trades")]


async def test_the_same_name_at_a_later_bar_is_another_group(books: Books, folder: Path):
    desk = desk_of(
        books,
        folder,
        (700, 20_009),
        (800, 20_035),  # the target
        (1_000, 20_000),
        (1_001, 19_991),
        bars=[saying(600, ABOVE, BELOW), saying(1_000, ABOVE, BELOW)],
    )
    session = await desk.run(read_back=True)
    assert not session.halted
    assert [(side, state) for side, state, *_ in await entries(desk)] == [
        ("BUY", "FILLED"),
        ("SELL", "CANCELLED"),
        ("BUY", "CANCELLED"),
        ("SELL", "FILLED"),
    ]


async def test_a_second_fill_of_the_same_moment_is_closed_and_nobody_is_called(books: Books, folder: Path):
    desk = desk_of(books, folder, (700, 20_009), (700, 19_990), (701, 20_000), (702, 20_001))
    session = await desk.run(read_back=True)
    assert not session.halted
    assert [row[1] for row in await entries(desk)] == ["FILLED", "FILLED"]
    assert not session.book.open_positions()
    assert not session.book.live_orders()


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_the_prices_and_kills_no_more_than_one_of_a_group_is_kept(seed: int, books: Books, folder: Path):
    """Prices that jump from side to side within one instant, and a process that is replaced at random times."""
    chance = random.Random(seed)
    rows: list[tuple[float, ...]] = []
    for second in range(601, 4_900, 9):
        rows += [
            (second, 20_000 + chance.choice([-30, -12, -9, -2, 0, 2, 9, 12, 30]), chance.randint(1, 3))
            for _ in range(chance.choice([1, 1, 2, 3]))
        ]
    bars = [
        saying(at, ABOVE, BELOW, close=int(next((row[1] for row in reversed(rows) if row[0] < at), 20_000)))
        for at in range(600, 4_500, 300)
    ]
    desk = desk_of(books, folder, *rows, bars=[each for each in bars if abs(each.close - 20_000) < 8])
    session = desk.open(read_back=True)
    for second in sorted(chance.sample(range(650, 4_800), 6)):
        await session.until(second)
        held = session.book.open_positions()
        assert sum(abs(position.quantity) for position in held) <= 1
        assert list(unprotected(session.book)) == []
        session.close()
        session = desk.open(read_back=True)
    await session.run()
    assert not session.halted
    session.close()
    assert any(row[1] == "FILLED" for row in await entries(desk))


def waiting(side: Side, client_id: ClientOrderId, **fields: Any) -> Order:
    price = 20_008 if side is Side.BUY else 19_992
    fields = {"type": OrderType.STOP, "stop_price": price, "bracket": Bracket(16), "group": "bar/breakout", **fields}
    return order_of(fields.pop("state", OrderState.WORKING), side=side, client_id=client_id, **fields)


def test_a_part_of_a_fill_is_the_first_fill_too():
    one, other = (
        waiting(Side.BUY, ClientOrderId("one"), quantity=2),
        waiting(Side.SELL, ClientOrderId("other"), quantity=2),
    )
    book, changes = book_of(one, other, manifest=account(**ROOM))
    partial = reported_of(one, OrderState.PARTIAL, filled=1, bracket=one.bracket)
    book_venue_events(book, changes, [VenueEvent(1, ns(600), partial, fill_of(one, time_ns=ns(600)))], Stored())
    [action] = [each for each in wanted(book, halted=False) if isinstance(each, Cancel)]
    assert (action.order.client_id, action.reason) == ("other", "first_fill")
    assert (book.orders[ClientOrderId("other")].taken_out_by, changes.orders[ClientOrderId("other")].taken_out_by) == (
        "one",
        "one",
    )
    assert not book.strategies[StrategyId("default/mes")].flatten


def test_a_fill_while_its_cancel_is_under_way_flattens_the_strategy_in_the_same_transaction():
    one, other = (
        waiting(Side.BUY, ClientOrderId("one"), filled=1),
        waiting(Side.SELL, ClientOrderId("other"), state=OrderState.PENDING_CANCEL, taken_out_by="one"),
    )
    one = replace(one, state=OrderState.FILLED)
    book, changes = book_of(one, other, position=1, manifest=account(**ROOM))
    told = reported_of(other, OrderState.FILLED, filled=1)
    book_venue_events(book, changes, [VenueEvent(1, ns(601), told, fill_of(other, time_ns=ns(601)))], Stored())
    assert book.strategies[StrategyId("default/mes")].flatten == "first_fill"
    assert list(unprotected(book)) == []


def test_limits_count_each_member_as_if_it_were_to_fill_and_the_group_as_one_trade():
    one, other = waiting(Side.BUY, ClientOrderId("one")), waiting(Side.SELL, ClientOrderId("other"), quantity=2)
    book, _ = book_of(one, other, manifest=account(**ROOM))
    day = settings(book, book.strategies[StrategyId("default/mes")]).day
    assert (day.exposure, day.position, day.groups) == (3, -1, (("bar/breakout", 1, 2),))
    book.orders = {**book.orders, ClientOrderId("other"): replace(other, taken_out_by=ClientOrderId("one"))}
    book.orders = {**book.orders, ClientOrderId("one"): replace(one, filled=1, state=OrderState.FILLED)}
    assert settings(book, book.strategies[StrategyId("default/mes")]).day.groups == ()
    book.orders = {**book.orders, ClientOrderId("other"): other}
    book.orders = {**book.orders, ClientOrderId("one"): replace(one, quantity=2, filled=1, state=OrderState.PARTIAL)}
    groups = settings(book, book.strategies[StrategyId("default/mes")]).day.groups
    assert groups == (("bar/breakout", 0, 2),)  # what is left of the first is no alternative of anything


def test_an_entry_of_another_group_is_left_as_it_is():
    one, other = waiting(Side.BUY, ClientOrderId("one")), waiting(Side.BUY, ClientOrderId("other"), group="bar/other")
    book, changes = book_of(one, other, manifest=account(**ROOM))
    filled = reported_of(one, OrderState.FILLED, filled=1, bracket=one.bracket)
    book_venue_events(book, changes, [VenueEvent(1, ns(600), filled, fill_of(one, time_ns=ns(600)))], Stored())
    assert sorted(changes.orders) == ["one"]


def test_an_order_that_closes_is_not_in_the_market_by_itself():
    book, _ = book_of(order_of(OrderState.WORKING, "F1", side=Side.SELL), manifest=account(**ROOM))
    assert account_view(book, halt="").in_the_market == 0
