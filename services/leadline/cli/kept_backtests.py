"""The backtests that are kept: list, show, compare, remove."""

import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from leadline.backtest.comparison import compared
from leadline.backtest.kept import FOLDER, KeptBacktest, opened, store_of
from leadline.backtest.store import Store
from leadline.cli.backtesting import check_places, write_results
from leadline.cli.options import Output
from leadline.cli.output import complain, people_console, print_json, print_table
from leadline.local.data_dir import DataDir
from leadline.model.errors import LeadlineError, error_text
from leadline.model.ids import DEFAULT_NAMESPACE
from leadline.model.worth import places
from leadline.report.backtest import render_backtest
from leadline.report.clock import moment
from leadline.report.comparison import render_comparison
from leadline.report.figures import figure_text
from leadline.views.documents import document


def print_list(data_dir: Path, output: Output) -> int:
    """Every backtest that is kept, the newest first, one row per account. Returns 1 where one is damaged, else 0."""
    store = _store(data_dir)
    found: list[KeptBacktest] = []
    faults: list[tuple[str, str]] = []
    for name in store.names():
        try:
            found.append(opened(store, name))
        except (LeadlineError, OSError) as error:
            faults.append((name, error_text(error)))
    found.sort(key=lambda each: (-each.kept.written_ns, each.id))
    if output is Output.JSON:
        damaged = [{"id": name, "fault": fault} for name, fault in faults]
        print_json({"folder": str(store.root), "backtests": list(map(_listed, found)), "damaged": damaged})
        return 1 if faults else 0
    columns = ("id", "written", "strategies", "range", "account", "trades", "net", "Sharpe", "drawdown")
    rows = [row for each in found for row in _rows(each)]
    empty = f"no backtest is kept in {store.root}"
    print_table(str(store.root), columns, rows, empty, wide_only=("written", "account", "Sharpe"))
    for _, fault in faults:
        complain(fault)
    return 1 if faults else 0


def show_backtest(data_dir: Path, prefix: str, report: Path | None, tables: Path | None, output: Output) -> None:
    """Show the results of one, and write its page and tables where places for them are given."""
    check_places(report, tables)
    found = kept_backtest(data_dir, prefix)
    result = found.result()
    write_results(result, report, tables)
    if output is Output.JSON:
        sys.stdout.buffer.write(found.document())
        sys.stdout.buffer.flush()
    else:
        render_backtest(result, people_console())


def compare_backtests(data_dir: Path, one: str, other: str, output: Output) -> None:
    """Show two side by side."""
    left, right = kept_backtest(data_dir, one), kept_backtest(data_dir, other)
    comparison = compared(left.identity, right.identity, left.accounts, right.accounts)
    if output is Output.JSON:
        print_json({"one": left.id, "other": right.id, **document(comparison)})
    else:
        render_comparison(left, right, comparison, people_console())


def remove_backtest(data_dir: Path, prefix: str, output: Output) -> None:
    """Take one out."""
    store = _store(data_dir)
    name = store.find(prefix)
    store.remove(name)
    if output is Output.JSON:
        print_json({"removed": name})
    else:
        print(f"removed {name}")


def _store(data_dir: Path) -> Store:
    data = DataDir(data_dir)
    data.check()
    return store_of(data.results_dir(FOLDER))


def kept_backtest(data_dir: Path, prefix: str) -> KeptBacktest:
    """One that is kept, by the beginning of its id. Raises Unknown and InvalidInput."""
    store = _store(data_dir)
    return opened(store, store.find(prefix))


def _listed(found: KeptBacktest) -> dict[str, object]:
    first, last = found.range
    return {
        "id": found.id,
        "written_ns": found.kept.written_ns,
        "strategies": found.strategies,
        "first": first,
        "last": last,
        "code": {**found.identity.code.document(), **found.identity.code.noted()},
        "digest": found.digest,
        "accounts": list(found.accounts),
    }


def _rows(found: KeptBacktest) -> Iterator[tuple[object, ...]]:
    strategies = ", ".join(each.removeprefix(f"{DEFAULT_NAMESPACE}/") for each in found.strategies)
    head: tuple[str, ...] = (found.id, moment(found.kept.written_ns), strategies, " to ".join(found.range))
    for account in found.accounts:
        figures = (
            figure_text(name, Decimal(account[name]) if name in account else None, places(account["currency"]))
            for name in ("trade_count", "net", "sharpe", "max_drawdown")
        )
        yield (*head, account["account"], *figures)
        head = ("",) * len(head)
