"""The Sharpe ratio of the best of many trials, against what luck alone would have found.

D. H. Bailey and M. Lopez de Prado, The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest Overfitting and
Non-Normality, Journal of Portfolio Management 40 (2014). Ratios in the formulas are of one day, not annualised.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import NormalDist, fmean, variance
from typing import Final

from leadline.backtest.figures import DAYS_A_YEAR, RATIO_PLACES

EULER_MASCHERONI: Final = 0.5772156649015329
_NORMAL: Final = NormalDist()
_FEWEST_DAYS: Final = 3
_SAME: Final = 1e-12
"""Ratios whose variance is below this are one ratio that was rounded in several ways."""


@dataclass(frozen=True, slots=True)
class Deflated:
    """The chosen variant among so many trials.

    `expected_best` is the Sharpe ratio that the best of as many trials without any skill is expected to have, annual as
    figures are; `probability`, in [0, 1], the deflated Sharpe ratio: the probability that the chosen one's true ratio
    is above it. Where they cannot be computed both are None, and `warning` says why.
    """

    trials: int
    days: int
    expected_best: Decimal | None
    probability: Decimal | None
    warning: str = ""


def deflated(chosen: Sequence[Decimal] | None, trials: Sequence[Sequence[Decimal] | None]) -> Deflated:
    """The deflated Sharpe ratio of a chosen variant, by its daily returns and those of all trials, itself among them.

    None: a variant that has no returns, or whose account was halted; it counts as a trial.
    """
    count, days = len(trials), 0 if chosen is None else len(chosen)

    def without(reason: str) -> Deflated:
        return Deflated(count, days, None, None, reason)

    if count < 2:
        return without("one trial: nothing was chosen among several")
    if chosen is None:
        return without("the chosen variant has no daily returns")
    if days < _FEWEST_DAYS:
        there = "there is 1" if days == 1 else f"there are {days}"
        return without(f"it needs {_FEWEST_DAYS} session days, {there}")
    own = _sharpe(chosen)
    if own is None:
        return without("the chosen variant's daily returns do not differ")
    ratios = [ratio for each in trials if each is not None and (ratio := _sharpe(each)) is not None]
    if len(ratios) < 2 or variance(ratios) < _SAME:
        return without("the trials' Sharpe ratios do not differ")
    best = expected_best(count, variance(ratios))
    probability = probability_above(best, own, days, *moments([float(each) for each in chosen]))
    if probability is None:
        return without("the chosen variant's returns are too skewed for their number of days")
    return Deflated(count, days, _rounded(best * math.sqrt(DAYS_A_YEAR)), _rounded(probability))


def expected_best(trials: int, of_ratios: float) -> float:
    """The Sharpe ratio that the best of `trials` without skill is expected to have; `of_ratios` is their variance.

    sqrt(V) x ((1 - g) x Z^-1(1 - 1/N) + g x Z^-1(1 - 1/(N e))), g the Euler-Mascheroni constant, Z^-1 the inverse of
    the normal distribution's function. `trials` is 2 or more.
    """
    first, second = _NORMAL.inv_cdf(1 - 1 / trials), _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(of_ratios) * ((1 - EULER_MASCHERONI) * first + EULER_MASCHERONI * second)


def probability_above(benchmark: float, ratio: float, days: int, skew: float, kurtosis: float) -> float | None:
    """The probability that the true Sharpe ratio is above a benchmark, where so many daily returns had `ratio`.

    Z((SR - SR0) x sqrt(T - 1) / sqrt(1 - skew x SR + (kurtosis - 1) / 4 x SR^2)), the kurtosis of the normal
    distribution being 3. None where what stands below the second root is not above zero.
    """
    spread = 1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2
    if spread <= 0:
        return None
    return _NORMAL.cdf((ratio - benchmark) * math.sqrt(days - 1) / math.sqrt(spread))


def moments(returns: Sequence[float]) -> tuple[float, float]:
    """Skew and kurtosis of returns that differ: the third and fourth moments about the mean, of the deviation 1."""
    mean = fmean(returns)
    squares = fmean((each - mean) ** 2 for each in returns)
    third, fourth = (fmean((each - mean) ** power for each in returns) for power in (3, 4))
    return third / squares**1.5, fourth / squares**2


def _sharpe(returns: Sequence[Decimal]) -> float | None:
    """Mean / sample deviation of daily returns; None for fewer than two, and where they do not differ."""
    if len(returns) < 2 or len(set(returns)) == 1:
        return None
    floats = [float(each) for each in returns]
    return fmean(floats) / math.sqrt(variance(floats))


def _rounded(value: float) -> Decimal:
    return round(Decimal(value), RATIO_PLACES)
