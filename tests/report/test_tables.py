"""The files of a backtest: each table as CSV and as Parquet, with the same rows and the same bytes each time."""

import csv
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq

from leadline.report.tables import write_tables
from tests.backtest.builders import account_result, backtest_result
from tests.execution.harness.builders import ns

NAMES = ("days", "equity", "trades")


def test_both_spellings_have_the_same_rows(tmp_path: Path):
    write_tables(backtest_result(), tmp_path / "new" / "folder")

    for name in NAMES:
        with (tmp_path / "new" / "folder" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        table = pq.read_table(tmp_path / "new" / "folder" / f"{name}.parquet").to_pylist()
        assert len(rows) == len(table) > 1
        for row, other in zip(rows, table, strict=True):
            assert list(row) == list(other)
            for column, value in other.items():
                assert row[column] == (f"{value.normalize():f}" if isinstance(value, Decimal) else str(value))


def test_a_trade_has_its_money_its_times_and_its_prices(tmp_path: Path):
    write_tables(backtest_result(), tmp_path)

    trade = pq.read_table(tmp_path / "trades.parquet").to_pylist()[0]

    assert (trade["net"], trade["gross"], trade["commission"]) == (Decimal(55), Decimal(60), Decimal(5))
    assert (trade["entry_ns"], trade["entry_price"], trade["side"]) == (ns(601), "5000.25", "buy")
    assert trade["decision_id"] == "d1"


def test_the_same_results_give_the_same_bytes(tmp_path: Path):
    for folder in ("one", "two"):
        write_tables(backtest_result(), tmp_path / folder)
    for name in NAMES:
        for ending in ("csv", "parquet"):
            one, two = ((tmp_path / folder / f"{name}.{ending}").read_bytes() for folder in ("one", "two"))
            assert one == two, name


def test_without_trades_the_columns_are_there(tmp_path: Path):
    write_tables(backtest_result(account_result(trades=(), causes=(), equity=(), days=())), tmp_path)
    assert pq.read_table(tmp_path / "equity.parquet").column_names == ["account", "time_ns", "equity"]
    assert (tmp_path / "days.csv").read_text(encoding="utf-8") == "account,day,trades,net,equity\n"
