"""The parts of a regime's scores add up to the scores that the regime is decided by."""

from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.model.signals import Regime
from leadline.model.ticks import NS_PER_MINUTE
from leadline.nodes.regime import RegimeInputs, classify, regime_scale
from leadline.nodes.regime_points import points_of
from leadline.nodes.structure import Structure

SCALE = regime_scale(500)
# On both sides of each line and on it; six decimals hold all of them.
NEAR = st.sampled_from([-60.0, -10.5, -1.0, -0.5, 0.0, 0.25, 1.5, 2.0, 2.25, 9.75, 10.0, 19.75, 20.0, 22.5, 25.0, 30.0])
RANK = st.sampled_from([0.0, 49.75, 50.0, 70.0, 70.5, 85.0, 85.25, 100.0])
INPUTS = st.builds(
    RegimeInputs,
    since_open_ns=st.just(60 * NS_PER_MINUTE),
    to_close_ns=st.just(60 * NS_PER_MINUTE),
    close=st.just(20_000),
    cumulative_delta=st.sampled_from([-200, -50, -49, 0, 1, 49, 50, 300]),
    structure=st.builds(
        Structure,
        higher_high=st.booleans(),
        higher_low=st.booleans(),
        lower_high=st.booleans(),
        lower_low=st.booleans(),
        range_bound_bars=st.integers(0, 5),
    ),
    ema_fast=NEAR,
    ema_slow=NEAR,
    adx=NEAR,
    adx_slope=NEAR,
    atr=NEAR,
    atr_percentile=RANK,
    vwap_distance=NEAR,
    delta_slope=NEAR,
    delta_slope_change=NEAR,
    volume_ratio=NEAR,
    mean_range=NEAR,
)


@given(INPUTS)
def test_they_add_up_to_the_scores(inputs: RegimeInputs):
    reading = classify(inputs, SCALE)
    totals: dict[Regime, float] = defaultdict(float)
    for each in points_of(inputs.texts(), SCALE):
        totals[each.regime] += each.points
        assert 0 <= each.points <= each.most
    assert {regime.value: f"{total:.1f}" for regime, total in totals.items()} == reading.scores


def test_thresholds_of_the_instrument_stand_in_the_conditions():
    inputs = dict.fromkeys(("higher_high", "higher_low", "lower_high", "lower_low"), "0")
    numbers = ("adx", "adx_slope", "atr", "atr_percentile", "cumulative_delta", "delta_slope", "delta_slope_change",
               "ema_fast", "ema_slow", "mean_range", "range_bound_bars", "volume_ratio", "vwap_distance")  # fmt: skip
    inputs |= dict.fromkeys(numbers, "1")
    texts = [each.condition for each in points_of(inputs, replace(SCALE, near_vwap=3))]
    assert "close within 3 ticks of VWAP" in texts
    assert "cumulative delta within 50 of 0" in texts
    assert "delta's slope changed by more than 10" in texts


@pytest.mark.parametrize("inputs", [{}, {"atr": "4"}])
def test_a_reading_of_other_inputs_has_no_parts(inputs: dict[str, str]):
    assert points_of(inputs, SCALE) == ()
