"""The results of a backtest in a terminal."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich import box
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from leadline.backtest.results import AccountResult, BacktestResult, Group, months_of
from leadline.model.counted import counted
from leadline.report.figures import GAPS, doubts, few_days, figure_rows, gaps, ratio, tier_text, words
from leadline.report.printable import plain_text, printable
from leadline.report.text import money

_LONGEST_RULE = 100
# Days that a reader takes in one by one; of more than these, the months are shown.
_MOST_DAYS = 31


def render_backtest(result: BacktestResult, console: Console, seconds: float | None = None) -> None:
    """Print the results of a backtest: each account's figures, and its trades by what they have in common.

    seconds: how long it took; None for one that is shown again.
    """
    for account in result.accounts:
        heading = Text.assemble((printable(account.account), "bold"), f" from {result.first} to {result.last}")
        console.print(Rule(heading), width=min(console.width, _LONGEST_RULE))
        _render(account, console)
    for doubt in doubts(result):
        console.print(plain_text(doubt, "bold yellow"))
    if rows := gaps(result):
        console.print(_table(GAPS, ("gap", "contract", "place", "amount"), rows))
    took = "" if seconds is None else f" in {seconds:.1f} s"
    summary = f"{counted(result.days, 'day')}, {counted(result.prints, 'print')}{took}; digest {result.digest}"
    console.print(plain_text(summary, "dim"))
    if result.identity is not None:
        console.print(plain_text(f"backtest {result.identity.id}, code {result.identity.code}", "dim"))


def _render(account: AccountResult, console: Console) -> None:
    console.print(_table("Figures", ("figure", "value"), figure_rows(account)))
    if few := few_days(account):
        console.print(plain_text(few, "yellow"))
    zones = ", ".join(account.zones)
    grouped = (
        ("By pattern", "pattern", _in_words(account.by_pattern)),
        ("By regime", "regime", _in_words(account.by_regime)),
        (f"By hour of the entry, {zones}", "hour", account.by_hour),
        ("By weekday", "weekday", account.by_weekday),
    )
    for title, name, groups in grouped:
        if groups:
            console.print(_groups(title, name, groups, account.places))
    console.print(_days(account) if len(account.days) <= _MOST_DAYS else _months(account))
    if account.tier_changes:
        rows = [
            (each.day.isoformat(), tier_text(each), f"{each.equity:,.{account.places}f}")
            for each in account.tier_changes
        ]
        console.print(_table("Tier changes", ("day", "change", "equity"), rows))
    if account.refused:
        reasons = [(words(reason), f"{count:,}") for reason, count in account.refused]
        console.print(_table("Refused, by first reason", ("reason", "decisions"), reasons))
    if account.currency:
        console.print(plain_text(f"money in {account.currency}", "dim"))


def _in_words(groups: Iterable[Group]) -> list[Group]:
    return [replace(each, name=words(each.name)) for each in groups]


def _groups(title: str, name: str, groups: Sequence[Group], places: int) -> Table:
    rows = [
        (each.name, str(each.trades), str(each.wins), money(each.net, places), ratio(each.profit_factor))
        for each in groups
    ]
    return _table(title, (name, "trades", "won", "net", "profit factor"), rows)


def _days(account: AccountResult) -> Table:
    rows = [
        (each.day.isoformat(), str(each.trades), money(each.net, account.places), f"{each.equity:,.{account.places}f}")
        for each in account.days
    ]
    return _table("Days", ("day", "trades", "net", "equity"), rows)


def _months(account: AccountResult) -> Table:
    rows = [
        (f"{each.year}-{each.month:02d}", str(each.days), str(each.trades), money(each.net, account.places))
        for each in months_of(account.days)
    ]
    return _table("Months", ("month", "days", "trades", "net"), rows)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A table as those of a report: names stand left, numbers right. Texts of others are drawn as they are."""
    table = Table(title=plain_text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        left = name in {
            "pattern",
            "regime",
            "weekday",
            "reason",
            "change",
            "day",
            "figure",
            "hour",
            "month",
            "gap",
            "contract",
            "place",
        }
        table.add_column(name, justify="left" if left else "right")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else plain_text(cell) for cell in row))
    return table
