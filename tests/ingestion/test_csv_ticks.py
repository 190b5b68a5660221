"""Prints as text: read exactly, or refused by file, line and field."""

import gzip
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.ingestion.csv_ticks import HEADER, check_header, parse_lines
from leadline.ingestion.raw import NANO, TOO_LARGE
from leadline.model.errors import InvalidInput


def parse(text: str, first_line: int = 2) -> list[tuple[int, ...]]:
    columns = parse_lines(text.encode(), "day.csv", first_line)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_a_line_becomes_time_price_size_and_side() -> None:
    assert parse("1719878281218218853,5528.75,2,1\n1723161256344000000,61800.30,0.199,-1\n") == [
        (1719878281218218853, 5_528_750_000_000, 2 * NANO, 1),
        (1723161256344000000, 61_800_300_000_000, 199_000_000, -1),
    ]


def test_the_last_line_needs_no_newline_and_lines_may_end_as_on_windows() -> None:
    expected = [(1, 2 * NANO, 3 * NANO, 0), (4, 5 * NANO, 6 * NANO, 0)]
    assert parse("1,2,3,0\r\n4,5,6,0") == parse("1,2,3,0\n4,5,6,0\n") == expected


DECIMALS = st.decimals(
    min_value=Decimal(-9_000_000_000), max_value=Decimal(9_000_000_000), places=9, allow_nan=False
).map(lambda value: value.normalize())


@given(st.lists(st.tuples(st.integers(0, 2**62), DECIMALS, DECIMALS, st.integers(-9, 9)), min_size=1, max_size=30))
def test_every_plain_decimal_is_read_exactly(rows: list[tuple[int, Decimal, Decimal, int]]) -> None:
    text = "".join(f"{time},{price:f},{size:f},{side}\n" for time, price, size, side in rows)
    assert parse(text) == [(time, int(price * NANO), int(size * NANO), side) for time, price, size, side in rows]


def test_zeros_before_and_behind_change_nothing() -> None:
    assert parse("0001,007.500000000000,+1,0\n") == [(1, 7_500_000_000, NANO, 0)]


def test_a_number_beyond_63_bits_is_marked_and_not_wrapped() -> None:
    assert parse("99999999999999999999,9223372036.5,-99999999999,1\n") == [(TOO_LARGE, TOO_LARGE, -TOO_LARGE, 1)]


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("noon,1,1,1", "day.csv:8:ts_ns", "noon"),
        ("1.5,1,1,1", "day.csv:8:ts_ns", "1.5"),
        ("1,1e3,1,1", "day.csv:8:price", "1e3"),
        ("1,1.,1,1", "day.csv:8:price", "1."),
        ("1,.5,1,1", "day.csv:8:price", ".5"),
        ("1,1.2.3,1,1", "day.csv:8:price", "1.2.3"),
        ("1,1.0000000001,1,1", "day.csv:8:price", "1.0000000001"),
        ("1,1313.7" + "0" * 45 + "x,1,1", "day.csv:8:price", "1313.7" + "0" * 45 + "x"),
        ("1,1313.7" + "0" * 45 + ",1,1", "day.csv:8:price", "1313.7" + "0" * 45),
        ("1,1,2." + "0" * 60 + "5,1", "day.csv:8:size", "2." + "0" * 60 + "5"),
        ("1,NaN,1,1", "day.csv:8:price", "NaN"),
        ("1,1,-,1", "day.csv:8:size", "-"),
        ("1,1, 1,1", "day.csv:8:size", " 1"),
        ("1,1,1,", "day.csv:8:side", ""),
        ("1,1,1,buy", "day.csv:8:side", "buy"),
        ("1,1," + "1" * 41 + ",1", "day.csv:8:size", "1" * 41),
        ("1,1,1", "day.csv:8", "1,1,1"),
        ("1,1,1,1,1", "day.csv:8", "1,1,1,1,1"),
        ("", "day.csv:8", ""),
    ],
)
def test_what_is_not_four_plain_numbers_is_refused_by_line_and_field(line: str, field: str, value: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(f"1,1,1,1\n{line}\n1,1,1,1\n", first_line=7)
    assert (refused.value.field, refused.value.value) == (field, value)


def test_the_header_must_be_the_schema() -> None:
    check_header(f"{HEADER}\r\n".encode(), "day.csv")
    with pytest.raises(InvalidInput) as refused:
        check_header(b"time,price,size\n", "day.csv")
    assert str(refused.value) == "day.csv:1: got 'time,price,size', expected the header ts_ns,price,size,side"
    with pytest.raises(InvalidInput, match=r"expected the header ts_ns,price,size,side$"):
        check_header(b"ts_ns\tprice\tsize\tside\n", "day.csv")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("ts_ns,price,size,side\n".encode("utf-16"), id="utf-16"),
        pytest.param(gzip.compress(b"ts_ns", mtime=0), id="gzip"),
        pytest.param(b"PK\x03\x04\xff", id="zip"),
    ],
)
def test_what_is_no_text_is_not_shown_and_an_archive_is_told_how_it_is_named(text):
    with pytest.raises(InvalidInput) as refused:
        check_header(text, "day.csv")
    assert str(refused.value) == (
        "day.csv:1: got 'bytes that are no text of UTF-8', expected text that begins with ts_ns,price,size,side; "
        "a gzip archive has a name that ends in .gz"
    )
