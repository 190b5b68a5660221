"""A day of the catalog, and the words in which its file says so: pure, without files and without Parquet.

The content hash is over the prints and what they mean (contract, trading day, tick, size step), never over compressed
bytes: equal prints have the same hash, whatever library and level have packed them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

import numpy as np

from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of, resolve_contract
from leadline.model.ticks import TickColumns

SCHEMA_VERSION: Final = "1"
LONGEST_SOURCE: Final = 200
"""Characters of the text that says where prints came from."""

# Largest price in ticks and size in steps: their product still fits 63 bits.
_MOST: Final = 2**31 - 1
_KEYS: Final = (
    "schema",
    "contract",
    "instrument",
    "day",
    "tick",
    "size_step",
    "prints",
    "volume",
    "first_ns",
    "last_ns",
    "content",
    "source",
    "kept_out",
    "outside",
)


@dataclass(frozen=True, slots=True)
class DayEntry:
    """One contract's prints of one trading day, as the head of their file names them.

    prints: their number. volume: the sum of their sizes, in size steps. first_ns, last_ns: times of the first and the
    last, ns UTC. tick, size_step: of the instrument when the file was written. content_hash: SHA-256 in hexadecimal
    digits. source: where they came from, in words. kept_out: faulty prints of that day that are not among them, by
    reason (`leadline.ingestion.normaliser.Reason`). outside: how many of them lie outside of the market's hours. bytes:
    size of the file, 0 before there is one.
    """

    contract: ContractId
    day: date
    prints: int
    volume: int
    first_ns: int
    last_ns: int
    tick: Decimal
    size_step: Decimal
    content_hash: str
    source: str = ""
    kept_out: Mapping[str, int] = field(default_factory=dict)
    outside: int = 0
    bytes: int = 0


def content_hash(contract: ContractId, day: date, ticks: TickColumns) -> str:
    """SHA-256 over the prints of a contract's trading day and the grid that they are on. Raises Unknown."""
    sheet = instrument_of(contract)
    words = (SCHEMA_VERSION, contract, day.isoformat(), f"{sheet.tick:f}", f"{sheet.size_step:f}", str(len(ticks)))
    digest = hashlib.sha256("\n".join((*words, "")).encode())
    for column in (ticks.time_ns, ticks.price, ticks.size):
        digest.update(np.ascontiguousarray(column, dtype="<i8").data)
    digest.update(np.ascontiguousarray(ticks.aggressor, dtype=np.int8).data)
    return digest.hexdigest()


def describe(
    contract: ContractId,
    day: date,
    ticks: TickColumns,
    *,
    source: str = "",
    kept_out: Mapping[str, int] | None = None,
    outside: int = 0,
) -> DayEntry:
    """The entry of a day's prints, which are checked. Raises InvalidInput naming the first fault, Unknown."""
    check_day(contract, day, ticks, f"{contract} {day}")
    sheet = instrument_of(contract)
    return DayEntry(
        contract=contract,
        day=day,
        prints=len(ticks),
        volume=int(ticks.size.sum()),
        first_ns=int(ticks.time_ns[0]),
        last_ns=int(ticks.time_ns[-1]),
        tick=sheet.tick,
        size_step=sheet.size_step,
        content_hash=content_hash(contract, day, ticks),
        source=source[:LONGEST_SOURCE],
        kept_out=dict(sorted((kept_out or {}).items())),
        outside=outside,
    )


def check_day(contract: ContractId, day: date, ticks: TickColumns, where: str) -> None:
    """Check that these are prints of a contract's trading day, in order and within the bounds of what a print may be.

    Raises InvalidInput naming `where`, the field, its first wrong value and its row.
    """
    if not len(ticks):
        raise InvalidInput(f"{where}: prints", 0, "at least one print: a day without any has no file")
    if resolve_contract(contract, day) != contract:
        raise InvalidInput(f"{where}: contract", contract, f"{resolve_contract(contract, day)}, its canonical name")
    check_order(ticks, where)
    lowest = -_MOST if instrument_of(contract).below_zero else 1
    for name, column, least, most, unit in (
        ("price", ticks.price, lowest, _MOST, "ticks"),
        ("size", ticks.size, 1, _MOST, "size steps"),
        ("aggressor", ticks.aggressor, -1, 1, "(sell, unknown, buy)"),
    ):
        wrong = (column < least) | (column > most)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InvalidInput(f"{where}: {name} of row {row}", int(column[row]), f"{least} to {most} {unit}")
    check_times(contract, day, int(ticks.time_ns[0]), int(ticks.time_ns[-1]), where)


def check_order(ticks: TickColumns, where: str) -> None:
    """Raises InvalidInput naming the first row whose time is before that of the row before it."""
    late = ticks.time_ns[1:] < ticks.time_ns[:-1]
    if late.any():
        row = int(np.argmax(late)) + 1
        expected = f"a time not before {ticks.time_ns[row - 1]}, that of the row before it"
        raise InvalidInput(f"{where}: time_ns of row {row}", int(ticks.time_ns[row]), expected)


def check_times(contract: ContractId, day: date, first_ns: int, last_ns: int, where: str) -> None:
    """Check that the first and the last print of a day lie in it. Raises InvalidInput naming the field."""
    market = calendar(instrument_of(contract).calendar)
    for name, time_ns in (("first", first_ns), ("last", last_ns)):
        try:
            found: date | None = market.trading_day(time_ns) if time_ns >= 0 else None
        except Unknown:
            found = None
        if found != day:
            said = "of no day that the calendar knows" if found is None else f"of the trading day {found}"
            expected = f"a time of the trading day {day}"
            raise InvalidInput(f"{where}: time_ns of the {name} print", f"{time_ns}, {said}", expected)


def to_words(entry: DayEntry) -> dict[str, str]:
    """The head of a day's file, as texts."""
    texts = (
        SCHEMA_VERSION,
        entry.contract,
        instrument_of(entry.contract).root,
        entry.day.isoformat(),
        f"{entry.tick:f}",
        f"{entry.size_step:f}",
        str(entry.prints),
        str(entry.volume),
        str(entry.first_ns),
        str(entry.last_ns),
        entry.content_hash,
        entry.source,
        json.dumps(dict(entry.kept_out), sort_keys=True, separators=(",", ":")),
        str(entry.outside),
    )
    return dict(zip(_KEYS, texts, strict=True))


def from_words(words: Mapping[str, str], where: str, size: int) -> DayEntry:
    """The entry that the head of a file names. size: of the file, bytes.

    Raises InvalidInput naming `where` and the field: another schema version, a field that is missing or no value of its
    kind, an instrument, tick or size step that is not the one of the contract's sheet. Raises Unknown for a contract
    that the platform does not know.
    """
    if (version := words.get("schema")) != SCHEMA_VERSION:
        raise InvalidInput(f"{where}: schema", version, f"{SCHEMA_VERSION}, the version that this program reads")
    for key in _KEYS:
        if key not in words:
            raise InvalidInput(f"{where}: {key}", None, "the field, as every file of the catalog has it")
    contract = ContractId(words["contract"])
    try:
        entry = DayEntry(
            contract=contract,
            day=date.fromisoformat(words["day"]),
            prints=_count(words, "prints"),
            volume=_count(words, "volume"),
            first_ns=_count(words, "first_ns"),
            last_ns=_count(words, "last_ns"),
            tick=Decimal(words["tick"]),
            size_step=Decimal(words["size_step"]),
            content_hash=words["content"],
            source=words["source"],
            kept_out=_counts(words["kept_out"]),
            outside=_count(words, "outside"),
            bytes=size,
        )
    except (ValueError, ArithmeticError) as error:
        raise InvalidInput(where, str(error), "a head as the catalog writes it") from error
    sheet = instrument_of(contract)
    of = f"of {sheet.root} in the instrument sheet"
    for field_name, found, expected in (
        ("instrument", words["instrument"], sheet.root),
        ("tick", words["tick"], f"{sheet.tick:f}"),
        ("size_step", words["size_step"], f"{sheet.size_step:f}"),
    ):
        if found != expected:
            raise InvalidInput(f"{where}: {field_name}", found, f"{expected}, {of}")
    check_times(contract, entry.day, entry.first_ns, entry.last_ns, where)
    return entry


def _count(words: Mapping[str, str], key: str) -> int:
    text = words[key]
    if not text.isdecimal():
        raise ValueError(f"{key} {text!r} is no count")
    return int(text)


def _counts(text: str) -> dict[str, int]:
    found = json.loads(text)
    if not isinstance(found, dict) or not all(isinstance(each, int) and each > 0 for each in found.values()):
        raise ValueError(f"kept_out {text!r} is no count by reason")
    return found
