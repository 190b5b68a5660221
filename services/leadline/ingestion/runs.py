"""Which sessions a run's tape has, and what the run is called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from leadline.model.calendars import Calendar
from leadline.model.errors import InvalidInput
from leadline.model.ids import derive

# A quiet Tuesday with a week of the same contract before it: what is traded when nobody names a day.
DEFAULT_TRADE_FROM: Final = date(2025, 6, 10)

_ID_CHARACTERS: Final = 12
_DAYS_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class ContractDays:
    """One contract of a feed: its market, and the trading days that are at hand, in order; None: any that is asked."""

    contract: str
    market: Calendar
    at_hand: tuple[date, ...] | None


@dataclass(frozen=True, slots=True)
class TapePlan:
    """Trading days of a tape: `sessions` by contract in order; `missing` are days of the history not at hand."""

    trade_from: date
    sessions: Mapping[str, tuple[date, ...]]
    missing: tuple[date, ...]

    @property
    def days(self) -> tuple[date, ...]:
        """Trading days of any contract, in order."""
        return tuple(sorted({day for days in self.sessions.values() for day in days}))


def run_id(code_version: str, content: str, number: int) -> str:
    """A run's id, which is the name of its tape: what makes its results, and a number from the database."""
    return f"{derive(code_version, content)[:_ID_CHARACTERS]}-{number}"


def plan_tape(feed: Sequence[ContractDays], trade_from: date | None, history: int, sessions: int) -> TapePlan:
    """The tape of a run that decides from the trading day `trade_from` on.

    It begins `history` sessions before that, or as many of them as are at hand, and has what is at hand from there,
    or `sessions` sessions from `trade_from` on where any day can be had. Without `trade_from` it is the first day at
    hand that has its whole history, else the first day at hand; else `DEFAULT_TRADE_FROM`.
    Raises InvalidInput when no contract has prints on `trade_from`, Unknown outside a calendar's validity.
    """
    if trade_from is None:
        trade_from = max(_first_tradable(each, history) for each in feed)
    found: dict[str, tuple[date, ...]] = {}
    missing: set[date] = set()
    for each in feed:
        wanted = previous_days(each.market, trade_from, history)
        if each.at_hand is None:
            found[each.contract] = (*wanted, *_days_from(each.market, trade_from, sessions))
        else:
            first = min(wanted, default=trade_from)
            found[each.contract] = tuple(day for day in each.at_hand if day >= first)
            missing.update(day for day in wanted if day not in each.at_hand)
    plan = TapePlan(trade_from, found, tuple(sorted(missing)))
    if trade_from not in plan.days:
        raise InvalidInput("trade_from", trade_from.isoformat(), f"a trading day of the feed: {_shown(feed)}")
    return plan


def previous_days(market: Calendar, day: date, count: int) -> tuple[date, ...]:
    """The `count` trading days before a day on which the market is open, oldest first. Raises Unknown."""
    found: list[date] = []
    while len(found) < count:
        day -= timedelta(days=1)
        if market.market(day) is not None:
            found.append(day)
    return tuple(reversed(found))


def _first_tradable(each: ContractDays, history: int) -> date:
    if each.at_hand is None:
        return DEFAULT_TRADE_FROM
    for day in each.at_hand[history:]:
        if set(previous_days(each.market, day, history)) <= set(each.at_hand):
            return day
    return each.at_hand[0]


def _days_from(market: Calendar, day: date, count: int) -> tuple[date, ...]:
    """`day`, when the market is open on it, and the open days after it, `count` in all."""
    if market.market(day) is None:
        return ()
    found = [day]
    while len(found) < count:
        day += timedelta(days=1)
        if market.market(day) is not None:
            found.append(day)
    return tuple(found)


def _shown(feed: Sequence[ContractDays]) -> str:
    days = sorted({day for each in feed for day in each.at_hand or ()})
    if not days:
        return "one on which its market is open"
    shown = ", ".join(day.isoformat() for day in days[:_DAYS_SHOWN])
    return shown if len(days) <= _DAYS_SHOWN else f"{shown} ... {days[-1].isoformat()}"
