"""The accounts of a backtest: each day of the market through every one of them, in order."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from leadline.backtest.account import AccountRun
from leadline.backtest.days import BacktestDays
from leadline.backtest.market import DayResult
from leadline.model.ids import AccountId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy

Accounts: TypeAlias = Mapping[AccountId, AccountRun]
"""The accounts of a backtest, by name, in order."""


def run_accounts(
    accounts: Iterable[TradingAccount],
    strategies: Sequence[TradingStrategy],
    days: BacktestDays,
    results: Iterable[DayResult],
    seen: Callable[[DayResult, Accounts], None],
) -> Accounts:
    """Take every account through the results of the days; `seen` is told of each day when they are through.

    Raises Halted, RefusedMessage, InvalidInput and Unknown as the accounts do.
    """
    with TemporaryDirectory(prefix="leadline-backtest-") as folder:
        return asyncio.run(_run_accounts(accounts, strategies, days, results, seen, Path(folder)))


async def _run_accounts(
    accounts: Iterable[TradingAccount],
    strategies: Sequence[TradingStrategy],
    days: BacktestDays,
    results: Iterable[DayResult],
    seen: Callable[[DayResult, Accounts], None],
    folder: Path,
) -> Accounts:
    runs = await opened(accounts, strategies, days, folder)
    for result in results:
        if result.day.day >= days.plan.trade_from:
            await go_on(runs, result)
        seen(result, runs)
        await asyncio.sleep(0)  # nothing else waits for the loop, and Ctrl-C is heard there alone
    return runs


async def opened(
    accounts: Iterable[TradingAccount], strategies: Sequence[TradingStrategy], days: BacktestDays, folder: Path
) -> Accounts:
    """The accounts of a backtest before their first day. Raises InvalidInput and Unknown as they do."""
    runs: dict[AccountId, AccountRun] = {}
    for number, account in enumerate(sorted(accounts, key=lambda each: each.full_name)):
        own = [each for each in strategies if each.account_name == account.full_name]
        run = AccountRun(account, own, days.contracts, days.plan.trade_from, days.begins_ns, folder / str(number))
        await run.start()
        runs[account.full_name] = run
    return runs


async def go_on(runs: Accounts, result: DayResult) -> None:
    """Take every account through a day that is traded. Raises Halted and RefusedMessage."""
    for run in runs.values():
        said = {name: words.heard for name, words in result.said.items() if run.has(name)}
        await run.go_on(result.ticks, said, result.day.end_ns, final=result.day.final)
