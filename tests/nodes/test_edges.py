"""The last value on each side of a node's conditions, and what a node says of itself."""

from dataclasses import replace

import pytest

from leadline.nodes.detectors.absorption import Absorption
from leadline.nodes.detectors.divergence import Divergence
from leadline.nodes.detectors.exhaustion import Exhaustion
from leadline.nodes.detectors.imbalance import Imbalance
from leadline.nodes.detectors.unfinished import Unfinished, UnfinishedParams
from leadline.nodes.exact import slope
from leadline.nodes.graph import Graph
from leadline.nodes.regime import WARM_UP_BARS, RegimeNode
from leadline.nodes.router import Router, RouterParams
from tests.analysis.builders import (
    ABSORPTION,
    CONTEXT,
    DIVERGENCE,
    EXHAUSTION,
    IMBALANCE,
    THRESHOLDS,
    example_bar,
    footprint_bar,
)
from tests.nodes.asking import absorbed, buys, imbalances


def test_a_slope_of_whole_numbers_is_exact_beyond_what_a_float_holds() -> None:
    assert slope([2**60, 2**60 + 1]) == 1.0


@pytest.mark.parametrize("inner", [(1.0, 3.0), (1, 3)])
def test_a_slope_of_floats_keeps_what_large_ones_would_swallow(inner: tuple[float, float]) -> None:
    assert slope([1e100, *inner, 1e100]) == 0.2


def test_a_detector_that_is_off_says_nothing_and_others_still_read_its_rows() -> None:
    off = IMBALANCE.model_copy(update={"enabled": False})
    assert imbalances(example_bar(), off).signals == ()
    assert buys(example_bar(), off) == buys(example_bar(), IMBALANCE) != []


def test_absorption_needs_as_many_rows_as_it_looks_at() -> None:
    rows = [(100, 9000, 0), (101, 500, 0), (102, 500, 0)]
    levels = ABSORPTION.model_copy(update={"levels": 3})
    closed_high = replace(footprint_bar(rows), close=102)
    assert [signal.price for signal in absorbed(closed_high, levels)] == [100]
    assert absorbed(closed_high, ABSORPTION.model_copy(update={"levels": 4})) == []


def test_a_node_tells_its_thresholds_and_how_many_bars_it_needs() -> None:
    least = str(THRESHOLDS.imbalance_min)
    assert Exhaustion(EXHAUSTION, CONTEXT).thresholds()["minVolume"] == least
    assert Unfinished(UnfinishedParams(), CONTEXT).thresholds()["fullVolume"] == least
    assert Divergence(DIVERGENCE, CONTEXT).warm_up == DIVERGENCE.lookback


def test_a_router_reads_the_regime_and_its_detectors_and_is_warm_when_the_regime_is() -> None:
    params = RouterParams()
    router = Router(params, CONTEXT, [Imbalance, Absorption])
    assert router.inputs == (RegimeNode, Imbalance, Absorption)
    assert router.warm_up == WARM_UP_BARS
    assert (router.params, router.context) == (params, CONTEXT)


def test_the_bars_of_the_history_leave_auctions_unfinished_and_a_low_is_met_at_its_price() -> None:
    bar = footprint_bar([(100, 3, 2), (101, 5, 0)])  # both sides at the low
    node = Unfinished(UnfinishedParams(), CONTEXT)
    node.warm(bar)
    assert [auction.price for auction in node.open] == [100]
    graph = Graph([node])
    above, at = (footprint_bar([(low, 3, 0), (low + 1, 0, 3)]) for low in (101, 100))
    assert graph.update(above, Unfinished).signals == []
    (met,) = graph.update(at, Unfinished).signals
    assert (met.price, met.evidence["extreme"]) == (100, "low")
