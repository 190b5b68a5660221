"""The deflated Sharpe ratio against the worked example of its paper, and where it cannot be computed."""

import math
from decimal import Decimal
from typing import Any

import pytest

from leadline.study.deflated import deflated, expected_best, moments, probability_above

D = Decimal
RISING = [D("0.01"), D("-0.004"), D("0.006"), D("0.012"), D("-0.002")]


def test_the_example_of_the_paper() -> None:
    # 100 trials whose annual ratios have variance 1/2, over 1,250 days of 250 a year; skew -3, kurtosis 10.
    best = expected_best(100, 0.5 / 250)
    assert best == pytest.approx(0.1132, abs=5e-5)
    found = probability_above(best, 2.5 / math.sqrt(250), 1250, -3, 10)
    assert found == pytest.approx(0.9004, abs=5e-5)


def test_moments_by_hand() -> None:
    # Mean 1, squares (1 + 1 + 4) / 3, third moment (-1 - 1 + 8) / 3, fourth (1 + 1 + 16) / 3.
    assert moments([0.0, 0.0, 3.0]) == pytest.approx((2 / 2**1.5, 6 / 2**2))


def test_more_trials_make_the_same_ratio_worth_less() -> None:
    weaker = [each / 2 - D("0.001") for each in RISING]
    few = deflated(RISING, [RISING, weaker])
    many = deflated(RISING, [RISING, weaker, *[None] * 500])
    assert (few.trials, many.trials, many.days) == (2, 502, 5)
    assert few.probability is not None
    assert many.probability is not None
    assert many.probability < few.probability
    assert many.expected_best is not None
    assert many.expected_best > (few.expected_best or 0)


@pytest.mark.parametrize(
    ("chosen", "trials", "words"),
    [
        (RISING, [RISING], "one trial"),
        (None, [None, RISING], "no daily returns"),
        (RISING[:2], [RISING[:2], RISING], "it needs 3 session days, there are 2"),
        (RISING[:1], [RISING[:1], RISING], "it needs 3 session days, there is 1"),
        ([D(0)] * 5, [[D(0)] * 5, RISING], "the chosen variant's daily returns do not differ"),
        (RISING, [RISING, RISING], "do not differ"),
        (RISING, [RISING, None, [D(0)] * 5], "do not differ"),
    ],
)
def test_where_there_is_none_a_warning_says_why(chosen: list[Decimal] | None, trials: list[Any], words: str) -> None:
    found = deflated(chosen, trials)
    assert found.probability is None
    assert found.expected_best is None
    assert words in found.warning
    assert found.trials == len(trials)
