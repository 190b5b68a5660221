"""The part of a backtest's days that is kept for its results, while the days themselves go by."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from leadline.backtest.account import TierDay
from leadline.backtest.engine import Accounts
from leadline.backtest.market import Close, DayResult
from leadline.backtest.work import Series, series_of
from leadline.model.bars import OWN_SERIES, UnfinishedBar
from leadline.model.ids import AccountId, StrategyId
from leadline.model.manifest.specs import TradingStrategy

MOST_ENTRY_BARS: Final = 200
"""Bars that made entries are kept with their footprints for the newest decisions alone, at most so many."""


class Gathered:
    """The observer of a backtest: give its `seen` to `run_backtest`, and itself to `result_of`."""

    def __init__(self, strategies: Sequence[TradingStrategy]) -> None:
        self.strategies = tuple(sorted(strategies, key=lambda each: each.full_name))
        self.closes: dict[AccountId, list[Close]] = {each.account_name: [] for each in self.strategies}
        self.tiers: dict[AccountId, list[TierDay]] = {each.account_name: [] for each in self.strategies}
        self.unfinished: list[UnfinishedBar] = []
        self._own: dict[AccountId, dict[Series, None]] = {each.account_name: {} for each in self.strategies}
        for each in self.strategies:
            self._own[each.account_name][series_of(each)[OWN_SERIES]] = None
        # Bars of the last day at which something was proposed, of which some may yet be decided, and those of entries.
        self._recent: dict[tuple[StrategyId, str], bytes] = {}
        self._entries: dict[tuple[StrategyId, str], bytes] = {}
        self._decided: dict[AccountId, int] = {}

    def seen(self, result: DayResult, accounts: Accounts) -> None:
        """Take what is needed of a day; all accounts are through it."""
        self.unfinished += result.unfinished
        if not result.day.spoken:
            return
        for account in self._own:
            for closes in result.closes.values():
                self.closes[account] += [each for own in self._own[account] for each in closes.get(own, ())]
            tier_day = accounts[account].tier_on(result.day.day)
            if tier_day is not None:
                self.tiers[account].append(replace(tier_day, day=result.day.day))
        before = self._recent
        self._recent = {(name, key): bar for name, said in result.said.items() for key, bar in said.entries.items()}
        self._keep_entries({**before, **self._recent}, accounts)

    def entry(self, strategy: StrategyId, bar_key: str) -> bytes | None:
        """The bar of a decision on an entry, packed; None where it is older than those that are kept."""
        return self._entries.get((strategy, bar_key))

    def _keep_entries(self, candidates: dict[tuple[StrategyId, str], bytes], accounts: Accounts) -> None:
        for account, run in accounts.items():
            decisions = run.records.decisions
            for decision in islice(decisions.values(), self._decided.get(account, 0), None):
                key = (decision.strategy, decision.bar_key)
                if decision.entered and key in candidates:
                    self._entries[key] = candidates[key]
            self._decided[account] = len(decisions)
        for key in list(self._entries)[:-MOST_ENTRY_BARS]:
            del self._entries[key]
