"""Text of prints, `ts_ns,price,size,side`, into columns: exact, and a column at a time.

`ts_ns` is nanoseconds UTC, `price` and `size` are plain decimals, `side` is 1 buy, -1 sell or 0 unknown. Numbers are
read digit by digit into integers, for all lines of a block at once; no binary float is involved.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from leadline.ingestion.raw import NANO, NANO_PLACES, TOO_LARGE
from leadline.model.errors import InvalidInput
from leadline.model.ticks import Int64Array

COLUMNS: Final = ("ts_ns", "price", "size", "side")
HEADER: Final = ",".join(COLUMNS)
# A longer field is not a number that anybody meant.
MAX_FIELD_CHARACTERS: Final = 40

_EXPECTED: Final = {
    "ts_ns": "an integer of nanoseconds UTC",
    "price": f"a plain decimal with at most {NANO_PLACES} places",
    "size": f"a plain decimal with at most {NANO_PLACES} places",
    "side": "1 (buy), -1 (sell) or 0 (unknown)",
}
_NEWLINE, _COMMA, _DOT, _PLUS, _MINUS, _ZERO = b"\n,.+-0"
# Above this, one more digit may not fit.
_ROOM_FOR_DIGIT: Final = (TOO_LARGE - 9) // 10

_Bytes = NDArray[np.uint8]
_Mask = NDArray[np.bool_]
Columns = tuple[Int64Array, Int64Array, Int64Array, Int64Array]


def check_header(line: bytes, name: str) -> None:
    """Raises InvalidInput when the first line of the file `name` is not the header of the schema."""
    text = line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n").decode(errors="replace")
    if not text.replace("\t", " ").isprintable() or "\ufffd" in text:
        expected = f"text that begins with {HEADER}; a gzip archive has a name that ends in .gz"
        raise InvalidInput(f"{name}:1", "bytes that are no text of UTF-8", expected)
    if text != HEADER:
        raise InvalidInput(f"{name}:1", text[:200], f"the header {HEADER}")


def parse_lines(block: bytes, name: str, first_line: int) -> Columns:
    """One or more whole lines of the file `name`, the first being number `first_line`, as (time_ns, price, size, side).

    Time and side are int64 as written, price and size int64 billionths; all have shape (lines,). A number that does
    not fit is `TOO_LARGE` or its negative. Raises InvalidInput naming file, line and field of the first line that is
    not four plain numbers.
    """
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    if not block.endswith(b"\n"):
        block += b"\n"
    # The padding lets every field be read to the width of the longest one without leaving the buffer.
    buffer = np.frombuffer(block + bytes(MAX_FIELD_CHARACTERS + 1), dtype=np.uint8)
    starts, stops = _fields(buffer, block, name, first_line)
    columns: list[Int64Array] = []
    malformed: list[_Mask] = []
    for index, column in enumerate(COLUMNS):
        read = _decimals if column in {"price", "size"} else _integers
        values, bad = read(buffer, starts[:, index], stops[:, index])
        columns.append(values)
        malformed.append(bad)
    _refuse_first(malformed, starts, stops, block, name, first_line)
    return columns[0], columns[1], columns[2], columns[3]


def _fields(buffer: _Bytes, block: bytes, name: str, first_line: int) -> tuple[Int64Array, Int64Array]:
    """Where fields begin and end, both of shape (lines, 4)."""
    ends = np.flatnonzero(buffer[: len(block)] == _NEWLINE)
    begins = np.empty_like(ends)
    begins[:1] = 0
    begins[1:] = ends[:-1] + 1
    commas = np.flatnonzero(buffer[: len(block)] == _COMMA)
    wanted = len(COLUMNS) - 1
    per_line = np.searchsorted(commas, ends) - np.searchsorted(commas, begins)
    wrong = np.flatnonzero(per_line != wanted)
    if len(wrong):
        row = int(wrong[0])
        text = block[begins[row] : ends[row]].decode(errors="replace")
        raise InvalidInput(f"{name}:{first_line + row}", text[:200], f"four fields, {HEADER}")
    table = commas.reshape(-1, wanted)
    return np.column_stack([begins, table + 1]), np.column_stack([table, ends])


def _signed(buffer: _Bytes, start: Int64Array) -> tuple[Int64Array, _Mask]:
    """Where the digits begin, and which numbers are negative."""
    lead = buffer[start]
    negative = lead == _MINUS
    return start + (negative | (lead == _PLUS)), negative


def _digits(buffer: _Bytes, start: Int64Array, stop: Int64Array) -> tuple[Int64Array, _Mask, _Mask]:
    """Unsigned integers in buffer[start:stop]; also which are too large and which are not digits or are empty."""
    width = stop - start
    value = np.zeros(len(start), dtype=np.int64)
    large = np.zeros(len(start), dtype=np.bool_)
    bad = (width < 1) | (width > MAX_FIELD_CHARACTERS)
    longest = min(int(width.max(initial=0)), MAX_FIELD_CHARACTERS)
    shortest = int(width.min(initial=0))
    for place in range(longest):
        digit = buffer[start + place] - np.uint8(_ZERO)
        wrong = digit > 9
        following = value * 10 + digit
        if place >= 18:
            large |= (value > _ROOM_FOR_DIGIT) & (place < width)
        if place < shortest:
            value = following
            bad |= wrong
        else:
            inside = place < width
            value = np.where(inside, following, value)
            bad |= wrong & inside
        if place >= 18:
            value[large] = 0
    return value, large, bad


def _integers(buffer: _Bytes, start: Int64Array, stop: Int64Array) -> tuple[Int64Array, _Mask]:
    """Signed integers, and which fields are not one."""
    start, negative = _signed(buffer, start)
    value, large, bad = _digits(buffer, start, stop)
    value[large] = TOO_LARGE
    return np.where(negative, -value, value), bad


def _decimals(buffer: _Bytes, start: Int64Array, stop: Int64Array) -> tuple[Int64Array, _Mask]:
    """Signed decimals as billionths, and which fields are not one."""
    start, negative = _signed(buffer, start)
    dot = _first_dot(buffer, start, stop)
    whole, large, bad = _digits(buffer, start, dot)
    fraction, bad_fraction = _fraction(buffer, dot, stop)
    large |= whole > (TOO_LARGE - NANO) // NANO
    whole[large] = 0
    value = whole * NANO + fraction
    value[large] = TOO_LARGE
    return np.where(negative, -value, value), bad | bad_fraction


def _first_dot(buffer: _Bytes, start: Int64Array, stop: Int64Array) -> Int64Array:
    """Position of the decimal point, or `stop` where there is none."""
    dots = np.flatnonzero(buffer == _DOT)
    if not len(dots):
        return stop
    found = dots[np.minimum(np.searchsorted(dots, start), len(dots) - 1)]
    return np.where((found >= start) & (found < stop), found, stop)


def _fraction(buffer: _Bytes, dot: Int64Array, stop: Int64Array) -> tuple[Int64Array, _Mask]:
    """The places after the point as billionths, and which are not digits, missing, or finer than a billionth."""
    width = stop - dot - 1
    # What is longer than is read is never a number: its end was not looked at.
    bad = (width == 0) | (width > MAX_FIELD_CHARACTERS)
    value = np.zeros(len(dot), dtype=np.int64)
    longest = min(int(width.max(initial=0)), MAX_FIELD_CHARACTERS)
    for place in range(longest):
        digit = np.where(place < width, buffer[dot + 1 + place] - np.uint8(_ZERO), 0)
        if place < NANO_PLACES:
            value = value * 10 + digit
            bad |= digit > 9
        else:
            bad |= digit > 0
    value *= 10 ** max(NANO_PLACES - longest, 0)
    return value, bad


def _refuse_first(
    malformed: list[_Mask], starts: Int64Array, stops: Int64Array, block: bytes, name: str, first_line: int
) -> None:
    table = np.column_stack(malformed)
    if not table.any():
        return
    row = int(np.argmax(table.any(axis=1)))
    index = int(np.argmax(table[row]))
    if block[starts[row, 0] : stops[row, -1]].decode(errors="replace") == HEADER:
        expected = "a print: a header within a file is where two files were joined; give each of them by itself"
        raise InvalidInput(f"{name}:{first_line + row}", HEADER, expected)
    text = block[starts[row, index] : stops[row, index]].decode(errors="replace")
    raise InvalidInput(f"{name}:{first_line + row}:{COLUMNS[index]}", text[:200], _EXPECTED[COLUMNS[index]])
