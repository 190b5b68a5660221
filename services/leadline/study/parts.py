"""The parts of variants that do not depend on the account, so that each is worked out once for all that share it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from leadline.execution.core.contracts import execution_symbols
from leadline.model.errors import InvalidInput
from leadline.model.ids import StrategyId, derive
from leadline.model.manifest.specs import TradingStrategy
from leadline.model.manifest.sweep import Variant

ANALYSIS_FIELDS: Final = ("instrument", "session", "bars", "ticks_per_row", "history", "series", "strategy")
"""Fields of a strategy's spec from which its bars and its signals follow; no other one is read for them."""
MOST_ANALYSES: Final = 16
"""Analyses of which the signals of all days are kept at a time, in a temporary folder."""

AnalysisId: TypeAlias = str


@dataclass(frozen=True, slots=True)
class Analysis:
    """The words of one strategy, for every variant in which it says the same. `strategy` is that of the first one."""

    id: AnalysisId
    strategy: TradingStrategy


@dataclass(frozen=True, slots=True)
class Wave:
    """Variants that are worked on together.

    They have the same days and are filled on the same instruments, those that they read and those that are `executed`
    in their place: `strategies` are those of the first variant, and any other's would do. `analyses` are what their
    strategies say, at most `MOST_ANALYSES`, or those of one variant where it has more.
    """

    strategies: tuple[TradingStrategy, ...]
    executed: frozenset[str]
    variants: tuple[Variant, ...]
    analyses: tuple[Analysis, ...]


def analysis_id(strategy: TradingStrategy) -> AnalysisId:
    """The same for strategies that say the same of the same prints, under one name and to one account."""
    return derive("analysis", strategy.account_name, strategy.full_name, _fields(strategy, ANALYSIS_FIELDS))


def analyses_of(variant: Variant) -> dict[StrategyId, AnalysisId]:
    """The analysis of each strategy of a variant."""
    return {each.full_name: analysis_id(each) for each in variant.strategies}


def waves(variants: Iterable[Variant]) -> Iterator[Wave]:
    """The variants in waves: those that have the same days, in their order, so many as share few enough analyses."""
    markets: dict[str, list[Variant]] = {}
    for variant in variants:
        markets.setdefault(_days_id(variant), []).append(variant)
    for listed in markets.values():
        first, analyses = 0, dict[AnalysisId, Analysis]()
        for place, variant in enumerate(listed):
            own = {analysis_id(each): each for each in variant.strategies}
            if place > first and len(analyses.keys() | own.keys()) > MOST_ANALYSES:
                yield _wave(listed[first:place], analyses)
                first, analyses = place, {}
            analyses.update({name: Analysis(name, each) for name, each in own.items() if name not in analyses})
        yield _wave(listed[first:], analyses)


def executed_by(variants: Iterable[Variant]) -> frozenset[str]:
    """The instruments that may fill the orders of any of these variants beside those that their strategies read."""
    found: set[str] = set()
    for variant in variants:
        accounts = {each.full_name: each for each in variant.accounts}
        for strategy in variant.strategies:
            found.update(execution_symbols(strategy, accounts[strategy.account_name]))
    return frozenset(found)


def refuse_other_markets(variants: Sequence[Variant]) -> None:
    """Raises InvalidInput where variants differ in an instrument or an account: the prints are read for all at once."""
    first = {each.full_name: (each.spec.instrument, each.account_name) for each in variants[0].strategies}
    for variant in variants:
        for strategy in variant.strategies:
            instrument, account = first[strategy.full_name]
            for field, found, expected in (
                ("spec.instrument", strategy.spec.instrument, instrument),
                ("spec.account", strategy.account_name, account),
            ):
                if found != expected:
                    where = f"variant {variant.number}: TradingStrategy {strategy.full_name}: {field}"
                    raise InvalidInput(
                        where, found, f"{expected}, as in the first variant: no sweep changes the market"
                    )


def _wave(variants: Sequence[Variant], analyses: dict[AnalysisId, Analysis]) -> Wave:
    return Wave(variants[0].strategies, executed_by(variants[:1]), tuple(variants), tuple(analyses.values()))


def _days_id(variant: Variant) -> str:
    """The same for variants that have the same days, contracts and history of the same prints."""
    parts = [
        (each.full_name, _fields(each, ("instrument", "session")), str(each.spec.longest_history))
        for each in variant.strategies
    ]
    executed = json.dumps(sorted(executed_by([variant])))
    return derive("days", executed, *(text for part in parts for text in part))


def _fields(strategy: TradingStrategy, names: Iterable[str]) -> str:
    found = strategy.spec.model_dump(mode="json", include=set(names))
    return json.dumps(found, sort_keys=True)
