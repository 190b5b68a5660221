"""The market side of a backtest: of each day its prints, and what accounts, digest and results want of it.

Bars are many and large, and what is said of them is larger. So they stay where they are made. Of a day these go on: the
lines of the digest, the closes, what an account listens to, and the bars at which something may be entered.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import numpy as np

from leadline.backtest.causes import entry_of
from leadline.backtest.days import BacktestDay, BacktestDays, SpokenDay
from leadline.backtest.prints import Prints, numbered_from
from leadline.backtest.work import Bars, ContractDay, Series, day_bars, day_signals, series_of
from leadline.model.bars import OWN_SERIES, Bar, BarMessage, UnfinishedBar
from leadline.model.frozen import replace
from leadline.model.ids import AccountId, ContractId, StrategyId
from leadline.model.manifest.specs import TradingStrategy
from leadline.model.signals import SignalMessage
from leadline.model.ticks import TickColumns
from leadline.views.digest import Line, Owners, line_of
from leadline.views.digest_values import bar_row, signal_row

_NOBODY: Final = Owners.of(())


@dataclass(frozen=True, slots=True)
class Close:
    """The price of a contract, in ticks, at the end of a bar, ns UTC: the bar's close, or its last print by then."""

    time_ns: int
    contract: ContractId
    price: int
    day: date


@dataclass(frozen=True, slots=True)
class Said:
    """The words of a strategy on a day.

    heard: the messages without what no account listens to, which are the patterns and the numbers of the regime. lines:
    those of the digest, of nobody's account and strategy. entries: by the bar's key, each bar at which it proposes what
    may be accepted, as `causes.entry_of` packs it.
    """

    heard: tuple[SignalMessage, ...]
    lines: tuple[Line, ...]
    entries: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class DayResult:
    """One trading day of the market.

    ticks: the prints by contract, of a day that is traded; they stand there until the day after the next is asked for.
    lines: those of the digest for all bars, in any order, by series. closes: of the bars of strategies' own series, in
    order. said: by strategy. unfinished: the bars inside of which a tape ends with this day.
    """

    day: BacktestDay
    ticks: Mapping[ContractId, TickColumns]
    lines: Mapping[ContractId, Mapping[Series, Sequence[Line]]]
    closes: Mapping[ContractId, Mapping[Series, Sequence[Close]]]
    said: Mapping[StrategyId, Said]
    unfinished: tuple[UnfinishedBar, ...] = ()


class DayWorker:
    """Works on days in one process; see `leadline.backtest.work`."""

    def __init__(self, prints: Prints, days: BacktestDays, strategies: Iterable[TradingStrategy]) -> None:
        self._prints = prints
        self._strategies = {strategy.full_name: strategy for strategy in strategies}
        self._series = series_by_contract(self._strategies.values(), days)
        self._own = {
            contract: {series_of(self._strategies[name])[OWN_SERIES] for name in names}
            for contract, names in days.readers.items()
        }

    def ticks(self, day: ContractDay) -> TickColumns:
        """The prints of a day with the source indices that they have on the tape."""
        return ticks_of(self._prints, day)

    def bars(self, day: ContractDay, ticks: TickColumns) -> Bars:
        """The bars of a day of a contract, of every series that a strategy reads of it."""
        series = self._series[day.contract]
        return day_bars(day, ticks, series) if series else {}

    def result(
        self, day: BacktestDay, ticks: Mapping[ContractId, TickColumns], bars: Mapping[tuple[ContractId, date], Bars]
    ) -> DayResult:
        """The result of a day. `bars` by contract and day, those of the history among them."""
        own = {part.contract: bars[part.contract, day.day] for part in day.tapes}
        return DayResult(
            day,
            ticks,
            {
                contract: {
                    series: [line_of("bar", bar_row(bar), _NOBODY) for bar in _bars(told)]
                    for series, told in found.items()
                }
                for contract, found in own.items()
            },
            self._closes(own, ticks),
            {spoken.strategy: self._said(spoken, bars) for spoken in day.spoken},
            tuple(
                message.unfinished
                for found in own.values()
                for told in found.values()
                for message in told[-1:]
                if message.unfinished is not None
            ),
        )

    def _closes(
        self, bars: Mapping[ContractId, Bars], ticks: Mapping[ContractId, TickColumns]
    ) -> dict[ContractId, dict[Series, list[Close]]]:
        """The closes of the series that are strategies' own, and at each the price of every contract that has no bars.

        Orders may fill on the prints of those.
        """
        found: dict[ContractId, dict[Series, list[Close]]] = {}
        ends: dict[Series, dict[int, date]] = {}
        for contract, made in bars.items():
            for series in self._own[contract]:
                own = list(_bars(made.get(series, ())))
                found.setdefault(contract, {})[series] = [
                    Close(bar.end_ns, contract, bar.close, bar.key.trading_day) for bar in own
                ]
                ends.setdefault(series, {}).update({bar.end_ns: bar.key.trading_day for bar in own})
        for contract in bars.keys() - found.keys():
            found[contract] = {series: prices_at(contract, ticks[contract], series, at) for series, at in ends.items()}
        return found

    def _said(self, spoken: SpokenDay, bars: Mapping[tuple[ContractId, date], Bars]) -> Said:
        history = [bars[spoken.contract, day] for day in spoken.history]
        own, strategy = bars[spoken.contract, spoken.day], self._strategies[spoken.strategy]
        messages = day_signals(strategy, spoken.day, history, own, spoken.ends_ns)
        keyed = {bar.key: bar for bar in _bars(own[series_of(strategy)[OWN_SERIES]])}
        said = [message.bar for message in messages if message.bar is not None]
        return Said(
            tuple(map(_heard, messages)),
            tuple(line_of("signal", signal_row(AccountId(""), StrategyId(""), each), _NOBODY) for each in said),
            {
                each.bar.text(): entry_of(keyed[each.bar], each)
                for each in said
                if any(proposal.withdrawn is None for proposal in each.proposals)
            },
        )


def ticks_of(prints: Prints, day: ContractDay) -> TickColumns:
    """The prints of a day with the source indices that they have on the tape."""
    return numbered_from(prints.read(day.contract, day.day), day.first_index)


def series_by_contract(
    strategies: Iterable[TradingStrategy], days: BacktestDays
) -> dict[ContractId, tuple[Series, ...]]:
    """The series that strategies read of each contract, each once."""
    by_name = {strategy.full_name: strategy for strategy in strategies}
    return {
        contract: tuple(dict.fromkeys(each for name in names for each in series_of(by_name[name]).values()))
        for contract, names in days.readers.items()
    }


def prices_at(contract: ContractId, ticks: TickColumns, series: Series, ends: Mapping[int, date]) -> list[Close]:
    """The last price of a contract at the ends of a day's bars, ns UTC with their trading days, where it has a print.

    A print at the end of a bar of time belongs to the next one.
    """
    side: Literal["left", "right"] = "left" if series.spec.kind == "time" else "right"
    places = np.searchsorted(ticks.time_ns, np.array(sorted(ends), dtype=np.int64), side=side)
    return [
        Close(at, contract, int(ticks.price[place - 1]), ends[at])
        for at, place in zip(sorted(ends), places.tolist(), strict=True)
        if place
    ]


def _bars(messages: Iterable[BarMessage]) -> Iterator[Bar]:
    return (message.bar for message in messages if message.bar is not None)


def _heard(message: SignalMessage) -> SignalMessage:
    """A message as far as an account listens to it. That of the rest could be said is checked where it is said."""
    bar = message.bar
    if bar is None:
        return message
    regime = None if bar.regime is None else replace(bar.regime, scores={}, inputs={})
    return replace(message, bar=replace(bar, regime=regime, signals=()))


def in_this_process(prints: Prints, days: BacktestDays, strategies: Sequence[TradingStrategy]) -> Iterator[DayResult]:
    """The days in order, worked on one after the other."""
    worker = DayWorker(prints, days, strategies)
    kept: dict[tuple[ContractId, date], Bars] = {}
    for day in days.days:
        ticks = {part.contract: worker.ticks(part) for part in day.tapes}
        kept.update({(part.contract, day.day): worker.bars(part, ticks[part.contract]) for part in day.tapes})
        yield worker.result(day, ticks, kept)
        for old in day.done:
            del kept[old]
