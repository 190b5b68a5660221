"""Streaming indicators against worked examples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.nodes.indicators import (
    AverageTrueRange,
    DirectionalIndex,
    DonchianChannel,
    ExponentialAverage,
    Percentile,
    RelativeStrength,
    SimpleAverage,
    WilderAverage,
    vwap,
)
from tests.analysis.builders import footprint_bar

HIGHS = (10, 11, 12, 11.5, 13, 14)
LOWS = (9, 9.5, 10.5, 10, 11, 12.5)
CLOSES = (9.5, 10.5, 11.5, 10.5, 12.5, 13.5)


def rounded(values):
    return [None if value is None else round(value, 4) for value in values]


def test_simple_average_is_silent_until_its_window_is_full() -> None:
    average = SimpleAverage(3)
    assert [average.update(value) for value in (1, 2, 3, 4, 8)] == [None, None, 2, 3, 5]


def test_exponential_average_starts_from_the_mean_of_its_first_values() -> None:
    average = ExponentialAverage(3)
    assert [average.update(value) for value in (1, 2, 3, 4, 5, 4)] == [None, None, 2, 3, 4, 4]


def test_wilder_average_weighs_one_over_length() -> None:
    average = WilderAverage(2)
    assert [average.update(value) for value in (1, 3, 4)] == [None, 2, 3]


def test_relative_strength_of_length_three() -> None:
    index = RelativeStrength(3)
    got = rounded(index.update(close) for close in (10, 11, 12, 11, 13, 12))
    assert got == [None, None, None, 66.6667, 83.3333, 60.6061]


def test_relative_strength_of_length_six() -> None:
    index = RelativeStrength(6)
    got = rounded(index.update(close) for close in (100, 101, 102, 101, 103, 104, 105, 104))
    assert got[:6] == [None] * 6
    assert got[6:] == [85.7143, 73.1707]


def test_relative_strength_without_losses_is_100_and_without_moves_50() -> None:
    rising, flat = RelativeStrength(2), RelativeStrength(2)
    assert [rising.update(close) for close in (1, 2, 3)] == [None, None, 100]
    assert [flat.update(close) for close in (1, 1, 1)] == [None, None, 50]


def test_average_true_range_counts_the_first_bar() -> None:
    average = AverageTrueRange(3)
    got = rounded(average.update(*bar) for bar in zip(HIGHS, LOWS, CLOSES, strict=True))
    assert got == [None, None, 1.3333, 1.3889, 1.7593, 1.6728]


def test_directional_index_of_length_two() -> None:
    index = DirectionalIndex(2)
    bars = [*zip(HIGHS, LOWS, CLOSES, strict=True), (13.5, 12, 12.5)]
    smoothed, unsmoothed = [], []
    for bar in bars:
        smoothed.append(index.update(*bar))
        unsmoothed.append(index.directional)
    assert rounded(unsmoothed) == [None, None, 100, 33.3333, 77.7778, 88.2353, 28.0]
    assert rounded(smoothed) == [None, None, None, 66.6667, 72.2222, 80.2288, 54.1144]


def test_directional_index_speaks_first_with_twice_its_length() -> None:
    index = DirectionalIndex(14)
    got = [index.update(100 + n, 98 + n, 99 + n) for n in range(30)]
    assert [value is None for value in got] == [True] * 27 + [False] * 3
    assert got[27] == 100


@pytest.mark.parametrize(
    ("bar", "directional"),
    [
        ((12, 3, 7), 0),  # as far up as down
        ((9.5, 7, 8), 0),  # inside the bar before, the high falling less than the low rises
        ((8, 5.5, 7), 0),  # inside, and the other way round
        ((12, 4, 7), 100),  # further up than down: up alone
        ((11, 3, 7), 100),
    ],
)
def test_only_the_larger_of_the_moves_beyond_the_bar_before_counts(bar, directional) -> None:
    index = DirectionalIndex(1)
    index.update(10, 5, 7)
    index.update(*bar)
    assert index.directional == directional


def test_directional_index_of_a_dead_market_is_zero() -> None:
    index = DirectionalIndex(2)
    assert [index.update(5, 5, 5) for _ in range(5)] == [None, None, None, 0, 0]


def test_donchian_leaves_the_current_bar_out() -> None:
    channel = DonchianChannel(3)
    got = [channel.update(high, high - 2) for high in (10, 12, 11, 13, 12, 14)]
    assert got == [None, None, None, (12, 8), (13, 9), (13, 9)]


def test_percentile_counts_what_lies_strictly_below() -> None:
    rank = Percentile(50, 10)
    assert [rank.update(value) for value in range(1, 11)] == [None] * 10
    assert rank.update(6) == 50


def test_percentile_forgets_what_is_older_than_its_window() -> None:
    rank = Percentile(window=3, least=1)
    assert [rank.update(value) for value in (9, 9, 1, 1, 1, 2)] == [None, 0, 0, 0, 0, 100]


@given(st.lists(st.integers(0, 6) | st.floats(-9, 9), max_size=40), st.integers(1, 12), st.integers(1, 12))
def test_percentile_is_the_share_of_the_window_that_lies_below(values, window, least) -> None:
    rank = Percentile(window, least)
    for place, value in enumerate(values):
        past = values[max(0, place - window) : place]
        expected = 100 * sum(each < value for each in past) / len(past) if len(past) >= least else None
        assert rank.update(value) == expected


def test_vwap_and_its_deviation() -> None:
    traded = ((100, 10), (101, 20), (99, 10))
    found = vwap(
        footprint_bar(
            [(price, 0, size) for price, size in traded],
            vwap_volume=sum(size for _, size in traded),
            vwap_price_volume=sum(price * size for price, size in traded),
            vwap_price2_volume=sum(price * price * size for price, size in traded),
        )
    )
    assert found is not None
    assert found.price == 100.25
    assert round(found.deviation, 4) == 0.8292
    ((lower, upper),) = found.bands([2])
    assert (round(lower, 4), round(upper, 4)) == (98.5917, 101.9083)


def test_vwap_of_nothing_is_not_available() -> None:
    assert vwap(footprint_bar([(100, 0, 0)])) is None


def test_vwap_deviation_is_exact_far_from_zero() -> None:
    # one price only: a float sum of squares would leave a rest of about 1e-3 here
    price, volume = 60_000_000, 7_000_000
    found = vwap(
        footprint_bar(
            [(price, 0, volume)],
            vwap_volume=volume,
            vwap_price_volume=price * volume,
            vwap_price2_volume=price * price * volume,
        )
    )
    assert found is not None
    assert found.deviation == 0


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=80), st.integers(1, 20))
def test_averages_stay_within_what_they_have_seen(values, length) -> None:
    averages: list[SimpleAverage | ExponentialAverage | WilderAverage] = [
        SimpleAverage(length),
        ExponentialAverage(length),
        WilderAverage(length),
    ]
    for average in averages:
        for count, value in enumerate(values, start=1):
            got = average.update(value)
            assert (got is None) == (count < length)
            if got is not None:
                assert min(values[:count]) - 1e-9 <= got <= max(values[:count]) + 1e-9


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 9)), min_size=1, max_size=60))
def test_turning_prices_upside_down_keeps_range_and_direction(moves) -> None:
    span, direction = (AverageTrueRange(3), AverageTrueRange(3)), (DirectionalIndex(3), DirectionalIndex(3))
    price = 0
    for move, size in moves:
        price += move
        upright, turned = (price + size, price, price), (-price, -price - size, -price)
        assert span[0].update(*upright) == span[1].update(*turned)
        assert direction[0].update(*upright) == direction[1].update(*turned)


@pytest.mark.parametrize("value", [0.1, 0.7, 1 / 3])
def test_the_seed_of_an_average_does_not_depend_on_the_order_of_summing(value) -> None:
    forward, backward = SimpleAverage(3), SimpleAverage(3)
    values = (1e16, value, -1e16)
    assert [forward.update(v) for v in values][-1] == [backward.update(v) for v in reversed(values)][-1]
