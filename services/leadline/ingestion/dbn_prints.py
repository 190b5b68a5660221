"""Databento's files, cut into the days of a catalog."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from leadline.ingestion.dbn import DbnPrints, begins_ns, read_dbn
from leadline.ingestion.file_names import distinct_names
from leadline.ingestion.importing import ALLOWED_LATENESS_NS, DayCutter, ImportedDay, imported, of_day
from leadline.ingestion.raw import RawColumns
from leadline.ingestion.tally import Counts, require_share
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId


class DatabentoPrints:
    """Trades of DBN files, which follow one another in time. wanted: the contracts to take; none for all.

    Raises InvalidInput for what `read_dbn` refuses, for files whose trades of a contract overlap, and for a contract
    that is wanted and in none of them; Unknown; TooManyKeptOut; OSError.
    """

    def __init__(self, paths: Sequence[Path], wanted: Sequence[str], max_kept_out_percent: Decimal) -> None:
        names = distinct_names([str(path) for path in paths])
        self._wanted = frozenset(wanted)
        begins = {name: begins_ns(Path(path), name) for path, name in names.items()}
        self._files = sorted(((Path(path), name) for path, name in names.items()), key=lambda file: begins[file[1]])
        self._kept: tuple[str, DbnPrints] | None = None
        self._counts: dict[ContractId, Counts] = {}
        found: set[ContractId] = set()
        self.skipped = self._look(max_kept_out_percent, found)
        if missing := sorted(self._wanted - self._counts.keys()):
            known = ", ".join(sorted(found)) or "none"
            raise InvalidInput("--contract", ", ".join(missing), f"a contract that has trades in these files: {known}")

    def days(self) -> Iterator[ImportedDay]:
        """See `Prints`."""
        cutters: dict[ContractId, DayCutter] = {}
        for prints in self._read():
            for raw in self._taken(prints):
                cutter = cutters.setdefault(raw.contract, DayCutter(raw.contract))
                for day, ticks, source in cutter.feed(raw):
                    yield imported(raw.contract, day, ticks, source, self._counts[raw.contract])
        for contract, cutter in cutters.items():
            for day, ticks, source in cutter.finish():
                yield imported(contract, day, ticks, source, self._counts[contract])

    def undated(self) -> Mapping[str, Mapping[str, int]]:
        """See `Prints`."""
        return {contract: of_day(counts, None) for contract, counts in self._counts.items()}

    def _read(self) -> Iterator[DbnPrints]:
        """File by file. The last one stays in memory: often it is the only one."""
        for path, name in self._files:
            if self._kept is None or self._kept[0] != name:
                self._kept = (name, read_dbn(path, name))
            yield self._kept[1]

    def _taken(self, prints: DbnPrints) -> list[RawColumns]:
        return [raw for contract, raw in prints.columns.items() if contract in self._wanted or not self._wanted]

    def _look(self, max_kept_out_percent: Decimal, found: set[ContractId]) -> Mapping[str, int]:
        """Read all of it once, and count the faulty trades. Returns the trades that are of no contract, by symbol.

        found: the contracts of the files come in here, those that are not wanted too.
        """
        cutters: dict[ContractId, DayCutter] = {}
        good: Counter[ContractId] = Counter()
        skipped: Counter[str] = Counter()
        ends: dict[ContractId, tuple[int, str]] = {}
        for prints in self._read():
            skipped.update(prints.skipped)
            found.update(prints.columns)
            for raw in self._taken(prints):
                _refuse_overlap(raw, ends)
                cutter = cutters.setdefault(raw.contract, DayCutter(raw.contract))
                good[raw.contract] += sum(len(ticks) for _, ticks, _ in cutter.feed(raw))
        for contract, cutter in cutters.items():
            good[contract] += sum(len(ticks) for _, ticks, _ in cutter.finish())
            kept_out = {(day, reason.value): count for (day, reason), count in cutter.normaliser.kept_out.items()}
            require_share(contract, good[contract], kept_out, cutter.normaliser.samples, max_kept_out_percent)
            self._counts[contract] = kept_out
        return dict(sorted(skipped.items()))


def _refuse_overlap(raw: RawColumns, ends: dict[ContractId, tuple[int, str]]) -> None:
    """Raises InvalidInput when a file of a contract begins before the one before it ends. ends: of those before."""
    first, last = int(raw.time_ns[0]), int(raw.time_ns.max())
    before, name = ends.get(raw.contract, (first, ""))
    if first < before - ALLOWED_LATENESS_NS:
        found = f"trades of {raw.contract} from {first} on"
        raise InvalidInput(raw.source, found, f"trades after {before}, where {name} ends: files may not overlap")
    ends[raw.contract] = (last, raw.source)
