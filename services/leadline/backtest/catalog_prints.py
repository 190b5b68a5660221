"""The days of a catalog as the prints of a backtest. It is loaded where there is one, for Arrow comes with it."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from leadline.backtest.prints import DayOfPrints
from leadline.catalog.catalog import Catalog
from leadline.ingestion.catalog_source import CatalogSource
from leadline.model.ids import ContractId
from leadline.model.ticks import TickColumns


class CatalogPrints:
    """Days of a catalog, each read when its turn comes: no day is held before, and none is judged again.

    instruments: of a root all months that the catalog has, else the contract that is meant on the day `as_of`.
    executed: what may be filled in their place, where the catalog has it. Raises Unknown for a contract that the
    catalog has not, InvalidInput for a file whose head is damaged, OSError.
    """

    def __init__(self, root: Path, instruments: Sequence[str], as_of: date, executed: Sequence[str] = ()) -> None:
        source = CatalogSource(root, instruments, as_of, executed)
        self.contracts, self.beside, self.cut_by = source.contracts, source.beside, ""
        self._catalog = Catalog(root)
        entries = {contract: self._catalog.days(contract) for contract in self.contracts}
        self._days = {
            contract: tuple(
                DayOfPrints(each.day, each.prints, each.first_ns, each.last_ns, tuple(sorted(each.kept_out.items())))
                for each in days
            )
            for contract, days in entries.items()
        }
        self._contents = {
            contract: {each.day: each.content_hash for each in days} for contract, days in entries.items()
        }

    def days(self, contract: ContractId) -> Sequence[DayOfPrints]:
        """See `Prints`."""
        return self._days[contract]

    def read(self, contract: ContractId, day: date) -> TickColumns:
        """See `Prints`: of a day that was replaced or completed since, InvalidInput that names its file."""
        return self._catalog.read(contract, day, content=self.content(contract, day))

    def content(self, contract: ContractId, day: date) -> str:
        """See `Prints`: as the day's file says it, every byte of which is checked when it is read."""
        return self._contents[contract][day]

    def ends_ns(self, contract: ContractId, last_day: date) -> int:
        """See `Prints`: a day that was recorded does not say whether it was cut off."""
        del contract, last_day
        return 0
