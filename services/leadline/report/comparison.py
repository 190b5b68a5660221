"""Two backtests side by side in a terminal."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from leadline.backtest.comparison import TAPE_ENDS, Comparison, DataDifference, Difference
from leadline.backtest.kept import KeptBacktest
from leadline.model.counted import counted
from leadline.model.worth import places
from leadline.report.clock import moment
from leadline.report.figures import NO_FIGURE, figure_name, figure_text
from leadline.report.printable import plain_text

_MOST_DAYS: Final = 20
_LONGEST_VALUE: Final = 200
_ABSENT: Final = "not there"
_SHARES: Final = frozenset({"win_rate", "exposure"})


def render_comparison(one: KeptBacktest, other: KeptBacktest, found: Comparison, console: Console) -> None:
    """Print the figures of both with their differences, and then all that differs in code, manifests and data."""
    currencies = {each["account"]: each["currency"] for each in (*one.accounts, *other.accounts)}
    for account, lines in groupby(found.figures, lambda line: line.account):
        decimals = places(currencies[account])
        rows = [
            (
                figure_name(line.figure),
                figure_text(line.figure, line.one, decimals),
                figure_text(line.figure, line.other, decimals),
                _difference(line.figure, line.difference, decimals),
            )
            for line in lines
        ]
        console.print(_table(f"Figures of {account}", ("figure", one.id, other.id, "difference"), rows, numbers=True))
    _render_differences("manifests", found.manifests, one, other, console)
    _render_data(found.data, one, other, console)
    _render_differences("code", found.code, one, other, console)
    same = "equal" if one.digest == other.digest else "not equal"
    console.print(plain_text(f"The digests are {same}.", "dim"))


def _difference(name: str, value: Decimal | None, decimals: int) -> str:
    if value is None:
        return NO_FIGURE
    if name in _SHARES:
        return f"{100 * value:+.1f} points"
    text = figure_text(name, value, decimals)
    return text if text[0] in "+-" else f"+{text}"


def _render_differences(
    title: str, found: Sequence[Difference], one: KeptBacktest, other: KeptBacktest, console: Console
) -> None:
    if not found:
        console.print(plain_text(f"The {title} do not differ." if title != "code" else "The code does not differ."))
        return
    rows = [_in_time(each) or (each.where, _value(each.one), _value(each.other)) for each in found]
    console.print(_table(f"Differences in the {title}", ("field", one.id, other.id), rows))


def _render_data(found: DataDifference, one: KeptBacktest, other: KeptBacktest, console: Console) -> None:
    differing = [
        (f"days that only {one.id} has", found.only_one),
        (f"days that only {other.id} has", found.only_other),
        ("days with other prints", found.changed),
    ]
    if not (found.settings or any(days for _, days in differing)):
        console.print(plain_text(f"The data do not differ: {counted(found.same, 'day')} of the same prints."))
        return
    if found.settings:
        _render_differences("data", found.settings, one, other, console)
    console.print(plain_text(f"Days with the same prints: {found.same:,}."))
    for title, days in differing:
        if days:
            console.print(plain_text(f"{title[0].upper()}{title[1:]}: {_days(days)}."))


def _days(days: Sequence[tuple[str, str]]) -> str:
    shown = ", ".join(f"{contract} {day}" for contract, day in days[:_MOST_DAYS])
    return shown if len(days) <= _MOST_DAYS else f"{shown}, and {len(days) - _MOST_DAYS:,} more"


def _in_time(found: Difference) -> tuple[str, str, str] | None:
    """The end of a tape as people read it, to the second where that says the difference; None for anything else."""
    if not found.where.startswith(TAPE_ENDS):
        return None
    one, other = (_ABSENT if each is None else moment(int(each)) for each in (found.one, found.other))
    return None if one == other else (found.where.replace(TAPE_ENDS, "tape ends"), one, other)


def _value(text: str | None) -> str:
    if text is None:
        return _ABSENT
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> Table:
    table = Table(title=plain_text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(columns):
        table.add_column(plain_text(name), justify="right" if numbers and place else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(plain_text, row))
    return table
