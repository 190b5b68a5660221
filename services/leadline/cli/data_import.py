"""`leadline data import`: files of prints into the catalog."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from leadline.catalog.catalog import Catalog
from leadline.catalog.coverage import covered_sessions, session_window
from leadline.catalog.entry import DayEntry
from leadline.cli.data import counts_text, covers_text, document_of, opened, progress
from leadline.cli.options import Output
from leadline.cli.output import announce_reading, print_json, print_table
from leadline.ingestion.file_names import is_dbn
from leadline.ingestion.importing import CsvPrints, ImportedDay, Prints
from leadline.local.data_dir import placed_at
from leadline.model.counted import counted
from leadline.model.errors import InvalidInput
from leadline.report.clock import moment

_COLUMNS: Final = ("contract", "day", "prints", "volume", "covers", "kept out", "outside", "state")


@dataclass(slots=True)
class Done:
    """Days that were gone through, each with its state. undated: faulty prints without a day, by contract and reason.

    skipped: prints of what is no contract, by symbol. left_out: prints of days that are not over, by contract and day.
    """

    days: list[tuple[DayEntry, str]] = field(default_factory=list)
    undated: dict[str, dict[str, int]] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)


def run_import(
    files: Sequence[str],
    folder: Path,
    contracts: Sequence[str],
    instruments: Sequence[Path],
    output: Output,
    *,
    replace: bool,
    max_kept_out: float,
) -> None:
    """Read the files, put their days in, and say what became of each."""
    catalog = opened(folder, instruments)
    named = [_named(text, contracts) for text in files]
    announce_reading([path.name for path, _ in named])
    percent = Decimal(f"{max_kept_out:g}")
    done = Done()
    try:
        for prints in _prints(named, contracts, percent):
            for day in prints.days():
                done.days.append(put(catalog, day, replace=replace))
            done.undated.update({name: dict(found) for name, found in prints.undated().items() if found})
            for symbol, count in prints.skipped.items():
                done.skipped[symbol] = done.skipped.get(symbol, 0) + count
    except OSError as error:
        if error.filename is None or Path(error.filename) not in {path for path, _ in named}:
            raise
        raise InvalidInput("FILES", str(error.filename), f"a file that can be read ({error.strerror})") from None
    say(catalog, done, output)


def _named(text: str, contracts: Sequence[str]) -> tuple[Path, str]:
    """A file, and the contract that it is of; empty for one of Databento's, which say it themselves.

    A path may have `=` in it: a file that exists wins.
    """
    contract, path = "", placed_at(text)
    if not path.is_file():
        contract, equals, place = text.partition("=")
        path = placed_at(place)
        if not equals or not contract or not place or not path.is_file():
            raise InvalidInput("FILES", text, "a file that exists, or CONTRACT=FILE")
    if is_dbn(path.name):
        if contract:
            raise InvalidInput("FILES", text, f"{path.name} alone: it names its contracts; --contract takes some")
        return path, ""
    if contract:
        return path, contract
    if len(contracts) != 1:
        raise InvalidInput("FILES", text, "CONTRACT=FILE, or one --contract: prints as text do not name theirs")
    return path, contracts[0]


def _prints(named: Sequence[tuple[Path, str]], contracts: Sequence[str], percent: Decimal) -> Iterator[Prints]:
    texts = [(path, contract) for path, contract in named if contract]
    bought = [path for path, contract in named if not contract]
    if texts:
        yield CsvPrints(texts, percent)
    if bought:
        from leadline.ingestion.dbn_prints import DatabentoPrints  # noqa: PLC0415 - text needs no decoder of it

        yield DatabentoPrints(bought, contracts, percent)


def put(catalog: Catalog, day: ImportedDay, *, replace: bool) -> tuple[DayEntry, str]:
    """Put a day in. Returns its entry and what became of it."""
    stored = catalog.write(
        day.contract,
        day.day,
        day.ticks,
        source=day.source,
        kept_out=day.kept_out,
        outside=day.outside,
        replace=replace,
    )
    progress(f"{day.contract} {day.day}: {counted(len(day.ticks), 'print')}, {stored.became}")
    if stored.became != "there already" and not covered_sessions(stored.entry):
        progress(f"{day.contract} {day.day}: {part_text(stored.entry)}")
    return stored.entry, stored.became


def part_text(entry: DayEntry) -> str:
    """How far the prints of a day reach that has no session from end to end."""
    window = session_window(entry.contract, entry.day)
    found = f"a part of the day, from {moment(entry.first_ns)} to {moment(entry.last_ns)}"
    return found if window is None else f"{found}; the market is open from {moment(window[0])} to {moment(window[1])}"


def say(catalog: Catalog, done: Done, output: Output) -> None:
    """Show what became of the days, as a table or as one document."""
    if output is Output.JSON:
        days: list[dict[str, Any]] = [document_of(entry) | {"became": became} for entry, became in done.days]
        print_json(
            {
                "catalog": str(catalog.root),
                "days": days,
                "undated": done.undated,
                "skipped": done.skipped,
                "left_out": done.left_out,
            }
        )
        return
    rows = [
        (
            entry.contract,
            entry.day,
            f"{entry.prints:,}",
            f"{entry.volume:,}",
            covers_text(entry),
            counts_text(entry.kept_out),
            f"{entry.outside:,}" if entry.outside else "",
            became,
        )
        for entry, became in sorted(done.days, key=lambda each: (each[0].contract, each[0].day))
    ]
    print_table(str(catalog.root), _COLUMNS, rows, "no day", only_where_filled=("kept out", "outside"))
    for contract, counts in done.undated.items():
        print(f"{contract}: without a trading day were kept out: {counts_text(counts)}")
    if done.skipped:
        names = ", ".join(f"{symbol} ({count:,})" for symbol, count in done.skipped.items())
        print(f"not taken, because they are no single contract: {names}")
