"""Trades and days by what they have in common."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from leadline.backtest.account import TierDay
from leadline.backtest.results import (
    DayLine,
    Group,
    MonthLine,
    TierChange,
    groups,
    months_of,
    sorted_by_weekday,
    tier_changes,
)
from leadline.risk.view import Tier
from tests.report.builders import LOST, WON

D = Decimal
SMALL = Tier(D(0), "MES", 1, 2, D(100))
LARGE = Tier(D(5_000), "ES", 1, 1, None)


def test_trades_are_counted_by_name_with_their_net_results():
    again = replace(WON, gross=D("15.00"))  # 10 after commission; WON is 55, LOST -28.75
    assert groups([WON, LOST, again], lambda trade: trade.pattern) == (
        Group("BUYING_ABSORPTION", 2, 2, D("65.00"), None),
        Group("SELLING_ABSORPTION", 1, 0, D("-28.75"), D(0)),
    )
    assert groups([WON, LOST], lambda trade: trade.regime)[0].profit_factor == D("1.9130")


def test_days_of_the_week_begin_with_monday():
    found = groups([WON, LOST], lambda trade: "Monday" if trade is LOST else "Friday")
    assert [each.name for each in found] == ["Friday", "Monday"]
    assert [each.name for each in sorted_by_weekday(found)] == ["Monday", "Friday"]


def test_months_add_up_their_days():
    days = [
        DayLine(date(2024, 12, 31), 1, D(10), D(110)),
        DayLine(date(2025, 1, 2), 2, D(-5), D(105)),
        DayLine(date(2025, 1, 3), 0, D(0), D(105)),
    ]
    assert months_of(days) == (MonthLine(2024, 12, 1, 1, D(10)), MonthLine(2025, 1, 2, 2, D(-5)))


def test_another_tier_than_the_day_before_is_a_change():
    days = [
        TierDay(date(2025, 6, 10), 0, SMALL, D(4_000)),
        TierDay(date(2025, 6, 11), 0, SMALL, D(4_500)),
        TierDay(date(2025, 6, 12), 1, LARGE, D(5_500)),
        TierDay(date(2025, 6, 13), -1, None, D(-1)),
    ]
    assert tier_changes(days) == (
        TierChange(date(2025, 6, 12), 1, 2, D(5_500), "ES", 1, 1),
        TierChange(date(2025, 6, 13), 2, None, D(-1), None, None, None),
    )
