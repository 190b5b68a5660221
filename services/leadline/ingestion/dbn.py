"""Trades out of Databento's files (DBN, versions 1 to 3, zstd-compressed or not), as prints by contract.

Only a record with action T is a trade, and its side is that of the aggressor: A sold, B bought, N is not known. A
record with action F is the resting side of the same trade. Prices are billionths, as here. A symbol's number means what
the file's metadata says for the day on which the record was received.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import databento_dbn as dbn
import numpy as np
import pyarrow as pa

from leadline.ingestion.raw import RawColumns
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.market.contracts import instrument_of, resolve_contract
from leadline.model.ticks import Int64Array

SCHEMAS: Final = ("trades", "tbbo", "mbp-1", "mbp-10", "mbo")
# Prints of one file are in memory at once, 48 bytes each.
MOST_PRINTS: Final = 40_000_000

_BLOCK_BYTES: Final = 1 << 20
_ROWS: Final = 65_536
_MOST: Final = 2**63 - 1
_MOST_UNITS: Final = _MOST // 10**9
_NO_TIME: Final = 2**64 - 1
# Where the decoder's panics come from, at a record whose length is that of another kind. They are no `Exception`.
_PANICS: Final = "pyo3_runtime"
_SIDES: Final = {"A": -1, "B": 1, "N": 0}
_EPOCH: Final = date(1970, 1, 1).toordinal()
_NS_PER_DAY: Final = 86_400 * 10**9
# Legs of a spread stand with a minus between them, what users define with a colon, options with a blank.
_NO_OUTRIGHT: Final = re.compile(r"[-: ]")
_WHOLE: Final = "a whole DBN file, as Databento gives it: load it down again"


@dataclass(frozen=True, slots=True)
class DbnPrints:
    """The trades of a file. columns: by contract, in order. skipped: trades of what is no contract, by symbol."""

    columns: Mapping[ContractId, RawColumns]
    skipped: Mapping[str, int]


def begins_ns(path: Path, name: str) -> int:
    """From when on a file has records, as its metadata says, ns UTC. Raises as `read_dbn`."""
    for record in _records(path, name):
        if isinstance(record, dbn.Metadata):
            return record.start
    raise InvalidInput(name, "no metadata", _WHOLE)


def read_dbn(path: Path, name: str) -> DbnPrints:
    """The trades of a file, which errors call `name`. Rows are numbers of records, from 1 on.

    Raises InvalidInput for a file that was cut or is none, for a schema without trades, and for a symbol that nobody
    can say the contract of; Unknown for a contract whose instrument the platform does not know; OSError.
    """
    mappings: dict[int, list[tuple[date, date, str]]] = {}
    columns = _Columns()
    for number, record in enumerate(_records(path, name)):
        if isinstance(record, dbn.Metadata):
            _require_trades(record.schema, name)
            _add_mappings(mappings, record.mappings)
        elif getattr(record, "action", "") == dbn.Action.TRADE:
            columns.add(record, number)
            if columns.count > MOST_PRINTS:
                expected = f"at most {MOST_PRINTS:,} trades in a file: one of a month or a day"
                raise InvalidInput(name, f"{columns.count:,} trades and more", expected)
    return columns.by_contract(mappings, name)


def _records(path: Path, name: str) -> Iterator[Any]:
    """The metadata of a file and its records. Raises InvalidInput where it was cut, or is none."""
    decoder = dbn.DBNDecoder()
    seen = False
    try:
        for block in _blocks(path):
            for record in decoder.write_and_decode(block):
                seen = seen or isinstance(record, dbn.Metadata)
                yield record
    except (RuntimeError, dbn.DBNError, pa.ArrowException) as error:
        raise InvalidInput(name, str(error), _WHOLE) from error
    except OSError as error:  # of Arrow, whose errors of packed bytes have no number
        if error.errno is not None:
            raise
        raise InvalidInput(name, str(error), _WHOLE) from error
    except BaseException as error:
        if type(error).__module__ != _PANICS:
            raise
        raise InvalidInput(name, str(error), _WHOLE) from error
    if not seen or len(decoder.buffer()):
        found = f"{len(decoder.buffer())} bytes of a record that was cut" if seen else "no metadata"
        raise InvalidInput(name, found, _WHOLE)


class _Columns:
    """Trades in the order of the file."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int, int, int, int]] = []
        self._blocks: list[np.ndarray] = []
        self.count = 0

    def add(self, record: Any, number: int) -> None:
        """One trade."""
        received = record.ts_recv
        # One that has no time, or none that fits, is counted as faulty further on.
        time_ns = min(record.ts_event, _MOST)
        at = time_ns if received == _NO_TIME else min(received, _MOST)
        side = _SIDES.get(str(record.side), 2)
        self._rows.append((time_ns, record.price, record.size, side, number, record.instrument_id, at // _NS_PER_DAY))
        self.count += 1
        if len(self._rows) >= _ROWS:
            self._pack()

    def by_contract(self, mappings: Mapping[int, list[tuple[date, date, str]]], name: str) -> DbnPrints:
        """The trades, each with the contract that its symbol means on its day."""
        self._pack()
        table = np.concatenate(self._blocks) if self._blocks else np.zeros((0, 7), dtype=np.int64)
        places: dict[ContractId, list[Int64Array]] = {}
        skipped: Counter[str] = Counter()
        keys, which = np.unique(table[:, 5:], axis=0, return_inverse=True)
        for number, (instrument, day) in enumerate(keys.tolist()):
            rows = np.flatnonzero(which.ravel() == number)
            on = date.fromordinal(_EPOCH + day)
            symbol = _symbol(mappings, instrument, on, name)
            if _NO_OUTRIGHT.search(symbol):
                skipped[symbol] += len(rows)
            else:
                places.setdefault(_contract(symbol, on, name), []).append(rows)
        columns = {}
        for contract, found in sorted(places.items()):
            mine = table[np.sort(np.concatenate(found))]
            size = np.minimum(mine[:, 2], _MOST_UNITS) * 10**9
            columns[contract] = RawColumns(contract, mine[:, 0], mine[:, 1], size, mine[:, 3], mine[:, 4], name)
        return DbnPrints(columns, dict(sorted(skipped.items())))

    def _pack(self) -> None:
        if self._rows:
            self._blocks.append(np.array(self._rows, dtype=np.int64))
            self._rows = []


def _blocks(path: Path) -> Iterator[bytes]:
    """The file's bytes, unpacked. The vendor's decoder would not tell that a compressed file was cut."""
    compression = "zstd" if path.name.endswith(".zst") else None
    with path.open("rb") as file, pa.input_stream(file, compression=compression) as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block


def _require_trades(schema: str | None, name: str) -> None:
    if schema is not None and schema not in SCHEMAS:
        raise InvalidInput(f"{name}: schema", str(schema), f"one that has trades: {', '.join(SCHEMAS)}")


def _add_mappings(mappings: dict[int, list[tuple[date, date, str]]], found: Mapping[str, Any]) -> None:
    for symbol, intervals in found.items():
        for each in intervals:
            if str(each["symbol"]).isdecimal():
                begins, ends = each["start_date"], each["end_date"]
                mappings.setdefault(int(each["symbol"]), []).append((begins, ends, symbol))


def _symbol(mappings: Mapping[int, list[tuple[date, date, str]]], instrument: int, day: date, name: str) -> str:
    """The name of a number on a day. A mapping of one day only may end on it."""
    for begins, ends, symbol in mappings.get(instrument, ()):
        if begins <= day < max(ends, begins + timedelta(days=1)):
            return symbol
    expected = "a number that the file's metadata maps to a symbol on that day"
    raise InvalidInput(f"{name}: instrument_id on {day}", instrument, expected)


def _contract(symbol: str, day: date, name: str) -> ContractId:
    """The contract of a symbol. One that follows the front month is that of another rule than Leadline's."""
    if re.search(r"\.[a-z]\.[0-9]$", symbol):
        expected = "dated contracts: ask Databento for raw symbols (ESH5) or a parent (ES.FUT)"
        raise InvalidInput(f"{name}: symbol", symbol, expected)
    found = resolve_contract(symbol, day)
    instrument_of(found)
    return found
