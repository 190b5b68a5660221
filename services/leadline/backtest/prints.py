"""The accepted prints of a backtest, by contract and trading day, from wherever they are kept."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final, Protocol

import numpy as np

from leadline.catalog.entry import content_hash
from leadline.ingestion.days import TradingDays, day_of
from leadline.ingestion.months import market_of
from leadline.ingestion.sources import CODA_NS
from leadline.ingestion.tally import OUTSIDE, Counts
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import TickColumns

_NONE: Final[Mapping[ContractId, Counts]] = {}


@dataclass(frozen=True, slots=True)
class DayOfPrints:
    """One trading day of a contract: how many prints it has, at least one, and the times of the first and the last.

    kept_out: the faulty prints that came with them, by reason, those of files that have no day with the first day.
    """

    day: date
    prints: int
    first_ns: int
    last_ns: int
    kept_out: tuple[tuple[str, int], ...] = ()


class Prints(Protocol):
    """Accepted prints, a trading day at a time. A worker gets a copy, so that it is pickled.

    contracts: those that it has, in order. beside: those of them that no strategy reads and that are there to be filled
    on; a backtest leaves out what lacks a day. cut_by: the name of the calendar of its days, empty for the market's.
    """

    contracts: tuple[ContractId, ...]
    beside: frozenset[ContractId]
    cut_by: str

    def days(self, contract: ContractId) -> Sequence[DayOfPrints]:
        """The trading days at hand, in order."""

    def read(self, contract: ContractId, day: date) -> TickColumns:
        """The prints of one of these days in tape order, numbered from 0. Raises InvalidInput for prints that changed.

        Raises OSError for a file that cannot be read.
        """

    def content(self, contract: ContractId, day: date) -> str:
        """The hash of the prints of one of these days, as `leadline.catalog.entry.content_hash` makes it."""

    def ends_ns(self, contract: ContractId, last_day: date) -> int:
        """A tape that ends with this day has nothing more before this; 0 where nobody knows."""


class FilledOn:
    """Prints without those that are there to be filled on and that nobody executes. See `Prints`.

    executed: the symbols, contracts or roots, of what is.
    """

    def __init__(self, prints: Prints, executed: Collection[str]) -> None:
        self.beside = frozenset(name for name in prints.beside if {name, instrument_of(name).root} & set(executed))
        self.contracts = tuple(name for name in prints.contracts if name in self.beside or name not in prints.beside)
        self.cut_by = prints.cut_by
        self.days, self.read, self.content, self.ends_ns = prints.days, prints.read, prints.content, prints.ends_ns


class PrintsInMemory:
    """Prints that are at hand whole: of a test, of a file, of a simulated market.

    market: accepted prints by contract, in tape order. whole_days: each day is known to be over with its last print, as
    in a simulated market; else nobody knows, as of days in files and in a catalog. kept_out: by contract, of the
    faulty prints that came with them.
    Raises InvalidInput when there is no print.
    """

    def __init__(
        self,
        market: Mapping[ContractId, TickColumns],
        *,
        whole_days: bool = False,
        kept_out: Mapping[ContractId, Counts] = _NONE,
    ) -> None:
        self._days: dict[ContractId, dict[date, TickColumns]] = {
            contract: _by_day(contract, ticks) for contract, ticks in sorted(market.items()) if len(ticks)
        }
        if not self._days:
            raise InvalidInput("market", "nothing", "prints of a contract")
        self._whole_days = whole_days
        self._kept_out = {name: _by_reason(kept_out.get(name, {}), days) for name, days in self._days.items()}
        self.contracts = tuple(map(ContractId, self._days))
        self.beside: frozenset[ContractId] = frozenset()
        self.cut_by = ""

    def days(self, contract: ContractId) -> Sequence[DayOfPrints]:
        """See `Prints`."""
        return [
            DayOfPrints(
                day, len(ticks), int(ticks.time_ns[0]), int(ticks.time_ns[-1]), self._kept_out[contract].get(day, ())
            )
            for day, ticks in self._days[contract].items()
        ]

    def read(self, contract: ContractId, day: date) -> TickColumns:
        """See `Prints`."""
        return self._days[contract][day]

    def content(self, contract: ContractId, day: date) -> str:
        """See `Prints`."""
        return content_hash(contract, day, self._days[contract][day])

    def ends_ns(self, contract: ContractId, last_day: date) -> int:
        """See `Prints`."""
        return whole_day_ends_ns(contract, last_day) if self._whole_days else 0


def whole_day_ends_ns(contract: ContractId, day: date) -> int:
    """An instant after a trading day's close at which all that ended with it is known; 0 for a day that is none."""
    hours = market_of(contract).market(day)
    return hours[1] + CODA_NS if hours else 0


def _by_reason(counts: Counts, days: Iterable[date]) -> dict[date, tuple[tuple[str, int], ...]]:
    """Faulty prints by day and reason."""
    found: dict[date, Counter[str]] = {}
    for (day, reason), count in counts.items():
        if reason != OUTSIDE:
            found.setdefault(day or min(days), Counter())[reason] += count
    return {day: tuple(sorted(reasons.items())) for day, reasons in found.items()}


def _by_day(contract: ContractId, ticks: TickColumns) -> dict[date, TickColumns]:
    """The prints of each trading day, numbered from 0. Raises InvalidInput for a time that belongs to none."""
    ordinals = TradingDays(market_of(contract)).of(ticks.time_ns)
    cuts = [0, *(np.flatnonzero(np.diff(ordinals)) + 1).tolist(), len(ticks)]
    found: dict[date, TickColumns] = {}
    for start, stop in pairwise(cuts):
        day = day_of(int(ordinals[start]))
        if day is None:
            raise InvalidInput(f"prints of {contract}", int(ticks.time_ns[start]), "times on days of its calendar")
        if day in found:
            raise InvalidInput(f"prints of {contract}", int(ticks.time_ns[start]), "times that do not decrease")
        found[day] = numbered_from(ticks.slice(start, stop), 0)
    return found


def numbered_from(ticks: TickColumns, first_index: int) -> TickColumns:
    """The same prints, the first of them with this source index."""
    return TickColumns(ticks.time_ns, ticks.price, ticks.size, ticks.aggressor, first_index)
