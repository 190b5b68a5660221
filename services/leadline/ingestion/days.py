"""The trading day of each of many prints."""

from datetime import date
from typing import Final

import numpy as np

from leadline.ingestion.raw import TOO_LARGE
from leadline.model.errors import Unknown
from leadline.model.market.calendars import Calendar
from leadline.model.ticks import NS_PER_MINUTE, Int64Array

# What stands for a day where there is none.
NO_DAY: Final = 0

_EPOCH: Final = date(1970, 1, 1)
_MINUTES_A_DAY: Final = 24 * 60
_LAST_MINUTE: Final = TOO_LARGE // NS_PER_MINUTE


class TradingDays:
    """Trading days of one market.

    first_ns, end_ns: from when on and until when (exclusive) the calendar knows the trading day of an instant, ns UTC;
    both 0 for a calendar that knows no day.
    """

    def __init__(self, market: Calendar) -> None:
        self._market = market
        self.first_ns = self.end_ns = 0
        self._newest = (-1, NO_DAY)
        if market.valid_from is not None and market.valid_through is not None:
            middle = (market.valid_from.toordinal() + market.valid_through.toordinal()) // 2
            inside = (middle - _EPOCH.toordinal()) * _MINUTES_A_DAY
            self.first_ns = self._edge(inside, 0) * NS_PER_MINUTE
            self.end_ns = (self._edge(inside, _LAST_MINUTE) + 1) * NS_PER_MINUTE

    def of(self, time_ns: Int64Array) -> Int64Array:
        """The trading day of each time as its ordinal, `NO_DAY` for what the calendar does not know; shape (n,)."""
        if not len(time_ns):
            return np.zeros(0, dtype=np.int64)
        first, last = int(time_ns.min()), int(time_ns.max())
        minute_of_all = first // NS_PER_MINUTE
        if minute_of_all == last // NS_PER_MINUTE and self.first_ns <= first and last < self.end_ns:
            return np.full(len(time_ns), self._ordinal(minute_of_all), dtype=np.int64)
        known = (time_ns >= self.first_ns) & (time_ns < self.end_ns)
        # Trading days begin on full minutes, and prints of one minute mostly stand together.
        minute = np.where(known, time_ns // NS_PER_MINUTE, -1)
        begins = np.concatenate([[0], np.flatnonzero(np.diff(minute)) + 1])
        minutes, place = np.unique(minute[begins], return_inverse=True)
        days = [NO_DAY if each < 0 else self._day(each).toordinal() for each in minutes.tolist()]
        return np.repeat(np.array(days, dtype=np.int64)[place], np.diff(begins, append=len(minute)))

    def _ordinal(self, minute: int) -> int:
        """The trading day of a minute: live, many messages have the same one."""
        if minute != self._newest[0]:
            self._newest = (minute, self._day(minute).toordinal())
        return self._newest[1]

    def _day(self, minute: int) -> date:
        return self._market.trading_day(minute * NS_PER_MINUTE)

    def _edge(self, inside: int, outside: int) -> int:
        """The last minute that is known on the way from a known to an unknown one."""
        while abs(outside - inside) > 1:
            middle = (inside + outside) // 2
            try:
                self._day(middle)
            except Unknown:
                outside = middle
            else:
                inside = middle
        return inside


def day_of(ordinal: int) -> date | None:
    """The day of an ordinal of `TradingDays.of`."""
    return None if ordinal == NO_DAY else date.fromordinal(ordinal)
