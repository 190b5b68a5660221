"""Every figure of a backtest, beside an example that is calculated by hand."""

from decimal import Decimal
from itertools import accumulate

import pytest

from leadline.backtest.figures import (
    daily_returns,
    exposure,
    joined,
    max_drawdown,
    profit_factor,
    sharpe,
    sortino,
    win_rate,
)

D = Decimal
START = D(10_000)
# Days of +10 %, -10 % and +20 %.
ENDS = [D(110), D(99), D("118.8")]


def numbers(*values: object) -> list[Decimal]:
    return [D(str(value)) for value in values]


def test_break_even_trades_do_not_count_in_the_win_rate():
    assert win_rate(numbers(1, 0, -1, 2)) == D("0.6667")
    assert win_rate(numbers(0)) is None


def test_the_profit_factor_is_what_was_won_by_what_was_lost():
    assert profit_factor(numbers(100, -50, -80, 200, -30)) == D("1.8750")  # 300 / 160
    assert profit_factor(numbers(-1)) == 0
    assert profit_factor(numbers(100)) is None


@pytest.mark.parametrize(
    ("results", "expected"), [((100, -50, -80, 200, -30), 130), ((-50, -80, -30, 100, 200), 160), ((1, 2), 0)]
)
def test_the_largest_drawdown_depends_on_the_order_and_begins_at_the_start(results: tuple[int, ...], expected: int):
    equity = list(accumulate(numbers(*results), initial=START))[1:]
    assert max_drawdown(START, equity) == expected


def test_a_days_return_is_its_result_by_the_equity_at_its_start():
    assert daily_returns(D(100), ENDS) == numbers("0.1", "-0.1", "0.2")
    assert daily_returns(D(100), [D(0), D(10)]) is None
    assert daily_returns(D(100), [D(50), D(-10)]) == numbers("-0.5", "-1.2")


def test_sharpe_and_sortino_of_three_days():
    """Mean 0.2 / 3; sample variance 0.07 / 3, so Sharpe is sqrt(252 / 5.25) = sqrt(48).

    The mean square below zero is 0.01 / 2, so Sortino is sqrt(252 x 8 / 9) = sqrt(224).
    """
    returns = numbers("0.1", "-0.1", "0.2")
    assert sharpe(returns) == D("6.9282")
    assert sortino(returns) == D("14.9666")


def test_a_deviation_of_zero_makes_no_ratio():
    assert sharpe(numbers("0.1", "0.1")) is None
    assert sortino(numbers("0.1", "0.2")) is None
    assert sharpe(numbers("0.1")) is sortino(numbers("-0.1")) is None


def test_exposure_is_the_share_of_session_time_with_a_position():
    sessions = [(0, 100), (200, 300)]
    held = [(10, 20), (15, 30), (90, 210)]  # 20, and 10 on either side of the night
    assert exposure(held, sessions) == D("0.2000")
    assert exposure(held, [*sessions, (50, 100)]) == D("0.2000")
    assert exposure([], sessions) == 0
    assert exposure(held, []) is None


def test_intervals_that_touch_are_one():
    assert joined([(5, 7), (0, 2), (2, 4), (6, 9), (8, 8)]) == [(0, 4), (5, 9)]
