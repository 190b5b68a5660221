"""The regime: gates, scores and the inputs folded from bars."""

import sys
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import ClassVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leadline.model.signals import Regime
from leadline.nodes.exact import slope
from leadline.nodes.indicators import AverageTrueRange, DirectionalIndex, Percentile
from leadline.nodes.regime import (
    WARM_UP_BARS,
    RegimeInputs,
    RegimeTracker,
    _delta_slopes,
    _vwap_distance,
    classify,
    regime_scale,
)
from leadline.nodes.structure import Structure, structure
from tests.analysis.builders import HOUR, MINUTE, SCALE, TABLE, candle, random_tape

ON_THE_LINE = (47, 22, -2, 34, 11, 19, 28, -21, -16, -46, 112)
"""Deltas whose slope changes with the last of them by exactly one."""
NO_STEPS = Structure(higher_high=False, higher_low=False, lower_high=False, lower_low=False, range_bound_bars=0)
UPTREND = replace(NO_STEPS, higher_high=True, higher_low=True)
DOWNTREND = replace(NO_STEPS, lower_high=True, lower_low=True)

# Nothing of this scores for any candidate but the ones named in a test.
QUIET = RegimeInputs(
    since_open_ns=HOUR,
    to_close_ns=HOUR,
    close=20_000,
    cumulative_delta=0,
    structure=replace(NO_STEPS, higher_high=True),
    ema_fast=20_000.0,
    ema_slow=20_000.0,
    adx=30.0,
    adx_slope=0.0,
    atr=10.0,
    atr_percentile=60.0,
    vwap_distance=0.0,
    delta_slope=0.0,
    delta_slope_change=0.0,
    volume_ratio=1.0,
    mean_range=10.0,
)


def read(**changes):
    return classify(replace(QUIET, **changes), SCALE)


def scores(**changes):
    reading = read(**changes)
    return {Regime(name): float(score) for name, score in reading.scores.items()}


class TestWorkedExamples:
    def test_a_trend_up(self) -> None:
        reading = read(
            adx=28.0,
            adx_slope=0.5,
            ema_fast=20_010.0,
            ema_slow=20_000.0,
            vwap_distance=28.0,
            structure=UPTREND,
            cumulative_delta=800,
            delta_slope=40.0,
            atr_percentile=60.0,
        )
        assert reading.scores == {
            "TRENDING_UP": "8.5",
            "TRENDING_DOWN": "2.5",
            "RANGING": "0.0",
            "VOLATILE": "0.0",
        }
        assert reading.regime is Regime.TRENDING_UP
        assert str(reading.confidence) == "0.852941"
        assert (TABLE.multiplier(reading.regime), reading.reason) == (Decimal("1.0"), "")

    def test_a_range(self) -> None:
        reading = read(
            adx=15.0,
            vwap_distance=1.0,
            ema_fast=20_001.0,
            structure=replace(NO_STEPS, range_bound_bars=3),
            cumulative_delta=200,
            atr_percentile=40.0,
        )
        assert (reading.scores["RANGING"], reading.scores["TRENDING_UP"]) == ("8.5", "3.0")
        assert reading.regime is Regime.RANGING
        assert str(reading.confidence) == "0.823529"
        assert TABLE.multiplier(reading.regime) == Decimal("0.75")


class TestScores:
    @pytest.mark.parametrize(
        ("changes", "points"),
        [
            ({"adx": 25.1}, 2),
            ({"adx": 25.0}, 1),
            ({"adx": 20.1}, 1),
            ({"adx": 20.0}, 0),
            ({"adx": 10.0, "ema_fast": 20_000.5}, 1.5),
            ({"adx": 10.0, "vwap_distance": 0.25}, 1),
            ({"adx": 10.0, "structure": UPTREND}, 2),
            ({"adx": 10.0, "structure": replace(NO_STEPS, higher_low=True)}, 1),
            ({"adx": 10.0, "structure": replace(NO_STEPS, higher_high=True)}, 0),
            ({"adx": 10.0, "cumulative_delta": 1}, 0.5),
            ({"adx": 10.0, "cumulative_delta": 1, "delta_slope": 0.1}, 1.5),
            ({"adx": 10.0, "delta_slope": 0.1}, 0),
            ({"adx": 10.0, "adx_slope": 0.1}, 0.5),
        ],
    )
    def test_trend_up(self, changes, points) -> None:
        assert scores(**changes)[Regime.TRENDING_UP] == points

    @pytest.mark.parametrize(
        ("changes", "points"),
        [
            ({"adx": 25.1}, 2),
            ({"adx": 10.0, "ema_fast": 19_999.5}, 1.5),
            ({"adx": 10.0, "vwap_distance": -0.25}, 1),
            ({"adx": 10.0, "structure": DOWNTREND}, 2),
            ({"adx": 10.0, "structure": replace(NO_STEPS, lower_high=True)}, 1),
            ({"adx": 10.0, "structure": replace(NO_STEPS, lower_low=True)}, 0),
            ({"adx": 10.0, "cumulative_delta": -1}, 0.5),
            ({"adx": 10.0, "cumulative_delta": -1, "delta_slope": -0.1}, 1.5),
            ({"adx": 10.0, "adx_slope": 0.1}, 0.5),
        ],
    )
    def test_trend_down(self, changes, points) -> None:
        assert scores(**changes)[Regime.TRENDING_DOWN] == points

    # QUIET is near its VWAP with a quiet delta: 2 points to begin with
    @pytest.mark.parametrize(
        ("changes", "points"),
        [
            ({}, 2),
            ({"adx": 19.9}, 4),
            ({"adx": 20.0}, 3),
            ({"adx": 20.5}, 3),
            ({"adx": 24.9}, 3),
            ({"adx": 25.0}, 2),
            ({"vwap_distance": 1.9}, 2),
            ({"vwap_distance": -2.0}, 1),
            ({"structure": NO_STEPS}, 3.5),
            ({"structure": replace(NO_STEPS, lower_low=True)}, 2),
            ({"structure": replace(NO_STEPS, higher_high=True, range_bound_bars=3)}, 4),
            ({"structure": replace(NO_STEPS, higher_high=True, range_bound_bars=2)}, 3),
            ({"structure": replace(NO_STEPS, higher_high=True, range_bound_bars=1)}, 2),
            ({"cumulative_delta": 499}, 2),
            ({"cumulative_delta": -500}, 1),
            ({"atr_percentile": 49.9}, 3),
            ({"atr_percentile": 50.0}, 2),
        ],
    )
    def test_range(self, changes, points) -> None:
        assert scores(**changes)[Regime.RANGING] == points

    @pytest.mark.parametrize(
        ("changes", "points"),
        [
            ({}, 0),
            ({"atr_percentile": 85.1}, 2.5),
            ({"atr_percentile": 85.0}, 1.5),
            ({"atr_percentile": 70.1}, 1.5),
            ({"atr_percentile": 70.0}, 0),
            ({"mean_range": 15.1}, 1.5),
            ({"mean_range": 15.0}, 0),
            ({"volume_ratio": 2.1}, 1),
            ({"volume_ratio": 2.0}, 0),
            ({"adx": 20.0, "adx_slope": -0.1}, 1),
            ({"adx": 25.0, "adx_slope": -0.1}, 1),
            ({"adx": 25.1, "adx_slope": -0.1}, 0),
            ({"adx": 19.9, "adx_slope": -0.1}, 0),
            ({"adx": 22.0, "adx_slope": 0.0}, 0),
            ({"adx": 22.0, "adx_slope": 0.5}, 0),
            ({"delta_slope_change": -100.1}, 1),
            ({"delta_slope_change": 100.0}, 0),
        ],
    )
    def test_volatile(self, changes, points) -> None:
        assert scores(**changes)[Regime.VOLATILE] == points

    def test_what_is_quiet_and_fast_follows_the_instrument(self) -> None:
        scale = regime_scale(500)
        assert (scale.near_vwap, scale.quiet_delta, scale.fast_slope) == (2, 50, 10)


class TestDecision:
    def test_equal_scores_go_to_the_safest(self) -> None:
        # 4.0 each for ranging (2 + adx < 20) and volatile (2.5 + 1.5)
        reading = read(adx=19.0, atr_percentile=86.0, mean_range=16.0)
        assert reading.scores["RANGING"] == reading.scores["VOLATILE"] == "4.0"
        assert (reading.regime, str(reading.confidence)) == (Regime.VOLATILE, "0.500000")

    def test_a_weak_best_is_volatile_without_conviction(self) -> None:
        reading = read(adx=24.0, adx_slope=0.1)
        assert max(float(score) for score in reading.scores.values()) == 3
        assert (reading.regime, str(reading.confidence)) == (Regime.VOLATILE, "0.500000")
        assert TABLE.multiplier(reading.regime) == Decimal("0.5")

    def test_four_points_are_enough(self) -> None:
        # 2 for the ADX, 1.5 for the averages and 0.5 for the delta
        reading = read(ema_fast=20_001.0, cumulative_delta=1, vwap_distance=-5.0)
        assert reading.scores["TRENDING_UP"] == "4.0"
        assert (reading.regime, str(reading.confidence)) == (Regime.TRENDING_UP, "0.625000")

    @pytest.mark.parametrize("adx", [0.0, 20.0, 20.5, 25.0, 25.5, 100.0])
    def test_some_candidate_always_scores(self, adx) -> None:
        scale = replace(SCALE, near_vwap=0, quiet_delta=0.0)
        reading = classify(replace(QUIET, adx=adx), scale)
        assert max(float(score) for score in reading.scores.values()) >= 1

    def test_a_reading_shows_its_inputs(self) -> None:
        floats = {
            "ema_fast": 1.5,
            "ema_slow": 2.5,
            "adx": 28.25,
            "adx_slope": 3.5,
            "atr": 4.5,
            "atr_percentile": 5.5,
            "vwap_distance": 6.5,
            "delta_slope": 7.5,
            "delta_slope_change": 8.5,
            "volume_ratio": 9.5,
            "mean_range": 10.5,
        }
        shape = Structure(higher_high=True, higher_low=False, lower_high=True, lower_low=False, range_bound_bars=2)
        inputs = read(
            since_open_ns=30 * MINUTE,
            to_close_ns=60 * MINUTE,
            close=20_003,
            cumulative_delta=-7,
            structure=shape,
            **floats,
        ).inputs
        assert inputs == {
            "minutes_since_open": "30.000000",
            "minutes_to_close": "60.000000",
            "close": "20003",
            "cumulative_delta": "-7",
            "higher_high": "1",
            "higher_low": "0",
            "lower_high": "1",
            "lower_low": "0",
            "range_bound_bars": "2",
            **{name: f"{value:.6f}" for name, value in floats.items()},
        }


class TestGates:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"to_close_ns": 15 * MINUTE - 1}, "near_close"),
            ({"since_open_ns": 5 * MINUTE - 1}, "near_open"),
            ({"volume_ratio": 0.29}, "thin_volume"),
            ({"to_close_ns": MINUTE, "since_open_ns": MINUTE, "volume_ratio": 0.1}, "near_close"),
        ],
    )
    def test_no_trade_with_certainty_and_the_first_reason(self, changes, reason) -> None:
        reading = read(**changes)
        assert (reading.regime, reading.confidence, reading.reason) == (Regime.NO_TRADE, 1, reason)
        assert TABLE.multiplier(reading.regime) == 0

    @pytest.mark.parametrize(
        "changes", [{"to_close_ns": 15 * MINUTE}, {"since_open_ns": 5 * MINUTE}, {"volume_ratio": 0.3}]
    )
    def test_the_line_itself_is_open(self, changes) -> None:
        assert read(**changes).reason == ""

    @pytest.mark.parametrize("changes", [{"to_close_ns": 0}, {"since_open_ns": MINUTE}])
    def test_a_session_around_the_clock_has_no_open_and_no_close(self, changes) -> None:
        inputs = replace(QUIET, **changes)
        assert classify(inputs, SCALE).regime is Regime.NO_TRADE
        assert classify(inputs, SCALE, around_the_clock=True) == replace(read(), inputs=inputs.texts())

    def test_an_input_that_is_not_available_is_warm_up(self) -> None:
        reading = classify(None, SCALE)
        assert (reading.regime, reading.reason, reading.inputs) == (Regime.NO_TRADE, "warm_up", {})


class TestStructure:
    def bars(self, *candles):
        return [candle(high, low, close) for high, low, close in candles]

    def test_needs_ten_bars(self) -> None:
        assert structure(self.bars(*[(10, 5, 7)] * 9)) is None

    def test_highs_and_lows_of_five_bars_against_the_five_before(self) -> None:
        shape = structure(self.bars(*[(10, 5, 7)] * 5, *[(9, 4, 7)] * 4, (11, 6, 10)))
        assert shape is not None
        assert (shape.higher_high, shape.lower_low) == (True, True)
        assert (shape.higher_low, shape.lower_high) == (False, False)

    def test_equal_extremes_are_no_step(self) -> None:
        shape = structure(self.bars(*[(10, 5, 7)] * 10))
        assert shape == replace(NO_STEPS, range_bound_bars=5)

    def test_range_bound_bars_close_within_the_bar_before(self) -> None:
        shape = structure(self.bars(*[(10, 5, 7)] * 5, (12, 8, 10), (14, 10, 13), (16, 12, 14), (15, 9, 9), (12, 4, 9)))
        # 10 in 5-10 yes, 13 in 8-12 no, 14 in 10-14 yes, 9 in 12-16 no, 9 in 9-15 yes
        assert shape is not None
        assert shape.range_bound_bars == 3


class TestTracker:
    def track(self, bars):
        tracker = RegimeTracker()
        for bar in bars:
            tracker.update(bar)
        return tracker.inputs()

    def walk(self, count, **fields):
        return [
            candle(20_010 + n, 20_000 + n, 20_005 + n, ordinal=n, **{"delta": n * n, "volume": 100 + n} | fields)
            for n in range(count)
        ]

    def test_everything_is_available_from_bar_32_on(self) -> None:
        assert WARM_UP_BARS == 32
        assert [self.track(self.walk(count)) for count in range(32)] == [None] * 32
        assert self.track(self.walk(32)) is not None

    def test_the_average_true_range_is_that_of_fourteen_bars(self) -> None:
        quiet = self.walk(40)
        wild = candle(20_140, 20_000, 20_045, ordinal=40, delta=1, volume=100)  # a range of 140 where others have 10
        before, after = self.track(quiet), self.track([*quiet, wild])
        assert before is not None
        assert after is not None
        assert after.atr == pytest.approx(before.atr + (140 - before.atr) / 14)

    def test_the_percentile_is_that_of_fifty_average_true_ranges(self) -> None:
        # Ranges that grow from bar to bar: each average is the largest so far. Then one that lies below some of them.
        bars = [candle(20_000 + n * n, 20_000, 20_000, ordinal=n, delta=1) for n in range(90)]
        last = candle(20_001, 20_000, 20_000, ordinal=90, delta=1)
        average = AverageTrueRange(14)
        averages = [average.update(bar.high, bar.low, bar.close) for bar in (*bars, last)]
        inputs = self.track([*bars, last])
        assert inputs is not None
        rank = Percentile(50, 10)
        ranks = [rank.update(value) for value in averages if value is not None]
        before, now = ranks[-2:]
        assert now is not None
        assert inputs.atr_percentile == now
        assert (before, 0 < now < 100) == (100, True)

    def test_the_index_is_that_of_the_bar_and_the_range_the_mean_of_five(self) -> None:
        bars = [
            candle(20_010 + n * (n % 7), 20_000 - n * (n % 5), 20_005 + n * (n % 3), ordinal=n, delta=1)
            for n in range(60)
        ]
        index = DirectionalIndex(14)
        values = [index.update(bar.high, bar.low, bar.close) for bar in bars]
        inputs = self.track(bars)
        assert inputs is not None
        assert inputs.adx == values[-1] != values[-5]
        assert inputs.mean_range == sum(bar.high - bar.low for bar in bars[-5:]) / 5

    def test_a_session_without_volume_has_no_vwap_and_no_inputs(self) -> None:
        assert self.track(self.walk(40, vwap_volume=0)) is None

    def test_inputs_of_a_steady_rise(self) -> None:
        inputs = self.track(self.walk(40, vwap_volume=1, vwap_price_volume=20_000, vwap_price2_volume=20_000**2))
        assert inputs is not None
        # a steady rise: each average trails its last value by half its length less a half
        assert inputs.ema_fast == pytest.approx(20_044 - 4)
        assert inputs.ema_slow == pytest.approx(20_044 - 10)
        assert (inputs.adx, inputs.adx_slope) == (100, 0)
        assert inputs.atr == pytest.approx(10)
        assert inputs.atr_percentile == 0
        assert inputs.vwap_distance == 44
        assert inputs.mean_range == 10
        # volume 139 against the mean of 119 ... 138
        assert inputs.volume_ratio == 139 / 128.5
        assert inputs.structure.higher_high

    def test_delta_slope_and_its_change(self) -> None:
        inputs = self.track(self.walk(40))
        assert inputs is not None

        def slope_of(deltas):
            total, running = 0, []
            for delta in deltas:
                total += delta
                running.append(total)
            xs = range(len(running))
            mean_x, mean_y = sum(xs) / len(xs), sum(running) / len(running)
            rise = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, running, strict=True))
            return rise / sum((x - mean_x) ** 2 for x in xs)

        now, before = slope_of([n * n for n in range(30, 40)]), slope_of([n * n for n in range(29, 39)])
        assert inputs.delta_slope == pytest.approx(now)
        assert inputs.delta_slope_change == pytest.approx(now - before)

    def test_times_are_those_of_the_bars_end(self) -> None:
        inputs = self.track(self.walk(40))
        assert inputs is not None
        assert inputs.since_open_ns == 40 * 5 * MINUTE
        assert inputs.to_close_ns == 6 * HOUR + 30 * MINUTE - 40 * 5 * MINUTE


class TestBits:
    """Two machines, or a process that begins again, have the same bits; and integers lie where they lie."""

    PINNED: ClassVar[dict[str, str]] = {
        "ema_fast": "0x1.36b1b1207d4b7p+14",
        "ema_slow": "0x1.36dbf96a5c3bbp+14",
        "adx": "0x1.abbc30421192ap+5",
        "adx_slope": "-0x1.789c9baa4aa8dp-2",
        "atr": "0x1.44ccc43dd72ddp+2",
        "atr_percentile": "0x1.7000000000000p+5",
        "vwap_distance": "-0x1.95fc46805da5bp+5",
        "delta_slope": "0x1.28253c8253c82p+3",
        "delta_slope_change": "-0x1.561bed61bed62p+1",
        "volume_ratio": "0x1.0d79435e50d79p+0",
        "mean_range": "0x1.b333333333333p+1",
    }

    def tracked(self, bars):
        tracker = RegimeTracker()
        for bar in bars:
            tracker.update(bar)
        found = tracker.inputs()
        assert found is not None
        return found

    def test_every_input_has_the_bits_that_it_has_on_every_other_machine(self) -> None:
        found = self.tracked(random_tape(seed=11, days=2, bars_a_day=60))
        bits = {name: getattr(found, name).hex() for name in self.PINNED}
        assert bits == self.PINNED
        assert sys.float_info.mant_dig == 53

    def test_a_fold_that_begins_again_has_the_same_bits(self) -> None:
        bars = random_tape(seed=12, days=2, bars_a_day=60)
        tracker = RegimeTracker()
        for number, bar in enumerate(bars):
            tracker.update(bar)
            if number in {40, 79, 119}:
                assert tracker.inputs() == self.tracked(bars[: number + 1])

    @example(1 << 40, 1 << 20, 0, 1)
    @example(1 << 40, 1 << 20, 2, -1)
    @given(st.integers(1, 1 << 40), st.integers(1, 1 << 20), st.integers(-2, 2), st.sampled_from([-1, 0, 1]))
    def test_a_price_is_on_the_side_of_vwap_on_which_it_is(self, volume, close, ticks, off) -> None:
        """Volume after volume at one price, and one size step beside it: a difference of floats would be 0."""
        price_volume = (close - ticks) * volume + off
        bar = candle(
            close, close, close, vwap_volume=volume, vwap_price_volume=price_volume, vwap_price2_volume=price_volume
        )
        distance = _vwap_distance(bar)
        assert distance is not None
        exact = close - Fraction(price_volume, volume)
        assert (distance > 0, distance < 0) == (exact > 0, exact < 0)
        assert (abs(distance) < 2, abs(distance) > 2) == (abs(exact) < 2, abs(exact) > 2)

    @given(st.lists(st.integers(-(10**6), 10**6), min_size=11, max_size=11), st.integers(1, 10**6))
    def test_a_change_of_the_slope_is_beside_its_line_where_it_is(self, deltas, typical) -> None:
        def exact(part):
            running = list(accumulate(part))
            return Fraction(6 * sum((2 * x - 9) * value for x, value in enumerate(running)), 990)

        change = exact(deltas[1:]) - exact(deltas[:-1])
        found = _delta_slopes([candle(1, 1, 1, delta=delta) for delta in deltas])
        assert found is not None
        assert found[0] == float(exact(deltas[1:]))
        assert (abs(found[1]) > regime_scale(typical).fast_slope) == (abs(change) > Fraction(typical, 50))

    def test_a_change_of_the_slope_that_is_the_line_itself_is_not_fast(self) -> None:
        """On the line, where a difference of two rounded slopes lies above it."""
        found = _delta_slopes([candle(1, 1, 1, delta=delta) for delta in ON_THE_LINE])
        assert found is not None
        before, now = (slope(tuple(accumulate(part))) for part in (ON_THE_LINE[:-1], ON_THE_LINE[1:]))
        assert found[1] == regime_scale(50).fast_slope == 1.0
        assert now - before != 1.0

    @given(st.integers(0, 70), st.integers(0, 70), st.integers(0, 1 << 16))
    def test_bars_that_come_together_count_as_those_that_come_one_by_one(self, alone, together, seed) -> None:
        bars = random_tape(seed=seed, days=1, bars_a_day=alone + together + 40)
        one, other = RegimeTracker(), RegimeTracker()
        for bar in bars[: alone + together]:
            one.update(bar)
        for bar in bars[:alone]:
            other.update(bar)
        other.extend(bars[alone : alone + together])
        assert one.inputs() == other.inputs()
        for bar in bars[alone + together :]:
            one.update(bar)
            other.update(bar)
            assert one.inputs() == other.inputs()
