"""From a manifest to a strategy that is ready for bars: the same for the service and for a backtest."""

from collections.abc import Callable
from datetime import date
from fractions import Fraction
from typing import Final

from leadline.analysis.fold import StrategyFold
from leadline.analysis.regime import regime_scale
from leadline.analysis.router import DEFAULT_RULES, RegimeRule, Router
from leadline.analysis.settings import (
    AbsorptionSettings,
    DeltaSource,
    DetectorSettings,
    DivergenceSettings,
    ExhaustionSettings,
    ImbalanceSettings,
    StackedSettings,
    UnfinishedSettings,
    ZeroVolume,
)
from leadline.analysis.strategies import OrderFlow, Strategy, load_entry_point
from leadline.model.errors import InvalidInput
from leadline.model.signals import Direction
from leadline.model.specs import RegimeRule as RegimeOverride
from leadline.model.specs import (
    StrategySpec,
    calendar_of_spec,
    never_closes,
    session_of,
    signal_instrument,
    thresholds_of,
)

_SIDES: Final = {"Long": Direction.LONG, "Short": Direction.SHORT, "Both": None}


def detector_settings(spec: StrategySpec) -> DetectorSettings:
    """Every threshold in force: the manifest's, else the profile's of the instrument.

    Exhaustion and unfinished auctions are measured against the instrument's own imbalance minimum, whatever the
    manifest asks of an imbalance. Raises InvalidInput when neither has a threshold.
    """
    wanted, in_force = spec.strategy.detectors, thresholds_of(spec)
    own = signal_instrument(spec).profile or in_force
    return DetectorSettings(
        imbalance=ImbalanceSettings(
            enabled=wanted.imbalance.enabled,
            ratio=Fraction(wanted.imbalance.ratio),
            min_volume=in_force.imbalance_min,
            zero=ZeroVolume(wanted.imbalance.zero),
        ),
        stacked=StackedSettings(enabled=wanted.stacked.enabled, levels=wanted.stacked.levels),
        exhaustion=ExhaustionSettings(
            enabled=wanted.exhaustion.enabled,
            levels=wanted.exhaustion.levels,
            within=wanted.exhaustion.within,
            drop=Fraction(wanted.exhaustion.drop),
            min_volume=own.imbalance_min,
        ),
        absorption=AbsorptionSettings(
            enabled=wanted.absorption.enabled,
            levels=wanted.absorption.levels,
            share=Fraction(wanted.absorption.share),
            min_volume=in_force.absorption_min,
        ),
        divergence=DivergenceSettings(
            enabled=wanted.divergence.enabled,
            lookback=wanted.divergence.lookback,
            source=DeltaSource(wanted.divergence.source),
        ),
        unfinished=UnfinishedSettings(
            enabled=wanted.unfinished.enabled, keep=wanted.unfinished.keep, full_volume=own.imbalance_min
        ),
    )


def router_of(spec: StrategySpec) -> Router:
    """The router's table with the manifest's overrides, and its thresholds."""
    wanted = spec.strategy.router
    rules = {
        regime: _overridden(rule, getattr(wanted.regimes, regime.value.lower(), None))
        for regime, rule in DEFAULT_RULES.items()
    }
    return Router(rules, wanted.min_strength, wanted.min_confidence)


def _overridden(rule: RegimeRule, override: RegimeOverride | None) -> RegimeRule:
    if override is None:
        return rule
    return RegimeRule(
        patterns=rule.patterns if override.patterns is None else override.patterns,
        direction=rule.direction if override.side is None else _SIDES[override.side],
        multiplier=rule.multiplier if override.multiplier is None else override.multiplier,
    )


def strategy_maker(spec: StrategySpec) -> Callable[[], Strategy]:
    """What makes a fresh strategy for each session.

    Raises InvalidInput when the thresholds are incomplete, or the entry point names nothing that can be called.
    """
    wanted, own = spec.strategy, signal_instrument(spec)
    if wanted.entry_point is not None:
        entry_point, factory = wanted.entry_point, load_entry_point(wanted.entry_point)
        return lambda: _a_strategy(factory(wanted.parameters, own), entry_point)
    detectors, router = detector_settings(spec), router_of(spec)
    scale = regime_scale(thresholds_of(spec).typical_bar_volume)
    always = never_closes(spec)
    return lambda: OrderFlow(detectors, router, scale, around_the_clock=always)


def _a_strategy(made: Strategy, entry_point: str) -> Strategy:
    """What somebody's code has made, where it can be asked as a strategy is."""
    if not (callable(getattr(made, "warm", None)) and callable(getattr(made, "on_bar", None))):
        expected = f"what makes an object with the methods warm and on_bar, and it made {repr(made)[:100]}"
        raise InvalidInput("spec.strategy.entryPoint", entry_point, expected)
    return made


def strategy_fold(spec: StrategySpec, trade_from: date, until: date | None = None) -> StrategyFold:
    """The fold of a strategy over the bars of one contract; it speaks on the trading days [trade_from, until).

    Raises InvalidInput and Unknown as `strategy_maker` and the instrument sheet do.
    """
    market = calendar_of_spec(spec)
    _, hours = session_of(spec)
    history = spec.history

    def history_start(day: date) -> date:
        before = market.previous_sessions(day, history, hours)
        return before[0].trading_day if before else day

    return StrategyFold(strategy_maker(spec), history_start, trade_from, until)
