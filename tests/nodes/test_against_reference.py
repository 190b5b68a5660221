"""The detectors against the plain reading of their definitions, on any footprint."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from leadline.model.bars import Bar
from tests.analysis.builders import ABSORPTION, EXHAUSTION, IMBALANCE, STACKED, changed, footprint_bar
from tests.nodes import reference
from tests.nodes.asking import absorbed, buys, exhausted, sells, stacked

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
    params = changed(IMBALANCE, ratio=Decimal(ratio), min_volume=least)
    buying, selling = reference.imbalances(bar, Decimal(ratio), least)
    assert [one.row for one in buys(bar, params)] == buying
    assert [one.row for one in sells(bar, params)] == selling


@given(bars(), RATIOS, st.integers(1, 5))
def test_stacks(bar, ratio, levels) -> None:
    params = changed(IMBALANCE, ratio=Decimal(ratio), min_volume=4)
    found = stacked(bar, params, changed(STACKED, levels=levels))
    expected = reference.stacks(bar, Decimal(ratio), 4, levels)
    assert {(signal.pattern.value, signal.price) for signal in found} == expected
    assert len(found) == len(expected)


@given(bars(), st.integers(1, 5), st.integers(1, 7), st.sampled_from(["0", "0.3", "0.9", "1"]), st.integers(1, 40))
def test_exhaustion(bar, levels, within, drop, least) -> None:
    params = changed(EXHAUSTION, levels=levels, within=within, drop=Decimal(drop))
    found = {signal.pattern.value: signal.strength for signal in exhausted(bar, params, least)}
    expected = reference.exhaustions(bar, levels, within, Decimal(drop), least)
    assert found == {pattern: round(strength, 6) for pattern, strength in expected.items()}


@given(bars(), st.integers(1, 5), st.sampled_from(["0.5", "0.6", "1"]), st.integers(1, 200))
def test_absorption(bar, levels, share, least) -> None:
    params = changed(ABSORPTION, levels=levels, share=Decimal(share), min_volume=least)
    found = {signal.pattern.value: signal.strength for signal in absorbed(bar, params)}
    both = {
        pattern: round(strength, 6)
        for pattern, strength in reference.absorptions(bar, levels, Decimal(share), least).items()
    }
    if len(both) == 2:
        strongest = max(both.values())
        both = {pattern: strength for pattern, strength in both.items() if strength == strongest}
        both = {} if len(both) == 2 else both
    assert found == both
