"""A backtest: days of prints through bars and signals, and then, one day after the other, through every account."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from leadline.backtest.account import AccountRun
from leadline.backtest.days import BacktestDay, BacktestDays, SpokenDay
from leadline.backtest.prints import Prints, numbered_from
from leadline.backtest.work import Bars, ContractDay, day_bars, day_signals, series_of
from leadline.model.ids import AccountId, ContractId, StrategyId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.signals import SignalMessage
from leadline.model.ticks import TickColumns


@dataclass(frozen=True, slots=True)
class DayResult:
    """The bars of one trading day, by contract and series, and what each strategy says on it."""

    day: BacktestDay
    bars: Mapping[ContractId, Bars]
    said: Mapping[StrategyId, Sequence[SignalMessage]]


class DayWorker:
    """Works on days in one process; see `leadline.backtest.work`."""

    def __init__(self, prints: Prints, days: BacktestDays, strategies: Iterable[TradingStrategy]) -> None:
        self._prints = prints
        self._strategies = {strategy.full_name: strategy for strategy in strategies}
        self._series = {
            contract: tuple(
                dict.fromkeys(each for name in names for each in series_of(self._strategies[name]).values())
            )
            for contract, names in days.readers.items()
        }

    def bars(self, day: ContractDay) -> Bars:
        """The bars of a day of a contract, of every series that a strategy reads of it."""
        series = self._series[day.contract]
        return day_bars(day, ticks_of(self._prints, day), series) if series else {}

    def signals(self, spoken: SpokenDay, bars: Mapping[tuple[ContractId, date], Bars]) -> list[SignalMessage]:
        """The messages of a strategy on a day. `bars` by contract and day, those of its history among them."""
        history = [bars[spoken.contract, day] for day in spoken.history]
        strategy = self._strategies[spoken.strategy]
        return day_signals(strategy, spoken.day, history, bars[spoken.contract, spoken.day], spoken.ends_ns)


def ticks_of(prints: Prints, day: ContractDay) -> TickColumns:
    """The prints of a day with the source indices that they have on the tape."""
    return numbered_from(prints.read(day.contract, day.day), day.first_index)


def in_this_process(prints: Prints, days: BacktestDays, strategies: Sequence[TradingStrategy]) -> Iterator[DayResult]:
    """The days in order, worked on one after the other."""
    worker = DayWorker(prints, days, strategies)
    kept: dict[tuple[ContractId, date], Bars] = {}
    for each in days.days:
        found = {part.contract: worker.bars(part) for part in each.tapes}
        kept.update({(contract, each.day): bars for contract, bars in found.items()})
        said = {spoken.strategy: worker.signals(spoken, kept) for spoken in each.spoken}
        yield DayResult(each, found, said)
        for old in each.done:
            del kept[old]


Accounts: TypeAlias = Mapping[AccountId, AccountRun]
"""The accounts of a backtest, by name, in order."""


def run_accounts(
    accounts: Iterable[TradingAccount],
    strategies: Sequence[TradingStrategy],
    prints: Prints,
    days: BacktestDays,
    results: Iterable[DayResult],
    seen: Callable[[DayResult, Accounts], None],
) -> Accounts:
    """Take every account through the results of the days; `seen` is told of each day when they are through.

    Raises Halted, RefusedMessage, InvalidInput and Unknown as the accounts do.
    """
    with TemporaryDirectory(prefix="leadline-backtest-") as folder:
        return asyncio.run(_run_accounts(accounts, strategies, prints, days, results, seen, Path(folder)))


async def _run_accounts(
    accounts: Iterable[TradingAccount],
    strategies: Sequence[TradingStrategy],
    prints: Prints,
    days: BacktestDays,
    results: Iterable[DayResult],
    seen: Callable[[DayResult, Accounts], None],
    folder: Path,
) -> Accounts:
    runs: dict[AccountId, AccountRun] = {}
    for number, account in enumerate(sorted(accounts, key=lambda each: each.full_name)):
        own = [each for each in strategies if each.account_name == account.full_name]
        run = AccountRun(account, own, days.contracts, days.plan.trade_from, days.begins_ns, folder / str(number))
        await run.start()
        runs[account.full_name] = run
    for result in results:
        if result.day.day >= days.plan.trade_from:
            ticks = {ContractId(part.contract): ticks_of(prints, part) for part in result.day.tapes}
            for run in runs.values():
                said = {name: words for name, words in result.said.items() if run.has(name)}
                await run.go_on(ticks, said, result.day.end_ns, final=result.day.final)
        seen(result, runs)
    return runs
