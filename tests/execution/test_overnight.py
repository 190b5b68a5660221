"""A strategy that holds over its session's close: carried over the roll, and its gap in every limit."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.core.account import account_view, settings
from leadline.execution.core.book import Book
from leadline.execution.core.day import close_of_session, next_timer, venue_calendar
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId, StrategyId
from leadline.model.manifest.specs import TradingAccount
from leadline.model.market.hours import instant_ns
from leadline.model.market.instruments import instrument
from leadline.model.market.sessions import resolve_session
from leadline.model.orders import LastPrint, OrderState, OrderType, Side
from leadline.model.ticks import NS_PER_MINUTE
from leadline.risk.limits import risk_per_contract
from tests.execution.harness.books import book_of, order_of
from tests.execution.harness.builders import DAY_S, MES, ROLL_S, RTH_S, account, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Books, Desk

D = Decimal
GAP: dict[str, Any] = {"overnightGapTicks": {"MES": 200}}
ENDS_S = DAY_S + 2_000


def holding(**spec: Any):
    return strategy(flattenBeforeClose="never", **spec)


def over_night(books: Books, folder: Path, *rows: tuple[float, ...], **spec: Any) -> Desk:
    """A long of MES at 20001 after ten minutes of the first day, prints to its end, and these of the next."""
    first = [(1, 20_000), (599.5, 20_000), (601, 20_000), (23_000, 20_004), (RTH_S - 1, 20_005), (ROLL_S - 1, 20_006)]
    signals = {"default/mes": says([bar(600)], end=ENDS_S)}
    strategies = [holding(**spec)]
    return Desk(
        books, folder, {MES: tape(*first, *rows, (ENDS_S, 19_000))}, signals, strategies, account(**GAP), ends=ENDS_S
    )


async def test_a_position_and_its_bracket_are_carried_over_the_close_and_the_roll(books: Books, folder: Path):
    desk = over_night(books, folder, (DAY_S + 1, 20_010), (DAY_S + 60, 20_026))
    session = await desk.run(read_back=True)
    assert not session.halted
    assert await desk.orders() == [
        ("E", "MARKET", "BUY", 1, None, "FILLED"),
        ("S1", "STOP", "SELL", 1, 19_985, "CANCELLED"),
        ("T1", "LIMIT", "SELL", 1, 20_025, "FILLED"),
    ]
    assert [fill[:3] for fill in await desk.fills()] == [("E", 601, 20_001), ("T1", DAY_S + 60, 20_025)]


async def test_a_stop_across_a_gap_fills_at_the_first_print_beyond_it_and_the_limits_have_seen_it(
    books: Books, folder: Path
):
    desk = over_night(books, folder, (DAY_S + 1, 19_785), (DAY_S + 2, 19_990))
    session = desk.open(read_back=True)
    await session.until(700)
    before = account_view(session.book, halt="")
    await session.run()
    session.close()
    assert [fill[:3] for fill in await desk.fills()] == [("E", 601, 20_001), ("S1", DAY_S + 1, 19_784)]
    lost = session.book.manifest.spec.starting_balance - account_view(session.book, halt="").equity
    assert lost == 217 * D("1.25") + D("2.5")
    # 200 ticks of the gap are what the account had declared, so this is its worst case to the cent: what was open is
    # counted from the last print, and one commission had been paid.
    assert lost == before.worst_case - before.open + D("1.25")


async def test_without_it_the_same_position_is_flat_by_the_close(books: Books, folder: Path):
    desk = over_night(books, folder, (DAY_S + 1, 19_785))
    desk.strategies = [strategy()]
    await desk.run()
    assert [fill[0] for fill in await desk.fills()] == ["E", "F1"]


def held(**changes: Any) -> Book:
    """A long of one MES from 20000 with its stop at 19984, at its last print of 20000."""
    stop = order_of(OrderState.WORKING, "S1", type=OrderType.STOP, side=Side.SELL, stop_price=19_984)
    book, _ = book_of(stop, position=1, manifest=account(**GAP))
    book.strategies[StrategyId("default/mes")].manifest = holding(**changes)
    book.last_prints[MES] = LastPrint(20_000, ns(600), 0)
    return book


def test_no_timer_is_due_at_the_close_and_entry_hours_stay():
    book = held()
    assert next_timer(book) == ns(ROLL_S) - 1  # where what is held is valued
    book.instant_ns = ns(RTH_S)
    assert list(close_of_session(book)) == []
    shown = settings(book, book.strategies[StrategyId("default/mes")])
    assert (shown.after_open_ns, shown.before_close_ns) == (5 * NS_PER_MINUTE, 15 * NS_PER_MINUTE)


def test_the_gap_is_in_the_worst_case_of_what_is_held_and_of_what_may_come_to_be():
    book = held()
    stop_and_slippage, fee = 17 * D("1.25"), D("1.25")
    assert account_view(book, halt="").worst_case == 200 * D("1.25") + stop_and_slippage + fee
    shown = settings(book, book.strategies[StrategyId("default/mes")])
    assert risk_per_contract(shown, shown.execute[0]) == 218 * D("1.25") + D("2.5")
    entry = order_of(OrderState.WORKING, bracket=shown.bracket)
    book.positions, book.orders = {}, {entry.client_id: entry}
    assert account_view(book, halt="").worst_case == 218 * D("1.25") + D("2.5")
    book.strategies[StrategyId("default/mes")].manifest = strategy()
    assert account_view(book, halt="").worst_case == 18 * D("1.25") + D("2.5")


def test_what_somebody_else_holds_is_nobody_s_to_flatten_and_counts_with_the_gap():
    book = held()
    [position] = book.positions.values()
    del book.strategies[StrategyId("default/mes")]
    assert account_view(book, halt="").worst_case == 217 * D("1.25") + D("1.25")
    book.manifest = account()
    assert position.quantity
    assert account_view(book, halt="").worst_case == 17 * D("1.25") + D("1.25")


@pytest.mark.parametrize(
    ("day", "flat_by"),
    [
        (date(2025, 6, 17), None),
        (date(2025, 6, 18), None),  # the 19th is a holiday on which the market is open in the morning
        (date(2025, 6, 19), "12:55"),  # MESM2025 settles at the open of the 20th
        (date(2025, 6, 20), "15:55"),
    ],
)
def test_what_expires_is_flat_by_the_close_of_its_last_session(day: date, flat_by: str | None):
    book = held(entries={"beforeClose": "0s"})
    book.trading_day = day
    book.instant_ns = instant_ns(day, "09:45", "America/New_York")
    shown = settings(book, book.strategies[StrategyId("default/mes")])
    if flat_by is None:
        assert list(close_of_session(book)) == []
        assert shown.before_close_ns == 0
        return
    due = instant_ns(day, flat_by, "America/New_York")
    assert next_timer(book) == due
    book.instant_ns = due
    assert [flatten.reason for flatten in close_of_session(book)] == ["flat_by"]
    assert shown.before_close_ns == 5 * NS_PER_MINUTE  # and nothing is entered from then on


def test_past_the_calendar_s_years_nothing_is_carried():
    book = held()
    last = venue_calendar(book).valid_through
    assert last is not None
    _, rth = resolve_session(instrument("MES"), "rth")
    sessions = venue_calendar(book).sessions_between(last - timedelta(days=8), last + timedelta(days=1), rth)
    book.strategies[StrategyId("default/mes")].contract = ContractId(f"MESZ{last.year + 1}")
    for session, flattened in ((sessions[0], []), (sessions[-1], ["flat_by"])):
        book.trading_day, book.instant_ns = session.trading_day, session.close_ns - 5 * NS_PER_MINUTE
        assert [flatten.reason for flatten in close_of_session(book)] == flattened


async def gone(desk: Desk, manifest: TradingAccount) -> str:
    session = desk.open()
    await session.until(700)
    with pytest.raises(InvalidInput) as raised:
        await session.set_account(manifest)
    session.close()
    return str(raised.value)


async def test_an_account_cannot_take_the_gap_away_from_what_is_held_by_it(books: Books, folder: Path):
    told = await gone(over_night(books, folder), account(overnightGapTicks={"ES": 200}))
    assert told == (
        "TradingStrategy default/mes: spec.flattenBeforeClose: got 'never', expected a length of time such as 5m: "
        "spec.overnightGapTicks of the account default/paper has no gap for MES, and without one nothing is held over "
        "a close"
    )


async def test_nor_while_another_tier_is_in_force_until_the_roll(books: Books, folder: Path):
    tiers = [{"from": "0", "execute": "MES", "maxSize": 3}]
    desk = over_night(books, folder)
    desk.manifest = account("10000", tiers, **GAP)
    other = [{"from": "0", "execute": "ES", "maxSize": 1}]
    told = await gone(desk, account("10000", other, overnightGapTicks={"ES": 200}))
    assert "no gap for MES" in told
