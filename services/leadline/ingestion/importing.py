"""Files of prints, cut into the days of a catalog: the same normaliser and the same bounds as a feed of files has.

All files are read once before the first day is given, so that nothing is kept of one with an error in it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from leadline.ingestion.days import TradingDays, day_of
from leadline.ingestion.normaliser import Normaliser
from leadline.ingestion.raw import RawColumns
from leadline.ingestion.sources import FileSource
from leadline.ingestion.tally import Counts, OutsideSessions
from leadline.model.ids import ContractId
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import NS_PER_SECOND, TickColumns

_COLUMNS: Final = ("time_ns", "price", "size", "aggressor")

ALLOWED_LATENESS_NS: Final = NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class ImportedDay:
    """A trading day of a contract, as it goes into a catalog. outside: good prints out of the market's hours."""

    contract: ContractId
    day: date
    ticks: TickColumns
    source: str
    kept_out: Mapping[str, int]
    outside: int


class Prints(Protocol):
    """Files that were read once. skipped: trades of symbols that are no contract, by name."""

    skipped: Mapping[str, int]

    def days(self) -> Iterator[ImportedDay]:
        """The days, contract by contract or file by file, those of a contract in order."""

    def undated(self) -> Mapping[str, Mapping[str, int]]:
        """Faulty prints without a trading day, by contract and reason."""


class CsvPrints:
    """Prints as text: see `FileSource`, which refuses what a feed of these files would be refused for."""

    def __init__(self, files: Sequence[tuple[Path, str]], max_kept_out_percent: Decimal) -> None:
        self.skipped: Mapping[str, int] = {}
        self._source = FileSource(files, allowed_lateness_ns=ALLOWED_LATENESS_NS)
        for contract in self._source.contracts:
            self._source.require_share(contract, self._source.days(contract) or (), max_kept_out_percent)

    def days(self) -> Iterator[ImportedDay]:
        """See `Prints`."""
        for contract in self._source.contracts:
            counts = self._source.kept_out(contract)
            cutter = DayCutter(contract)
            for raw in self._source.read(contract, self._source.days(contract) or ()):
                for day, ticks, source in cutter.feed(raw):
                    yield imported(contract, day, ticks, source, counts)
            for day, ticks, source in cutter.finish():
                yield imported(contract, day, ticks, source, counts)

    def undated(self) -> Mapping[str, Mapping[str, int]]:
        """See `Prints`."""
        return {name: of_day(self._source.kept_out(name), None) for name in self._source.contracts}


class DaySplitter:
    """Accepted prints of one contract, given out a trading day at a time, each when it is over.

    Those of a live tape may come late: a day has them in the order of time. `too_late` counts by day those that came
    when their day was over.
    """

    def __init__(self, contract: ContractId) -> None:
        self.too_late: Counter[date] = Counter()
        self._days = TradingDays(calendar(instrument_of(contract).calendar))
        self._day: date | None = None
        self._parts: list[TickColumns] = []

    def take(self, ticks: TickColumns) -> Iterator[tuple[date, TickColumns]]:
        """The days that are over with these prints, which come after those before: with source indices from 0 on."""
        ordinals = self._days.of(ticks.time_ns)
        edges = np.flatnonzero(np.diff(ordinals)) + 1
        for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(ticks)], strict=True):
            if start == stop:
                continue
            day = day_of(int(ordinals[start]))
            assert day is not None  # what has none is never accepted
            if self._day is not None and day < self._day:
                self.too_late[day] += stop - start
                continue
            if day != self._day:
                yield from self.finish()
            self._day = day
            self._parts.append(ticks.slice(start, stop))

    def finish(self) -> Iterator[tuple[date, TickColumns]]:
        """The day that is under way, if there is one."""
        if self._day is not None and self._parts:
            parts, self._parts = self._parts, []
            time_ns, price, size, aggressor = (
                np.concatenate([getattr(each, name) for each in parts]) for name in _COLUMNS
            )
            if (np.diff(time_ns) < 0).any():
                order = np.argsort(time_ns, kind="stable")
                time_ns, price, size, aggressor = time_ns[order], price[order], size[order], aggressor[order]
            yield self._day, TickColumns(time_ns, price, size, aggressor)


class DayCutter:
    """Normalises the prints of one contract and gives them out a trading day at a time, each when it is over."""

    def __init__(self, contract: ContractId) -> None:
        self.normaliser = Normaliser.of(contract, allowed_lateness_ns=ALLOWED_LATENESS_NS)
        self._days = TradingDays(calendar(instrument_of(contract).calendar))
        self._splitter = DaySplitter(contract)
        self._sources: dict[int, dict[str, None]] = {}

    def feed(self, raw: RawColumns) -> Iterator[tuple[date, TickColumns, str]]:
        """The days that are over with these prints: day, prints with indices from 0 on, names of their files."""
        for ordinal in np.unique(self._days.of(raw.time_ns)).tolist():
            self._sources.setdefault(ordinal, {})[raw.source] = None
        for day, ticks in self._splitter.take(self.normaliser.feed(raw)):
            yield day, ticks, self._of(day)

    def finish(self) -> Iterator[tuple[date, TickColumns, str]]:
        """The files have ended: the days that are left."""
        for day, ticks in (*self._splitter.take(self.normaliser.finish()), *self._splitter.finish()):
            yield day, ticks, self._of(day)

    def _of(self, day: date) -> str:
        return ", ".join(self._sources[day.toordinal()])


def imported(contract: ContractId, day: date, ticks: TickColumns, source: str, counts: Counts) -> ImportedDay:
    """A day with its faulty prints out of all counts of its contract, and with those out of the market's hours."""
    market = calendar(instrument_of(contract).calendar)
    outside = OutsideSessions(market)
    outside.hours = (market.hours,)
    outside.feed(ticks.time_ns)
    return ImportedDay(contract, day, ticks, source, of_day(counts, day), outside.counts.total())


def of_day(counts: Counts, wanted: date | None) -> dict[str, int]:
    """The faulty prints of a day, None for those without one, by reason."""
    return {reason: count for (day, reason), count in sorted(counts.items(), key=str) if day == wanted}
