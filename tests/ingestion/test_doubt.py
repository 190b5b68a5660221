"""Prints that are in doubt are believed when those behind them bear them out, and cost only themselves when not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.ingestion.doubt import FAR_TICKS, LOOK_AHEAD, PlausibilityCheck, Verdict
from leadline.model.ticks import NS_PER_SECOND

GOOD, LATE, AHEAD, OUTLIER = Verdict
S = NS_PER_SECOND
HOUR = 3600


def verdicts(rows: list[tuple[float, int]], allowed_lateness_ns: int = S) -> list[Verdict]:
    """Of rows (second, price in ticks), which are a whole source."""
    times = np.array([int(second * S) for second, _ in rows], dtype=np.int64)
    prices = np.array([price for _, price in rows], dtype=np.int64)
    return [Verdict(each) for each in PlausibilityCheck(allowed_lateness_ns).check(times, prices, final=True).tolist()]


def at(*seconds: float) -> list[tuple[float, int]]:
    return [(second, 20_000) for second in seconds]


def priced(*prices: int) -> list[tuple[float, int]]:
    return [(second, price) for second, price in enumerate(prices)]


@pytest.mark.parametrize("leap", [60, HOUR, 6 * HOUR])
@pytest.mark.parametrize("row", [0, 1, 5, 8])
def test_a_print_with_a_clock_ahead_costs_itself_and_nothing_behind_it(leap: int, row: int) -> None:
    seconds = [float(second) for second in range(10)]
    seconds[row] += leap
    assert verdicts(at(*seconds)) == [AHEAD if each == row else GOOD for each in range(10)]


def test_two_wrong_clocks_in_a_row_are_told_from_a_market_that_was_silent() -> None:
    assert verdicts(at(0, 1, HOUR, HOUR + 1, 2, 3, 4, 5)) == [GOOD, GOOD, AHEAD, AHEAD, GOOD, GOOD, GOOD, GOOD]
    assert verdicts(at(0, 1, HOUR, HOUR + 1, HOUR + 2, HOUR + 3)) == [GOOD] * 6


def test_a_sparse_market_leaps_with_every_print() -> None:
    assert verdicts(at(0, 300, 900, 10_000, 10_060, 90_000)) == [GOOD] * 6


def test_a_late_print_does_not_make_the_one_before_it_wrong() -> None:
    assert verdicts(at(100, 101, 101, 400, 50, 51, 52, 401, 402)) == [GOOD] * 4 + [LATE] * 3 + [GOOD] * 2


def test_the_last_print_is_believed_when_nothing_denies_its_time() -> None:
    assert verdicts(at(0, 1, HOUR)) == [GOOD] * 3


@pytest.mark.parametrize("wrong", [200_000, 2_000, 26_000, 0, -20_000])
@pytest.mark.parametrize("row", [0, 1, 5, 8])
def test_a_print_far_from_the_last_price_costs_itself(wrong: int, row: int) -> None:
    prices = [20_000 + row for row in range(10)]
    prices[row] = wrong
    assert verdicts(priced(*prices)) == [OUTLIER if each == row else GOOD for each in range(10)]


def test_a_market_that_opens_elsewhere_is_believed_from_its_first_print() -> None:
    assert verdicts(priced(20_000, 20_001, 15_000, 15_001, 15_002, 14_999)) == [GOOD] * 6


def test_a_price_that_nobody_bears_out_is_not_believed_at_the_end_either() -> None:
    assert verdicts(priced(20_000, 20_001, 200_000)) == [GOOD, GOOD, OUTLIER]


def test_near_zero_a_price_moves_by_ticks_and_not_by_shares() -> None:
    assert verdicts(priced(32, 30, 45, 3, -12, 8)) == [GOOD] * 6
    # Crude on 20 April 2020, a print a minute.
    assert verdicts(priced(50, 45, 32, -140, -900, -2000, -3763, -3500)) == [GOOD] * 8


def test_a_source_that_promises_at_once_learns_a_new_level_by_its_second_print() -> None:
    check = PlausibilityCheck(0)
    told = []
    for second, price in enumerate((20_000, 20_000, 26_000, 26_001, 26_002)):
        time = np.array([second * S], dtype=np.int64)
        told += check.check(time, np.array([price], dtype=np.int64), settle_ns=second * S).tolist()
        check.promised_ns = second * S
    assert told == [GOOD, GOOD, OUTLIER, GOOD, GOOD]


def test_a_print_in_doubt_waits_for_a_few_and_no_more() -> None:
    check = PlausibilityCheck(0)
    prices = np.full(LOOK_AHEAD + 1, 20_000, dtype=np.int64)
    times = np.arange(LOOK_AHEAD + 1, dtype=np.int64)
    assert len(check.check(times[:-1], prices[:-1])) == 0
    assert len(check.check(times, prices)) == len(times)
    assert len(check.check(times[-1:] + HOUR * S, prices[-1:])) == 0


ROWS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 40), st.sampled_from([HOUR, HOUR + 1, 5 * HOUR])),
        st.one_of(st.integers(1000, 1300), st.sampled_from([100, 10_000, 1000 - FAR_TICKS])),
    ),
    max_size=40,
)


@settings(max_examples=300)
@given(ROWS, st.lists(st.integers(0, 40), max_size=8), st.sampled_from([0, S, 5 * S]))
def test_how_prints_come_in_changes_no_verdict(
    rows: list[tuple[int, int]], cuts: list[int], allowed_lateness_ns: int
) -> None:
    """Also holds the way for prints without a doubt to the way that judges one by one."""
    times = np.array([second * S for second, _ in rows], dtype=np.int64)
    prices = np.array([price for _, price in rows], dtype=np.int64)
    check, told, begin = PlausibilityCheck(allowed_lateness_ns), [], 0
    for end in (*sorted(min(cut, len(rows)) for cut in cuts), len(rows)):
        told += check.check(times[begin:end], prices[begin:end], final=False).tolist()
        begin = len(told)
    told += check.check(times[begin:], prices[begin:], final=True).tolist()
    alone = PlausibilityCheck(allowed_lateness_ns)._one_by_one(times.tolist(), prices.tolist(), -1, final=True)
    assert told == alone == verdicts([(float(second), price) for second, price in rows], allowed_lateness_ns)


@given(st.lists(st.integers(0, 10**6), min_size=8, max_size=40), st.data())
def test_one_wrong_print_among_ordered_ones_never_costs_another(offsets: list[int], data: st.DataObject) -> None:
    rows = [(float(second), 20_000 + second % 7) for second in sorted(offsets)]
    row = data.draw(st.integers(0, len(rows) - LOOK_AHEAD - 1))
    wrong = data.draw(st.sampled_from([(rows[row][0] + 10**7, 20_000), (rows[row][0], 200_000)]))
    told = verdicts([wrong if each == row else kept for each, kept in enumerate(rows)])
    assert [each for each, verdict in enumerate(told) if verdict is not GOOD] == [row]
