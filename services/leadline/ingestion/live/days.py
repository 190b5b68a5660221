"""The prints of a source that can say all of its days again, cut by time."""

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np

from leadline.ingestion.months import market_of
from leadline.ingestion.raw import RawColumns, joined
from leadline.ingestion.sources import Source
from leadline.model.ids import ContractId


class SourceDays:
    """Reads days of a source, and keeps the one of each contract that is under way."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._kept: dict[ContractId, tuple[date, RawColumns]] = {}

    def between(self, contract: ContractId, first: date, after_ns: int, until_ns: int) -> Iterator[RawColumns]:
        """The prints with times in (after_ns, until_ns], by trading day, from the day `first` on.

        Raises Unknown outside the calendar's years.
        """
        market = market_of(contract)
        day = max(market.trading_day(after_ns), first)
        while (hours := market.market(day)) is None or hours[0] <= until_ns:
            if hours is not None and self._has(contract, day):
                found = self._day(contract, day)
                start, stop = np.searchsorted(found.time_ns, [after_ns, until_ns], side="right").tolist()
                if start < stop:
                    yield found.only(slice(start, stop))
            day += timedelta(days=1)

    def next_ns(self, contract: ContractId, after_ns: int) -> int:
        """The time of the first print later than this on the day under way; 0 where that has none any more."""
        kept = self._kept.get(contract)
        if kept is None:
            return 0
        times = kept[1].time_ns
        place = int(np.searchsorted(times, after_ns, side="right"))
        return int(times[place]) if place < len(times) else 0

    def _has(self, contract: ContractId, day: date) -> bool:
        at_hand = self._source.days(contract)
        return at_hand is None or day in at_hand

    def _day(self, contract: ContractId, day: date) -> RawColumns:
        kept = self._kept.get(contract)
        if kept is None or kept[0] != day:
            whole = joined(list(self._source.read(contract, [day])))
            whole = whole.only(np.argsort(whole.time_ns, kind="stable"))
            kept = self._kept[contract] = (day, whole)
        return kept[1]
