"""The report in a terminal."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console, JustifyMethod
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from leadline.ingestion.tally import OUTSIDE
from leadline.model.counted import counted
from leadline.model.ids import StrategyId
from leadline.report.clock import month_and_time, zone_name
from leadline.report.halts import since_text, until_text
from leadline.report.printable import plain_text, printable
from leadline.views.days import spans
from leadline.views.orders import leg_text
from leadline.views.prices import price_text
from leadline.views.report import AccountReport, Coverage, OpenPosition, UnfinishedBar
from leadline.views.trades import Trade

_BLOCKS = "▁▂▃▄▅▆▇█"
_SPARK_WIDTH = 60
# Columns of a terminal that has room for the time of each exit.
_ROOMY = 96
# A file is as wide as its tables ask for: nobody reads a line as long as that.
_LONGEST_RULE = 100


def render_text(report: AccountReport, console: Console) -> None:
    """Print one account's report: trades, totals by pattern, why there were no more of them, the equity curve."""
    heading = Text.assemble((printable(report.account), "bold"), f" on tape {printable(report.tape)}{_of_day(report)}")
    console.print(Rule(heading), width=min(console.width, _LONGEST_RULE))
    console.print(_trades(report, roomy=console.width >= _ROOMY))
    if report.by_pattern:
        console.print(_patterns(report))
    if report.refused:
        console.print(_reasons("Refused, by first reason", "decisions", report.refused))
    if report.not_filled:
        console.print(_reasons("Entries not filled", "entries", report.not_filled))
    for note in _notes(report):
        console.print(note)
    if report.failure:
        console.print(plain_text(f"the run failed: {report.failure}", "bold red"))
    if report.coverage:
        console.print(_coverage(report))
    if report.faulty:
        console.print(_kept_out(report))
    for item in report.unfinished:
        console.print(plain_text(unfinished_bar_text(item), "yellow"))
    for line in _contracts(report):
        console.print(plain_text(line, "dim"))
    if report.missing_sessions:
        console.print(plain_text(f"sessions that were not at hand: {', '.join(report.missing_sessions)}", "dim"))
    if report.curve:
        console.print(f"equity  {spark([report.start_equity, *(p.equity for p in report.curve)])}")
    console.print(
        Text.assemble(
            (f"{counted(len(report.trades), 'trade')}, {report.wins} won, net ", "bold"),
            money(report.net, report.places),
            f", equity {report.start_equity:.{report.places}f} -> {report.end_equity:.{report.places}f}, "
            f"largest drawdown of cash {report.max_drawdown:.{report.places}f}",
            f"; money in {printable(report.currency)}" if report.currency else "",
        )
    )
    console.print(plain_text(f"{sum_text(report)}; digest {report.digest}", "dim"))


def sum_text(report: AccountReport) -> str:
    """How much there was of a run, and what its decisions came to."""
    whole = (report.prints, "print"), (report.bars, "bar"), (report.signals, "signal"), (report.decisions, "decision")
    refused, not_filled = (sum(count for _, count in each) for each in (report.refused, report.not_filled))
    parts = f"{refused:,} refused, {report.entered:,} entered, {not_filled:,} not filled"
    if report.adjusted:
        parts += f", {report.adjusted:,} on what was held or working"
    return f"{', '.join(counted(number, name) for number, name in whole)} ({parts})"


def _notes(report: AccountReport) -> Iterator[Text]:
    """Notes that a reader needs besides the trades."""
    for order in report.in_doubt:
        what = f" {leg_text(order.leg)} {order.client_id}, {order.contract}: {order.state.lower()} ({order.reason})"
        yield Text.assemble(("given up", "yellow"), printable(what))
    for item in report.open_positions:
        yield Text.assemble(("still open", "yellow"), f" {open_text(item, report.places)}")
    for strategy, bars in report.misdated:
        yield plain_text(misdated_text(strategy, bars), "yellow")
    for halt in report.halts:
        yield Text.assemble((printable(since_text(halt)), "yellow"), printable(f": {halt.reason}; {until_text(halt)}"))
    for contract, tapes in report.substitutes:
        yield plain_text(f"{contract} filled on the prints of {tapes}: the feed has no others", "dim")
    for strategy, name, spec in report.series:
        yield plain_text(series_text(strategy, name, spec), "dim")
    for winner, loser, entries in report.taken_out:
        yield plain_text(taken_out_text(winner, loser, entries), "dim")


def series_text(strategy: StrategyId, name: str, spec: str) -> str:
    """Which bars a strategy reads besides its own."""
    return f"{strategy} reads {spec} bars as its series {name}"


def taken_out_text(winner: str, loser: str, entries: int) -> str:
    """That the first fills of a strategy took entries out, and of which strategy."""
    whose = "of its own" if winner == loser else f"of {loser}"
    return f"a first fill of {winner} took out {counted(entries, 'entry', 'entries')} {whose}"


def open_text(item: OpenPosition, places: int) -> str:
    """An open position with its mark at the last print."""
    held = f"{item.position.contract} {item.position.quantity:+d}"
    if item.last_price is None or item.result is None:
        return f"{held}, no print to value it at"
    last = price_text(item.position.contract, Decimal(item.last_price))
    return f"{held}, {item.result:+.{places}f} at {last}, not in the result"


def misdated_text(strategy: StrategyId, bars: int) -> str:
    """That a strategy does not speak of the bars as they were."""
    return f"{strategy} said {counted(bars, 'bar')} at another instant than they were known, or that there never were"


def _of_day(report: AccountReport) -> str:
    if report.day is None:
        return ""
    return f", {report.day}" if report.finished else f", {report.day}, which goes on"


def unfinished_bar_text(item: UnfinishedBar) -> str:
    """The prints of one series that are in no bar, because the tape ends inside one."""
    series = f"{item.contract} {item.session} {item.spec}"
    prints = counted(item.prints, "print")
    return f"the tape ends inside a bar of {series}: {prints} of {item.trading_day} in no bar"


def _contracts(report: AccountReport) -> Iterator[str]:
    """The contracts of the days where there are several, and the days without a session."""
    for strategy, group in groupby(report.days, key=lambda each: each.strategy):
        days = list(group)
        found = spans(days)
        if len(found) > 1:
            traded = ", ".join(f"{span.contract or 'no contract'} {span.first} to {span.last}" for span in found)
            yield f"{strategy} traded {traded}"
        without = [each.day.isoformat() for each in days if not each.session]
        if without:
            yield f"{strategy} has no session on {len(without)} of {counted(len(days), 'day')}: {', '.join(without)}"


def money(value: Decimal, places: int) -> Text:
    """An amount with its sign, coloured for a terminal."""
    return Text(f"{value:+.{places}f}", style="green" if value > 0 else "red" if value < 0 else "white")


def spark(values: list[Decimal]) -> str:
    """A line of blocks, one per value, thinned to the width of a terminal."""
    step = max(1, len(values) // _SPARK_WIDTH)
    shown = values[::step]
    low, high = min(shown), max(shown)
    if low == high:
        return _BLOCKS[0] * len(shown)
    return "".join(_BLOCKS[int((value - low) / (high - low) * (len(_BLOCKS) - 1))] for value in shown)


def _timed_table(title: str) -> Table:
    """A table with times in it: its title says in which zone."""
    heading = f"{title}, times in {zone_name()}"
    return Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def _trades(report: AccountReport, *, roomy: bool) -> Table:
    """One line per trade; where there is room also the time of its exit."""
    table = _timed_table("Trades")
    names = ("entry time", "order", "pattern", "entry price", "exit time", "exit price", "exit by", "ticks", "net")
    kept = [index for index, name in enumerate(names) if roomy or name != "exit time"]
    for name in (names[index] for index in kept):
        justify: JustifyMethod = "right" if name in {"entry price", "exit price", "ticks", "net"} else "left"
        # What does not fit goes into a second line of the pattern: no number is ever cut.
        table.add_column(name.replace(" ", "\n"), justify=justify, no_wrap=name != "pattern")
    times = (time_ns for trade in report.trades for time_ns in (trade.entry_ns, trade.exit_ns))
    begin = 6 if len({month_and_time(time_ns)[:5] for time_ns in times}) == 1 else 0
    for trade in report.trades:
        cells = _cells(trade, report.places, begin)
        table.add_row(*(cells[index] for index in kept))
    return table


def _coverage(report: AccountReport) -> Table:
    table = _timed_table("Sessions")
    for name in ("contract", "session", "day", "first print", "last print", "prints", "outside", "kept out"):
        justify: JustifyMethod = "right" if name in {"prints", "outside", "kept out"} else "left"
        # What does not fit goes into a second line of a time: no day, name or number is ever cut.
        table.add_column(name.replace(" ", "\n"), justify=justify, no_wrap=name not in {"first print", "last print"})
    for item, outside, faulty in sessions(report):
        first, last = (month_and_time(time_ns) for time_ns in (item.first_ns, item.last_ns))
        table.add_row(
            item.contract,
            item.session,
            item.trading_day.isoformat(),
            first,
            last,
            f"{item.prints:,}",
            f"{outside:,}",
            Text(f"{faulty:,}", style="yellow" if faulty else ""),
        )
    return table


def sessions(report: AccountReport) -> Iterator[tuple[Coverage, int, int]]:
    """Each session that has bars, and of its trading day the prints outside every session and those kept out."""
    for item in report.coverage:
        of_day = [
            part for part in report.kept_out if (part.contract, part.trading_day) == (item.contract, item.trading_day)
        ]
        outside = sum(part.prints for part in of_day if part.reason == OUTSIDE)
        yield item, outside, sum(part.prints for part in of_day) - outside


def sample_text(sample: Mapping[str, Any]) -> str:
    """A print that was kept out, as its source wrote it."""
    written = f"ts_ns {sample['ts_ns']}, price {sample['price']}, size {sample['size']}, side {sample['side']}"
    return f"{sample['source']} line {sample['row']}: {written}"


def _kept_out(report: AccountReport) -> Table:
    title = "Prints kept out"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("contract", "day", "reason", "prints", "the first"):
        table.add_column(name, justify="right" if name == "prints" else "left")
    for item in report.kept_out:
        if item.reason != OUTSIDE:
            day = "none" if item.trading_day is None else item.trading_day.isoformat()
            first = plain_text(sample_text(item.samples[0])) if item.samples else ""
            table.add_row(item.contract, day, item.reason.replace("_", " "), f"{item.prints:,}", first)
    return table


def _cells(trade: Trade, places: int, begin: int) -> tuple[str | Text, ...]:
    """A trade by column; its times without what comes before the character `begin`."""
    return (
        month_and_time(trade.entry_ns)[begin:],
        Text(f"{trade.side.value.lower()} {trade.quantity}", style="cyan" if trade.side.sign > 0 else "magenta"),
        printable(trade.pattern.lower().replace("_", " ")),
        price_text(trade.contract, trade.entry_price),
        month_and_time(trade.exit_ns)[begin:],
        price_text(trade.contract, trade.exit_price),
        trade.exit_by.replace("_", " "),
        f"{trade.result_ticks:+.0f}" if trade.result_ticks == int(trade.result_ticks) else f"{trade.result_ticks:+.1f}",
        money(trade.net, places),
    )


def _patterns(report: AccountReport) -> Table:
    table = Table(title="By pattern", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("pattern", "trades", "won", "net"):
        table.add_column(name, justify="left" if name == "pattern" else "right")
    for total in report.by_pattern:
        table.add_row(
            plain_text(total.pattern.lower().replace("_", " ")),
            str(total.trades),
            str(total.wins),
            money(total.net, report.places),
        )
    return table


def _reasons(title: str, what: str, counts: Iterable[tuple[str, int]]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("reason")
    table.add_column(what, justify="right")
    for reason, count in counts:
        table.add_row(plain_text(reason.replace("_", " ")), str(count))
    return table
