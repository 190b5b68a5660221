"""A day's prints as the bytes of a Parquet file, and back: every reader of Parquet reads it as it is.

Two seals, SHA-256 in the key-value pairs at the end of the file, cover every byte of it: `leadline.body` what lies
before the footer, `leadline.footer` the footer itself, with this seal's own digits as zeros. So a file that was cut, or
of which a bit has turned, is told before anything of it is believed; the footer alone is enough to list a day.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from leadline.model.errors import InvalidInput
from leadline.model.ticks import TickColumns

ROW_GROUP_PRINTS: Final = 65_536
"""Prints of a row group: so much is read at least, where a part of a day is asked for."""
COLUMNS: Final = {"time_ns": "int64", "price": "int64", "size": "int64", "aggressor": "int8"}
PREFIX: Final = "leadline."

_SCHEMA: Final = pa.schema([(name, getattr(pa, kind)()) for name, kind in COLUMNS.items()])
# A footer ends with its own length, four bytes, little-endian, and these.
_MAGIC: Final = b"PAR1"
_ENDING: Final = 4 + len(_MAGIC)
_ZEROS: Final = b"0" * 64
_TEXT: Final = 0x18
_SEALS: Final = ("body", "footer")
_WHOLE: Final = "a whole file as the catalog wrote it: import that day again with --replace, or bring the file back"
_LEVEL: Final = 1


def encode(ticks: TickColumns, words: Mapping[str, str]) -> bytes:
    """The file of a day's prints. words: its head, by name; they become key-value pairs `leadline.<name>`."""
    pairs = {PREFIX + name: text for name, text in words.items()} | {PREFIX + name: _ZEROS.decode() for name in _SEALS}
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        _SCHEMA,
        compression="zstd",
        compression_level=_LEVEL,
        column_encoding={"time_ns": "DELTA_BINARY_PACKED", "price": "DELTA_BINARY_PACKED"},
        use_dictionary=["size", "aggressor"],
        write_statistics=["time_ns"],
        store_schema=False,
    ) as writer:
        table = pa.table([ticks.time_ns, ticks.price, ticks.size, ticks.aggressor], schema=_SCHEMA)
        writer.write_table(table, ROW_GROUP_PRINTS)
        writer.add_key_value_metadata(pairs)
    return _sealed(bytearray(sink.getvalue()))


class DayFile:
    """A file of the catalog, opened from its bytes.

    data: the whole file; of one that is only listed, its last bytes with the whole footer (`footer_bytes`). where: the
    file, as errors name it. words: its head, by name. rows: number of its prints. Raises InvalidInput where the footer
    is not whole, or not one of the catalog's.
    """

    def __init__(self, data: bytes, where: str) -> None:
        length = footer_bytes(data, where)
        if length > len(data):
            raise InvalidInput(where, f"{len(data):,} bytes", f"at least {length:,}, as it says itself: {_WHOLE}")
        self._data = memoryview(data)
        self._where = where
        self._body = len(data) - length
        footer = bytes(self._data[self._body :])
        if _digest(_unsealed(footer, where)) != _seal(footer, "footer", where):
            raise InvalidInput(f"{where}: footer", "other bytes than were written", _WHOLE)
        self._body_seal = _seal(footer, "body", where)
        try:
            # A footer is read without the body that it tells of.
            self._metadata = pq.read_metadata(pa.BufferReader(footer))
            schema = self._metadata.schema.to_arrow_schema()
        except (pa.ArrowException, OSError) as error:
            raise InvalidInput(f"{where}: footer", str(error), _WHOLE) from error
        if not schema.remove_metadata().equals(_SCHEMA):
            found = ", ".join(f"{each.name} {each.type}" for each in schema)
            raise InvalidInput(f"{where}: columns", found, ", ".join(map(" ".join, COLUMNS.items())))
        self.rows: int = self._metadata.num_rows
        pairs = {key.decode(): text.decode(errors="replace") for key, text in self._metadata.metadata.items()}
        self.words = {key.removeprefix(PREFIX): text for key, text in pairs.items() if key.startswith(PREFIX)}

    def groups_between(self, from_ns: int, to_ns: int) -> range:
        """The row groups that may have a print with a time in [from_ns, to_ns)."""
        times = [self._metadata.row_group(number).column(0).statistics for number in range(self._groups)]
        if any(each is None or not each.has_min_max for each in times):
            expected = "the first and the last time of each row group"
            raise InvalidInput(f"{self._where}: statistics of time_ns", None, expected)
        inside = [number for number, each in enumerate(times) if each.max >= from_ns and each.min < to_ns]
        return range(inside[0], inside[-1] + 1) if inside else range(0)

    def read(self, groups: range | None = None) -> TickColumns:
        """The prints of these row groups, all of them by default; their places in the day are their source indices.

        The file must be there whole. Raises InvalidInput when it is not the one that was written.
        """
        if _digest((self._data[: self._body],)) != self._body_seal:
            raise InvalidInput(f"{self._where}: prints", "other bytes than were written", _WHOLE)
        wanted = range(self._groups) if groups is None else groups
        if not wanted:
            return TickColumns.empty()
        first_index = sum(self._metadata.row_group(number).num_rows for number in range(wanted.start))
        try:
            file = pq.ParquetFile(pa.BufferReader(self._data), metadata=self._metadata)
            table = file.read_row_groups(list(wanted), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise InvalidInput(f"{self._where}: prints", str(error), _WHOLE) from error
        time_ns, price, size, aggressor = (column.to_numpy() for column in table.columns)
        return TickColumns(time_ns, price, size, aggressor, first_index)

    @property
    def _groups(self) -> int:
        return int(self._metadata.num_row_groups)


def footer_bytes(tail: bytes, where: str) -> int:
    """Length of a file's footer with its ending, from its last bytes. Raises InvalidInput for no file of Parquet."""
    if len(tail) < _ENDING or tail[-len(_MAGIC) :] != _MAGIC:
        raise InvalidInput(where, f"no end of a Parquet file in {len(tail):,} bytes", _WHOLE)
    return int.from_bytes(tail[-_ENDING : -len(_MAGIC)], "little") + _ENDING


def _sealed(file: bytearray) -> bytes:
    """The file with its seals in place of the zeros that stand there."""
    begins = len(file) - footer_bytes(bytes(file[-_ENDING:]), "")
    view = memoryview(file)
    for name in _SEALS:
        place = begins + _place(bytes(view[begins:]), name, "")
        view[place : place + len(_ZEROS)] = _digest((view[begins:] if name == "footer" else view[:begins],))
    return bytes(file)


def _seal(footer: bytes, name: str, where: str) -> bytes:
    place = _place(footer, name, where)
    return footer[place : place + len(_ZEROS)]


def _unsealed(footer: bytes, where: str) -> tuple[bytes, ...]:
    """The parts of a footer with its own seal as zeros: as it was when that was made."""
    place = _place(footer, "footer", where)
    return footer[:place], _ZEROS, footer[place + len(_ZEROS) :]


def _place(footer: bytes, name: str, where: str) -> int:
    """Where the digits of a seal stand: after its name, the mark of a text and its length, as Thrift writes them."""
    mark = (PREFIX + name).encode() + bytes((_TEXT, len(_ZEROS)))
    found = footer.rfind(mark)
    if found < 0:
        expected = "a file that the catalog wrote: prints of other files go in by `leadline data import`"
        raise InvalidInput(f"{where}: {PREFIX}{name}", None, expected)
    return found + len(mark)


def _digest(parts: tuple[bytes | memoryview, ...]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest().encode()
