"""Equity after each fill and at each close, with open positions marked, by hand: MES is worth 1.25 a tick."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from leadline.backtest.equity import EquityLine, equity_line
from leadline.backtest.figures import max_drawdown
from leadline.backtest.market import Close, prices_at
from leadline.backtest.work import Series
from leadline.model.durations import parse_bar_spec
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, FillId, Leg, StrategyId
from leadline.model.market.hours import SessionHours
from leadline.model.orders import Fill, Order, OrderType, Side
from leadline.model.ticks import TickColumns

D = Decimal
MES, ES = ContractId("MESM2025"), ContractId("ESM2025")
FLOW = StrategyId("default/flow")
START = D(10_000)
FIRST, SECOND = date(2025, 6, 10), date(2025, 6, 11)


def day_of(time_ns: int) -> date:
    return FIRST if time_ns < 100 else SECOND


def close(time_ns: int, price: int, contract: ContractId = MES) -> Close:
    return Close(time_ns, contract, price, day_of(time_ns))


def fill(
    time_ns: int, side: Side, price: int, quantity: int = 1, tape: ContractId = MES
) -> tuple[StrategyId, Fill, Order]:
    """A fill with half a dollar of commission."""
    name = ClientOrderId(f"L{time_ns}")
    order = Order(name, DecisionId("d"), Leg("E"), FLOW, MES, tape, side, OrderType.MARKET, quantity, time_ns)
    made = Fill(FillId(f"f{time_ns}"), name, MES, side, quantity, price, time_ns, 0, 1, D("0.5"))
    return FLOW, made, order


def line(fills: list[tuple[StrategyId, Fill, Order]], closes: list[Close]) -> EquityLine:
    return equity_line(START, fills, closes, day_of)


def points(found: EquityLine) -> list[tuple[int, str]]:
    return [(each.time_ns, f"{each.equity:.2f}") for each in found.points]


def test_an_open_position_is_marked_at_each_close():
    found = line(
        [fill(10, Side.BUY, 20_000), fill(40, Side.SELL, 20_008)],
        [close(5, 19_000), close(20, 19_990), close(30, 20_010), close(50, 20_100)],
    )

    assert points(found) == [(10, "9999.50"), (20, "9987.00"), (30, "10012.00"), (40, "10009.00")]
    assert found.ends == {FIRST: D("10009.00")}
    assert (found.held, found.cash) == (((10, 40),), D("10009.00"))
    assert max_drawdown(START, (each.equity for each in found.points)) == 13


def test_a_day_ends_with_what_is_open_at_its_last_close():
    found = line([fill(10, Side.SELL, 20_000), fill(130, Side.BUY, 19_980)], [close(90, 19_996), close(120, 20_004)])

    assert found.ends == {FIRST: D("10004.50"), SECOND: D("10024.00")}
    assert found.held == ((10, 130),)


def test_what_is_open_at_the_end_is_no_cash():
    found = line([fill(10, Side.BUY, 20_000, 2)], [close(20, 20_004)])

    assert (found.cash, found.points[-1].equity) == (D("9999.50"), D("10009.50"))
    assert found.held == ((10, 20),)


def test_a_close_at_the_instant_of_a_fill_comes_before_it():
    found = line([fill(10, Side.BUY, 20_000), fill(20, Side.SELL, 20_000)], [close(20, 20_040)])

    assert points(found) == [(10, "9999.50"), (20, "10049.50"), (20, "9999.00")]


def test_a_position_is_marked_on_the_contract_whose_prints_value_it():
    found = line([fill(10, Side.BUY, 20_000, tape=ES)], [close(20, 10, MES), close(30, 20_004, ES)])

    assert points(found) == [(10, "9999.50"), (30, "10004.50")]


@pytest.mark.parametrize(("bars", "expected"), [("5m", [(20, 7), (30, 9)]), ("ticks:2", [(20, 8), (30, 9)])])
def test_the_price_of_a_contract_without_bars_is_its_last_print_at_the_end_of_each_bar_of_another(
    bars: str, expected: list[tuple[int, int]]
):
    ticks = TickColumns(np.array([12, 20, 25]), np.array([7, 8, 9]), np.ones(3, np.int64), np.zeros(3, np.int8), 0)
    series = Series(SessionHours("09:30", "16:00", "America/New_York"), parse_bar_spec(bars), 1)

    found = prices_at(ES, ticks, series, {30: FIRST, 10: FIRST, 20: FIRST})

    assert [(each.time_ns, each.price) for each in found] == expected
    assert {(each.contract, each.day) for each in found} == {(ES, FIRST)}


def test_two_strategies_hold_until_both_are_flat():
    other = StrategyId("default/other")
    _, bought, order = fill(15, Side.BUY, 20_000)
    _, sold, closing = fill(60, Side.SELL, 20_000)
    found = line(
        [
            fill(10, Side.BUY, 20_000),
            (other, bought, replace(order, strategy=other)),
            fill(40, Side.SELL, 20_000),
            (other, sold, replace(closing, strategy=other)),
        ],
        [],
    )

    assert found.held == ((10, 60),)
    assert found.cash == START - 2
