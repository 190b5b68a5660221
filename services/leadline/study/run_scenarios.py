"""All scenarios over the same days: those of the manifest side by side, then those that follow from the baseline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

from leadline.backtest.prints import Prints
from leadline.backtest.results import AccountResult, BacktestResult, DayLine
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.manifest.sweep import Variant
from leadline.study.accounts import VariantResult
from leadline.study.adding import winners
from leadline.study.deflated import Deflated, deflated
from leadline.study.engine import Study, StudyFailed, run_study
from leadline.study.rows import FilledOn, filled_on_of, returns_of, traded_alike
from leadline.study.scenarios import (
    Scenario,
    adding_at,
    after_early_loss,
    baseline,
    from_worst_drawdown,
    mondays,
    scenarios,
)

MOST_PASSES: Final = 100
"""Runs after which adding to a winner is given up."""
_EARLY_LOSS, _DRAWDOWN, _ADDING = 1001, 1002, 1003
GOOD_FRIDAY: Final = Decimal(1000)
BAD_FRIDAY: Final = Decimal(-300)


@dataclass(frozen=True, slots=True)
class Taken:
    """The part of a variant's result that a scenario shows: its account, or why it was halted; and bars to add at.

    filled_on: as that of `BacktestResult`.
    """

    account: AccountResult | None
    digest: str
    halted: str
    winners: tuple[str, ...]
    filled_on: FilledOn = ()


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """A scenario with its account's result; without one `refused` says why, and `halted` whether it was run."""

    number: str
    title: str
    account: AccountResult | None
    digest: str
    refused: str
    halted: bool = False
    filled_on: FilledOn = ()


@dataclass(frozen=True, slots=True)
class ScenariosResult:
    """The baseline and every scenario in order. `after_good` and `after_bad` are the Mondays of scenario 14.

    A scenario that trades as the baseline changed nothing on these days: it is not another trial.
    """

    baseline: ScenarioResult
    scenarios: tuple[ScenarioResult, ...]
    after_good: tuple[DayLine, ...]
    after_bad: tuple[DayLine, ...]

    def unchanged(self, each: ScenarioResult) -> bool:
        """Whether a scenario changed nothing."""
        return each.account is not None and traded_alike(each.account, self.baseline_account)

    @property
    def tried(self) -> int:
        """Variants that were run, the baseline among them, without those that changed nothing."""
        return len(self._accounts()) + sum(each.halted for each in self.scenarios)

    @property
    def filled_on(self) -> FilledOn:
        """See `BacktestResult`, of the baseline and all scenarios."""
        return filled_on_of(each.filled_on for each in (self.baseline, *self.scenarios))

    @property
    def baseline_account(self) -> AccountResult:
        """The account of the baseline, which always has a result."""
        assert self.baseline.account is not None
        return self.baseline.account

    def deflated(self) -> Deflated:
        """The deflated Sharpe ratio of the scenario with the highest net result."""
        accounts = self._accounts()
        best = max(accounts, key=lambda each: each.figures.net)
        return deflated(returns_of(best), [*map(returns_of, accounts), *[None] * (self.tried - len(accounts))])

    def _accounts(self) -> list[AccountResult]:
        shown = (self.baseline, *(each for each in self.scenarios if not self.unchanged(each)))
        return [each.account for each in shown if each.account is not None]


def run_scenarios(
    accounts: Sequence[TradingAccount],
    strategies: Sequence[TradingStrategy],
    prints: Prints,
    first: date | None,
    last: date | None,
    workers: int,
    told: Callable[[str], None],
) -> ScenariosResult:
    """Run the baseline of a strategy and every scenario. Raises as `baseline` and `run_study`."""
    study = Study(prints, first, last, workers, taken)
    base = baseline(accounts, strategies)
    listed = scenarios(base)
    found = _results(study, [base, *(each.variant for each in listed if each.variant is not None)], told)
    own = found[base.number]
    if own.account is None:
        raise StudyFailed(f"the baseline has no result: {own.halted}")
    further = [after_early_loss(base, _EARLY_LOSS, own.account), from_worst_drawdown(base, _DRAWDOWN, own.account)]
    results = [_shown(each, found) for each in listed]
    results += [_run(replace(study, first=each.first or first), each, told) for each in further]
    results.append(_adding(study, base, own, told))
    return ScenariosResult(
        ScenarioResult("", "baseline", own.account, own.digest, "", filled_on=own.filled_on),
        tuple(sorted(results, key=_order)),
        tuple(mondays(own.account.days, lambda net: net >= GOOD_FRIDAY)),
        tuple(mondays(own.account.days, lambda net: net <= BAD_FRIDAY)),
    )


def taken(found: VariantResult) -> Taken:
    """The result of the one account of a variant."""
    result: BacktestResult | None = found.result
    if result is None:
        return Taken(None, "", found.halted, ())
    (account,) = result.accounts
    return Taken(account, result.digest, "", winners(found), result.filled_on)


def _results(study: Study[Taken], variants: Sequence[Variant], told: Callable[[str], None]) -> dict[int, Taken]:
    return {variant.number: found for variant, found in run_study(study, variants, told)}


def _run(study: Study[Taken], scenario: Scenario, told: Callable[[str], None]) -> ScenarioResult:
    if scenario.variant is None:
        return _shown(scenario, {})
    return _shown(scenario, _results(study, [scenario.variant], told))


def _adding(study: Study[Taken], base: Variant, own: Taken, told: Callable[[str], None]) -> ScenarioResult:
    """Scenario 16, run until the bars at which it adds are those at which it holds a winner."""
    scenario = adding_at(base, _ADDING, own.winners)
    for _ in range(MOST_PASSES):
        if scenario.variant is None:
            return _shown(scenario, {})
        found = _results(study, [scenario.variant], told)
        following = adding_at(base, _ADDING, found[_ADDING].winners)
        if found[_ADDING].account is None or following == scenario:
            return _shown(scenario, found)
        scenario = following
    return replace(_shown(scenario, {}), refused=f"the bars to add at did not settle in {MOST_PASSES} runs")


def _shown(scenario: Scenario, found: dict[int, Taken]) -> ScenarioResult:
    if scenario.variant is None or scenario.variant.number not in found:
        return ScenarioResult(scenario.number, scenario.title, None, "", scenario.refused)
    own = found[scenario.variant.number]
    return ScenarioResult(
        scenario.number, scenario.title, own.account, own.digest, own.halted, bool(own.halted), own.filled_on
    )


def _order(result: ScenarioResult) -> tuple[int, str]:
    number = result.number.rstrip("abc")
    return int(number), result.number
