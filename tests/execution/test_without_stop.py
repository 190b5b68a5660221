"""Positions without a stop: on purpose where the account has declared their risk, and never otherwise."""

import random
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.core.account import account_view, settings
from leadline.execution.core.booking import Stored, book_venue_events
from leadline.execution.core.exits import Close, wanted
from leadline.execution.core.positions import apply_fill, with_stopless
from leadline.execution.core.protection import unprotected
from leadline.model.errors import InvalidInput
from leadline.model.ids import ClientOrderId, StrategyId
from leadline.model.orders import Bracket, LastPrint, OrderState, OrderType, Side, VenueEvent
from leadline.risk.limits import risk_per_contract
from tests.execution.harness.books import book_of, fill_of, order_of, position_of, reported_of
from tests.execution.harness.builders import MES, RTH_S, account, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Books, Desk

D = Decimal
RISK: dict[str, Any] = {"noStopRiskTicks": {"MES": 100}}
TARGET = {"targetTicks": 24}


def desk_of(books: Books, folder: Path, *rows: tuple[float, ...], **changes: Any) -> Desk:
    """A long of MES at 20001 after ten minutes, prints from then on, and what is in `changes` of the account."""
    bracket = changes.pop("bracket", TARGET)
    said = changes.pop("bars", [bar(600)])
    ends = RTH_S + 100
    prints = {MES: tape((1, 20_000), (599.5, 20_000), (601, 20_000), *rows, (ends, 19_990))}
    signals = {"default/mes": says(said, end=ends)}
    return Desk(books, folder, prints, signals, [strategy(bracket=bracket)], account(**{**RISK, **changes}), ends=ends)


async def test_a_position_without_a_stop_goes_to_its_target(books: Books, folder: Path):
    desk = desk_of(books, folder, (700, 19_930), (800, 20_026))
    session = await desk.run(read_back=True)
    assert not session.halted
    assert await desk.orders() == [
        ("E", "MARKET", "BUY", 1, None, "FILLED"),
        ("T1", "LIMIT", "SELL", 1, 20_025, "FILLED"),
    ]


async def test_one_without_any_exit_is_flat_by_the_close_and_a_restart_lets_it_be(books: Books, folder: Path):
    desk = desk_of(books, folder, (700, 19_930), (RTH_S - 301, 20_010), (RTH_S - 299, 20_010), bracket={})
    session = desk.open(read_back=True)
    await session.until(701)
    session.close()
    again = await desk.run(read_back=True)
    assert not again.halted
    assert [(fill[0], fill[1]) for fill in await desk.fills()] == [("E", 601), ("F1", RTH_S - 299)]


async def test_the_day_s_loss_closes_it(books: Books, folder: Path):
    rows = [(700, 19_960), (701, 19_880), (702, 19_881)]
    desk = desk_of(books, folder, *rows, limits={"dayLoss": "140", "maxPosition": 1})
    session = await desk.run(read_back=True)
    assert not session.halted
    assert [(fill[0], fill[1]) for fill in await desk.fills()] == [("E", 601), ("F1", 702)]


async def test_its_declared_risk_is_asked_for_in_the_day_s_budget(books: Books, folder: Path):
    desk = desk_of(books, folder, limits={"dayLoss": "129.99"})  # (100 + 2) x 1.25 + 2 x 1.25 = 130
    await desk.run()
    assert [decision[2:] for decision in await desk.decisions()] == [(False, "day_budget")]


async def test_an_account_cannot_take_the_risk_away_from_what_is_held_by_it(books: Books, folder: Path):
    desk = desk_of(books, folder, (700, 19_930))
    session = desk.open()
    await session.until(650)
    await session.set_strategy(strategy())  # its next entry has a stop; the one that it holds has none
    with pytest.raises(InvalidInput) as raised:
        await session.set_account(account())
    session.close()
    assert str(raised.value) == (
        "spec.noStopRiskTicks: got [], expected a risk for MES: default/mes holds MESM2025 without a stop"
    )


async def test_a_strategy_without_a_stop_is_refused_where_the_account_has_no_risk_for_it(books: Books, folder: Path):
    desk = desk_of(books, folder, noStopRiskTicks={"ES": 100})
    desk.strategies = [strategy()]
    session = desk.open()
    await session.until(300)
    with pytest.raises(InvalidInput, match=r"spec\.bracket\.stopTicks: got nothing, expected a distance"):
        await session.set_strategy(strategy(bracket=TARGET))
    session.close()


@pytest.mark.parametrize("seed", range(6))
async def test_entries_with_and_without_a_stop_in_one_position_are_each_protected_as_they_were_entered(
    seed: int, books: Books, folder: Path
):
    """Random prices, entries that add, and a stop that comes and goes in the settings: nothing is taken for a fault."""
    chance = random.Random(seed)
    price, rows = 20_000, []
    for second in range(610, 8_000, 10):
        price += chance.choice([-4, -2, 0, 2, 4])
        rows.append((second, price, chance.randint(1, 3)))
    closes = {at: next(close for second, close, _ in reversed(rows) if second < at) for at in range(900, 7_800, 300)}
    bars = [bar(at, close=close) for at, close in closes.items()]
    roomy = {"maxPosition": 6, "maxOpenTrades": 1, "dayLoss": "100000", "dayTarget": "100000"}
    desk = desk_of(books, folder, *rows, bars=bars, limits=roomy, bracket={"stopTicks": 10, "targetTicks": 12})
    session = desk.open(read_back=True)
    for second in range(1_000, 7_000, 700):
        await session.until(second)
        both, bare = {"stopTicks": 10, "targetTicks": 12}, {"targetTicks": 12}
        await session.set_strategy(strategy(bracket=chance.choice([both, bare]), size=2, risk={"maxTradesPerDay": 50}))
        assert list(unprotected(session.book)) == []
        if chance.random() < 0.4:
            session.close()
            session = desk.open(read_back=True)
    await session.run()
    assert not session.halted
    session.close()
    legs = {str(fill[0])[0] for fill in await desk.fills()}
    assert {"E"} < legs


def test_protection_asks_for_stops_of_what_was_entered_with_one():
    stop = order_of(OrderState.WORKING, "S1", side=Side.SELL, type=OrderType.STOP, stop_price=19_984)
    target = order_of(OrderState.WORKING, "T2", side=Side.SELL, type=OrderType.LIMIT, limit_price=20_024)
    for without_stop, orders, position, faults in (
        (1, [], 1, 0),
        (1, [target], 1, 0),
        (0, [], 1, 1),
        (0, [target], 1, 1),
        (1, [stop], 2, 0),
        (1, [stop, target], 2, 0),
        (0, [stop], 2, 1),
        (1, [], 2, 1),
        (1, [target, replace(target, client_id=ClientOrderId("other"))], 1, 1),
    ):
        book, _ = book_of(*orders, position=position)
        key = (StrategyId("default/mes"), MES)
        book.positions = {**book.positions, key: with_stopless(position_of(position), "main", without_stop)}
        assert len(list(unprotected(book))) == faults, (without_stop, orders, position)


def filled(bracket: Bracket | None, **of: Any) -> int:
    """How much of a position is without a stop on purpose, after the venue has filled an entry of two."""
    entry = order_of(OrderState.WORKING, quantity=2, bracket=bracket)
    book, changes = book_of(entry, manifest=account(**of))
    event = VenueEvent(1, ns(601), reported_of(entry, OrderState.FILLED, filled=2), fill_of(entry, quantity=2))
    book_venue_events(book, changes, [event], Stored())
    return book.positions[StrategyId("default/mes"), MES].without_stop


def test_an_entry_without_a_stop_counts_where_the_account_has_declared_its_risk_alone():
    assert filled(Bracket(target_ticks=24), **RISK) == 2
    assert filled(None, **RISK) == 2
    assert filled(Bracket(16), **RISK) == 0
    assert filled(Bracket(stop_price=19_980), **RISK) == 0
    assert filled(Bracket(target_ticks=24)) == 0
    assert filled(Bracket(target_ticks=24), noStopRiskTicks={"ES": 100}) == 0


def test_what_closes_a_position_leaves_no_more_without_a_stop_than_there_is():
    held = with_stopless(position_of(3), "main", 2)
    sell = fill_of(order_of(OrderState.WORKING, "F1", side=Side.SELL))
    assert apply_fill(held, sell).without_stop == 2
    assert apply_fill(held, replace(sell, quantity=2)).without_stop == 1
    assert apply_fill(held, replace(sell, quantity=3)).without_stop == 0
    assert apply_fill(held, replace(sell, quantity=5)).without_stop == 0


def test_a_stop_that_the_venue_tells_of_again_protects_no_more_than_it_did():
    """Two are held: one behind the stop that came with it, one on purpose without. The word on the stop is unknown."""
    key = (StrategyId("default/mes"), MES)
    stop = order_of(OrderState.WORKING, "S1", side=Side.SELL, type=OrderType.STOP, stop_price=19_984)
    stop = replace(stop, parent=ClientOrderId("E"))
    book, changes = book_of(stop, position=2, manifest=account(**RISK))
    book.positions = {**book.positions, key: with_stopless(position_of(2), "main", 1)}
    told = (OrderState.UNKNOWN, OrderState.WORKING, OrderState.UNKNOWN, OrderState.WORKING)
    for number, state in enumerate(told, start=1):
        event = VenueEvent(number, ns(600 + number), reported_of(book.orders[stop.client_id], state))
        book_venue_events(book, changes, [event], Stored())
        assert book.positions[key].without_stop == 1, number
        assert not list(unprotected(book))
    late = order_of(OrderState.SENDING, "S7", side=Side.SELL, type=OrderType.STOP, stop_price=19_980)
    late = replace(late, parent=ClientOrderId("E"))
    book.put(late)
    event = VenueEvent(5, ns(605), reported_of(late, OrderState.WORKING))
    book_venue_events(book, changes, [event], Stored())
    assert book.positions[key].without_stop == 0  # what rests behind a new one needs it


def test_its_worst_case_is_the_declared_risk_from_its_entry():
    book, _ = book_of(position=1, manifest=account(**RISK))
    book.positions = {**book.positions, (StrategyId("default/mes"), MES): with_stopless(position_of(1), "main", 1)}
    for last, ticks in ((20_000, 101), (20_040, 141), (19_950, 51), (19_800, 1)):
        book.last_prints[MES] = LastPrint(last, ns(600), 0)
        assert account_view(book, halt="").worst_case == ticks * D("1.25") + D("1.25"), last
    book.strategies[StrategyId("default/mes")].manifest = strategy(bracket=TARGET)
    shown = settings(book, book.strategies[StrategyId("default/mes")])
    assert (shown.bracket, shown.execute[0].no_stop_ticks) == (Bracket(target_ticks=24), 100)
    entry = order_of(OrderState.WORKING, bracket=shown.bracket)
    book.positions, book.orders = {}, {entry.client_id: entry}
    assert account_view(book, halt="").worst_case == risk_per_contract(shown, shown.execute[0])


def test_flattening_closes_it_at_once():
    book, _ = book_of(position=1, flatten="operator")
    [action] = wanted(book, halted=False)
    assert isinstance(action, Close)
