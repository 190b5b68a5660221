"""Whether a market is open at an instant, and until when: what people ask of a tape that has no end."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from leadline.model.market.calendars import Calendar

# No market is closed for as long as this.
_MOST_DAYS_CLOSED = 30


@dataclass(frozen=True, slots=True)
class MarketPhase:
    """The phase of a market at an instant.

    `until_ns` is when it closes, or opens next, ns UTC; 0 where the calendar does not know. `holiday` is why it is
    closed on a day of the week on which it trades, empty for any other closure.
    """

    is_open: bool
    until_ns: int
    holiday: str = ""


def market_phase(market: Calendar, now_ns: int) -> MarketPhase:
    """The phase of a market at an instant. Raises Unknown outside the calendar's validity."""
    day = market.trading_day(now_ns)
    hours = market.market(day)
    if hours is not None and hours[0] <= now_ns < hours[1]:
        return MarketPhase(is_open=True, until_ns=hours[1])
    opens_ns = next((opens for opens, _ in _windows(market, day) if opens > now_ns), 0)
    return MarketPhase(is_open=False, until_ns=opens_ns, holiday=market.closed.get(day, ""))


def open_between(market: Calendar, from_ns: int, until_ns: int) -> int:
    """For how long a market is open in [from_ns, until_ns), nanoseconds. Raises Unknown outside its validity."""
    if from_ns >= until_ns:
        return 0
    total = 0
    last = market.trading_day(until_ns)
    for opens_ns, closes_ns in _windows(market, market.trading_day(from_ns), last):
        total += max(min(closes_ns, until_ns) - max(opens_ns, from_ns), 0)
    return total


def next_close(market: Calendar, after_ns: int) -> int:
    """The first close of the market later than an instant; 0 where the calendar knows none."""
    return next((closes for _, closes in _windows(market, market.trading_day(after_ns)) if closes > after_ns), 0)


def _windows(market: Calendar, day: date, last: date | None = None) -> Iterator[tuple[int, int]]:
    """When the market is open from a trading day on, in order, as far as the calendar knows."""
    last = day + timedelta(days=_MOST_DAYS_CLOSED) if last is None else last
    while day <= last and market.knows(day):
        if (hours := market.market(day)) is not None:
            yield hours
        day += timedelta(days=1)
