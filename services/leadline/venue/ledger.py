"""The paper venue's memory: an append-only file of steps, on disk before anybody hears of them.

A record is its length, the CRC-32 of its content and the CRC-32 of these eight bytes, 4 bytes little-endian each, and
the content: canonical JSON. The first one names the format and the tape. What one step changed stands in one record, so
an entry fill is never there without its legs. A record that a kill cut short is removed at the next start; any other
damage is an error. On a tape without an end the file is written anew from time to time (`rewrite`): its second record
is what was kept of the steps before.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any, Final, Self

import orjson

from leadline.model.errors import LeadlineError
from leadline.model.ids import Leg, RunId
from leadline.model.orders import (
    Fill,
    LastPrint,
    OrderState,
    OrderType,
    Side,
    Trailing,
    VenueEvent,
    VenueOrder,
    bracket_of,
)
from leadline.venue.fill_rules import Mark, Rest
from leadline.venue.history import Kept, Step

FILE_NAME: Final = "ledger"
FORMAT: Final = 1
MAX_RECORD_BYTES: Final = 16 * 1024 * 1024

_FRAME: Final = struct.Struct("<II")
_CHECK: Final = struct.Struct("<I")
_HEADER_BYTES: Final = _FRAME.size + _CHECK.size
_ORDER_FIELDS: Final = tuple(field.name for field in fields(VenueOrder) if field.name != "unread")
_FILL_FIELDS: Final = tuple(field.name for field in fields(Fill) if field.name not in {"commission", "unread"})


class LedgerDamaged(LeadlineError):
    """The ledger cannot be trusted: it is damaged before its end, or belongs to another tape. Nothing was changed."""


class LedgerInUse(LeadlineError):
    """Another process writes this ledger."""


class Ledger:
    """One tape's ledger, held by one process at a time. Make it with `open`, read `kept` and `steps`, then `append`."""

    def __init__(self, descriptor: int, path: Path, header: dict[str, Any], content: list[bytes]) -> None:
        self._descriptor = descriptor
        self._path = path
        self._header = header
        self._content = content

    @classmethod
    def open(cls, directory: Path, tape: RunId) -> Self:
        """Open the ledger of `tape` in `directory`, making both when they are not there.

        Raises LedgerInUse, LedgerDamaged and OSError.
        """
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / FILE_NAME
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor, path)
            content = _read(descriptor, path)
            ledger = cls(descriptor, path, {"format": FORMAT, "tape": tape}, content[1:])
            ledger._begin(content)
        except BaseException:
            os.close(descriptor)
            raise
        return ledger

    def _begin(self, content: list[bytes]) -> None:
        if not content:
            self._write(self._header)
            _sync_directory(self._path.parent)
        elif orjson.loads(content[0]) != self._header:
            raise LedgerDamaged(f"{self._path} begins with {content[0].decode()}, expected {self._header}")

    def kept(self) -> Kept | None:
        """The rest of the steps before those in the file, once, before `steps`; None where it has all of them."""
        if not self._content or "before" not in (first := orjson.loads(self._content[0])):
            return None
        del self._content[0]
        return _kept(first)

    def steps(self) -> Iterator[Step]:
        """The steps that were there when the ledger was opened, once."""
        content, self._content = self._content, []
        for record in content:
            yield _step(orjson.loads(record))

    def append(self, step: Step) -> None:
        """Write a step and return when it is on disk. After an OSError the ledger is not to be used any more."""
        self._write(_document(step))

    def rewrite(self, kept: Kept) -> None:
        """Put what was kept in the place of all steps so far: on disk when this returns, and a kill leaves either.

        After an OSError the ledger is not to be used any more.
        """
        path = self._path.with_name(f"{FILE_NAME}.new")
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor, path)
            for document in (self._header, _kept_document(kept)):
                _write(descriptor, path, document)
            path.replace(self._path)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(self._descriptor)
        self._descriptor = descriptor
        _sync_directory(self._path.parent)

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _write(self, document: dict[str, Any]) -> None:
        _write(self._descriptor, self._path, document)


def _write(descriptor: int, path: Path, document: dict[str, Any]) -> None:
    """Write a record and return when it is on disk."""
    content = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    if len(content) > MAX_RECORD_BYTES:
        raise OSError(f"{path}: a record of {len(content)} bytes is more than {MAX_RECORD_BYTES}")
    frame = _FRAME.pack(len(content), zlib.crc32(content))
    record = frame + _CHECK.pack(zlib.crc32(frame)) + content
    written = os.write(descriptor, record)
    if written != len(record):
        raise OSError(f"{path}: wrote {written} of {len(record)} bytes")
    os.fdatasync(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LedgerInUse(f"{path} is in use by another process") from None


def _sync_directory(directory: Path) -> None:
    """Make the new file's name durable too."""
    for folder in (directory, directory.parent):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(descriptor: int, path: Path) -> list[bytes]:
    """The whole records of the file; an incomplete last one is cut off.

    A record is on disk before the next one begins, so only the last one can be incomplete: anything more after a bad
    record means that the file was damaged, and cutting there would lose what was promised.
    """
    data = path.read_bytes()
    records: list[bytes] = []
    at = 0
    while at < len(data):
        content, end = _record(data, at)
        if content is None:
            if any(data[end:]):
                raise LedgerDamaged(f"{path} is damaged at byte {at} of {len(data)}")
            os.ftruncate(descriptor, at)
            os.fsync(descriptor)
            break
        records.append(content)
        at = end
    return records


def _record(data: bytes, at: int) -> tuple[bytes | None, int]:
    """The content of the record at `at`, None when it is not whole, and where it ends or would end."""
    start = at + _HEADER_BYTES
    frame, check = data[at : at + _FRAME.size], data[at + _FRAME.size : start]
    if len(check) < _CHECK.size or zlib.crc32(frame) != _CHECK.unpack(check)[0]:
        return None, start
    length, checksum = _FRAME.unpack(frame)
    content = data[start : start + length]
    return (content if zlib.crc32(content) == checksum else None), start + length


# --- steps as JSON ---------------------------------------------------------------------------------------------------


def _document(step: Step) -> dict[str, Any]:
    return {
        "instant_ns": step.instant_ns,
        "events": [_event_document(event) for event in step.events],
        "marks": {
            contract: [found and astuple(found) for found in (mark.last, mark.buy, mark.sell)]
            for contract, mark in step.marks.items()
        },
        "resting": {client_id: list(rest) for client_id, rest in step.resting.items()},
        "matched": step.matched,
    }


def _event_document(event: VenueEvent) -> dict[str, Any]:
    return {
        "event": event.event,
        "instant_ns": event.instant_ns,
        "order": _order_document(event.order),
        "fill": None if event.fill is None else {name: getattr(event.fill, name) for name in _FILL_FIELDS},
    }


def _order_document(order: VenueOrder) -> dict[str, Any]:
    return {name: getattr(order, name) for name in _ORDER_FIELDS}


def _kept_document(kept: Kept) -> dict[str, Any]:
    return {
        "before": kept.before,
        "events": [_event_document(event) for event in kept.events],
        "orders": [_order_document(order) for order in kept.orders],
        "fills": kept.fills,
        "positions": kept.positions,
        "tapes": kept.tapes,
        "step": _document(kept.step),
    }


def _kept(document: dict[str, Any]) -> Kept:
    return Kept(
        document["before"],
        tuple(map(_event, document["events"])),
        tuple(map(_order, document["orders"])),
        document["fills"],
        document["positions"],
        document["tapes"],
        _step(document["step"]),
    )


def _step(document: dict[str, Any]) -> Step:
    return Step(
        document["instant_ns"],
        tuple(map(_event, document["events"])),
        {
            contract: Mark(*(found and LastPrint(*found) for found in mark))
            for contract, mark in document["marks"].items()
        },
        {client_id: Rest(*rest) for client_id, rest in document["resting"].items()},
        document["matched"],
    )


def _event(document: dict[str, Any]) -> VenueEvent:
    return VenueEvent(document["event"], document["instant_ns"], _order(document["order"]), _fill(document["fill"]))


def _order(document: dict[str, Any]) -> VenueOrder:
    bracket, trail = document["bracket"], document["trail"]
    values = {
        "leg": Leg(document["leg"]),
        "side": Side(document["side"]),
        "type": OrderType(document["type"]),
        "state": OrderState(document["state"]),
        "bracket": bracket and bracket_of(bracket),
        "trail": trail and Trailing(**trail),
    }
    return VenueOrder(**{**document, **values, "unread": _pairs(document)})


def _fill(document: dict[str, Any] | None) -> Fill | None:
    return (
        None if document is None else Fill(**{**document, "side": Side(document["side"]), "unread": _pairs(document)})
    )


def _pairs(document: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """JSON has no tuples: read as they were written, an order and a fill are equal to what they were."""
    return tuple((field, value) for field, value in document.get("unread", ()))
