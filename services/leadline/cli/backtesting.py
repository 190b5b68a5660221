"""`leadline backtest`: a range of days through the cores, and what came of it."""

import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from leadline.backtest.documents import result_document
from leadline.backtest.engine import Accounts
from leadline.backtest.gathered import Gathered
from leadline.backtest.market import DayResult
from leadline.backtest.results import result_of
from leadline.backtest.run import run_backtest
from leadline.backtest.workers import suitable_workers
from leadline.cli.backtest_inputs import backtest_inputs
from leadline.cli.options import Output, PlanOptions
from leadline.cli.output import people_console, print_json
from leadline.cli.reporting import check_place
from leadline.model.counted import counted
from leadline.report.backtest import render_backtest
from leadline.report.tearsheet import write_tearsheet


@dataclass(frozen=True, slots=True)
class BacktestOptions:
    """The last day of a backtest (None: as far as the feed reaches), and its processes (None: as suits the days).

    `report` is where its page goes, `tables` the folder for its tables; None: they are not written.
    """

    last: str | None
    workers: int | None
    output: Output
    report: Path | None = None
    tables: Path | None = None


def run_backtest_command(planned: PlanOptions, options: BacktestOptions) -> None:
    """Run it and print its results. Raises what `leadline up` would raise before it starts, and as `run_backtest`."""
    if options.report is not None:
        check_place(options.report, "--report")
    if options.tables is not None:
        check_place(options.tables / "trades.csv", "--tables")
    inputs = backtest_inputs(planned, options.last)
    plan, prints = inputs.plan, inputs.prints
    workers = options.workers or suitable_workers(prints)
    began = perf_counter()
    gathered = Gathered(plan.strategies)

    def seen(day: DayResult, accounts: Accounts) -> None:
        gathered.seen(day, accounts)
        _progress(day, accounts)

    outcome = run_backtest(plan.accounts, plan.strategies, prints, inputs.first, inputs.last, seen, workers)
    result, seconds = result_of(outcome, gathered), perf_counter() - began
    if options.report is not None:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        write_tearsheet(result, options.report)
    if options.tables is not None:
        from leadline.report.tables import write_tables  # noqa: PLC0415 - Arrow, which nothing else here needs

        write_tables(result, options.tables)
    if options.output is Output.JSON:
        print_json(result_document(result))
        return
    render_backtest(result, seconds, people_console())


def _progress(result: DayResult, accounts: Accounts) -> None:
    if sys.stderr.isatty():
        fills = sum(len(run.records.fills) for run in accounts.values())
        print(f"\r{result.day.day}  {counted(fills, 'fill')}", end="\n" if result.day.final else "", file=sys.stderr)
