"""Patterns of one bar, against the worked examples and their counterexamples."""

from dataclasses import replace
from decimal import Decimal

import pytest

from leadline.model.signals import Direction, Pattern
from tests.analysis.builders import (
    ABSORPTION,
    DIVERGENCE,
    EXHAUSTION,
    IMBALANCE,
    STACKED,
    candle,
    changed,
    example_bar,
    footprint_bar,
    ticks,
)
from tests.nodes.asking import absorbed, buys, diverged, exhausted, imbalances, sells, stacked


class TestImbalance:
    def test_example_bar_has_three_buys_and_no_sells(self) -> None:
        found = buys(example_bar(), IMBALANCE)
        assert [(one.row, one.volume, one.against) for one in found] == [
            (ticks("5000.50"), 90, 30),
            (ticks("5000.75"), 60, 12),
            (ticks("5001.00"), 45, 8),
        ]
        assert sells(example_bar(), IMBALANCE) == []

    def test_a_signal_shows_volumes_neighbour_and_ratio(self) -> None:
        signals = imbalances(example_bar(), IMBALANCE).signals
        assert [(s.pattern, s.direction, str(s.strength)) for s in signals] == [
            (Pattern.BUY_IMBALANCE, Direction.LONG, "0.300000"),
            (Pattern.BUY_IMBALANCE, Direction.LONG, "0.500000"),
            (Pattern.BUY_IMBALANCE, Direction.LONG, "0.562500"),
        ]
        assert signals[2].evidence == {
            "volume": 45,
            "neighbour": ticks("5000.75"),
            "against": 8,
            "ratio": "5.625000",
        }

    def test_an_empty_other_side_counts_as_one(self) -> None:
        bar = footprint_bar([(100, 0, 0), (101, 0, 15)])
        (signal,) = imbalances(bar, IMBALANCE).signals
        assert (signal.price, signal.strength) == (101, 1)
        assert signal.evidence["ratio"] == "15.000000"

    def test_below_the_minimum_volume_is_none_even_against_nothing(self) -> None:
        bar = footprint_bar([(100, 0, 0), (101, 0, 9)])
        assert buys(bar, IMBALANCE) == []

    @pytest.mark.parametrize(
        ("zero", "ratio", "expected"),
        [
            ("AsOne", "20", []),
            ("AsOne", "3", [101]),
            ("Skip", "3", []),
            ("Always", "20", [101]),
        ],
    )
    def test_what_an_empty_other_side_counts_as_is_a_choice(self, zero, ratio, expected) -> None:
        bar = footprint_bar([(100, 0, 0), (101, 0, 15)])
        found = buys(bar, changed(IMBALANCE, zero=zero, ratio=Decimal(ratio)))
        assert [one.row for one in found] == expected

    @pytest.mark.parametrize(("zero", "ratio", "expected"), [("Always", "3", []), ("Skip", "1", [101])])
    def test_where_the_other_side_has_traded_the_ratio_alone_decides(self, zero, ratio, expected) -> None:
        bar = footprint_bar([(100, 10, 0), (101, 0, 15)])
        found = buys(bar, changed(IMBALANCE, zero=zero, ratio=Decimal(ratio)))
        assert [one.row for one in found] == expected

    def test_a_row_that_did_not_trade_counts_as_nothing_and_not_as_the_next_that_did(self) -> None:
        # 101 is missing: 40 at 102 stands against 0 there, not against 30 at 100
        bar = footprint_bar([(100, 30, 0), (102, 0, 40)])
        (found,) = buys(bar, IMBALANCE)
        assert (found.row, found.neighbour, found.against) == (102, 101, 0)

    def test_the_edges_of_the_bar_have_nothing_to_be_compared_with(self) -> None:
        bar = footprint_bar([(100, 0, 500), (101, 500, 0)])
        assert buys(bar, IMBALANCE) == []
        assert sells(bar, IMBALANCE) == []

    def test_selling_is_compared_one_row_above(self) -> None:
        bar = footprint_bar([(100, 45, 0), (101, 0, 15)])
        (signal,) = imbalances(bar, IMBALANCE).signals
        assert (signal.pattern, signal.direction, signal.price) == (Pattern.SELL_IMBALANCE, Direction.SHORT, 100)
        assert signal.evidence == {"volume": 45, "neighbour": 101, "against": 15, "ratio": "3.000000"}

    def test_the_ratio_is_met_on_the_line_and_not_below(self) -> None:
        on = footprint_bar([(100, 10, 0), (101, 0, 33)])
        below = footprint_bar([(100, 10, 0), (101, 0, 32)])
        exact = changed(IMBALANCE, ratio=Decimal("3.3"))
        assert len(buys(on, exact)) == 1
        assert buys(below, exact) == []

    def test_one_tick_away_means_one_row_away(self) -> None:
        bar = footprint_bar([(100, 10, 0), (104, 0, 40), (112, 0, 40)], ticks_per_row=4)
        assert [(one.row, one.neighbour, one.against) for one in buys(bar, IMBALANCE)] == [
            (104, 100, 10),
            (112, 108, 0),
        ]

    def test_volume_without_a_side_is_on_no_side(self) -> None:
        bar = footprint_bar([(100, 0, 0), (101, 0, 9)], unknown=[500, 500])
        assert buys(bar, IMBALANCE) == []


class TestStacked:
    def stacks(self, bar, params=STACKED):
        return stacked(bar, IMBALANCE, params)

    def test_example_bar_has_one_stack_of_three(self) -> None:
        (signal,) = self.stacks(example_bar())
        assert (signal.pattern, signal.direction) == (Pattern.STACKED_BUY_IMBALANCE, Direction.LONG)
        assert (signal.price, signal.strength) == (ticks("5001.00"), Decimal("0.6"))
        assert signal.evidence == {
            "rows": [ticks("5000.50"), ticks("5000.75"), ticks("5001.00")],
            "volumes": [90, 60, 45],
            "against": [30, 12, 8],
        }

    def test_a_sell_stack_stands_at_its_bottom(self) -> None:
        bar = footprint_bar([(100, 50, 0), (101, 50, 0), (102, 50, 0), (103, 0, 1)])
        (signal,) = self.stacks(bar)
        assert (signal.pattern, signal.direction) == (Pattern.STACKED_SELL_IMBALANCE, Direction.SHORT)
        assert (signal.price, signal.strength) == (100, Decimal("0.6"))

    def test_the_longest_run_is_reported_once(self) -> None:
        bar = footprint_bar([(100, 0, 0)] + [(row, 0, 50) for row in range(101, 107)])
        (signal,) = self.stacks(bar)
        assert signal.evidence["rows"] == [101, 102, 103, 104, 105, 106]
        assert signal.strength == 1

    def test_a_row_without_an_imbalance_breaks_the_run(self) -> None:
        bar = footprint_bar([(100, 0, 0), (101, 0, 50), (102, 0, 50), (103, 0, 2), (104, 0, 50), (105, 0, 50)])
        assert self.stacks(bar) == []

    def test_a_row_that_did_not_trade_breaks_the_run(self) -> None:
        bar = footprint_bar([(100, 0, 0), (101, 0, 50), (102, 0, 50), (104, 0, 50), (105, 0, 50)])
        assert self.stacks(bar) == []
        assert len(self.stacks(bar, changed(STACKED, levels=2))) == 2

    def test_sides_do_not_stack_together(self) -> None:
        bar = footprint_bar([(100, 0, 0), (101, 0, 50), (102, 0, 50), (103, 50, 0), (104, 0, 0)])
        assert self.stacks(bar) == []

    def test_rows_of_several_ticks_stack(self) -> None:
        bar = footprint_bar([(100, 0, 0), (104, 0, 50), (108, 0, 50), (112, 0, 50)], ticks_per_row=4)
        (signal,) = self.stacks(bar)
        assert signal.evidence["rows"] == [104, 108, 112]


class TestExhaustion:
    def asks(self, *low_to_high):
        return footprint_bar([(100 + n, 0, ask) for n, ask in enumerate(low_to_high)])

    def bids(self, *low_to_high):
        return footprint_bar([(100 + n, bid, 0) for n, bid in enumerate(low_to_high)])

    def test_buying_that_dries_up_into_the_high_is_short(self) -> None:
        (signal,) = exhausted(self.asks(10, 40, 100, 60, 20), EXHAUSTION)
        assert (signal.pattern, signal.direction) == (Pattern.BUYING_EXHAUSTION, Direction.SHORT)
        assert (signal.price, signal.strength) == (104, Decimal("0.8"))
        assert signal.evidence == {"rows": [104, 103, 102], "volumes": [20, 60, 100], "drop": "0.800000"}

    def test_the_run_must_begin_at_the_extreme(self) -> None:
        assert exhausted(self.asks(100, 60, 20, 50, 80), EXHAUSTION) == []

    def test_selling_that_dries_up_into_the_low_is_long(self) -> None:
        (signal,) = exhausted(self.bids(20, 60, 100, 40, 10), EXHAUSTION)
        assert (signal.pattern, signal.direction) == (Pattern.SELLING_EXHAUSTION, Direction.LONG)
        assert (signal.price, signal.strength) == (100, Decimal("0.8"))
        assert signal.evidence["rows"] == [100, 101, 102]

    def test_equal_volumes_end_the_run(self) -> None:
        assert exhausted(self.asks(100, 60, 60, 20), EXHAUSTION) == []

    def test_the_run_reaches_no_deeper_than_the_outer_levels(self) -> None:
        (signal,) = exhausted(self.asks(300, 200, 100, 90, 80, 70, 60), EXHAUSTION)
        assert signal.evidence["volumes"] == [60, 70, 80, 90, 100]
        assert signal.strength == Decimal("0.4")

    def test_the_drop_is_met_on_the_line_and_not_below(self) -> None:
        (signal,) = exhausted(self.asks(100, 80, 70), EXHAUSTION)
        assert signal.strength == Decimal("0.3")
        assert exhausted(self.asks(1000, 800, 701), EXHAUSTION) == []

    def test_the_innermost_level_must_have_traded_enough(self) -> None:
        assert exhausted(self.asks(19, 5, 1), EXHAUSTION) == []
        assert len(exhausted(self.asks(20, 5, 1), EXHAUSTION)) == 1

    def test_levels_are_those_that_traded(self) -> None:
        bar = footprint_bar([(100, 0, 100), (103, 0, 60), (107, 0, 20)])
        (signal,) = exhausted(bar, EXHAUSTION)
        assert signal.evidence["rows"] == [107, 103, 100]

    def test_a_high_that_only_sellers_hit_is_the_most_exhausted(self) -> None:
        bar = footprint_bar([(100, 0, 50), (101, 0, 20), (102, 9, 0)])
        (signal,) = exhausted(bar, EXHAUSTION)
        assert signal.strength == 1

    def test_example_bar_is_exhausted_at_the_high(self) -> None:
        # asks from the high down: 6, 45, 60, 90, then 25 ends the run
        (signal,) = exhausted(example_bar(), EXHAUSTION)
        assert (signal.pattern, signal.price) == (Pattern.BUYING_EXHAUSTION, ticks("5001.25"))
        assert str(signal.strength) == "0.933333"


class TestAbsorption:
    # the worked example: top three rows 10x120, 5x75, 20x80, high 5001.25, low 5000.00
    HIGH_SIDE = (
        (ticks("5000.00"), 0, 1),
        (ticks("5000.75"), 10, 120),
        (ticks("5001.00"), 5, 75),
        (ticks("5001.25"), 20, 80),
    )

    def test_buying_absorbed_at_the_high_is_short(self) -> None:
        bar = footprint_bar(self.HIGH_SIDE, close=ticks("5000.25"))
        (signal,) = absorbed(bar, ABSORPTION)
        assert (signal.pattern, signal.direction) == (Pattern.SELLING_ABSORPTION, Direction.SHORT)
        assert (signal.price, str(signal.strength)) == (ticks("5001.25"), "0.733333")
        assert signal.evidence == {
            "rows": [ticks("5000.75"), ticks("5001.00"), ticks("5001.25")],
            "bid": 35,
            "ask": 275,
            "share": "0.887097",
            "close_position": "0.200000",
        }

    def test_selling_absorbed_at_the_low_is_long(self) -> None:
        bar = footprint_bar([(100, 80, 20), (101, 75, 5), (102, 120, 10), (105, 1, 0)], close=104)
        (signal,) = absorbed(bar, ABSORPTION)
        assert (signal.pattern, signal.direction) == (Pattern.BUYING_ABSORPTION, Direction.LONG)
        assert (signal.price, str(signal.strength)) == (100, "0.733333")
        assert signal.evidence["close_position"] == "0.800000"

    def test_the_close_must_be_in_the_other_half(self) -> None:
        assert absorbed(footprint_bar(self.HIGH_SIDE, close=ticks("5000.75")), ABSORPTION) == []

    def test_the_middle_of_the_bar_is_far_enough(self) -> None:
        bar = footprint_bar([(100, 0, 1), (102, 0, 300), (103, 0, 1), (104, 0, 1)], close=102)
        (signal,) = absorbed(bar, ABSORPTION)
        assert signal.pattern is Pattern.SELLING_ABSORPTION
        assert str(signal.strength) == "0.503333"

    def test_both_sides_together_must_reach_the_minimum(self) -> None:
        bar = footprint_bar([(100, 0, 1), (102, 9, 120), (103, 10, 5), (104, 5, 0)], close=100)
        assert absorbed(bar, ABSORPTION) == []
        assert len(absorbed(bar, changed(ABSORPTION, min_volume=149))) == 1

    def test_the_share_is_met_on_the_line_and_not_below(self) -> None:
        on = footprint_bar([(100, 0, 1), (102, 80, 120), (103, 0, 0), (104, 0, 0)], close=100)
        below = footprint_bar([(100, 0, 1), (102, 81, 120), (103, 0, 0), (104, 0, 0)], close=100)
        assert len(absorbed(on, ABSORPTION)) == 1
        assert absorbed(below, ABSORPTION) == []

    def test_a_bar_of_two_levels_or_of_one_price_gives_none(self) -> None:
        assert absorbed(footprint_bar([(100, 0, 500), (101, 0, 500)], close=100), ABSORPTION) == []
        assert absorbed(footprint_bar([(100, 0, 500)]), changed(ABSORPTION, levels=1)) == []

    def test_of_two_sides_the_stronger_counts(self) -> None:
        rows = [(100, 200, 0), (101, 0, 0), (102, 0, 0), (103, 0, 0), (104, 0, 280)]
        (signal,) = absorbed(footprint_bar(rows, close=102), ABSORPTION)
        assert signal.pattern is Pattern.SELLING_ABSORPTION

    def test_a_tie_of_two_sides_gives_none(self) -> None:
        rows = [(100, 200, 0), (101, 0, 0), (102, 0, 0), (103, 0, 0), (104, 0, 200)]
        assert absorbed(footprint_bar(rows, close=102), ABSORPTION) == []

    def test_overlapping_sides_of_a_short_bar_are_allowed(self) -> None:
        rows = [(100, 0, 0), (101, 0, 160), (102, 0, 0), (103, 0, 0)]
        (signal,) = absorbed(footprint_bar(rows, close=100), ABSORPTION)
        assert signal.pattern is Pattern.SELLING_ABSORPTION


class TestDivergence:
    def bars(self, *high_and_delta):
        return [
            candle(high, high - 4, high - 2, delta=delta, cumulative_delta=delta, ordinal=n)
            for n, (high, delta) in enumerate(high_and_delta)
        ]

    # in ticks of a half: highs 10, 11, 10.5, 11, 11.5
    EXAMPLE = ((20, 50), (22, 120), (21, 10), (22, 80), (23, -30))

    def test_a_new_high_on_selling_is_bearish(self) -> None:
        (signal,) = diverged(self.bars(*self.EXAMPLE), DIVERGENCE)
        assert (signal.pattern, signal.direction) == (Pattern.BEARISH_DELTA_DIVERGENCE, Direction.SHORT)
        assert (signal.price, str(signal.strength)) == (23, "0.700000")
        assert signal.evidence == {"delta": -30, "reference_ordinal": 3, "reference_price": 22, "reference_delta": 80}

    def test_a_new_low_on_buying_is_bullish(self) -> None:
        mirrored = [
            candle(4 - high, -high, 2 - high, delta=-delta, ordinal=n) for n, (high, delta) in enumerate(self.EXAMPLE)
        ]
        (signal,) = diverged(mirrored, DIVERGENCE)
        assert (signal.pattern, signal.direction) == (Pattern.BULLISH_DELTA_DIVERGENCE, Direction.LONG)
        assert signal.price == -23
        assert signal.evidence == {"delta": 30, "reference_ordinal": 3, "reference_price": -22, "reference_delta": -80}

    def test_an_equal_extreme_is_not_a_new_one(self) -> None:
        assert diverged(self.bars(*self.EXAMPLE[:4], (22, -30)), DIVERGENCE) == []
        low = [candle(high, 10, 12, delta=delta, ordinal=n) for n, (high, delta) in enumerate(self.EXAMPLE[:4])]
        assert diverged([*low, candle(20, 10, 12, delta=200, ordinal=4)], DIVERGENCE) == []

    def test_the_lightest_selling_at_a_new_high_diverges(self) -> None:
        assert len(diverged(self.bars(*self.EXAMPLE[:4], (23, -1)), DIVERGENCE)) == 1

    def test_a_new_high_on_buying_does_not_diverge(self) -> None:
        assert diverged(self.bars(*self.EXAMPLE[:4], (23, 30)), DIVERGENCE) == []
        assert diverged(self.bars(*self.EXAMPLE[:4], (23, 0)), DIVERGENCE) == []

    def test_selling_must_be_heavier_than_at_the_high_before(self) -> None:
        bars = self.bars((20, 0), (20, 0), (20, 0), (22, -80), (23, -80))
        assert diverged(bars, DIVERGENCE) == []

    @pytest.mark.parametrize(
        ("before", "now", "found"), [(-80, 30, 1), (80, 80, 0), (80, 81, 1), (-80, 0, 0), (-80, 1, 1)]
    )
    def test_buying_at_a_new_low_must_be_heavier_than_at_the_low_before(
        self, before: int, now: int, found: int
    ) -> None:
        lows = [(20, 0), (20, 0), (20, 0), (18, before), (17, now)]
        bars = [candle(low + 4, low, low + 2, delta=delta, ordinal=n) for n, (low, delta) in enumerate(lows)]
        assert len(diverged(bars, DIVERGENCE)) == found

    def test_fewer_bars_than_the_lookback_give_no_answer(self) -> None:
        assert diverged(self.bars(*self.EXAMPLE[1:]), DIVERGENCE) == []

    def test_bars_beyond_the_lookback_do_not_count(self) -> None:
        assert len(diverged(self.bars((99, 0), *self.EXAMPLE), DIVERGENCE)) == 1

    def test_the_running_sum_can_be_compared_instead(self) -> None:
        bars = [replace(bar, cumulative_delta=total) for bar, total in zip(
            self.bars(*self.EXAMPLE), (50, 170, 180, 260, 230), strict=True
        )]  # fmt: skip
        cumulative = changed(DIVERGENCE, source="Cumulative")
        assert diverged(bars, cumulative) == []
        (signal,) = diverged([*bars[:4], replace(bars[4], cumulative_delta=-5)], cumulative)
        assert signal.evidence["reference_delta"] == 260
