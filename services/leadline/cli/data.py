"""The commands of the catalog: list, verify, export, remove."""

import gzip
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from leadline.catalog.catalog import Catalog, NotInCatalog
from leadline.catalog.coverage import covered_sessions
from leadline.catalog.entry import DayEntry
from leadline.cli.options import Output
from leadline.cli.output import complain, print_json, print_table
from leadline.ingestion.csv_ticks import HEADER
from leadline.local.data_dir import placed_at
from leadline.model.counted import counted
from leadline.model.errors import InvalidInput, LeadlineError, error_text
from leadline.model.ids import ContractId
from leadline.model.manifest.own_markets import put_in_force, read_own
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import TickColumns
from leadline.report.clock import day_and_time, zone_name
from leadline.report.printable import printable
from leadline.runtime.files import sync_directory

Range = tuple[str | None, str | None]
_SELDOM: Final = ("kept out", "outside")

_COLUMNS: Final = ("contract", "day", "prints", "volume", "first print", "last print", "covers", *_SELDOM, "bytes")


def opened(folder: Path, instruments: Sequence[Path]) -> Catalog:
    """The catalog, with the instruments of one's own known from here on."""
    put_in_force(read_own(instruments))
    return Catalog(placed_at(folder))


def range_text(between: Range) -> str:
    """A range as it was given, behind what it is of; empty for none."""
    ends = zip((" from ", " to "), between, strict=True)
    return "".join(f"{word}{day}" for word, day in ends if day is not None)


def print_days(folder: Path, contract: str | None, between: Range, instruments: Sequence[Path], output: Output) -> int:
    """The days as a table or as one document. Returns the exit code: 1 when a day has no head that can be read."""
    catalog = opened(folder, instruments)
    entries, faults = _looked_at(days_of(catalog, contract, between), catalog.day)
    if output is Output.JSON:
        days = [document_of(entry) for entry in entries]
        print_json({"catalog": str(catalog.root), "days": days, "faults": faults})
        return 1 if faults else 0
    rows = [
        (
            entry.contract,
            entry.day,
            f"{entry.prints:,}",
            f"{entry.volume:,}",
            day_and_time(entry.first_ns),
            day_and_time(entry.last_ns),
            covers_text(entry),
            counts_text(entry.kept_out),
            f"{entry.outside:,}" if entry.outside else "",
            f"{entry.bytes:,}",
        )
        for entry in entries
    ]
    empty = f"{catalog.root} has no days: `leadline data import` puts some in, `leadline data fetch` buys some"
    print_table(
        f"{catalog.root}, times in {zone_name()}",
        _COLUMNS,
        rows,
        "no sound day" if faults else empty,
        wide_only=("covers", "bytes"),
        only_where_filled=_SELDOM,
    )
    return _complained(faults)


def verify(folder: Path, contract: str | None, between: Range, instruments: Sequence[Path], output: Output) -> int:
    """Look at every print of the days. Returns the exit code: 1 when a day is not sound, each of which is named."""
    catalog = opened(folder, instruments)

    def whole(name: ContractId, day: date) -> DayEntry:
        catalog.read(name, day, verified=True)
        return catalog.day(name, day)

    sound, faults = _looked_at(days_of(catalog, contract, between), whole)
    if output is Output.JSON:
        print_json({"catalog": str(catalog.root), "sound": [document_of(each) for each in sound], "faults": faults})
        return 1 if faults else 0
    rows = []
    for name in dict.fromkeys(each.contract for each in sound):
        mine = [each for each in sound if each.contract == name]
        prints, size = sum(each.prints for each in mine), sum(each.bytes for each in mine)
        rows.append((name, len(mine), mine[0].day, mine[-1].day, f"{prints:,}", f"{size:,}"))
    columns = ("contract", "sound days", "first", "last", "prints", "bytes")
    print_table(str(catalog.root), columns, rows, f"{catalog.root} has no sound day")
    return _complained(faults)


def _looked_at(
    days: Sequence[tuple[ContractId, date]], look: Callable[[ContractId, date], DayEntry]
) -> tuple[list[DayEntry], list[dict[str, str]]]:
    """The entries of the days that are sound, and of each other day the fault."""
    sound: list[DayEntry] = []
    faults: list[dict[str, str]] = []
    for name, day in days:
        try:
            sound.append(look(name, day))
        except (LeadlineError, OSError) as error:
            faults.append({"contract": name, "day": day.isoformat(), "fault": error_text(error)})
    return sound, faults


def _complained(faults: Sequence[dict[str, str]]) -> int:
    for fault in faults:
        complain(fault["fault"])
    return 1 if faults else 0


def export(
    folder: Path, contract: str, file: Path, between: Range, instruments: Sequence[Path], output: Output
) -> None:
    """The prints of these days as a file of text, which is there whole or not at all."""
    catalog, target = opened(folder, instruments), placed_at(file)
    if not target.name.endswith((".csv", ".csv.gz")):
        raise InvalidInput("FILE", str(file), "a name that ends in .csv, or in .csv.gz for a packed file")
    days = days_of(catalog, contract, between)
    _require_days(catalog, contract, between, days)
    prints = 0
    with _written(target) as stream:
        stream.write(f"{HEADER}\n".encode())
        for name, day in days:
            ticks = catalog.read(name, day, verified=True)
            prints += len(ticks)
            stream.write(lines_of(ticks, name))
    if output is Output.JSON:
        print_json({"file": str(target), "contract": contract, "days": [day for _, day in days], "prints": prints})
    else:
        print(f"{target}: {prints:,} prints of {contract}, {counted(len(days), 'day')}")


def remove(
    folder: Path,
    contract: str,
    between: Range,
    instruments: Sequence[Path],
    output: Output,
    *,
    whole: bool,
) -> None:
    """Delete the files of these days. Raises NotInCatalog where there is none."""
    if whole == (between != (None, None)):
        given = f"--all{range_text(between)}" if whole else None
        raise InvalidInput("--all", given, "either --all, or a first or last day with --from and --to")
    catalog = opened(folder, instruments)
    days = days_of(catalog, contract, between)
    _require_days(catalog, contract, between, days)
    for name, day in days:
        catalog.remove(name, day)
    if output is Output.JSON:
        print_json({"catalog": str(catalog.root), "contract": contract, "removed": [day for _, day in days]})
    else:
        print(f"removed {counted(len(days), 'day')} of {contract} from {catalog.root}")


def days_of(catalog: Catalog, contract: str | None, between: Range) -> list[tuple[ContractId, date]]:
    """The days of a contract, or of all, within both bounds. Raises Unknown for a contract that has none."""
    first, last = _day(between[0], "--from"), _day(between[1], "--to")
    contracts = catalog.contracts() if contract is None else (ContractId(contract),)
    return [
        (name, day)
        for name in contracts
        for day in catalog.dates(name)
        if (first is None or first <= day) and (last is None or day <= last)
    ]


def document_of(entry: DayEntry) -> dict[str, Any]:
    """A day for programs."""
    return {
        "contract": entry.contract,
        "day": entry.day,
        "prints": entry.prints,
        "volume": entry.volume,
        "first_ns": entry.first_ns,
        "last_ns": entry.last_ns,
        "tick": entry.tick,
        "size_step": entry.size_step,
        "content": entry.content_hash,
        "source": entry.source,
        "kept_out": dict(entry.kept_out),
        "outside": entry.outside,
        "covers": list(covered_sessions(entry)),
        "bytes": entry.bytes,
    }


def covers_text(entry: DayEntry) -> str:
    """The sessions that a day's prints reach over, in words."""
    return ", ".join(covered_sessions(entry)) or "a part"


def counts_text(counts: Any) -> str:
    """Counts by reason, in words."""
    return ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in counts.items())


def lines_of(ticks: TickColumns, contract: str) -> bytes:
    """Prints as the lines of a file of text. Prices and sizes are decimals with no more places than they need."""
    sheet = instrument_of(contract)
    price, size = _texts(ticks.price, sheet.tick), _texts(ticks.size, sheet.size_step)
    rows = zip(ticks.time_ns.tolist(), price, size, ticks.aggressor.tolist(), strict=True)
    return "".join(f"{time_ns},{price},{size},{side}\n" for time_ns, price, size, side in rows).encode()


def progress(sentence: str) -> None:
    """Say on standard error how far a long command is."""
    print(f"leadline: {printable(sentence)}", file=sys.stderr, flush=True)


def _texts(counts: np.ndarray, step: Decimal) -> list[str]:
    values, place = np.unique(counts, return_inverse=True)
    texts = [f"{value * step:f}" for value in values.tolist()]
    return [texts[each] for each in place.tolist()]


def _day(text: str | None, option: str) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(option, text, "a date such as 2025-01-13") from None


def _require_days(catalog: Catalog, contract: str, between: Range, days: Sequence[tuple[ContractId, date]]) -> None:
    """Raises NotInCatalog, which names the range and the days that there are, where none was found."""
    if not days:
        known = tuple(day.isoformat() for day in catalog.dates(ContractId(contract)))
        raise NotInCatalog(str(catalog.root), f"day of {contract}{range_text(between)}", known)


@contextmanager
def _written(target: Path) -> Iterator[BinaryIO]:
    """A stream into a file that takes its name when it is whole and on the disk; else the one that is there stays."""
    fresh = target.with_name(target.name + ".new")
    try:
        with fresh.open("wb") as file:
            if target.suffix == ".gz":
                # Without a time in it, the same prints make the same file.
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                    yield packed  # type: ignore[misc]
            else:
                yield file
        fresh.replace(target)
        sync_directory(target.parent)
    finally:
        fresh.unlink(missing_ok=True)
