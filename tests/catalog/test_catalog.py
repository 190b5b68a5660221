"""The catalog keeps days of prints: they come back as they were; a file that is not whole is an error that names it."""

import random
import tempfile
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given

from leadline.catalog import parquet
from leadline.catalog.catalog import Catalog
from leadline.catalog.entry import content_hash, describe
from leadline.catalog.joining import relation_of
from leadline.catalog.parquet import ROW_GROUP_PRINTS, DayFile, encode
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.ticks import TickColumns
from tests.catalog.builders import CONTRACT, DAY, changed, columns, equal, filled, prints, put, said

HOUR = 3600 * 10**9


def test_a_day_comes_back_as_it_was(tmp_path: Path):
    ticks = prints(2_000)
    catalog = Catalog(tmp_path / "catalog")
    stored = catalog.write(CONTRACT, DAY, ticks, source="es.csv", kept_out={"zero_size": 2}, outside=3)
    assert stored.became == "written"
    assert equal(catalog.read(CONTRACT, DAY), ticks)
    assert equal(catalog.read(CONTRACT, DAY, verified=True), ticks)
    assert catalog.contracts() == (CONTRACT,)
    (entry,) = catalog.days(CONTRACT)
    assert entry == stored.entry == catalog.day(CONTRACT, DAY)
    assert (entry.contract, entry.day, entry.prints, entry.volume) == (CONTRACT, DAY, 2_000, int(ticks.size.sum()))
    assert (entry.first_ns, entry.last_ns) == (ticks.time_ns[0], ticks.time_ns[-1])
    assert (entry.tick, entry.size_step) == (Decimal("0.25"), Decimal(1))
    assert (entry.source, entry.kept_out, entry.outside) == ("es.csv", {"zero_size": 2}, 3)
    assert entry.content_hash == content_hash(CONTRACT, DAY, ticks)
    assert entry.bytes == catalog.path(CONTRACT, DAY).stat().st_size


def test_a_catalog_that_is_not_there_yet_has_nothing(tmp_path: Path):
    catalog = Catalog(tmp_path / "none")
    assert catalog.contracts() == ()
    with pytest.raises(Unknown, match="has no ESH2025; it has "):
        catalog.days(CONTRACT)


def test_days_stand_in_their_order(tmp_path: Path):
    catalog = filled(tmp_path)
    for days in (3, 1, 2):
        day = DAY + timedelta(days=days)
        catalog.write(CONTRACT, day, prints(50, day=day))
    assert [entry.day.day for entry in catalog.days(CONTRACT)] == [13, 14, 15, 16]


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1), st.integers(-1, 1)),
        min_size=1,
        max_size=40,
    )
)
def test_any_prints_of_a_day_come_back(rows):
    begins = int(prints(1).time_ns[0])
    ticks = TickColumns.of((begins + off, *rest) for off, *rest in sorted(rows, key=lambda row: row[0]))
    file = DayFile(encode(ticks, {"schema": "1"}), "day")
    assert equal(file.read(), ticks)


def test_the_same_prints_make_the_same_file(tmp_path: Path):
    once, again = filled(tmp_path / "a"), filled(tmp_path / "b")
    assert once.path(CONTRACT, DAY).read_bytes() == again.path(CONTRACT, DAY).read_bytes()


@pytest.mark.parametrize("number", range(4))
def test_each_column_is_part_of_the_content_hash(number: int):
    ticks = prints(100)
    other = changed(ticks, number, int(columns(ticks)[number][50]) + 1)
    assert content_hash(CONTRACT, DAY, ticks) != content_hash(CONTRACT, DAY, other)


def test_contract_and_day_are_part_of_the_content_hash():
    ticks = prints(10)
    hashes = {content_hash(name, DAY, ticks) for name in (CONTRACT, ContractId("MESH2025"), ContractId("ESM2025"))}
    assert len(hashes | {content_hash(CONTRACT, DAY + timedelta(days=1), ticks)}) == 4


# A part of a day


def test_a_part_of_a_day_has_the_prints_of_its_time_and_their_places(tmp_path: Path):
    catalog, ticks = filled(tmp_path, 2 * ROW_GROUP_PRINTS + 1_000), prints(2 * ROW_GROUP_PRINTS + 1_000)
    first, last = int(ticks.time_ns[0]), int(ticks.time_ns[-1])
    edges = [first - HOUR, first, first + 5 * HOUR, first + 12 * HOUR, last, last + 1]
    for begins in edges:
        for ends in edges:
            start, stop = np.searchsorted(ticks.time_ns, (begins, ends))
            found = catalog.read_between(CONTRACT, DAY, begins, ends)
            if start < stop:
                assert equal(found, ticks.slice(start, stop))
            else:
                assert len(found) == 0


def test_of_a_part_only_the_row_groups_are_unpacked_that_have_it(tmp_path: Path):
    catalog, ticks = filled(tmp_path, 3 * ROW_GROUP_PRINTS), prints(3 * ROW_GROUP_PRINTS)
    file = DayFile(catalog.path(CONTRACT, DAY).read_bytes(), "day")
    middle = int(ticks.time_ns[ROW_GROUP_PRINTS + 10])
    groups = file.groups_between(middle, middle + 1)
    assert groups == range(1, 2)
    assert len(file.read(groups)) == ROW_GROUP_PRINTS
    assert file.read(groups).first_index == ROW_GROUP_PRINTS
    assert file.groups_between(0, 1) == range(0)


# Writing


def test_the_same_prints_again_change_nothing(tmp_path: Path):
    catalog = filled(tmp_path)
    before = catalog.path(CONTRACT, DAY).stat()
    again = catalog.write(CONTRACT, DAY, prints(500), source="another file")
    assert again.became == "there already"
    assert again.entry.source == "a test"
    assert catalog.path(CONTRACT, DAY).stat().st_ino == before.st_ino


def test_other_prints_of_a_day_that_is_there_are_refused_unless_they_replace_it(tmp_path: Path):
    catalog, other = filled(tmp_path), prints(500, seed=2)
    with pytest.raises(InvalidInput, match=r"got '500 prints, content .*', expected the 500 prints .*; --replace puts"):
        catalog.write(CONTRACT, DAY, other)
    assert equal(catalog.read(CONTRACT, DAY), prints(500))
    assert catalog.write(CONTRACT, DAY, other, replace=True).became == "replaced"
    assert equal(catalog.read(CONTRACT, DAY), other)


def test_fewer_prints_take_the_place_of_no_day(tmp_path: Path):
    catalog = filled(tmp_path)
    for replace in (False, True):
        with pytest.raises(InvalidInput, match=r"these are fewer: `leadline data remove ESH2025 --from 2025-01-13"):
            catalog.write(CONTRACT, DAY, prints(499, seed=2), replace=replace)
    assert equal(catalog.read(CONTRACT, DAY), prints(500))


@given(st.data())
def test_parts_of_a_day_become_the_day_in_whatever_order_they_come(data: st.DataObject):
    whole = prints(60, seed=data.draw(st.integers(0, 3)))
    instants = sorted({int(each) for each in whole.time_ns} - {int(whole.time_ns[0])})
    cut = int(whole.time_ns.searchsorted(data.draw(st.sampled_from(instants))))
    parts = data.draw(st.permutations([fresh(whole, 0, cut), fresh(whole, cut, 60)]))
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog(Path(folder))
        assert [catalog.write(CONTRACT, DAY, part, source=f"{len(part)}").became for part in parts] == [
            "written",
            "joined",
        ]
        assert equal(catalog.read(CONTRACT, DAY, verified=True), whole)
        assert catalog.day(CONTRACT, DAY).source == f"{len(parts[0])}, {len(parts[1])}"


@given(st.data())
def test_a_run_of_prints_of_a_day_is_part_of_it_and_no_other_prints_are(data: st.DataObject):
    whole = prints(60, seed=data.draw(st.integers(0, 3)))
    begins = data.draw(st.integers(0, 59))
    ends = data.draw(st.integers(begins + 1, 60))
    part = fresh(whole, begins, ends)
    assert relation_of(whole, part) == "within"
    assert relation_of(part, whole) == ("within" if len(part) == 60 else "around")
    other = changed(part, data.draw(st.integers(1, 3)), 77)
    assert relation_of(whole, other) == "other"
    assert relation_of(other, whole) == "other"


def test_the_whole_day_takes_the_place_of_its_part(tmp_path: Path):
    catalog = Catalog(tmp_path)
    catalog.write(CONTRACT, DAY, fresh(prints(500), 0, 100), kept_out={"off_grid": 1})
    assert catalog.write(CONTRACT, DAY, prints(500), kept_out={"off_grid": 2}).became == "completed"
    assert catalog.day(CONTRACT, DAY).kept_out == {"off_grid": 2}
    assert catalog.write(CONTRACT, DAY, fresh(prints(500), 100, 300)).became == "there already"
    assert equal(catalog.read(CONTRACT, DAY), prints(500))


def fresh(ticks: TickColumns, begins: int, ends: int) -> TickColumns:
    """A part of prints, as another file has it."""
    time_ns, price, size, aggressor = (column[begins:ends] for column in columns(ticks))
    return TickColumns(time_ns, price, size, aggressor)


def test_a_damaged_day_is_replaced_by_that_word_alone(tmp_path: Path):
    catalog = filled(tmp_path)
    put(catalog, b"nothing of Parquet")
    with pytest.raises(InvalidInput, match="no end of a Parquet file"):
        catalog.write(CONTRACT, DAY, prints(500))
    catalog.write(CONTRACT, DAY, prints(400), replace=True)
    assert equal(catalog.read(CONTRACT, DAY, verified=True), prints(400))


def test_a_day_with_a_damaged_body_is_not_there_already(tmp_path: Path):
    catalog = filled(tmp_path)
    path = catalog.path(CONTRACT, DAY)
    content = bytearray(path.read_bytes())
    content[50] ^= 1
    put(catalog, bytes(content))
    with pytest.raises(InvalidInput, match="import that day again with --replace"):
        catalog.write(CONTRACT, DAY, prints(500))
    assert catalog.write(CONTRACT, DAY, prints(500), replace=True).became == "replaced"
    assert equal(catalog.read(CONTRACT, DAY, verified=True), prints(500))


def test_what_a_crash_left_of_a_file_is_no_day(tmp_path: Path):
    catalog = filled(tmp_path)
    left = catalog.path(CONTRACT, DAY + timedelta(days=1))
    left.with_name(left.name + ".new").write_bytes(b"half")
    assert [entry.day for entry in catalog.days(CONTRACT)] == [DAY]


def test_a_day_is_removed_also_when_it_is_damaged(tmp_path: Path):
    catalog = filled(tmp_path)
    put(catalog, b"nothing")
    catalog.remove(CONTRACT, DAY)
    assert catalog.contracts() == ()
    with pytest.raises(Unknown, match=r"the catalog .* has no day .* of ESH2025; it has"):
        catalog.remove(CONTRACT, DAY)


def test_text_that_is_no_contract_has_no_place_in_a_catalog(tmp_path: Path):
    catalog, outside = filled(tmp_path / "catalog"), filled(tmp_path / "other").path(CONTRACT, DAY)
    for text in (str(outside.parent), "../other/ESH2025", "", "."):
        contract = ContractId(text)
        for asked in (catalog.path, catalog.has, catalog.day, catalog.read, catalog.remove):
            with pytest.raises(Unknown, match="unknown instrument"):
                asked(contract, DAY)
        with pytest.raises(Unknown, match="unknown instrument"):
            catalog.dates(contract)
    assert outside.exists()


@pytest.mark.parametrize(
    ("number", "value", "words"),
    [
        (0, 0, "time_ns of row 50: got 0, expected a time not before"),
        (1, 0, "price of row 50: got 0, expected 1 to 2147483647 ticks"),
        (1, 2**31, "price of row 50: got 2147483648"),
        (2, 0, "size of row 50: got 0, expected 1 to 2147483647 size steps"),
        (3, 2, "aggressor of row 50: got 2, expected -1 to 1"),
    ],
)
def test_a_print_that_is_none_is_not_written(tmp_path: Path, number: int, value: int, words: str):
    with pytest.raises(InvalidInput, match=words):
        Catalog(tmp_path).write(CONTRACT, DAY, changed(prints(100), number, value))
    assert Catalog(tmp_path).contracts() == ()


@pytest.mark.parametrize(
    ("contract", "day", "words"),
    [
        (CONTRACT, DAY + timedelta(days=1), "of the trading day 2025-01-13', expected a time of the trading day"),
        ("ESH5", DAY, "contract: got 'ESH5', expected ESH2025, its canonical name"),
        ("ES", DAY, "contract: got 'ES', expected ESH2025, its canonical name"),
        ("XYH2025", DAY, "unknown"),
    ],
)
def test_a_day_or_contract_that_the_prints_are_not_of_is_refused(
    tmp_path: Path, contract: ContractId, day: date, words: str
):
    with pytest.raises((InvalidInput, Unknown), match=words):
        Catalog(tmp_path).write(contract, day, prints(100))


def test_a_day_without_prints_has_no_file(tmp_path: Path):
    with pytest.raises(InvalidInput, match="at least one print"):
        Catalog(tmp_path).write(CONTRACT, DAY, TickColumns.empty())


# Files that are not what they should be


def refused(catalog: Catalog, words: str) -> None:
    """The day is refused with these words wherever it is looked at, and the file is named."""
    for look in (catalog.day, catalog.read):
        with pytest.raises(InvalidInput, match=words) as error:
            look(CONTRACT, DAY)
        assert str(catalog.path(CONTRACT, DAY)) in str(error.value)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"schema": "2"}, "schema: got '2', expected 1, the version that this program reads"),
        ({"contract": "ESM2025"}, "contract: got 'ESM2025', expected ESH2025, as its place in the catalog says"),
        ({"instrument": "MES"}, "instrument: got 'MES', expected ES, of ES in the instrument sheet"),
        ({"tick": "0.5"}, "tick: got '0.5', expected 0.25, of ES in the instrument sheet"),
        ({"size_step": "10"}, "size_step: got '10', expected 1, of ES"),
        ({"day": "2025-01-14"}, "first print: got '.*, of the trading day 2025-01-13'"),
        ({"prints": "99"}, "rows: got 100, expected 99, as its head says"),
        ({"prints": "-1"}, "prints '-1' is no count"),
        ({"kept_out": "[]"}, "is no count by reason"),
        ({"day": "soon"}, "Invalid isoformat string"),
    ],
    ids=lambda each: "-".join(each) if isinstance(each, dict) else "",
)
def test_a_head_that_does_not_fit_is_refused(tmp_path: Path, other: dict[str, str], words: str):
    catalog = filled(tmp_path)
    put(catalog, said(prints(100), **other))
    refused(catalog, words)


def test_a_field_that_is_missing_is_named(tmp_path: Path):
    catalog = filled(tmp_path)
    put(catalog, encode(prints(100), {"schema": "1", "contract": CONTRACT}))
    refused(catalog, "instrument: got nothing, expected the field")


def test_a_hash_that_differs_is_found_by_a_full_look(tmp_path: Path):
    catalog = filled(tmp_path)
    put(catalog, said(prints(500), content="0" * 64))
    with pytest.raises(InvalidInput, match=f"content: got '.*', expected {'0' * 64}, as its head says"):
        catalog.read(CONTRACT, DAY, verified=True)


def test_prints_in_a_wrong_order_are_refused(tmp_path: Path):
    catalog = filled(tmp_path)
    put(catalog, said(changed(prints(500), 0, 0)))
    with pytest.raises(InvalidInput, match="time_ns of row 250: got 0"):
        catalog.read(CONTRACT, DAY)


def test_a_day_twice_is_refused_whatever_its_second_name(tmp_path: Path):
    catalog = filled(tmp_path)
    content = catalog.path(CONTRACT, DAY).read_bytes()
    put(catalog, content, DAY + timedelta(days=1))
    with pytest.raises(InvalidInput, match=r"day: got '2025-01-13', expected 2025-01-14, as its place .* one file"):
        catalog.days(CONTRACT)
    catalog.remove(CONTRACT, DAY + timedelta(days=1))
    (tmp_path / CONTRACT / "20250113.parquet").write_bytes(content)
    with pytest.raises(InvalidInput, match="got '20250113', expected a file named by its trading day"):
        catalog.days(CONTRACT)


def test_other_columns_are_refused(tmp_path: Path):
    catalog = filled(tmp_path)
    sink = pa.BufferOutputStream()
    pairs = {parquet.PREFIX + name: "0" * 64 for name in ("body", "footer")}
    table = pa.table({"time_ns": pa.array([1], pa.int64()), "price": pa.array([1.5])})
    with pq.ParquetWriter(sink, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(pairs)
    put(catalog, parquet._sealed(bytearray(sink.getvalue())))
    refused(catalog, "columns: got 'time_ns int64, price double', expected time_ns int64, price int64, size int64")


def test_a_file_of_another_program_is_told_to_be_imported(tmp_path: Path):
    catalog = filled(tmp_path)
    pq.write_table(pa.table({"price": [1.5]}), catalog.path(CONTRACT, DAY))
    refused(catalog, "leadline.footer: got nothing, expected a file that the catalog wrote")


def test_a_folder_that_is_no_contract_is_named(tmp_path: Path):
    catalog = filled(tmp_path)
    (tmp_path / CONTRACT).rename(tmp_path / "ESH5")
    with pytest.raises(Unknown, match="ESH5"):
        catalog.contracts()


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A whole file of a day."""
    return filled(tmp_path_factory.mktemp("whole"), 60).path(CONTRACT, DAY).read_bytes()


def refused_bytes(catalog: Catalog, content: bytes) -> None:
    put(catalog, content)
    with pytest.raises(InvalidInput):
        catalog.read(CONTRACT, DAY)


def test_a_file_that_is_cut_anywhere_is_never_a_shorter_day(tmp_path: Path, content: bytes):
    catalog = Catalog(tmp_path)
    for length in (*range(0, len(content), 23), *range(len(content) - 12, len(content))):
        refused_bytes(catalog, content[:length])


def test_a_bit_that_turned_anywhere_is_never_another_day(tmp_path: Path, content: bytes):
    catalog, rng = Catalog(tmp_path), random.Random(1)
    for place in range(0, len(content), 7):
        turned = bytes([content[place] ^ (1 << rng.randrange(8))])
        refused_bytes(catalog, content[:place] + turned + content[place + 1 :])


# Other readers


def test_it_is_a_parquet_file_like_any_other(tmp_path: Path):
    ticks = prints(500)
    table = pq.read_table(filled(tmp_path).path(CONTRACT, DAY))
    assert [str(each.type) for each in table.schema] == ["int64", "int64", "int64", "int8"]
    assert table.column_names == ["time_ns", "price", "size", "aggressor"]
    assert table["price"].to_pylist() == ticks.price.tolist()
    footer = pq.read_metadata(filled(tmp_path).path(CONTRACT, DAY))
    assert footer.metadata[b"leadline.tick"] == b"0.25"
    assert footer.row_group(0).column(0).statistics.min == ticks.time_ns[0]


def test_an_entry_says_what_it_is_of():
    with pytest.raises(InvalidInput, match="ESH2025 2025-01-13: prints"):
        describe(CONTRACT, DAY, TickColumns.empty())
