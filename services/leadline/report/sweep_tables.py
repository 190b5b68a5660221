"""The variants of a sweep as files: parameters and all figures, CSV for a sheet and Parquet for a program."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import get_type_hints

from leadline.backtest.results import Figures
from leadline.model.manifest.sweep import shown_value
from leadline.report.tables import Table, parquet_bytes, write_csv
from leadline.study.rows import FIGURES, VariantRow
from leadline.study.sweep import SweepResult


def write_sweep_tables(result: SweepResult, folder: Path) -> None:
    """Write `variants`, a row for each account of each variant, by number, and `days`, their session days.

    The folder is made where it is missing; files of these names that are there are replaced. The same rows give the
    same bytes. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("variants", variants_table(result.rows)), ("days", _days(result.rows))):
        write_csv(table, folder, name)
        (folder / f"{name}.parquet").write_bytes(parquet_bytes(table, {"leadline.sweep": result.id}))


def variants_table(rows: Sequence[VariantRow]) -> Table:
    """The variants: their fields as text under their full names, then their figures; a halted one has none."""
    fields = list(dict.fromkeys(name for row in rows for name, _ in row.values))
    whole = {name for name, hint in get_type_hints(Figures).items() if hint is int}
    columns = [("variant", "whole"), *((name, "text") for name in fields), ("account", "text"), ("currency", "text")]
    columns += [("start_equity", "money"), ("end_equity", "money")]
    columns += [*((name, "whole" if name in whole else "money") for name in FIGURES), ("digest", "text")]
    columns.append(("halted", "text"))
    found: list[tuple[str | int | Decimal | None, ...]] = []
    for row in rows:
        values = dict(row.values)
        named = [shown_value(values[name]) if name in values else None for name in fields]
        for each in row.accounts:
            figures = (getattr(each.figures, name) for name in FIGURES)
            money = (each.start_equity, each.end_equity)
            found.append((row.number, *named, each.account, each.currency, *money, *figures, row.digest, None))
        if row.halted:
            found.append((row.number, *named, *[None] * (len(FIGURES) + 5), row.halted))
    return Table(columns, found)


def _days(rows: Sequence[VariantRow]) -> Table:
    columns = [("variant", "whole"), ("account", "text"), ("day", "text"), ("trades", "whole"), ("net", "money")]
    columns.append(("equity", "money"))
    found = [
        (row.number, each.account, day.day.isoformat(), day.trades, day.net, day.equity)
        for row in rows
        for each in row.accounts
        for day in each.days
    ]
    return Table(columns, found)
