"""Rules of scenarios on what a strategy sees: a strategy that says what another one says, with other sizes or days.

A manifest names it by `entryPoint`, with the rule and the other strategy's spec as its parameters. So a scenario is a
manifest like every other one, and nothing but the size or the absence of a proposal differs.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from leadline.analysis.assemble import strategy_maker
from leadline.model.bars import Bar
from leadline.model.manifest.specs import StrategySpec
from leadline.model.market.contracts import resolve_contract, rolls_by_rule
from leadline.model.market.instruments import Instrument
from leadline.model.proposals import Action, Direction, Proposal
from leadline.model.signals import BarSignals, Pattern

ENTRY_POINT: Final = "leadline.study.rules:ruled"
LARGE: Final = 2
"""Contracts of an entry that the rule makes larger."""
FOLLOWS_WITHIN: Final = 3
"""Bars within which an exhaustion follows an absorption."""
CALM_POINTS: Final = Decimal(3)
"""Average true range in points of the price below which the market is calm."""

_EXHAUSTIONS: Final = frozenset({Pattern.BUYING_EXHAUSTION.value, Pattern.SELLING_EXHAUSTION.value})
_ABSORPTIONS: Final = frozenset({Pattern.BUYING_ABSORPTION, Pattern.SELLING_ABSORPTION})
_STACKED: Final = frozenset({Pattern.STACKED_BUY_IMBALANCE.value, Pattern.STACKED_SELL_IMBALANCE.value})


class Ruled:
    """A strategy whose answers pass a rule. inner: the strategy itself; rule: what becomes of its answer to a bar."""

    def __init__(self, inner: Any, rule: Callable[[BarSignals], BarSignals]) -> None:
        self._inner = inner
        self._rule = rule

    def warm(self, bar: Bar) -> None:
        """Hand a bar of an earlier session on."""
        self._inner.warm(bar)

    def warm_series(self, series: str, bar: Bar) -> None:
        """Hand a bar of another series of an earlier session on."""
        self._inner.warm_series(series, bar)

    def on_series(self, series: str, bar: Bar) -> None:
        """Hand a bar of another series on."""
        self._inner.on_series(series, bar)

    def on_bar(self, bar: Bar) -> BarSignals:
        """The answer of the strategy, as the rule leaves it."""
        return self._rule(self._inner.on_bar(bar))


def ruled(parameters: Mapping[str, Any], own: Instrument) -> Ruled:
    """The strategy of `spec` under the rule of that name: `calm`, `stacked`, `reversal`, `roll_week` or `add`.

    The last one has in `adds` the keys of the bars at which an entry adds to what is held.

    Raises LookupError for a rule that there is not, and as `strategy_maker`.
    """
    spec = StrategySpec.from_manifest(parameters["spec"])
    adds = frozenset(parameters.get("adds", ()))
    rules: dict[str, Callable[[], Callable[[BarSignals], BarSignals]]] = {
        "calm": lambda: lambda said: sized(said, lambda _: is_calm(said, own)),
        "stacked": lambda: lambda said: sized(said, lambda proposal: bool(_STACKED.intersection(proposal.why[:1]))),
        "reversal": Reversal,
        "add": lambda: lambda said: adding(said) if said.bar.text() in adds else said,
        "roll_week": lambda: lambda said: said if is_roll_week(spec.instrument, said.trading_day) else silent(said),
    }
    return Ruled(strategy_maker(spec)(), rules[parameters["rule"]]())


def sized(said: BarSignals, large: Callable[[Proposal], bool]) -> BarSignals:
    """The answer with `LARGE` contracts at the most for the entries that are to be large, and one for the others."""
    proposals = tuple(replace(each, quantity=LARGE if large(each) else 1) for each in said.proposals)
    return replace(said, proposals=proposals)


def adding(said: BarSignals) -> BarSignals:
    """The answer whose entries add to what is held."""
    proposals = (each if each.withdrawn is not None else replace(each, action=Action.ADD) for each in said.proposals)
    return replace(said, proposals=tuple(proposals))


def silent(said: BarSignals) -> BarSignals:
    """The answer without any proposal."""
    return replace(said, proposals=())


class Reversal:
    """Entries on an exhaustion are large that follows an absorption of the same direction within a few bars."""

    def __init__(self) -> None:
        self._absorbed: deque[frozenset[Direction]] = deque(maxlen=FOLLOWS_WITHIN)

    def __call__(self, said: BarSignals) -> BarSignals:
        """The answer with the sizes of the rule."""
        before = frozenset[Direction]().union(*self._absorbed)
        self._absorbed.append(frozenset(each.direction for each in said.signals if each.pattern in _ABSORPTIONS))
        return sized(said, lambda one: one.direction in before and bool(_EXHAUSTIONS.intersection(one.why)))


def is_roll_week(instrument: str, day: date) -> bool:
    """Whether the front month of a root changes in the calendar week of a trading day; Raises Unknown as the sheet."""
    monday = day - timedelta(days=day.weekday())
    before, after = monday - timedelta(days=3), monday + timedelta(days=4)
    return rolls_by_rule(instrument) and resolve_contract(instrument, before) != resolve_contract(instrument, after)


def is_calm(said: BarSignals, own: Instrument) -> bool:
    """Whether the average true range of 14 bars of an instrument is below `CALM_POINTS`; not where it is not known."""
    ticks = {} if said.regime is None else said.regime.inputs
    return "atr" in ticks and Decimal(ticks["atr"]) * own.tick < CALM_POINTS
