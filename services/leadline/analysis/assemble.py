"""From a manifest to a strategy that is ready for bars: the same for the service and for a backtest."""

from collections.abc import Callable, Iterable
from datetime import date
from functools import partial
from typing import Any, Final

from leadline.analysis.fold import StrategyFold
from leadline.analysis.strategies import OrderFlow, Strategy, load_entry_point
from leadline.model.errors import InvalidInput
from leadline.model.manifest.specs import (
    OWN_SERIES,
    StrategySpec,
    calendar_of_spec,
    never_closes,
    session_of,
    signal_instrument,
    thresholds_of,
)
from leadline.nodes.base import Detector, NodeContext
from leadline.nodes.registry import detector_types, filter_types

_METHODS: Final = ("warm", "on_bar")
_SERIES_METHODS: Final = ("warm_series", "on_series")


def modules_of(spec: StrategySpec) -> frozenset[str]:
    """The modules that the code of a strategy and of its nodes comes from."""
    kinds = (*detector_types(), *filter_types())
    own = () if spec.strategy.entry_point is None else (spec.strategy.entry_point.partition(":")[0],)
    return frozenset([*own, *(kind.__module__ for kind in kinds)])


def detectors_of(spec: StrategySpec) -> tuple[Detector[Any, Any], ...]:
    """A fresh one of every detector, with the manifest's parameters and the instrument's where it leaves them out.

    Raises InvalidInput when neither has a threshold.
    """
    context = context_of(spec)
    return tuple(kind(spec.strategy.detectors.of(kind), context) for kind in detector_types())


def context_of(spec: StrategySpec) -> NodeContext:
    """A strategy's market as its nodes know it. Raises InvalidInput when a threshold is missing."""
    return NodeContext(thresholds_of(spec), around_the_clock=never_closes(spec))


def strategy_maker(spec: StrategySpec) -> Callable[[], Strategy]:
    """The function that makes a fresh strategy for each session.

    Raises InvalidInput when the thresholds are incomplete, or the entry point names nothing that can be called.
    """
    wanted, own = spec.strategy, signal_instrument(spec)
    if wanted.entry_point is not None:
        entry_point, factory = wanted.entry_point, load_entry_point(wanted.entry_point)
        methods = (*_METHODS, *(_SERIES_METHODS if spec.series else ()))
        return lambda: _a_strategy(factory(wanted.parameters, own), entry_point, methods)
    context, sections = context_of(spec), wanted.detectors
    kinds = detector_types()

    def order_flow() -> OrderFlow:
        filters = {each.series: [kind(params, context) for kind, params in each.chosen()] for each in wanted.filters}
        return OrderFlow([kind(sections.of(kind), context) for kind in kinds], wanted.router, context, filters)

    return order_flow


def _a_strategy(made: Strategy, entry_point: str, methods: Iterable[str]) -> Strategy:
    """The object that a strategy's author made. Raises InvalidInput where it has not the methods of a strategy."""
    missing = [name for name in methods if not callable(getattr(made, name, None))]
    if missing:
        expected = f"what makes an object with the methods {_and(methods)}, and it made {repr(made)[:100]}"
        raise InvalidInput("spec.strategy.entryPoint", entry_point, expected)
    return made


def _and(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}"


def strategy_fold(spec: StrategySpec, trade_from: date, until: date | None = None) -> StrategyFold:
    """The fold of a strategy over the bars of one contract; it speaks on the trading days [trade_from, until).

    Raises InvalidInput and Unknown as `strategy_maker` and the instrument sheet do.
    """
    market = calendar_of_spec(spec)
    _, hours = session_of(spec)

    def history_start(history: int, day: date) -> date:
        before = market.previous_sessions(day, history, hours)
        return before[0].trading_day if before else day

    starts = {each.name: partial(history_start, each.history) for each in spec.all_series}
    own = starts.pop(OWN_SERIES)
    return StrategyFold(strategy_maker(spec), own, trade_from, until, starts)
