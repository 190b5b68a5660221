"""The catalog: prints on disk by contract and trading day, `<root>/<contract>/<YYYY-MM-DD>.parquet`.

A file takes its name when it is whole and on the disk, so a day is there whole or not at all. Everything that is read
is checked: a damaged or strange file is an error that names it, never a shorter day.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Literal, TypeAlias

from leadline.catalog.entry import DayEntry, check_day, check_order, content_hash, describe, from_words, to_words
from leadline.catalog.joining import joined, relation_of
from leadline.catalog.parquet import DayFile, encode, footer_bytes
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import TickColumns
from leadline.runtime.files import sync_directory, write_whole

SUFFIX: Final = ".parquet"
# Bytes at the end of a file in which the footer of most days lies whole.
_TAIL_BYTES: Final = 1 << 15
_LOCK: Final = ".lock"
# Characters of a content hash that people are told.
_SHOWN: Final = 12


Became: TypeAlias = Literal["written", "there already", "joined", "completed", "replaced"]
"""The outcome for prints that were to be written. there already: nothing was. joined: to another part of the day.
completed: in place of a part of them. replaced: in place of others."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A day that was to be written, as it is there now."""

    entry: DayEntry
    became: Became


class NotInCatalog(Unknown):
    """A contract, or days of one, that a catalog has not. kind: the catalog's folder; value, known: see `Unknown`."""

    def __str__(self) -> str:
        known = f"{', '.join(self.known)}{self.hint}" if self.known else "no day"
        return f"the catalog {self.kind} has no {self.value}; it has {known}"


class Catalog:
    """The catalog in a directory. It holds nothing in memory: several processes may read one while another writes.

    Every method raises InvalidInput for a file that is not what its place and head say, Unknown for a contract or day
    that it has not, OSError for what cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def contracts(self) -> tuple[ContractId, ...]:
        """The contracts that it has days of, in order; none where there is no directory yet."""
        if not self.root.exists():
            return ()
        folders = sorted(path for path in self.root.iterdir() if path.is_dir() and not path.name.startswith("."))
        return tuple(_contract_of(folder) for folder in folders if any(_files(folder)))

    def dates(self, contract: ContractId) -> tuple[date, ...]:
        """The days of a contract, in order, by the names of their files: none of them is looked at."""
        found = tuple(sorted(map(_day_of, _files(self._folder(contract)))))
        if not found:
            raise NotInCatalog(str(self.root), contract, self.contracts())
        return found

    def days(self, contract: ContractId) -> tuple[DayEntry, ...]:
        """The days of a contract, in order; of each file only the end is read."""
        return tuple(self._entry(contract, day) for day in self.dates(contract))

    def day(self, contract: ContractId, day: date) -> DayEntry:
        """One day; only the end of its file is read."""
        self._require(contract, day)
        return self._entry(contract, day)

    def has(self, contract: ContractId, day: date) -> bool:
        """Whether there is a file of that day."""
        return self.path(contract, day).exists()

    def path(self, contract: ContractId, day: date) -> Path:
        """Where the file of a day is, or would be."""
        return self._folder(contract) / f"{day.isoformat()}{SUFFIX}"

    def read(
        self, contract: ContractId, day: date, *, verified: bool = False, content: str | None = None
    ) -> TickColumns:
        """The prints of a day, with source indices from 0 on; every byte of the file is the one that was written.

        verified: also what the prints are is checked one by one, and that their content hash is that of the head.
        content: the content hash that the head had before; InvalidInput where another file has the place by now.
        """
        file, entry = self._open(contract, day)
        where = str(self.path(contract, day))
        if content is not None and entry.content_hash != content:
            wanted = f"content {content[:_SHOWN]}, as it was found before: the day was replaced meanwhile"
            raise InvalidInput(where, f"content {entry.content_hash[:_SHOWN]}", wanted)
        ticks = file.read()
        check_order(ticks, where)
        if len(ticks) != entry.prints:
            raise InvalidInput(f"{where}: prints", len(ticks), f"{entry.prints}, as its head says")
        if verified:
            check_day(contract, day, ticks, where)
            for name, found, expected in (
                ("volume", int(ticks.size.sum()), entry.volume),
                ("first_ns", int(ticks.time_ns[0]), entry.first_ns),
                ("last_ns", int(ticks.time_ns[-1]), entry.last_ns),
                ("content", content_hash(contract, day, ticks), entry.content_hash),
            ):
                if found != expected:
                    raise InvalidInput(f"{where}: {name}", found, f"{expected}, as its head says")
        return ticks

    def read_between(self, contract: ContractId, day: date, from_ns: int, to_ns: int) -> TickColumns:
        """The prints of a day with times in [from_ns, to_ns), ns UTC; their source indices are their places in the day.

        Only the row groups that have them are unpacked.
        """
        file, _ = self._open(contract, day)
        ticks = file.read(file.groups_between(from_ns, to_ns))
        check_order(ticks, str(self.path(contract, day)))
        start, stop = ticks.time_ns.searchsorted((from_ns, to_ns)).tolist()
        return ticks.slice(start, stop)

    def write(
        self,
        contract: ContractId,
        day: date,
        ticks: TickColumns,
        *,
        source: str = "",
        kept_out: Mapping[str, int] | None = None,
        outside: int = 0,
        replace: bool = False,
    ) -> Stored:
        """Put a day's prints in, on the disk when this returns. source, kept_out, outside: see `DayEntry`.

        Where they are there already, the file stays. A part of the day that ends before the other begins is joined to
        it. replace: other prints, and not fewer, may take the place of those that are there; any of a damaged file's.
        Raises InvalidInput where they may not, and for prints that are none of that day.
        """
        entry = describe(contract, day, ticks, source=source, kept_out=kept_out, outside=outside)
        path = self.path(contract, day)
        self._make(path.parent)
        with self._locked():
            became: Became = "written"
            if path.exists():
                ticks, entry, became = self._beside(ticks, entry, replace=replace)
                if became == "there already":
                    return Stored(entry, became)
            write_whole(path, encode(ticks, to_words(entry)))
            sync_directory(path.parent)
        return Stored(self._entry(contract, day), became)

    def _beside(self, ticks: TickColumns, entry: DayEntry, *, replace: bool) -> tuple[TickColumns, DayEntry, Became]:
        """The prints that a day has when these have come in beside those that are there, and what became of them."""
        try:
            known, there = self._entry(entry.contract, entry.day), self.read(entry.contract, entry.day)
        except InvalidInput:
            if replace:
                return ticks, entry, "replaced"
            raise
        match relation_of(there, ticks):
            case "within":
                return there, known, "there already"
            case "around":
                return ticks, entry, "completed"
            case "apart":
                whole = joined(there, ticks)
                counts = Counter(known.kept_out) + Counter(entry.kept_out)
                sources = ", ".join(each for each in (known.source, entry.source) if each)
                outside = known.outside + entry.outside
                found = describe(known.contract, known.day, whole, source=sources, kept_out=counts, outside=outside)
                return whole, found, "joined"
        if replace and entry.prints >= known.prints:
            return ticks, entry, "replaced"
        path = self.path(known.contract, known.day)
        more = "--replace puts others in their place"
        if entry.prints < known.prints:
            days = f"--from {known.day} --to {known.day}"
            more = f"these are fewer: `leadline data remove {known.contract} {days}` first, if they are the day"
        wanted = f"the {known.prints:,} prints that are there, content {known.content_hash[:_SHOWN]}; {more}"
        raise InvalidInput(str(path), f"{entry.prints:,} prints, content {entry.content_hash[:_SHOWN]}", wanted)

    def remove(self, contract: ContractId, day: date) -> None:
        """Take a day out. Its file may be damaged."""
        self._require(contract, day)
        with self._locked():
            self.path(contract, day).unlink()
            sync_directory(self._folder(contract))

    def _folder(self, contract: ContractId) -> Path:
        """The folder of a contract. Text that is no contract has none: it could be a path out of the catalog."""
        instrument_of(contract)
        return self.root / contract

    def _open(self, contract: ContractId, day: date) -> tuple[DayFile, DayEntry]:
        """A day's file, whole, and its entry."""
        self._require(contract, day)
        path = self.path(contract, day)
        data = path.read_bytes()
        file = DayFile(data, str(path))
        return file, self._checked(file, contract, day, len(data))

    def _entry(self, contract: ContractId, day: date) -> DayEntry:
        path = self.path(contract, day)
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            tail = _tail(file.fileno(), size, _TAIL_BYTES)
            if (needed := footer_bytes(tail, str(path))) > len(tail):
                tail = _tail(file.fileno(), size, needed)
        return self._checked(DayFile(tail, str(path)), contract, day, size)

    def _checked(self, file: DayFile, contract: ContractId, day: date, size: int) -> DayEntry:
        """The entry of a file, which must be that of its place."""
        where = str(self.path(contract, day))
        entry = from_words(file.words, where, size)
        for name, found, expected in (
            ("contract", entry.contract, contract),
            ("day", entry.day.isoformat(), day.isoformat()),
            ("rows", file.rows, entry.prints),
        ):
            if found != expected:
                of = "as its head says" if name == "rows" else "as its place in the catalog says: a day has one file"
                raise InvalidInput(f"{where}: {name}", found, f"{expected}, {of}")
        return entry

    def _require(self, contract: ContractId, day: date) -> None:
        if not self.has(contract, day):
            known = tuple(_day_of(path).isoformat() for path in sorted(_files(self._folder(contract))))
            raise NotInCatalog(str(self.root), f"day {day} of {contract}", known)

    def _make(self, folder: Path) -> None:
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            sync_directory(folder.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, of all processes."""
        descriptor = os.open(self.root / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _files(folder: Path) -> Iterator[Path]:
    return folder.glob(f"*{SUFFIX}")


def _contract_of(folder: Path) -> ContractId:
    """The contract of a folder. Raises InvalidInput where its name is none."""
    instrument_of(folder.name)
    return ContractId(folder.name)


def _day_of(path: Path) -> date:
    """The day of a file. Raises InvalidInput where its name is none."""
    try:
        day = date.fromisoformat(path.stem)
    except ValueError:
        day = None
    # Other spellings of a day would be a second file of it.
    if day is None or day.isoformat() != path.stem:
        raise InvalidInput(str(path), path.stem, f"a file named by its trading day, such as 2025-01-13{SUFFIX}")
    return day


def _tail(descriptor: int, size: int, length: int) -> bytes:
    """The last bytes of a file of that size, as many as there are."""
    length = min(length, size)
    return os.pread(descriptor, length, size - length)
