"""The part of a backtest's days that is kept for its results, while the days themselves go by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from leadline.backtest.engine import Accounts, DayResult
from leadline.backtest.work import Series, series_of
from leadline.model.bars import OWN_SERIES, Bar
from leadline.model.ids import AccountId, ContractId, StrategyId
from leadline.model.manifest.specs import TradingStrategy
from leadline.model.signals import BarSignals
from leadline.risk.view import Tier

MOST_ENTRY_BARS: Final = 200
"""Bars that made entries are kept with their footprints for the newest decisions alone, at most so many."""


@dataclass(frozen=True, slots=True)
class Close:
    """The close of a bar of a contract, in ticks, at the bar's end, ns UTC."""

    time_ns: int
    contract: ContractId
    price: int
    day: date


@dataclass(frozen=True, slots=True)
class EntryBar:
    """The bar at which an entry was decided, with its footprint and all that its strategy said of it."""

    bar: Bar
    said: BarSignals


@dataclass(frozen=True, slots=True)
class TierDay:
    """The capital tier of a trading day, None where there is none, and the account's equity when the day began."""

    day: date
    index: int
    tier: Tier | None
    equity: Decimal


class Gathered:
    """The observer of a backtest: give its `seen` to `run_backtest`, and itself to `result_of`."""

    def __init__(self, strategies: Sequence[TradingStrategy]) -> None:
        self.strategies = tuple(sorted(strategies, key=lambda each: each.full_name))
        self.closes: dict[AccountId, list[Close]] = {each.account_name: [] for each in self.strategies}
        self.tiers: dict[AccountId, list[TierDay]] = {each.account_name: [] for each in self.strategies}
        self._own: dict[AccountId, dict[Series, None]] = {each.account_name: {} for each in self.strategies}
        for each in self.strategies:
            self._own[each.account_name][series_of(each)[OWN_SERIES]] = None
        # Bars with proposals of the last day, of which some may yet be decided, and those of entries.
        self._recent: dict[tuple[StrategyId, str], EntryBar] = {}
        self._entries: dict[tuple[StrategyId, str], EntryBar] = {}
        self._decided: dict[AccountId, int] = {}

    def seen(self, result: DayResult, accounts: Accounts) -> None:
        """Take what is needed of a day; all accounts are through it."""
        traded = {spoken.strategy: spoken.contract for spoken in result.day.spoken}
        if not traded:
            return
        for account in self._own:
            book = accounts[account].book
            tiers = book.tiers_in_force
            tier = tiers[book.tier_index] if 0 <= book.tier_index < len(tiers) else None
            self.closes[account] += _closes(result, self._own[account])
            self.tiers[account].append(TierDay(result.day.day, book.tier_index, tier, book.equity_at_roll))
        before, self._recent = self._recent, dict(self._proposed(result, traded))
        self._keep_entries({**before, **self._recent}, accounts)

    def entry_bar(self, strategy: StrategyId, bar_key: str) -> EntryBar | None:
        """The bar of a decision on an entry; None where it is older than those that are kept."""
        return self._entries.get((strategy, bar_key))

    def _proposed(
        self, result: DayResult, traded: dict[StrategyId, ContractId]
    ) -> Iterable[tuple[tuple[StrategyId, str], EntryBar]]:
        for strategy in self.strategies:
            name = strategy.full_name
            if name not in traded:
                continue
            own = result.bars[traded[name]][series_of(strategy)[OWN_SERIES]]
            bars = {message.bar.key: message.bar for message in own if message.bar is not None}
            for message in result.said.get(name, ()):
                said = message.bar
                if said is not None and said.proposals and (bar := bars.get(said.bar)) is not None:
                    yield (name, said.bar.text()), EntryBar(bar, said)

    def _keep_entries(self, candidates: dict[tuple[StrategyId, str], EntryBar], accounts: Accounts) -> None:
        for account, run in accounts.items():
            decisions = list(run.records.decisions.values())
            for decision in decisions[self._decided.get(account, 0) :]:
                key = (decision.strategy, decision.bar_key)
                if decision.entered and key in candidates:
                    self._entries[key] = candidates[key]
            self._decided[account] = len(decisions)
        for key in list(self._entries)[:-MOST_ENTRY_BARS]:
            del self._entries[key]


def _closes(result: DayResult, series: Iterable[Series]) -> list[Close]:
    """The closes of a day's bars of these series, of every contract that has them."""
    return [
        Close(bar.end_ns, ContractId(contract), bar.close, bar.key.trading_day)
        for contract, bars in result.bars.items()
        for each in series
        for message in bars.get(each, ())
        if (bar := message.bar) is not None
    ]
