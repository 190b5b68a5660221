"""Whole trades of the account's loop, in numbers that can be checked by hand. A tick of MES is 1.25, of ES 12.50."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from leadline.model.ids import StrategyId
from leadline.model.signals import Pattern, Regime
from tests.execution.harness.builders import (
    BUY,
    DAY_S,
    ES,
    LONG,
    MES,
    ROLL_S,
    SELL,
    SHORT,
    account,
    bar,
    ns,
    says,
    strategy,
    tape,
)
from tests.execution.harness.desk import Books, Desk, Session

pytestmark = pytest.mark.integration
D = Decimal

TIERS = [
    {"from": "0", "execute": "MES", "minSize": 1, "maxSize": 3, "dayLoss": "100"},
    {"from": "3500", "execute": "ES", "minSize": 1, "maxSize": 1, "dayLoss": "400"},
]


def kinds(session: Session) -> list[tuple[str, Any]]:
    """The audit as (kind, the word that matters)."""
    words = {"decision": "accepted", "order": "state", "fill": "price", "position": "quantity"}
    return [(event.kind, event.body[words[event.kind]]) for event in session.events]


async def test_a_long_goes_to_its_target(books: Books, folder: Path):
    prints = {MES: tape((600, 19_999), (601, 20_000), (700, 20_010), (800, 20_025), (801, 20_026))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=900)}, [strategy()], ends=900)
    session = await desk.run(read_back=True)

    # In at the print after 50 ms, one tick worse; the print at 20025 only touches the target, the next goes through.
    assert await desk.fills() == [("E", 601, 20_001, 1, D("1.25")), ("T1", 801, 20_025, 1, D("1.25"))]
    assert await desk.orders() == [
        ("E", "MARKET", "BUY", 1, None, "FILLED"),
        ("S1", "STOP", "SELL", 1, 19_985, "CANCELLED"),
        ("T1", "LIMIT", "SELL", 1, 20_025, "FILLED"),
    ]
    book = session.book
    assert (book.realised, book.trades, book.streak) == (D("27.50"), 1, 1)  # 24 x 1.25 - 2 x 1.25
    assert book.strategies[StrategyId("default/mes")].realised == D("27.50")
    assert kinds(session) == [
        ("decision", True),
        ("order", "PENDING"),
        ("order", "SENDING"),
        ("order", "WORKING"),
        ("fill", 20_001),
        ("position", 1),
        ("order", "FILLED"),
        ("order", "WORKING"),
        ("order", "WORKING"),
        ("fill", 20_025),
        ("position", 0),
        ("order", "FILLED"),
        ("order", "CANCELLED"),
    ]
    assert [event.event for event in session.events] == list(range(1, 14))
    stored = await desk.rows("order_event", "event, kind, version", "event")
    assert stored == [(event.event, event.kind, event.version) for event in session.events]


async def test_a_short_is_stopped_by_a_gap_and_pays_slippage(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_014), (701, 20_017), (702, 20_000))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600, SHORT)], end=900)}, [strategy()], ends=900)
    session = await desk.run(read_back=True)

    # In at 20000 - 1; the stop rests at 19999 + 16 = 20015; the gap's print at 20017 is worse, and slippage is a tick.
    assert await desk.fills() == [("E", 601, 19_999, 1, D("1.25")), ("S1", 701, 20_018, 1, D("1.25"))]
    assert (session.book.realised, session.book.streak) == (D("-26.25"), -1)  # -19 x 1.25 - 2.50


async def test_a_target_fills_in_parts_and_its_stop_shrinks_with_it(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_026, 1), (701, 20_026, 1), (702, 19_000, 5))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=900)}, [strategy(size=2)], ends=900)
    session = await desk.run(read_back=True)

    assert await desk.fills() == [
        ("E", 601, 20_001, 2, D("2.50")),
        ("T1", 700, 20_025, 1, D("1.25")),
        ("T1", 701, 20_025, 1, D("1.25")),
    ]
    assert ("S1", "STOP", "SELL", 1, 19_985, "CANCELLED") in await desk.orders()
    assert session.book.realised == D("55.00")  # 2 x 24 x 1.25 - 4 x 1.25
    assert session.book.streak == 1  # one trade, from flat to flat


async def test_a_strategy_is_flat_by_the_close_of_its_session(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (23_000, 20_004), (23_100, 20_005), (23_101, 20_006))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=23_400)}, [strategy()], ends=23_400)
    session = await desk.run(read_back=True)

    # 15:55 is second 23100: the bracket goes, and the closing order meets the first print more than 50 ms later.
    assert await desk.fills() == [("E", 601, 20_001, 1, D("1.25")), ("F1", 23_101, 20_005, 1, D("1.25"))]
    states = {leg: state for leg, *_, state in await desk.orders()}
    assert states == {"E": "FILLED", "S1": "CANCELLED", "T1": "CANCELLED", "F1": "FILLED"}
    decided = await desk.rows("intent", "leg, decided_at_ns, reason", "decided_at_ns")
    assert decided[-1] == ("F1", ns(23_100), "flat_by")
    assert session.book.realised == D("2.50")  # 4 x 1.25 - 2.50
    assert not session.book.strategies[StrategyId("default/mes")].flatten


async def test_the_day_s_loss_flattens_at_the_print_that_reaches_it_and_not_before(books: Books, folder: Path):
    prints = {
        MES: tape(
            (600, 20_000),
            (601, 20_000),  # in at 20001, realised -1.25: the loss of 100 is reached when open is -98.75, 79 ticks
            (650, 19_923),  # 78 ticks
            (700, 19_922),  # 79 ticks
            (700, 19_930),  # of the same instant: at its end the result is better again
            (710, 19_922),  # 79 ticks, and the last of its instant
            (720, 19_920),
            (800, 19_999),
        )
    }
    signals = {"default/mes": says([bar(600), bar(750)], end=900)}
    desk = Desk(
        books,
        folder,
        prints,
        signals,
        [strategy(bracket=(400, 400), budget=False)],
        manifest=account(limits={"dayLoss": "100"}),
        ends=900,
    )
    session = await desk.run(read_back=True)

    assert await desk.fills() == [("E", 601, 20_001, 1, D("1.25")), ("F1", 720, 19_919, 1, D("1.25"))]
    assert (await desk.rows("intent", "leg, decided_at_ns, reason", "decided_at_ns"))[-1] == ("F1", ns(710), "day_loss")
    assert session.book.block == "DAY_LOSS"
    assert session.book.realised == D("-105.00")  # -82 x 1.25 - 2.50
    assert (await desk.decisions())[-1] == ("default/mes", 750, False, "day_loss")


async def test_a_strategy_s_own_loss_flattens_it_alone(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 19_986), (701, 19_985), (702, 19_984), (800, 20_000))}
    signals = {"default/mes": says([bar(600), bar(750)], end=900)}
    risk = {"dayLoss": "20"}
    desk = Desk(books, folder, prints, signals, [strategy(bracket=(99, 99), budget=False, risk=risk)], ends=900)
    session = await desk.run(read_back=True)

    # Realised -1.25; 15 ticks are -18.75: together the strategy's 20 of the account's 300.
    assert await desk.fills() == [("E", 601, 20_001, 1, D("1.25")), ("F1", 701, 19_984, 1, D("1.25"))]
    assert (await desk.rows("intent", "leg, decided_at_ns, reason", "decided_at_ns"))[-1] == ("F1", ns(700), "day_loss")
    assert session.book.block == ""
    assert (await desk.decisions())[-1] == ("default/mes", 750, False, "day_loss")


async def test_the_day_s_target_keeps_the_bracket_and_ends_at_the_roll(books: Books, folder: Path):
    prints = {
        MES: tape(
            (600, 20_000),
            (601, 20_000),  # in at 20001, realised -1.25: the target of 50 needs 51.25, 41 ticks
            (700, 20_041),
            (701, 20_042),
            (760, 20_030),
            (800, 20_062, 3),  # through the target of 60 ticks
            (DAY_S + 600, 20_000),
            (DAY_S + 601, 20_000),
            (DAY_S + 700, 20_062, 3),
        )
    }
    bars = [bar(600), bar(750), bar(900), bar(DAY_S + 600)]
    desk = Desk(
        books,
        folder,
        prints,
        {"default/mes": says(bars, end=DAY_S + 900)},
        [strategy(bracket=(60, 60))],
        manifest=account(limits={"dayTarget": "50"}),
        ends=DAY_S + 900,
    )
    session = desk.open(read_back=True)
    await session.run(until=lambda book: book.instant_ns >= ns(701))
    assert (session.book.block, session.book.flatten) == ("DAY_TARGET", "")
    assert {order.leg for order in session.book.live_orders()} == {"S1", "T1"}
    await session.run()
    session.close()

    assert [(leg, second, price) for leg, second, price, *_ in await desk.fills()] == [
        ("E", 601, 20_001),
        ("T1", 800, 20_061),
        ("E", DAY_S + 601, 20_001),
        ("T1", DAY_S + 700, 20_061),
    ]
    assert [reason for *_, reason in await desk.decisions()] == ["", "day_target", "day_target", ""]


async def test_the_roll_starts_a_new_day_and_a_flat_account_moves_to_its_tier(books: Books, folder: Path):
    mes = tape(
        (600, 20_000),
        (601, 20_000),
        (700, 20_102, 3),  # 100 ticks: 125 - 2.50
        (DAY_S + 600, 20_000),
    )
    es = tape((500, 20_000), (DAY_S + 600, 20_000), (DAY_S + 601, 20_000), (DAY_S + 700, 20_102))
    desk = Desk(
        books,
        folder,
        {MES: mes, ES: es},
        {"default/mes": says([bar(600), bar(DAY_S + 600)], end=DAY_S + 900)},
        [strategy(bracket=(16, 100))],
        manifest=account("3400", TIERS),
        ends=DAY_S + 900,
    )
    session = desk.open(read_back=True)
    await session.run(until=lambda book: book.instant_ns >= ns(ROLL_S) - 1)
    assert session.book.instant_ns == ns(ROLL_S)
    book = session.book
    assert (book.trading_day and book.trading_day.isoformat()) == "2025-06-11"
    assert (book.equity_at_roll, book.realised, book.trades, book.streak) == (D("3522.50"), 0, 0, 0)
    assert book.tier_index == 1
    await session.run()
    session.close()

    assert await desk.rows("intent", "contract, leg, state", "decided_at_ns, leg") == [
        (MES, "E", "FILLED"),
        (MES, "S1", "CANCELLED"),
        (MES, "T1", "FILLED"),
        (ES, "E", "FILLED"),
        (ES, "S1", "CANCELLED"),
        (ES, "T1", "FILLED"),
    ]
    assert session.book.realised == D("1241.00")  # 100 x 12.50 - 2 x 4.50


async def test_an_account_that_is_not_flat_at_the_roll_keeps_its_tier(books: Books, folder: Path):
    mes = tape(
        (600, 20_000),
        (601, 20_000),
        (602, 20_101),  # open +125: equity 3523.75, cash 3398.75
        (DAY_S - 3600, 20_095),  # the first print after 15:55 comes with the next day
        (DAY_S + 600, 20_000),
        (DAY_S + 601, 20_000),
        (DAY_S + 602, 20_000),
    )
    desk = Desk(
        books,
        folder,
        {MES: mes},
        {"default/mes": says([bar(600), bar(DAY_S + 600)], end=DAY_S + 900)},
        [strategy(bracket=(16, 200))],
        manifest=account("3400", TIERS),
        ends=DAY_S + 900,
    )
    session = await desk.run(read_back=True)

    assert [(leg, second) for leg, second, *_ in await desk.fills()][:2] == [("E", 601), ("F1", DAY_S - 3600)]
    assert session.book.equity_at_roll == D("3523.75")
    assert session.book.tier_index == 0  # though 3500 are where the next one begins
    assert (await desk.rows("intent", "contract", "decided_at_ns"))[-1] == (MES,)


ALWAYS_OPEN: dict[str, Any] = {
    "session": {"name": "globex"},
    "flattenBeforeClose": "0s",
    "entries": {"afterOpen": "0s", "beforeClose": "0s"},
}


@pytest.mark.parametrize(
    ("second", "equity", "realised"),
    [(ROLL_S - 0.000_000_001, "9870.00", "0"), (ROLL_S, "9997.50", "-127.50")],
)
async def test_a_fill_on_the_print_that_opens_a_trading_day_belongs_to_that_day(
    books: Books, folder: Path, second: float, equity: str, realised: str
):
    # In at 20001, and worth 20000 at the roll. The order that closes it at 17:00 meets a gap and fills at 19900 - 1:
    # from the roll on -101 x 1.25 and a commission.
    prints = {MES: tape((600, 20_000), (601, 20_000), (second, 19_900), (ROLL_S + 100, 19_900))}
    signals = {"default/mes": says([bar(600)], end=ROLL_S + 200)}
    flow = strategy(budget=False, **ALWAYS_OPEN)
    desk = Desk(books, folder, prints, signals, [flow], account(limits={"dayLoss": "127"}), ends=ROLL_S + 200)
    session = await desk.run(read_back=True)
    book = session.book
    assert [leg for leg, *_ in await desk.fills()] == ["E", "F1"]
    assert (book.equity_at_roll, book.realised) == (D(equity), D(realised))
    # The loss of 127.50 reaches the limit of the day to which it belongs.
    assert book.block == ("DAY_LOSS" if second == ROLL_S else "")
    assert book.strategies[StrategyId("default/mes")].realised == D(realised)


async def test_where_the_feed_has_no_other_tape_the_signal_s_prints_fill_the_larger_contract(
    books: Books, folder: Path
):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_026))}
    desk = Desk(
        books,
        folder,
        prints,
        {"default/mes": says([bar(600)], end=900)},
        [strategy()],
        manifest=account("5000", TIERS),
        ends=900,
    )
    session = await desk.run(read_back=True)
    assert await desk.fills() == [("E", 601, 20_001, 1, D("4.50")), ("T1", 700, 20_025, 1, D("4.50"))]
    assert set(await desk.rows("fill", "contract", "contract")) == {(ES,)}
    assert session.book.realised == D("291.00")  # 24 x 12.50 - 9


async def test_an_exit_on_the_print_that_closes_a_bar_makes_room_for_that_bar_s_signal(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (900, 20_026, 3), (901, 20_010), (950, 20_035, 3))}
    desk = Desk(
        books,
        folder,
        prints,
        {"default/mes": says([bar(600), bar(900, close=20_026)], end=999)},
        [strategy()],
        ends=999,
    )
    await desk.run(read_back=True)
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [
        ("E", 601),
        ("T1", 900),
        ("E", 901),
        ("T1", 950),
    ]


async def test_the_streak_and_two_patterns_make_the_size_and_the_budget_bounds_it(books: Books, folder: Path):
    trades: list[tuple[float, ...]] = []
    for number in range(4):
        start = 600 + number * 1000
        trades += [(start, 20_000), (start + 1, 20_000), (start + 100, 20_030, 9)]
    two = (Pattern.BUYING_ABSORPTION, Pattern.SELLING_EXHAUSTION)
    bars = [bar(600, LONG), bar(1600, LONG), bar(2600, LONG), bar(3600, *two, regime=Regime.TRENDING_UP)]
    desk = Desk(
        books,
        folder,
        {MES: tape(*trades)},
        {"default/mes": says(bars, end=4000)},
        [strategy(size=None)],
        manifest=account("2500", TIERS),
        ends=4000,
    )
    session = await desk.run(read_back=True)

    # Three wins of 24 x 1.25 - 2.50 = 27.50. Then 1 + 1 stacked + 1 trending + 1 streak = 4, tier 3, strategy 2.
    arithmetic = (await desk.rows("decision", "arithmetic", "instant_ns"))[-1][0]
    assert [tuple(term) for term in arithmetic] == [
        ("base", "1"),
        ("Stacked", "1"),
        ("Trending", "1"),
        ("WinStreak", "1"),
        ("LossStreak", "0"),
        ("regime_multiplier", "1"),
        ("scaled", "4"),
        ("tier_min", "1"),
        ("tier_max", "3"),
        ("day_budget", "182.50"),  # 100 + 3 x 27.50
        ("risk_per_contract", "25.00"),  # 16 x 1.25 + 2 x 1.25 + 2 x 1.25
        ("margin_per_contract", "40"),
        ("margin_free", "2582.50"),
        ("free_position", "2"),
        ("max_size", "2"),
        ("budget_size", "7"),
        ("margin_size", "64"),  # 2582.50 / 40
        ("size", "2"),
    ]
    assert session.book.streak == 4


async def test_a_position_that_is_open_at_the_end_of_the_tape_stays_open(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_010))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=750)}, [strategy()], ends=750)
    session = await desk.run(read_back=True)
    assert session.book.finished
    assert session.book.instant_ns == ns(750)  # the end of the tape: 15:55 never comes
    assert await desk.rows("position", "contract, quantity", "contract") == [(MES, 1)]
    assert ("S1", "STOP", "SELL", 1, 19_985, "WORKING") in await desk.orders()
    assert session.book.realised == D("-1.25")


@pytest.mark.parametrize(("price", "streak"), [(20_003, 0), (20_004, 1), (20_002, -1)])
async def test_break_even_after_commission_is_neither_won_nor_lost(books: Books, folder: Path, price: int, streak: int):
    # In at 20001, out by the close at price - 1: two ticks are 2.50, the round trip's commission.
    prints = {MES: tape((600, 20_000, 1, BUY), (601, 20_000, 1, BUY), (23_200, price + 1, 1, SELL))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=23_400)}, [strategy()], ends=23_400)
    session = await desk.run(read_back=True)
    assert session.book.streak == streak
    assert session.book.realised == D("1.25") * (price - 20_003)
