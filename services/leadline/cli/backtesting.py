"""`leadline backtest`: a range of days through the cores, and what came of it."""

import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from leadline.backtest.days import BacktestDays
from leadline.backtest.documents import result_document
from leadline.backtest.engine import Accounts
from leadline.backtest.gathered import Gathered
from leadline.backtest.market import DayResult
from leadline.backtest.results import BacktestResult, result_of
from leadline.backtest.run import run_backtest
from leadline.backtest.workers import suitable_workers
from leadline.cli.backtest_inputs import backtest_inputs
from leadline.cli.options import Output, PlanOptions
from leadline.cli.output import announce_written, complain, people_console, print_json
from leadline.cli.places import check_place
from leadline.local.data_dir import DataDir
from leadline.model.counted import counted
from leadline.report.backtest import render_backtest
from leadline.report.tearsheet import write_tearsheet


@dataclass(frozen=True, slots=True)
class BacktestOptions:
    """The last day of a backtest (None: as far as the feed reaches), and its processes (None: as suits the days).

    `report` is where its page goes, `tables` the folder for its tables, `data_dir` the directory in which its results
    are kept; None: they are not written.
    """

    last: str | None
    workers: int | None
    output: Output
    report: Path | None = None
    tables: Path | None = None
    data_dir: Path | None = None


def run_backtest_command(planned: PlanOptions, options: BacktestOptions) -> None:
    """Run it, keep its results and print them.

    Raises what `leadline up` would raise before it starts, NotPrivate for a data directory that is not this user's, and
    as `run_backtest`.
    """
    check_places(options.report, options.tables)
    inputs = backtest_inputs(planned, options.last)
    folder = None
    if options.data_dir is not None:
        from leadline.backtest.kept import FOLDER  # noqa: PLC0415 - what a backtest that is not kept does not need

        folder = DataDir(options.data_dir).make_results_dir(FOLDER)
        check_place(folder / "about.json", "--data-dir")
    plan, prints = inputs.plan, inputs.prints
    workers = options.workers or suitable_workers(prints, inputs.first, inputs.last)
    began = perf_counter()
    gathered = Gathered(plan.strategies)

    def seen(day: DayResult, accounts: Accounts) -> None:
        gathered.seen(day, accounts)
        _progress(day, accounts)

    outcome = run_backtest(plan.accounts, plan.strategies, prints, inputs.first, inputs.last, seen, workers)
    if planned.trade_from is None and inputs.feed.kind != "sim":
        _say_history(outcome.days)
    identity = inputs.identity(outcome.days)
    result, seconds = result_of(outcome, gathered, identity), perf_counter() - began
    write_results(result, options.report, options.tables)
    found = result_document(result) if folder is not None or options.output is Output.JSON else {}
    if folder is not None:
        from leadline.backtest.kept import keep, store_of  # noqa: PLC0415 - as above
        from leadline.report.tables import parquet_files  # noqa: PLC0415 - Arrow, which nothing else here needs

        announce_written(keep(store_of(folder), result, found, identity, parquet_files(result)))
    # Last of all: what reads it may go at any line, as `head` does.
    if options.output is Output.JSON:
        print_json(found)
    else:
        render_backtest(result, people_console(), seconds)


def check_places(report: Path | None, tables: Path | None) -> None:
    """Whether a page and tables can be written there. Raises InvalidInput that names the option."""
    if report is not None:
        check_place(report, "--report")
    if tables is not None:
        check_place(tables / "trades.csv", "--tables")


def write_results(result: BacktestResult, report: Path | None, tables: Path | None) -> None:
    """Write the page and the tables of a backtest where places for them are given, and say so. Raises OSError."""
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        write_tearsheet(result, report)
        announce_written(report)
    if tables is not None:
        from leadline.report.tables import write_tables  # noqa: PLC0415 - as above

        write_tables(result, tables)
        announce_written(tables)


def _say_history(days: BacktestDays) -> None:
    first = days.plan.trade_from
    if before := sum(each.day < first for each in days.days):
        history = f"{counted(before, 'day')} before it {'is' if before == 1 else 'are'} its history"
        complain(f"without --from it traded from {first} on: {history}")


def _progress(result: DayResult, accounts: Accounts) -> None:
    if sys.stderr.isatty():
        fills = sum(len(run.records.fills) for run in accounts.values())
        print(f"\r{result.day.day}  {counted(fills, 'fill')}", end="\n" if result.day.final else "", file=sys.stderr)
