"""Which sessions a run's tape has, and what the run is called."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId, RunId, derive
from leadline.model.market.calendars import Calendar
from leadline.model.market.contracts import instrument_of

# A quiet Tuesday with a week of the same contract before it: what is traded when nobody names a day.
DEFAULT_TRADE_FROM: Final = date(2025, 6, 10)

_ID_CHARACTERS: Final = 12
_DAYS_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class ContractDays:
    """One contract of a feed: its market, and the trading days that are at hand, in order; None: any that is asked.

    `leads` are the days [first, until) on which it is the lead month of a root that is traded: its tape begins with the
    history sessions before the first of them that is traded. None: it is traded by itself. `ends` is the last day that
    it can have; None for no such day.
    """

    contract: ContractId
    market: Calendar
    at_hand: tuple[date, ...] | None
    leads: tuple[date, date] | None = None
    ends: date | None = None

    def covers(self, day: date) -> bool:
        """Whether this is the contract to trade on a day."""
        return self.leads is None or self.leads[0] <= day < self.leads[1]

    def starts(self, trade_from: date) -> date:
        """The first trading day for which its history is needed."""
        return trade_from if self.leads is None else max(trade_from, self.leads[0])


@dataclass(frozen=True, slots=True)
class TapePlan:
    """Trading days of a tape: `sessions` by contract in order.

    `missing` are days that some contract should have and that are not at hand: of the history, or between its first
    and its last day.
    """

    trade_from: date
    sessions: Mapping[ContractId, tuple[date, ...]]
    missing: tuple[date, ...]

    @property
    def days(self) -> tuple[date, ...]:
        """Trading days of any contract, in order."""
        return tuple(sorted({day for days in self.sessions.values() for day in days}))


def run_id(code_version: str, content: str, number: int) -> RunId:
    """A run's id, which is the name of its tape: what makes its results, and a number from the database."""
    return RunId(f"{derive(code_version, content)[:_ID_CHARACTERS]}-{number}")


def plan_tape(feed: Sequence[ContractDays], trade_from: date | None, history: int, sessions: int) -> TapePlan:
    """The tape of a run that decides from the trading day `trade_from` on.

    It begins `history` sessions before that, or as many of them as are at hand, and has what is at hand from there,
    or `sessions` sessions from `trade_from` on where any day can be had. A later month of a root begins its history
    before the first day on which it leads. Without `trade_from` it is the first day at hand that has its whole history,
    else the first day at hand; else `DEFAULT_TRADE_FROM`.
    Raises InvalidInput when no contract has prints on `trade_from`, Unknown outside a calendar's validity.
    """
    if trade_from is None:
        trade_from = max(_first_tradable(each, history) for each in _groups(feed))
    found: dict[ContractId, tuple[date, ...]] = {}
    missing: set[date] = set()
    for each in feed:
        starts = each.starts(trade_from)
        wanted = previous_days(each.market, starts, history)
        if each.at_hand is None:
            traded = traded_days(each.market, trade_from, sessions)
            days = (*wanted, *(day for day in traded if day >= starts))
            found[each.contract] = tuple(day for day in days if each.ends is None or day <= each.ends)
        else:
            first = min(wanted, default=starts)
            found[each.contract] = tuple(day for day in each.at_hand if day >= first)
            missing.update(day for day in wanted if day not in each.at_hand)
            missing.update(_between(each.market, found[each.contract]))
    plan = TapePlan(trade_from, found, tuple(sorted(missing)))
    if trade_from not in plan.days:
        raise InvalidInput("trade_from", trade_from.isoformat(), _a_day_of(feed, trade_from))
    return plan


def _a_day_of(feed: Sequence[ContractDays], day: date) -> str:
    """Which days could be traded, in words, where a day cannot: it has no prints, or those of another month only."""
    for each in feed:
        if day in (each.at_hand or ()) and each.leads is not None:
            first, until = each.leads
            days = f"from {first} to before {until}"
            return f"a day whose lead month is in the feed: {each.contract} has prints on it, and leads {days}"
    return f"a trading day of the feed: {_shown(feed)}"


def previous_days(market: Calendar, day: date, count: int) -> tuple[date, ...]:
    """The `count` trading days before a day on which the market is open, oldest first. Raises Unknown."""
    found: list[date] = []
    while len(found) < count:
        day -= timedelta(days=1)
        if market.market(day) is not None:
            found.append(day)
    return tuple(reversed(found))


def _between(market: Calendar, days: Sequence[date]) -> Iterator[date]:
    """Days between the first and the last of these on which the market is open, and which are not among them."""
    have = set(days)
    for ordinal in range(days[0].toordinal(), days[-1].toordinal()) if days else ():
        day = date.fromordinal(ordinal)
        if day not in have and market.market(day) is not None:
            yield day


def _groups(feed: Sequence[ContractDays]) -> list[list[ContractDays]]:
    """Contracts that are traded one after the other stand together: the months of a root."""
    groups: dict[str, list[ContractDays]] = {}
    for each in feed:
        name = each.contract if each.leads is None else instrument_of(each.contract).root
        groups.setdefault(name, []).append(each)
    return list(groups.values())


def _first_tradable(months: Sequence[ContractDays], history: int) -> date:
    leading: list[date] = []
    for each in months:
        if each.at_hand is None:
            return DEFAULT_TRADE_FROM
        days = [day for day in each.at_hand if each.covers(day)]
        whole = (day for day in days if set(previous_days(each.market, day, history)) <= set(each.at_hand or ()))
        if (day := next(whole, None)) is not None:
            return day
        leading += days
    return min(leading, default=min(day for each in months for day in each.at_hand or ()))


def traded_days(market: Calendar, day: date, count: int) -> tuple[date, ...]:
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
