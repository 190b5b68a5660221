"""The detectors against the plain reading of their definitions, on any footprint."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from leadline.analysis.detectors import (
    absorption_signals,
    buy_imbalances,
    exhaustion_signals,
    sell_imbalances,
    stacked_signals,
)
from leadline.model.bars import Bar
from tests.analysis import reference
from tests.analysis.builders import ABSORPTION, EXHAUSTION, IMBALANCE, STACKED, footprint_bar

RATIOS = st.sampled_from(["1", "1.5", "3", "3.3"])


@st.composite
def bars(draw) -> Bar:
    """Ladders with gaps, empty sides and equal volumes; the close anywhere in between."""
    step = draw(st.integers(1, 3))
    rows = draw(st.lists(st.integers(0, 12), min_size=1, max_size=10, unique=True))
    volume = st.sampled_from([0, 1, 4, 9, 10, 11, 30, 33, 90, 300])
    table = [(row * step, draw(volume), draw(volume)) for row in rows]
    bar = footprint_bar(table, ticks_per_row=step)
    return replace(bar, close=draw(st.integers(bar.low, bar.high)))


@given(bars(), RATIOS, st.integers(1, 40))
def test_imbalances(bar, ratio, least) -> None:
    settings = replace(IMBALANCE, ratio=Fraction(ratio), min_volume=least)
    buys, sells = reference.imbalances(bar, Decimal(ratio), least)
    assert [one.row for one in buy_imbalances(bar, settings)] == buys
    assert [one.row for one in sell_imbalances(bar, settings)] == sells


@given(bars(), RATIOS, st.integers(1, 5))
def test_stacks(bar, ratio, levels) -> None:
    settings = replace(IMBALANCE, ratio=Fraction(ratio), min_volume=4)
    found = stacked_signals(
        bar, buy_imbalances(bar, settings), sell_imbalances(bar, settings), replace(STACKED, levels=levels)
    )
    expected = reference.stacks(bar, Decimal(ratio), 4, levels)
    assert {(signal.pattern.value, signal.price) for signal in found} == expected
    assert len(found) == len(expected)


@given(bars(), st.integers(1, 5), st.integers(1, 7), st.sampled_from(["0", "0.3", "0.9", "1"]), st.integers(1, 40))
def test_exhaustion(bar, levels, within, drop, least) -> None:
    settings = replace(EXHAUSTION, levels=levels, within=within, drop=Fraction(drop), min_volume=least)
    found = {signal.pattern.value: signal.strength for signal in exhaustion_signals(bar, settings)}
    expected = reference.exhaustions(bar, levels, within, Decimal(drop), least)
    assert found == {pattern: round(strength, 6) for pattern, strength in expected.items()}


@given(bars(), st.integers(1, 5), st.sampled_from(["0.5", "0.6", "1"]), st.integers(1, 200))
def test_absorption(bar, levels, share, least) -> None:
    settings = replace(ABSORPTION, levels=levels, share=Fraction(share), min_volume=least)
    found = {signal.pattern.value: signal.strength for signal in absorption_signals(bar, settings)}
    both = {
        pattern: round(strength, 6)
        for pattern, strength in reference.absorptions(bar, levels, Decimal(share), least).items()
    }
    if len(both) == 2:
        strongest = max(both.values())
        both = {pattern: strength for pattern, strength in both.items() if strength == strongest}
        both = {} if len(both) == 2 else both
    assert found == both
