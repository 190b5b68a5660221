"""Trades, days and equity of a backtest as files: CSV for a sheet, Parquet for a program."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from leadline.backtest.results import BacktestResult
from leadline.model.worth import booked
from leadline.views.prices import price_text

_MONEY: Final = pa.decimal128(38, 8)
_KINDS: Final = {"text": pa.string(), "whole": pa.int64(), "money": _MONEY}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns, of which each holds texts, whole numbers or money.

    Times are ns UTC, prices text as the contract spells them; money has 8 decimals, in the account's currency. An
    absent value is null, and empty in a sheet.
    """

    columns: Sequence[tuple[str, str]]
    rows: Sequence[tuple[str | int | Decimal | None, ...]]


def tables_of(result: BacktestResult) -> dict[str, Table]:
    """The tables by name: `trades` in the order of their exits, `days`, and `equity` with open positions marked."""
    return {"trades": _trades(result), "days": _days(result), "equity": _equity(result)}


def write_tables(result: BacktestResult, folder: Path) -> None:
    """Write each table as `<name>.csv` and `<name>.parquet` into a folder, which is made where it is missing.

    Files of these names that are there are replaced. The same results give the same bytes. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables_of(result).items():
        write_csv(table, folder, name)
    for name, content in parquet_files(result).items():
        (folder / name).write_bytes(content)


def parquet_files(result: BacktestResult) -> dict[str, bytes]:
    """Each table as `<name>.parquet`; its metadata have the id of the backtest as `leadline.backtest`."""
    pairs = {} if result.identity is None else {"leadline.backtest": result.identity.id}
    return {f"{name}.parquet": parquet_bytes(table, pairs) for name, table in tables_of(result).items()}


def write_csv(table: Table, folder: Path, name: str) -> None:
    """Write a table as `<name>.csv` into a folder that there is. Raises OSError."""
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(column for column, _ in table.columns)
        writer.writerows([_text(value) for value in row] for row in table.rows)


def parquet_bytes(table: Table, pairs: Mapping[str, str]) -> bytes:
    """A table as a Parquet file has it, with these pairs in its metadata."""
    columns = {
        column: pa.array([_exact(row[place]) for row in table.rows], _KINDS[kind])
        for place, (column, kind) in enumerate(table.columns)
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, metadata=dict(pairs)), sink, compression="zstd")
    found: bytes = sink.getvalue().to_pybytes()
    return found


def _trades(result: BacktestResult) -> Table:
    columns = [("account", "text"), ("strategy", "text"), ("contract", "text"), ("pattern", "text")]
    columns += [("regime", "text"), ("side", "text"), ("quantity", "whole"), ("entry_ns", "whole")]
    columns += [("entry_price", "text"), ("exit_ns", "whole"), ("exit_price", "text"), ("exit_by", "text")]
    columns += [("gross", "money"), ("commission", "money"), ("net", "money"), ("decision_id", "text")]
    rows = [
        (
            account.account,
            trade.strategy,
            trade.contract,
            trade.pattern,
            trade.regime,
            trade.side.value.lower(),
            trade.quantity,
            trade.entry_ns,
            price_text(trade.contract, trade.entry_price),
            trade.exit_ns,
            price_text(trade.contract, trade.exit_price),
            trade.exit_by,
            trade.gross,
            trade.commission,
            trade.net,
            trade.decision_id,
        )
        for account in result.accounts
        for trade in account.trades
    ]
    return Table(columns, rows)


def _days(result: BacktestResult) -> Table:
    columns = [("account", "text"), ("day", "text"), ("trades", "whole"), ("net", "money"), ("equity", "money")]
    rows = [
        (account.account, day.day.isoformat(), day.trades, day.net, day.equity)
        for account in result.accounts
        for day in account.days
    ]
    return Table(columns, rows)


def _equity(result: BacktestResult) -> Table:
    columns = [("account", "text"), ("time_ns", "whole"), ("equity", "money")]
    rows = [(account.account, point.time_ns, point.equity) for account in result.accounts for point in account.equity]
    return Table(columns, rows)


def _exact(value: str | int | Decimal | None) -> str | int | Decimal | None:
    return booked(value) if isinstance(value, Decimal) else value


def _text(value: str | int | Decimal | None) -> str:
    if value is None:
        return ""
    return format(booked(value).normalize(), "f") if isinstance(value, Decimal) else str(value)
