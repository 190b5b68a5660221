"""The performance figures of a strategy, each from plain numbers.

A figure that a division by zero would make is None. Ratios are decimals, rounded half to even to `RATIO_PLACES` places,
so that they compare and print the same everywhere.
"""

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final

DAYS_A_YEAR: Final = 252
"""Trading days by which daily ratios are annualised."""
RATIO_PLACES: Final = 4
"""Decimals of every ratio."""
_DIGITS: Final = 40

Interval = tuple[int, int]
"""A half-open stretch of time, [from, to), in ns UTC."""


def win_rate(results: Sequence[Decimal]) -> Decimal | None:
    """Share of trades that won among those that won or lost: won / (won + lost). Break-even trades do not count."""
    won, lost = sum(each > 0 for each in results), sum(each < 0 for each in results)
    return _ratio(Decimal(won), Decimal(won + lost))


def profit_factor(results: Sequence[Decimal]) -> Decimal | None:
    """Sum of the results above zero / sum of the losses below; None without a loss."""
    won = sum((each for each in results if each > 0), Decimal(0))
    lost = -sum((each for each in results if each < 0), Decimal(0))
    return _ratio(won, lost)


def max_drawdown(start: Decimal, equity: Iterable[Decimal]) -> Decimal:
    """Largest fall from the highest equity so far, the start among it: max over time of (running peak - equity)."""
    highest, worst = start, Decimal(0)
    for each in equity:
        highest = max(highest, each)
        worst = max(worst, highest - each)
    return worst


def daily_returns(start: Decimal, ends: Sequence[Decimal]) -> list[Decimal] | None:
    """Net result of each day / equity at its start; `ends` are the equities at the days' ends, in order.

    None where a day began without equity: it has no return.
    """
    starts = [start, *ends[:-1]]
    if any(each <= 0 for each in starts[: len(ends)]):
        return None
    with localcontext() as context:
        context.prec = _DIGITS
        return [(end - begin) / begin for begin, end in zip(starts, ends, strict=False)]


def sharpe(returns: Sequence[Decimal]) -> Decimal | None:
    """Mean of the daily returns / their sample deviation (n - 1) x sqrt(252), against a risk-free return of 0.

    W. F. Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21 (1994). None for fewer than two days and where
    the deviation is zero.
    """
    if len(returns) < 2:
        return None
    with localcontext() as context:
        context.prec = _DIGITS
        mean = sum(returns, Decimal(0)) / len(returns)
        return _annual(mean, sum(((each - mean) ** 2 for each in returns), Decimal(0)), len(returns))


def sortino(returns: Sequence[Decimal]) -> Decimal | None:
    """As `sharpe`, with the deviation of the returns below zero: sqrt(sum of min(return, 0)^2 / (n - 1)).

    F. A. Sortino and L. N. Price, Performance Measurement in a Downside Risk Framework, Journal of Investing 3 (1994),
    with a target of 0.
    """
    if len(returns) < 2:
        return None
    with localcontext() as context:
        context.prec = _DIGITS
        mean = sum(returns, Decimal(0)) / len(returns)
        return _annual(mean, sum((min(each, Decimal(0)) ** 2 for each in returns), Decimal(0)), len(returns))


def exposure(held: Iterable[Interval], sessions: Iterable[Interval]) -> Decimal | None:
    """Time with a position / session time. Time that several cover counts once, and time outside of sessions not."""
    open_times = joined(sessions)
    length = sum(end - begin for begin, end in open_times)
    return _ratio(Decimal(_common(joined(held), open_times)), Decimal(length))


def share(part: int, whole: int) -> Decimal:
    """A part of a whole that is not 0, as a ratio."""
    return _rounded(Decimal(part) / Decimal(whole))


def joined(intervals: Iterable[Interval]) -> list[Interval]:
    """The same time as intervals that do not touch, in order."""
    found: list[Interval] = []
    for begin, end in sorted(each for each in intervals if each[0] < each[1]):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def _common(one: Sequence[Interval], other: Sequence[Interval]) -> int:
    """Length of the time that is in both; the intervals of each do not touch and are in order."""
    length, place = 0, 0
    for begin, end in one:
        while place < len(other) and other[place][1] <= begin:
            place += 1
        at = place
        while at < len(other) and other[at][0] < end:
            length += min(end, other[at][1]) - max(begin, other[at][0])
            at += 1
    return length


def _annual(mean: Decimal, squares: Decimal, days: int) -> Decimal | None:
    if not squares:
        return None
    deviation = (squares / (days - 1)).sqrt()
    return _rounded(mean / deviation * Decimal(DAYS_A_YEAR).sqrt())


def _ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    return _rounded(part / whole) if whole else None


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-RATIO_PLACES), ROUND_HALF_EVEN)
