"""`leadline backtest`: a range of days through the cores, and what came of it."""

import sys
from dataclasses import dataclass
from datetime import date
from time import perf_counter

from leadline.backtest.engine import Accounts, DayResult
from leadline.backtest.feeds import prints_of
from leadline.backtest.results import BacktestResult, result_of
from leadline.backtest.run import run_backtest
from leadline.cli.manifests import checked_plan
from leadline.cli.options import Output, PlanOptions
from leadline.cli.output import people_console, print_json, print_table
from leadline.local.binding import feed_params
from leadline.model.counted import counted
from leadline.model.errors import InvalidInput
from leadline.report.text import money


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
    outcome = run_backtest(plan.accounts, plan.strategies, prints_of(checked.feed, params), first, last, _progress)
    result, seconds = result_of(outcome), perf_counter() - began
    if options.output is Output.JSON:
        print_json(_document(result))
        return
    _print(result, seconds)


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InvalidInput("to", text, "a date such as 2025-10-08") from None


def _progress(result: DayResult, accounts: Accounts) -> None:
    if sys.stderr.isatty():
        fills = sum(len(run.records.fills) for run in accounts.values())
        print(f"\r{result.day.day}  {counted(fills, 'fill')}", end="\n" if result.day.final else "", file=sys.stderr)


def _print(result: BacktestResult, seconds: float) -> None:
    print_table(
        f"Backtest from {result.first} to {result.last}",
        ("account", "trades", "won", "net", "equity from", "to"),
        [
            (
                each.account,
                len(each.trades),
                each.wins,
                money(each.net, each.places),
                f"{each.start_equity:.{each.places}f}",
                f"{each.end_equity:.{each.places}f}",
            )
            for each in result.accounts
        ],
        "No account.",
    )
    console = people_console()
    prints = counted(result.prints, "print")
    console.print(f"{counted(result.days, 'day')}, {prints} in {seconds:.1f} s; digest {result.digest}", style="dim")


def _document(result: BacktestResult) -> dict[str, object]:
    return {
        "first": result.first.isoformat(),
        "last": result.last.isoformat(),
        "days": result.days,
        "prints": result.prints,
        "digest": result.digest,
        "accounts": [
            {
                "account": each.account,
                "currency": each.currency,
                "trades": len(each.trades),
                "wins": each.wins,
                "net": str(each.net),
                "start_equity": str(each.start_equity),
                "end_equity": str(each.end_equity),
            }
            for each in result.accounts
        ],
    }
