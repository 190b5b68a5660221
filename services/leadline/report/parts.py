"""The parts of a study's results, drawn on a terminal and as a page out of the same values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Final, TypeAlias

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.rule import Rule
from rich.table import Table as RichTable
from rich.text import Text

from leadline.backtest.results import DayLine
from leadline.report.page import folded, money, table, write_page
from leadline.report.printable import plain_text
from leadline.report.svg import Series, chart, thinned
from leadline.report.text import money as money_text
from leadline.report.text import spark

_LONGEST_RULE: Final = 100
_READABLE: Final = 20
"""Columns in which a sentence can still be read."""
_UNBOUNDED: Final = 100_000
_MOST_POINTS: Final = 2_000
_DAY_NS: Final = 86_400 * 10**9
_EPOCH: Final = date(1970, 1, 1)
_DEEPEST: Final = 70
"""Percent of colour in the cell of a heat map that is farthest from zero."""
_WORST: Final = (179, 67, 31)
_MIDDLE: Final = (38, 44, 52)
_BEST: Final = (11, 122, 117)
_STYLE: Final = """
td.h{text-align:right;padding:6px 10px;border:1px solid var(--paper);color:var(--ink)}td.h.best{outline:2px solid
var(--ink);outline-offset:-3px}
"""


@dataclass(frozen=True, slots=True)
class Amount:
    """A sum of money that is shown with its sign and colour."""

    value: Decimal
    places: int


Cell: TypeAlias = str | Amount


@dataclass(frozen=True, slots=True)
class Section:
    """A table with its title; the first `names` columns stand left, the others hold numbers. `note` stands below.

    `less` are heads of columns that a narrow terminal leaves out, the least important first.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    names: int = 1
    note: str = ""
    less: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A figure by two fields: `down` names the rows, `across` the columns; an empty place has no value.

    `places` are the decimals of a value; `higher`: whether higher ones are better.
    """

    title: str
    down: str
    across: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[Decimal | None, ...], ...]
    places: int
    higher: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """A value of each day, in order, such as the equity at its end."""

    title: str
    points: tuple[tuple[date, Decimal], ...]
    places: int


@dataclass(frozen=True, slots=True)
class Document:
    """All of a study's results: its title, sentences on it, what a reader must not overlook, and its parts.

    `manifests` are their title and text, which a page has folded.
    """

    title: str
    intro: tuple[str, ...]
    warnings: tuple[str, ...]
    parts: tuple[Section | HeatMap | Line, ...]
    manifests: tuple[str, str] | None = None


def equity_line(title: str, start: Decimal, days: Iterable[DayLine], places: int) -> Line:
    """The equity at the end of each of some days, of which there is one at least, after that before the first."""
    ends = [(each.day, each.equity) for each in days]
    return Line(title, ((ends[0][0] - timedelta(days=1), start), *ends), places)


def print_document(document: Document, console: Console) -> None:
    """Print it on a terminal."""
    console.print(Rule(plain_text(document.title, "bold")), width=min(console.width, _LONGEST_RULE))
    for line in document.intro:
        console.print(plain_text(line))
    for line in document.warnings:
        console.print(plain_text(line, "bold yellow"))
    for part in document.parts:
        match part:
            case Section():
                if part.rows:
                    _print_section(part, console)
                else:
                    console.print(plain_text(part.title))
                if part.note:
                    console.print(plain_text(part.note, "dim"))
            case HeatMap():
                _print_heat_map(part, console)
            case Line():
                if part.points:
                    last = f"{part.points[-1][1]:,.{part.places}f}"
                    console.print(plain_text(f"{part.title}, at the end {last}"))
                    console.print(spark([value for _, value in part.points]))


def write_document(document: Document, path: Path) -> None:
    """Write it as one self-contained HTML file. Raises OSError."""
    parts = [f"<h1>{escape(document.title)}</h1>"]
    parts += [f"<p>{escape(line)}</p>" for line in document.intro]
    if document.manifests is not None:
        parts.append(folded(*document.manifests))
    parts += [f"<p class=warning>{escape(line)}</p>" for line in document.warnings]
    for part in document.parts:
        parts.append(f"<h2>{escape(part.title)}</h2>")
        match part:
            case Section():
                rows = [tuple(_markup(cell) for cell in row) for row in part.rows]
                heads = tuple(map(escape, part.heads))
                parts.append(table(heads, rows, heads[part.names :]) if rows or not part.note else "")
                parts.append(f"<p class=soft>{escape(part.note)}</p>" if part.note else "")
            case HeatMap():
                parts.append(_heat_map_page(part))
            case Line():
                parts.append(_line_page(part))
    write_page(document.title, "".join(parts), path, _STYLE)


def _print_section(part: Section, console: Console) -> None:
    """A table without the columns for which a terminal has no room; neither a number nor a date is broken."""
    drawn = [[_text(row[place]) for row in part.rows] for place in range(len(part.heads))]
    least = [_least(part, place, cells, _READABLE) for place, cells in enumerate(drawn)]
    kept, left_out = list(range(len(part.heads))), list(part.less)
    while left_out and sum(least[place] for place in kept) > _room(console, kept):
        kept.remove(part.heads.index(left_out.pop(0)))
    if sum(least[place] for place in kept) > _room(console, kept):
        least = [_least(part, place, cells, 0) for place, cells in enumerate(drawn)]
    widest = [_widest(part.heads[place], drawn[place]) for place in kept]
    widths = _widths([least[place] for place in kept], widest, _room(console, kept))
    found = RichTable(title=plain_text(part.title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for place, width in zip(kept, widths, strict=True):
        head = plain_text(part.heads[place])
        found.add_column(head, justify="left" if place < part.names else "right", overflow="fold", width=width)
    for row in zip(*(drawn[place] for place in kept), strict=True):
        found.add_row(*row)
    console.print(found)
    if len(kept) < len(part.heads):
        hidden = ", ".join(head for place, head in enumerate(part.heads) if place not in kept)
        console.print(plain_text(f"A wider terminal shows {hidden}.", "dim"))


def _room(console: Console, kept: Sequence[int]) -> int:
    """The width of a terminal without the blanks between so many columns."""
    return console.width - (3 * len(kept) - 1)


def _least(part: Section, place: int, cells: Iterable[Text], readable: int) -> int:
    """The width that a column needs: of numbers the widest, of texts the longest word, and so much that they read.

    readable: columns in which a text can be read well.
    """
    head = _longest_word(part.heads[place])
    widest = max(cell.cell_len for cell in cells)
    if place >= part.names:
        return max(head, widest)
    return max(head, min(widest, readable), *(_longest_word(cell.plain) for cell in cells))


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


def _widest(head: str, cells: Iterable[Text]) -> int:
    return max(cell_len(head), *(cell.cell_len for cell in cells))


def _widths(least: Sequence[int], widest: Sequence[int], room: int) -> list[int]:
    """The least widths, and what room is left over given to the columns that lack most."""
    found = list(least)
    while sum(found) < min(room, sum(widest)):
        lacking = [most - own for most, own in zip(widest, found, strict=True)]
        found[lacking.index(max(lacking))] += 1
    return found


def _text(cell: Cell) -> Text:
    return money_text(cell.value, cell.places) if isinstance(cell, Amount) else plain_text(cell)


def _markup(cell: Cell) -> str:
    return money(cell.value, cell.places) if isinstance(cell, Amount) else cell


def _print_heat_map(part: HeatMap, console: Console) -> None:
    drawn = _heat_map(part)
    needed = Measurement.get(console, console.options.update(max_width=_UNBOUNDED), drawn).maximum
    if needed <= console.width:
        console.print(drawn)
    else:
        console.print(plain_text(f"A terminal of {needed} columns shows the heat map: {part.title}.", "dim"))


def _heat_map(part: HeatMap) -> RichTable:
    found = RichTable(title=plain_text(part.title), title_justify="left", box=box.SIMPLE, pad_edge=False)
    found.add_column(plain_text(f"{part.down}, across: {part.across}"))
    for column in part.columns:
        found.add_column(plain_text(column), justify="right")
    for name, row in zip(part.rows, part.values, strict=True):
        found.add_row(plain_text(name), *(_terminal_cell(part, value) for value in row))
    return found


def _terminal_cell(part: HeatMap, value: Decimal | None) -> Text:
    if value is None:
        return Text("")
    share = _share(part, value)
    end = _WORST if share < 0 else _BEST
    colour = ",".join(str(round(dark + (light - dark) * abs(share))) for dark, light in zip(_MIDDLE, end, strict=True))
    style = f"{'bold underline ' if value == _best(part) else ''}white on rgb({colour})"
    return Text(f" {value:,.{part.places}f} ", style=style)


def _heat_map_page(part: HeatMap) -> str:
    best = _best(part)
    rows = []
    for name, values in zip(part.rows, part.values, strict=True):
        cells = [f"<th>{escape(name)}</th>"]
        for value in values:
            if value is None:
                cells.append("<td class=h></td>")
                continue
            share = _share(part, value)
            depth, colour = round(abs(share) * _DEEPEST), "down" if share < 0 else "up"
            marked = " best" if value == best else ""
            cells.append(
                f'<td class="h{marked}" style="background:color-mix(in srgb,var(--{colour}) {depth}%,var(--panel))">'
                f"{value:,.{part.places}f}</td>"
            )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    heads = "".join(f"<th class=n>{escape(column)}</th>" for column in part.columns)
    corner = f"<th>{escape(part.down)}, across: {escape(part.across)}</th>"
    return (
        f"<div class=scroll><table><thead><tr>{corner}{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _best(part: HeatMap) -> Decimal | None:
    found = [value for row in part.values for value in row if value is not None]
    return None if not found else max(found) if part.higher else min(found)


def _share(part: HeatMap, value: Decimal) -> float:
    """The place of a value between the worst, -1, and the best, 1: from zero where some lie on either side of it."""
    found = [each for row in part.values for each in row if each is not None]
    low, high = min(found), max(found)
    middle = Decimal(0) if low < 0 < high else (low + high) / 2
    widest = max(high - middle, middle - low)
    share = float((value - middle) / widest) if widest else 0.0
    return share if part.higher else -share


def _line_page(part: Line) -> str:
    points = [((day - _EPOCH).days * _DAY_NS, value) for day, value in part.points]
    line = Series(thinned(points, _MOST_POINTS), steps=True)
    found = chart(line, (), lambda value: f"{value:,.{part.places}f}", _day_of, part.title)
    return found or "<p class=soft>None.</p>"


def _day_of(time_ns: int) -> str:
    return (_EPOCH + timedelta(days=time_ns // _DAY_NS)).isoformat()
