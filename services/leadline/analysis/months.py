"""A strategy on a root: the contracts that it reads one after the other, each with the history of its own bars."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from leadline.analysis.assemble import strategy_fold
from leadline.analysis.fold import StrategyFold
from leadline.model.ids import ContractId
from leadline.model.manifest.specs import StrategySpec, calendar_of_spec, session_of
from leadline.model.market.calendars import Calendar
from leadline.model.market.contracts import FrontMonth, front_months, months_from


@dataclass(frozen=True, slots=True)
class MonthFold:
    """One contract's part of a strategy.

    `fold` takes the bars of `contract` and speaks on the days that are the contract's. From `ends_ns` (ns UTC) on the
    next part follows; None for the last one. The first history session of its series opens at `reads_from_ns`.
    """

    contract: ContractId
    fold: StrategyFold
    ends_ns: int | None
    reads_from_ns: int


def month_folds(spec: StrategySpec, feed: Iterable[str], trade_from: date) -> tuple[MonthFold, ...]:
    """The parts of a strategy on a feed of these contracts, in order; it decides from `trade_from` on.

    The fold of a later contract begins with that contract's own history sessions. A part ends with the opening of the
    first trading day of the next. A tape without an end may have lost the contract of `trade_from`; its later ones
    are there. Raises Unknown when the feed has none at all, and InvalidInput and Unknown as `strategy_fold` does.
    """
    known = tuple(feed)
    months = months_from(spec.instrument, known, trade_from) or front_months(spec.instrument, known, trade_from)
    ends = _ends(spec, months)
    return tuple(
        MonthFold(
            month.contract,
            strategy_fold(spec, month.first, month.until),
            ends.get(month.contract),
            _history_opens(spec, month.first),
        )
        for month in months
    )


def month_ends(spec: StrategySpec, feed: tuple[ContractId, ...], trade_from: date) -> Mapping[ContractId, int]:
    """From when on (ns UTC) another contract follows, by the contract that it follows; the last one is not there."""
    return _ends(spec, months_from(spec.instrument, feed, trade_from))


def _ends(spec: StrategySpec, months: Sequence[FrontMonth]) -> dict[ContractId, int]:
    market = calendar_of_spec(spec)
    return {month.contract: _opening(market, month.until) for month in months[:-1] if month.until is not None}


def _history_opens(spec: StrategySpec, day: date) -> int:
    """When the first of the history sessions before a trading day opens, of all series."""
    market, (_, hours) = calendar_of_spec(spec), session_of(spec)
    before = market.previous_sessions(day, max(each.history for each in spec.all_series), hours)
    return before[0].open_ns if before else _opening(market, day)


def _opening(market: Calendar, day: date) -> int:
    """When the market opens on a day, or on the first day after it on which it does."""
    while (hours := market.market(day)) is None:
        day += timedelta(days=1)
    return hours[0]
