"""Stress of a strategy: worse fills, its hours and weekdays, its streaks, and how deep a drawdown could have been."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from leadline.backtest.prints import Prints
from leadline.backtest.results import AccountResult
from leadline.model.errors import InvalidInput
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.manifest.sweep import changed
from leadline.study.accounts import VariantResult
from leadline.study.bootstrap import Resampled, resampled
from leadline.study.deflated import Deflated, deflated
from leadline.study.engine import Study, StudyFailed, run_study
from leadline.study.rows import FilledOn, filled_on_of, returns_of, traded_alike
from leadline.views.trades import Trade


@dataclass(frozen=True, slots=True)
class StressOptions:
    """Levels of slippage, ticks, each once; and the bootstrap's paths, days of a block, and seed."""

    slippage: tuple[int, ...]
    iterations: int
    block: int
    seed: int


@dataclass(frozen=True, slots=True)
class Taken:
    """The account of a variant's result; `halted` says why there is none. filled_on: as that of `BacktestResult`."""

    account: AccountResult | None
    halted: str
    filled_on: FilledOn


@dataclass(frozen=True, slots=True)
class Level:
    """The account at one level of slippage, ticks; `halted` says why there is none."""

    slippage: int
    account: AccountResult | None
    halted: str


@dataclass(frozen=True, slots=True)
class StressResult:
    """An account as its manifest is, and under stress. `losing` and `winning` count its streaks of trades by length."""

    account: AccountResult
    levels: tuple[Level, ...]
    losing: tuple[tuple[int, int], ...]
    winning: tuple[tuple[int, int], ...]
    paths: Resampled
    filled_on: FilledOn = ()

    @property
    def tried(self) -> int:
        """Variants that were run, without levels that changed nothing, such as the manifest's own."""
        return 1 + sum(not self.unchanged(each) for each in self.levels)

    def unchanged(self, level: Level) -> bool:
        """Whether a level changed nothing."""
        return level.account is not None and traded_alike(level.account, self.account)

    def deflated(self) -> Deflated:
        """The deflated Sharpe ratio of the level with the highest net result."""
        others = [each.account for each in self.levels if not self.unchanged(each)]
        accounts = [self.account, *(each for each in others if each is not None)]
        best = max(accounts, key=lambda each: each.figures.net)
        return deflated(returns_of(best), [*map(returns_of, accounts), *[None] * (self.tried - len(accounts))])


def run_stress(
    accounts: Sequence[TradingAccount],
    strategies: Sequence[TradingStrategy],
    study: Study[Taken],
    options: StressOptions,
    told: Callable[[str], None],
) -> StressResult:
    """Run an account as it is and at every level of slippage. Raises as `one_account` and `run_study`."""
    own = one_account(accounts, strategies)
    variants = [changed(1, {}, own, strategies)]
    variants += [
        changed(number, {"account.spec.paper.slippageTicks": level}, own, strategies)
        for number, level in enumerate(options.slippage, 2)
    ]
    found = {variant.number: result for variant, result in run_study(study, variants, told)}
    account = found[1].account
    if account is None:
        raise StudyFailed(f"the account has no result: {found[1].halted}")
    return StressResult(
        account,
        tuple(
            Level(level, found[number].account, found[number].halted)
            for number, level in enumerate(options.slippage, 2)
        ),
        streaks(account.trades, lambda trade: trade.net < 0),
        streaks(account.trades, lambda trade: trade.net > 0),
        resampled([day.net for day in account.days], options.iterations, options.block, options.seed),
        filled_on_of(each.filled_on for each in found.values()),
    )


def one_account(
    accounts: Iterable[TradingAccount], strategies: Sequence[TradingStrategy]
) -> tuple[TradingAccount, ...]:
    """The one account that the strategies trade. Raises InvalidInput where there are several."""
    names = sorted({each.account_name for each in strategies})
    if len(names) > 1:
        raise InvalidInput("file", ", ".join(names), "strategies of one account: this study follows one")
    return tuple(each for each in accounts if each.full_name in names)


def account_taken(found: VariantResult) -> Taken:
    """The one account of a variant's result."""
    if found.result is None:
        return Taken(None, found.halted, ())
    (account,) = found.result.accounts
    return Taken(account, "", found.result.filled_on)


def streaks(trades: Iterable[Trade], counts: Callable[[Trade], bool]) -> tuple[tuple[int, int], ...]:
    """Length and number of the runs of successive trades that count, the shortest first.

    A trade that neither wins nor loses ends a run of either kind.
    """
    lengths = Counter(len(list(run)) for counted, run in groupby(trades, counts) if counted)
    return tuple(sorted(lengths.items()))


def study_of(prints: Prints, first: date | None, last: date | None, workers: int) -> Study[Taken]:
    """A study that takes the account of each result."""
    return Study(prints, first, last, workers, account_taken)
