"""The part of a backtest that no account takes part in: a day's prints to bars, and bars to what strategies say.

Each day stands alone: its bars follow from its own prints, and what a strategy says on it from these bars and those of
the history sessions before it. So days are worked on in any order, by any number of workers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeAlias

from leadline.aggregation.builder import BarBuilder
from leadline.analysis.assemble import strategy_fold
from leadline.analysis.merge import merged
from leadline.analysis.publication import Publication
from leadline.analysis.strategies import StrategyFailed
from leadline.backtest.names import ANALYSIS, TAPE
from leadline.model.bars import Bar, BarMessage
from leadline.model.durations import BarSpec
from leadline.model.ids import ContractId
from leadline.model.manifest.specs import TradingStrategy, calendar_of_spec, session_of
from leadline.model.market.contracts import instrument_of
from leadline.model.market.hours import SessionHours
from leadline.model.market.sessions import calendar_of
from leadline.model.signals import SignalMessage
from leadline.model.ticks import Aggressor, TickBatch, TickColumns

_ANY_PRICE: Final = 0
_NO_PROMISE_NS: Final = -(1 << 63)


@dataclass(frozen=True, slots=True)
class Series:
    """Bars of one kind: of which hours of the day, what closes them, and the height of a footprint row in ticks."""

    hours: SessionHours
    spec: BarSpec
    ticks_per_row: int


@dataclass(frozen=True, slots=True)
class ContractDay:
    """One trading day of one contract's tape.

    `first_index` is the source index of its first print and `prints` how many it has; `begins_ns` is the time of the
    first, and `next_ns` that of the first print of the day that follows on the tape, None where the tape ends with
    this day. Then `ends_ns` is the instant before which nothing follows.
    """

    contract: ContractId
    day: date
    first_index: int
    prints: int
    begins_ns: int
    next_ns: int | None
    ends_ns: int
    kept_out: tuple[tuple[str, int], ...] = ()

    @property
    def complete_ns(self) -> int:
        """The instant before which nothing follows this day's prints, or at which the tape ends."""
        return self.ends_ns if self.next_ns is None else self.next_ns


Bars: TypeAlias = Mapping[Series, Sequence[BarMessage]]
"""The messages of a day's bars, by series."""


def series_of(strategy: TradingStrategy) -> dict[str, Series]:
    """The series that a strategy reads, by name, its own last, as the merge wants them."""
    _, hours = session_of(strategy.spec)
    return {each.name: Series(hours, each.bars, each.ticks_per_row) for each in strategy.spec.all_series}


def day_bars(day: ContractDay, ticks: TickColumns, series: Sequence[Series]) -> dict[Series, list[BarMessage]]:
    """The bars of one day, of every series, and how far the word on them reaches. `ticks` begin at its first index."""
    assert (ticks.first_index, len(ticks)) == (day.first_index, day.prints)
    batches = _batches(day, ticks)
    found: dict[Series, list[BarMessage]] = {}
    for each in series:
        builder = builder_of(day.contract, each)
        told = [message for batch in batches for message in builder.feed(batch)]
        found[each] = [each for each in told if each.bar is None or each.bar.last_index <= ticks.last_index]
    return found


def _batches(day: ContractDay, ticks: TickColumns) -> list[TickBatch]:
    """The prints of a day, and the one that opens the day that follows, which tells when the last bars were known."""
    venue = instrument_of(day.contract).venue
    if day.next_ns is None:
        return [TickBatch(TAPE, venue, day.contract, ticks, day.complete_ns, final=True)]
    opens = TickColumns.of([(day.next_ns, _ANY_PRICE, 1, Aggressor.UNKNOWN)], ticks.last_index + 1)
    return [
        TickBatch(TAPE, venue, day.contract, ticks, _NO_PROMISE_NS),
        TickBatch(TAPE, venue, day.contract, opens, day.complete_ns),
    ]


def builder_of(contract: ContractId, series: Series) -> BarBuilder:
    """The builder of a series of a contract."""
    return BarBuilder(
        tape=TAPE,
        venue=instrument_of(contract).venue,
        contract=contract,
        calendar=calendar_of(instrument_of(contract), series.hours),
        hours=series.hours,
        spec=series.spec,
        ticks_per_row=series.ticks_per_row,
    )


def day_signals(
    strategy: TradingStrategy, day: date, history: Sequence[Bars], bars: Bars, ends_ns: int | None
) -> list[SignalMessage]:
    """The messages of a strategy on a trading day.

    history: the bars of the history sessions before it, oldest first, of the same contract; bars: those of the day.
    ends_ns: from when on another contract speaks; None for no such instant. Raises StrategyFailed.
    """
    series = series_of(strategy)
    fold = strategy_fold(strategy.spec, day)
    publication = Publication(TAPE, strategy.account_name, strategy.full_name, ANALYSIS, fold, None, ends_ns)
    found: list[SignalMessage] = []
    try:
        for name, bar in _known(history, series):
            fold.step(bar, name)
        for name, message in merged({name: bars[of] for name, of in series.items()}):
            if publication.passed:
                break
            one = publication.step(message, name)
            if one is not None:
                found.append(one)
    except StrategyFailed as failed:
        raise failed.of(strategy.full_name) from failed.error
    return found


def _known(days: Sequence[Bars], series: Mapping[str, Series]) -> list[tuple[str, Bar]]:
    """The bars of days in the order of `analysis.merge`, each after the name of its series.

    How far the word of those days reached is passed by that of the day after them.
    """
    found = [
        (name, message.bar)
        for day in days
        for name, of in series.items()
        for message in day[of]
        if message.bar is not None
    ]
    # The sort is stable: at one instant they stay in the order of the series.
    return sorted(found, key=lambda each: each[1].known_at_ns)


def history_start(strategy: TradingStrategy, day: date) -> date:
    """The first trading day of the history sessions that any series of a strategy needs before a day."""
    _, hours = session_of(strategy.spec)
    before = calendar_of_spec(strategy.spec).previous_sessions(day, strategy.spec.longest_history, hours)
    return before[0].trading_day if before else day
