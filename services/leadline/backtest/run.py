"""A backtest from its inputs to its outcome."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

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
    owners = {strategy.full_name: strategy.account_name for strategy in strategies}
    digest = RunningDigest((account, strategy) for strategy, account in owners.items())

    def note(result: DayResult, runs: Accounts) -> None:
        digest.bars(result.lines)
        for strategy, words in result.said.items():
            digest.said(owners[strategy], strategy, words.lines)
        for account, run in runs.items():
            digest.booked(account, run.records)
        digest.complete(result.day.end_ns)
        seen(result, runs)

    results = (
        in_processes(prints, days, strategies, workers) if workers > 1 else in_this_process(prints, days, strategies)
    )
    runs = run_accounts(accounts, strategies, days, results, note)
    return Outcome(days, runs, digest.finish({name: run.records for name, run in runs.items()}))
