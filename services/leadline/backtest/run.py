"""A backtest from its inputs to its outcome."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from leadline.backtest.collecting import seldom_collected
from leadline.backtest.days import BacktestDays, backtest_days
from leadline.backtest.digest import RunningDigest
from leadline.backtest.engine import Accounts, run_accounts
from leadline.backtest.market import DayResult, in_this_process
from leadline.backtest.prints import Prints
from leadline.backtest.workers import in_processes
from leadline.model.manifest.specs import TradingAccount, TradingStrategy


@dataclass(frozen=True, slots=True)
class Outcome:
    """The days of a backtest, its accounts as they are at the end, and the digest that a run of the same has."""

    days: BacktestDays
    accounts: Accounts
    digest: str


def run_backtest(
    accounts: Iterable[TradingAccount],
    strategies: Sequence[TradingStrategy],
    prints: Prints,
    first: date | None = None,
    last: date | None = None,
    seen: Callable[[DayResult, Accounts], None] = lambda _day, _accounts: None,
    workers: int = 1,
) -> Outcome:
    """Take accounts and their strategies through the days from `first` to `last`, both included.

    None: the first day that has its history, and the last at hand. `seen` is told of each day when all accounts are
    through. workers: processes that make bars and signals; 1: this one. The outcome is the same.

    Raises InvalidInput and Unknown for what a run of the same would refuse, StrategyFailed for a strategy that raises
    (DayFailed in another process), Halted for an account that was halted, and as `Prints.read`.
    """
    days = backtest_days(prints, strategies, first, last)
    digest = DigestOfDays(strategies)

    def note(result: DayResult, runs: Accounts) -> None:
        digest.seen(result, runs)
        seen(result, runs)

    results = (
        in_processes(prints, days, strategies, workers) if workers > 1 else in_this_process(prints, days, strategies)
    )
    with seldom_collected():
        runs = run_accounts(accounts, strategies, days, results, note)
    return Outcome(days, runs, digest.finish(runs))


class DigestOfDays:
    """The digest of a backtest, out of its days as they go by."""

    def __init__(self, strategies: Iterable[TradingStrategy]) -> None:
        self._owners = {strategy.full_name: strategy.account_name for strategy in strategies}
        self._digest = RunningDigest((account, strategy) for strategy, account in self._owners.items())

    def seen(self, result: DayResult, runs: Accounts) -> None:
        """Take a day in; all accounts are through it."""
        for by_series in result.lines.values():
            for lines in by_series.values():
                self._digest.bars(lines)
        for strategy, words in result.said.items():
            self._digest.said(self._owners[strategy], strategy, words.lines)
        for account, run in runs.items():
            self._digest.booked(account, run.records)
        self._digest.complete(result.day.end_ns)

    def finish(self, runs: Accounts) -> str:
        """The digest, once the last day is in."""
        return self._digest.finish({name: run.records for name, run in runs.items()})
