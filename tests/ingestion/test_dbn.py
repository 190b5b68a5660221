"""Databento's files: the aggressor's side, symbols by date, and nothing of a file that was cut."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from leadline.ingestion.dbn import read_dbn
from leadline.ingestion.dbn_prints import DatabentoPrints
from leadline.ingestion.importing import CsvPrints, ImportedDay
from leadline.ingestion.tally import TooManyKeptOut
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.ticks import TickColumns
from tests.ingestion.builders import rows_of
from tests.ingestion.databento_files import BEGINS_NS, ES, OTHER, SPREAD, dbn_bytes, dbn_file, order, trade

DAY = date(2025, 1, 13)
SECOND = 10**9


def prints_of(*paths: Path, wanted: tuple[str, ...] = (), percent: str = "1") -> DatabentoPrints:
    return DatabentoPrints(paths, wanted, Decimal(percent))


def days_of(prints: DatabentoPrints) -> dict[tuple[str, date], ImportedDay]:
    return {(each.contract, each.day): each for each in prints.days()}


@pytest.mark.parametrize("name", ["es.dbn", "es.dbn.zst"])
def test_a_trade_becomes_a_print_with_the_side_of_the_aggressor(tmp_path: Path, name: str):
    path = dbn_file(tmp_path, name, [trade(0, side="A"), trade(1, 5850.5, 7, "B"), trade(2, 5850, 1, "N")])
    found = days_of(prints_of(path))["ESH2025", DAY]
    assert rows_of(found.ticks) == [
        (BEGINS_NS, 23_401, 3, -1),
        (BEGINS_NS + SECOND, 23_402, 7, 1),
        (BEGINS_NS + 2 * SECOND, 23_400, 1, 0),
    ]
    assert found.source == name


def test_of_the_book_only_trades_are_taken_and_never_the_resting_side(tmp_path: Path):
    book = [order(0, "A", "B"), order(1, "T", "A"), order(1, "F", "B"), order(1, "C", "B"), order(2, "M", "A")]
    path = dbn_file(tmp_path, "es.mbo.dbn", book, schema="mbo")
    assert rows_of(days_of(prints_of(path))["ESH2025", DAY].ticks) == [(BEGINS_NS + SECOND, 23_400, 2, -1)]


def test_spreads_are_left_out_and_named(tmp_path: Path):
    path = dbn_file(tmp_path, "es.dbn", [trade(0), trade(1, 12, instrument=SPREAD), trade(2, instrument=OTHER)])
    prints = prints_of(path)
    assert prints.skipped == {"ESH5-ESM5": 1}
    assert sorted(name for name, _ in days_of(prints)) == ["ESH2025", "ESM2025"]


def test_contracts_may_be_chosen(tmp_path: Path):
    path = dbn_file(tmp_path, "es.dbn", [trade(0), trade(2, instrument=OTHER)])
    assert [name for name, _ in days_of(prints_of(path, wanted=("ESM2025",)))] == ["ESM2025"]
    has = "expected a contract that has trades in these files: ESH2025, ESM2025$"
    with pytest.raises(InvalidInput, match=f"--contract: got 'ESZ2025', {has}"):
        prints_of(path, wanted=("ESZ2025",))
    with pytest.raises(InvalidInput, match=f"--contract: got 'esh2025', {has}"):
        prints_of(path, wanted=("esh2025", "ESM2025"))


def test_a_number_means_what_the_metadata_says_for_its_day(tmp_path: Path):
    first = dbn_file(tmp_path, "a.dbn", [trade(0)], days=(DAY, date(2025, 1, 14)))
    second = dbn_file(
        tmp_path, "b.dbn", [trade(86_400)], symbols={ES: "ESM5"}, days=(date(2025, 1, 14), date(2025, 1, 15))
    )
    found = days_of(prints_of(second, first))
    assert list(found) == [("ESH2025", DAY), ("ESM2025", date(2025, 1, 14))]
    with pytest.raises(InvalidInput, match=r"b.dbn: instrument_id on 2025-01-13: got 17, expected a number"):
        prints_of(dbn_file(tmp_path, "b.dbn", [trade(0)], days=(date(2025, 1, 14), date(2025, 1, 15))))


def test_a_price_off_the_grid_or_without_a_value_is_kept_out_and_counted(tmp_path: Path):
    rows = [trade(second) for second in range(300)]
    rows += [trade(300, 5850.1), trade(301, None)]
    found = days_of(prints_of(dbn_file(tmp_path, "es.dbn", rows)))["ESH2025", DAY]
    assert len(found.ticks) == 300
    assert found.kept_out == {"off_grid": 1, "overflow": 1}


def test_too_many_faulty_prints_are_refused_before_a_day_is_given(tmp_path: Path):
    path = dbn_file(tmp_path, "es.dbn", [trade(0), trade(1, 5850.1)])
    with pytest.raises(TooManyKeptOut, match="1 of 2 prints of ESH2025 was kept out"):
        prints_of(path)
    assert len(days_of(prints_of(path, percent="50"))) == 1


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        ("ES.c.0", "symbol: got 'ES.c.0', expected dated contracts: ask Databento for raw symbols"),
        ("QQH5", "unknown contract root 'QQH5'"),
    ],
)
def test_a_symbol_that_is_no_contract_here_is_refused(tmp_path: Path, symbol: str, words: str):
    with pytest.raises((InvalidInput, Unknown), match=words):
        prints_of(dbn_file(tmp_path, "es.dbn", [trade(0)], symbols={ES: symbol}))


def test_a_schema_without_trades_is_refused(tmp_path: Path):
    with pytest.raises(InvalidInput, match="schema: got 'ohlcv-1m', expected one that has trades"):
        prints_of(dbn_file(tmp_path, "es.dbn", [], schema="ohlcv-1m"))


@pytest.mark.parametrize("name", ["es.dbn", "es.dbn.zst"])
def test_a_file_that_was_cut_gives_no_day(tmp_path: Path, name: str):
    path = dbn_file(tmp_path, name, [trade(second, 5850 + second % 7) for second in range(200)])
    content = path.read_bytes()
    for length in (0, 3, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InvalidInput, match=f"^{name}: got .*, expected a whole DBN file"):
            prints_of(path)


def test_a_record_of_which_the_decoder_panics_is_refused(tmp_path: Path):
    path = dbn_file(tmp_path, "es.dbn", [trade(0)])
    content = bytearray(path.read_bytes())
    content[-47] = 1  # the kind of record, now one that is longer
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"^es.dbn: got 'Malformed .*', expected a whole DBN file"):
        prints_of(path)


def test_files_that_overlap_are_refused(tmp_path: Path):
    first = dbn_file(tmp_path, "a.dbn", [trade(0), trade(60)])
    second = dbn_file(tmp_path, "b.dbn", [trade(30), trade(90)])
    with pytest.raises(InvalidInput, match=r"b.dbn: got 'trades of ESH2025 from .*files may not overlap"):
        prints_of(first, second)


def test_a_trading_day_in_two_files_is_one(tmp_path: Path):
    late = 8.5 * 3600
    files = [
        dbn_file(tmp_path, "a.dbn", [trade(0), trade(late)]),
        dbn_file(tmp_path, "b.dbn", [trade(late + 10), trade(late + 7 * 3600)]),
    ]
    found = days_of(prints_of(*files))
    assert {day: (len(each.ticks), each.source) for (_, day), each in found.items()} == {
        DAY: (1, "a.dbn"),
        date(2025, 1, 14): (3, "a.dbn, b.dbn"),
    }
    assert all(each.ticks.first_index == 0 for each in found.values())


def test_the_columns_are_those_that_the_vendors_decoder_gives(tmp_path: Path):
    rows = [trade(second / 10, 5850 + second % 9, second % 5 + 1, "ABN"[second % 3]) for second in range(500)]
    path = tmp_path / "es.dbn"
    path.write_bytes(dbn_bytes(rows))
    raw = read_dbn(path, "es.dbn").columns[ContractId("ESH2025")]
    assert raw.time_ns.tolist() == [row.ts_event for row in rows]
    assert raw.price.tolist() == [row.price for row in rows]
    assert (raw.size // SECOND).tolist() == [row.size for row in rows]
    assert raw.side.tolist() == [{"A": -1, "B": 1, "N": 0}[str(row.side)] for row in rows]


# Recorded hours


def test_a_recorded_hour_of_the_book_is_that_of_its_text(shared_data: Path):
    (book,) = prints_of(*sorted((shared_data / "dbn").glob("esh4*.mbo.dbn.zst"))).days()
    (text,) = CsvPrints([(shared_data / "ticks/es_20231225_esh4_glbx.csv.gz", "ES")], Decimal(1)).days()
    assert (book.contract, book.day) == (text.contract, text.day) == ("ESH2024", date(2023, 12, 26))
    assert (len(book.ticks), int(book.ticks.size.sum())) == (2_973, 9_892)
    assert same(book.ticks, text.ticks)


def test_trades_and_quotes_of_the_same_minutes_have_the_same_prints(shared_data: Path):
    files = sorted((shared_data / "dbn").glob("esu4*.zst"))
    found = [each.ticks for file in files for each in prints_of(file).days()]
    assert [len(each) for each in found] == [120, 120]
    assert same(*found)


def same(one: TickColumns, other: TickColumns) -> bool:
    names = ("time_ns", "price", "size", "aggressor")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)
