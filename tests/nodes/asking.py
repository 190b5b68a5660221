"""One node asked about bars, and what it answers."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from leadline.model.bars import Bar
from leadline.model.signals import Signal
from leadline.nodes.base import Detector
from leadline.nodes.detectors.absorption import Absorption, AbsorptionParams
from leadline.nodes.detectors.divergence import Divergence, DivergenceParams
from leadline.nodes.detectors.exhaustion import Exhaustion, ExhaustionParams
from leadline.nodes.detectors.imbalance import Imbalance, ImbalancedRow, ImbalanceParams, Imbalances
from leadline.nodes.detectors.stacked import Stacked, StackedParams
from leadline.nodes.graph import Graph
from tests.analysis.builders import CONTEXT, THRESHOLDS


def signals_of(detector: Detector[Any, Any], bars: Iterable[Bar]) -> list[Signal]:
    """What a detector that reads no other one finds in the last of the bars."""
    graph = Graph([detector])
    return list([graph.update(bar, type(detector)) for bar in bars][-1].signals)


def imbalances(bar: Bar, params: ImbalanceParams) -> Imbalances:
    return Graph([Imbalance(params, CONTEXT)]).update(bar, Imbalance)


def buys(bar: Bar, params: ImbalanceParams) -> Sequence[ImbalancedRow]:
    return imbalances(bar, params).buys


def sells(bar: Bar, params: ImbalanceParams) -> Sequence[ImbalancedRow]:
    return imbalances(bar, params).sells


def stacked(bar: Bar, rows: ImbalanceParams, params: StackedParams) -> list[Signal]:
    graph = Graph([Stacked(params, CONTEXT), Imbalance(rows, CONTEXT)])
    return list(graph.update(bar, Stacked).signals)


def exhausted(bar: Bar, params: ExhaustionParams, least: int = THRESHOLDS.imbalance_min) -> list[Signal]:
    context = replace(CONTEXT, thresholds=replace(THRESHOLDS, imbalance_min=least))
    return signals_of(Exhaustion(params, context), [bar])


def absorbed(bar: Bar, params: AbsorptionParams) -> list[Signal]:
    return signals_of(Absorption(params, CONTEXT), [bar])


def diverged(bars: Iterable[Bar], params: DivergenceParams) -> list[Signal]:
    return signals_of(Divergence(params, CONTEXT), bars)
