"""`leadline backtest`: a range of days through the cores, and what came of it."""

import sys
from dataclasses import dataclass
from datetime import date
from time import perf_counter

from leadline.backtest.documents import result_document
from leadline.backtest.engine import Accounts, DayResult
from leadline.backtest.feeds import prints_of
from leadline.backtest.gathered import Gathered
from leadline.backtest.results import result_of
from leadline.backtest.run import run_backtest
from leadline.cli.manifests import checked_plan
from leadline.cli.options import Output, PlanOptions
from leadline.cli.output import people_console, print_json
from leadline.local.binding import feed_params
from leadline.model.counted import counted
from leadline.model.errors import InvalidInput
from leadline.report.backtest import render_backtest


@dataclass(frozen=True, slots=True)
class BacktestOptions:
    """The last day of a backtest (None: as far as the feed reaches), and its processes (None: as suits the days)."""

    last: str | None
    workers: int | None
    output: Output


def run_backtest_command(planned: PlanOptions, options: BacktestOptions) -> None:
    """Run it and print its results. Raises what `leadline up` would raise before it starts, and as `run_backtest`."""
    last = _day(options.last)
    checked = checked_plan(planned)
    first = checked.feed.plan.trade_from
    if last is not None and last < first:
        raise InvalidInput("to", last.isoformat(), f"a day not before --from, {first}")
    plan, params = checked.plan, feed_params(checked.plan, checked.files)
    began = perf_counter()
    gathered = Gathered(plan.strategies)

    def seen(day: DayResult, accounts: Accounts) -> None:
        gathered.seen(day, accounts)
        _progress(day, accounts)

    outcome = run_backtest(plan.accounts, plan.strategies, prints_of(checked.feed, params), first, last, seen)
    result, seconds = result_of(outcome, gathered), perf_counter() - began
    if options.output is Output.JSON:
        print_json(result_document(result))
        return
    render_backtest(result, seconds, people_console())


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InvalidInput("to", text, "a date such as 2025-10-08") from None


def _progress(result: DayResult, accounts: Accounts) -> None:
    if sys.stderr.isatty():
        fills = sum(len(run.records.fills) for run in accounts.values())
        print(f"\r{result.day.day}  {counted(fills, 'fill')}", end="\n" if result.day.final else "", file=sys.stderr)
