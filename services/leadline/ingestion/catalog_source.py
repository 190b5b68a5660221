"""The catalog as a source of prints. It is loaded where a feed is one, for Arrow comes with it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal

import numpy as np

from leadline.catalog.catalog import Catalog, NotInCatalog
from leadline.catalog.entry import DayEntry
from leadline.ingestion.months import stands_for
from leadline.ingestion.raw import RawColumns, nano, to_nano
from leadline.ingestion.sources import Accepted, Day
from leadline.ingestion.tally import Counts, require_share
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId, derive
from leadline.model.market.contracts import dated, instrument_of, resolve_contract, rolls_by_rule
from leadline.model.ticks import TickColumns


class CatalogSource:
    """Days of a catalog. Their prints were accepted when they came in: they are not judged again.

    instruments: of a root all months that the catalog has, else the contract that is meant on a day. executed: what may
    be filled in their place; `beside` are its contracts that the catalog has. Raises Unknown for a contract that the
    catalog has not, InvalidInput for a catalog without any and for a file that is damaged, OSError.
    """

    kind: Literal["sim", "file", "catalog"] = "catalog"

    def __init__(self, root: Path, instruments: Sequence[str], as_of: date, executed: Sequence[str] = ()) -> None:
        self._catalog = Catalog(root)
        known = self._catalog.contracts()
        if not known:
            ways = "`leadline data import` puts prints of files in, `leadline data fetch` buys some"
            raise InvalidInput("catalog", str(root), f"a folder with days of prints: {ways}")
        found: dict[ContractId, None] = {}
        for symbol in instruments:
            months = [name for name in known if (month := dated(name)) is not None and month.root == symbol]
            wanted = months if rolls_by_rule(symbol) else [resolve_contract(symbol, as_of)]
            if not wanted or not set(wanted) <= set(known):
                raise NotInCatalog(str(root), symbol, known)
            found.update(dict.fromkeys(wanted))
        self.beside = frozenset(
            name
            for name in known
            if name not in found
            and {name, instrument_of(name).root} & set(executed)
            and any(stands_for(name, signal) for signal in found)
        )
        self.contracts = tuple(sorted({*found, *self.beside}))
        self._entries = {name: {each.day: each for each in self._catalog.days(name)} for name in self.contracts}
        self.content_id = self._content()

    def of(self, sessions: Mapping[ContractId, Sequence[date]]) -> "CatalogSource":
        """The same with these days alone, each of which is read once, so that nothing is published of a damaged one."""
        chosen = object.__new__(CatalogSource)
        chosen._catalog = self._catalog
        chosen.beside = self.beside
        chosen.contracts = tuple(name for name in self.contracts if sessions.get(name))
        chosen._entries = {name: {day: self._entries[name][day] for day in sessions[name]} for name in chosen.contracts}
        for name, days in chosen._entries.items():
            for day in days:
                chosen._prints(name, day)
        chosen.content_id = chosen._content()
        return chosen

    def days(self, contract: ContractId) -> tuple[date, ...]:
        """See `Source`."""
        return tuple(sorted(self._entries[contract]))

    def day(self, contract: ContractId, day: date) -> Day:
        """See `Source`."""
        entry = self._entries[contract][day]
        return Day(entry.prints + sum(entry.kept_out.values()), entry.first_ns)

    def ends_ns(self, contract: ContractId, last_day: date) -> int:
        """See `Source`: a day that was recorded does not say whether it was cut off."""
        del contract, last_day
        return 0

    def read(self, contract: ContractId, days: Sequence[date]) -> Iterator[RawColumns]:
        """See `Source`."""
        sheet = instrument_of(contract)
        tick, step = nano(sheet.tick, "tick"), nano(sheet.size_step, "size_step")
        for day in days:
            ticks = self._prints(contract, day)
            side, rows = ticks.aggressor.astype(np.int64), np.arange(len(ticks))
            price, size = to_nano(ticks.price, tick), to_nano(ticks.size, step)
            yield RawColumns(contract, ticks.time_ns, price, size, side, rows, str(self._catalog.path(contract, day)))

    def accepted(self, contract: ContractId, days: Sequence[date]) -> Accepted:
        """See `Source`."""
        return Accepted(self._ticks(contract, days), self._kept_out(contract, days))

    def require_share(self, contract: ContractId, days: Sequence[date], max_percent: Decimal) -> None:
        """Raises TooManyKeptOut when too many prints of these days were faulty as they came in."""
        good = sum(self._entries[contract][day].prints for day in days)
        require_share(contract, good, self._kept_out(contract, days), (), max_percent)

    def _prints(self, contract: ContractId, day: date) -> TickColumns:
        """The prints of a day. Raises InvalidInput for one that was replaced since this source was made."""
        return self._catalog.read(contract, day, content=self._entries[contract][day].content_hash)

    def _ticks(self, contract: ContractId, days: Sequence[date]) -> Iterator[TickColumns]:
        first_index = 0
        for day in days:
            ticks = replace(self._prints(contract, day), first_index=first_index)
            first_index += len(ticks)
            yield ticks

    def _kept_out(self, contract: ContractId, days: Sequence[date]) -> Counts:
        counts: Counter[tuple[date | None, str]] = Counter()
        for day in days:
            counts.update({(day, reason): count for reason, count in self._entries[contract][day].kept_out.items()})
        return counts

    def _content(self) -> str:
        entries: list[DayEntry] = [self._entries[name][day] for name in self.contracts for day in self.days(name)]
        return derive("catalog", *(f"{each.contract}:{each.day}:{each.content_hash}" for each in entries))
