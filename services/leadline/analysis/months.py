"""A strategy on a root: the contracts that it reads one after the other, each with the history of its own bars."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from leadline.analysis.assemble import strategy_fold
from leadline.analysis.fold import StrategyFold
from leadline.model.calendars import Calendar
from leadline.model.contracts import front_months
from leadline.model.specs import StrategySpec, calendar_of_spec


@dataclass(frozen=True, slots=True)
class MonthFold:
    """One contract's part of a strategy.

    `fold` takes the bars of `contract` and speaks on the days that are the contract's. From `ends_ns` (ns UTC) on the
    next part follows; None for the last one.
    """

    contract: str
    fold: StrategyFold
    ends_ns: int | None


def month_folds(spec: StrategySpec, feed: Iterable[str], trade_from: date) -> tuple[MonthFold, ...]:
    """The parts of a strategy on a feed of these contracts, in order; it decides from `trade_from` on.

    The fold of a later contract begins with that contract's own history sessions. A part ends with the opening of the
    first trading day of the next. Raises Unknown when the feed lacks the contract of `trade_from`, and InvalidInput and
    Unknown as `strategy_fold` does.
    """
    months = front_months(spec.instrument, feed, trade_from)
    market = calendar_of_spec(spec)
    return tuple(
        MonthFold(
            month.contract,
            strategy_fold(spec, month.first, month.until),
            None if month is months[-1] or month.until is None else _opening(market, month.until),
        )
        for month in months
    )


def _opening(market: Calendar, day: date) -> int:
    """When the market opens on a day, or on the first day after it on which it does."""
    while (hours := market.market(day)) is None:
        day += timedelta(days=1)
    return hours[0]
