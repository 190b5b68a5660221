"""How every command speaks: tables or JSON on standard output, one clear line on standard error when it fails."""

import os
import sys
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import orjson
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from leadline.execution.v1.execution_pb2 import Halt
from leadline.report.clock import moment
from leadline.report.printable import plain_text, printable

# Columns of a table that is not drawn on a terminal.
_WIDE: Final = 200
# Columns of a terminal on which every column of every table has its place.
_ROOMY: Final = 140
# A column of fewer is none that somebody reads.
_NARROWEST: Final = 3


def print_json(value: object) -> None:
    """One JSON document on one line. Decimals are strings, dates ISO 8601."""
    sys.stdout.buffer.write(orjson.dumps(value, default=_plain) + b"\n")
    sys.stdout.buffer.flush()


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")  # never 6E+4
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a JSON document")


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    empty: str,
    *,
    wide_only: Sequence[str] = (),
    only_where_filled: Sequence[str] = (),
) -> None:
    """A table for people; `empty` is said where there are no rows. Numbers stand right, and are never broken.

    `wide_only`: columns that are left out where there is no room for them; `only_where_filled`: those that are left out
    where no row has anything in them. JSON has them always.
    """
    rows = list(rows)
    console = people_console()
    unfilled = {
        name for index, name in enumerate(columns) if name in only_where_filled and not any(row[index] for row in rows)
    }
    left_out = unfilled.union(wide_only if console.width < _ROOMY else ())
    kept = [index for index, name in enumerate(columns) if name not in left_out]
    hidden = ", ".join(name for name in columns if name in left_out - unfilled)
    columns = [columns[index] for index in kept]
    found = [["" if row[index] is None else printable(row[index]) for index in kept] for row in rows]
    if not found:
        console.print(plain_text(empty))
        return
    table = Table(title=plain_text(title), title_justify="left", header_style="bold")
    widths = _widths(columns, found, console.width)
    for index, name in enumerate(columns):
        numeric = all(_is_number(row[index]) for row in found)
        justify: JustifyMethod = "right" if numeric else "left"
        table.add_column(
            plain_text(name),
            justify=justify,
            overflow="fold",
            no_wrap=numeric and widths is None,
            width=None if widths is None else widths[index],
        )
    for row in found:
        table.add_row(*map(Text, row))
    console.print(table)
    if hidden:
        console.print(plain_text(f"A wider terminal shows {hidden}.", "dim"))


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> tuple[int, ...] | None:
    """Widths of columns that break lines between words as long as there is room for each word; None where all fits.

    Where there is not, the longest words are broken, and the others stay whole.
    """
    cells = list(zip(columns, *rows, strict=True))
    widest = [max(map(cell_len, column)) for column in cells]
    least = [max(cell_len(word) for cell in column for word in cell.split() or [""]) for column in cells]
    room = width - 3 * len(columns) - 1  # of borders and the blanks beside them
    if sum(widest) <= room:
        return None
    found = widest if sum(least) <= room else least
    while sum(found) > room:
        spare = [each - (bound if found is widest else 0) for each, bound in zip(found, least, strict=True)]
        index = spare.index(max(spare))
        if found[index] <= _NARROWEST:
            return None
        found[index] -= 1
    return tuple(found)


def people_console() -> Console:
    """Where tables go: as wide as $COLUMNS says, else as the terminal. A file or pipe has no width, and nothing is cut.

    Markup in a text is not obeyed: much of what is shown was written by others.
    """
    named = os.environ.get("COLUMNS", "")
    width = int(named) if named.isdigit() and int(named) > 0 else None if sys.stdout.isatty() else _WIDE
    return _PeopleConsole(width=width, markup=False, emoji=False)


class _PeopleConsole(Console):
    """A console that leaves it to the command line to say what becomes of a command that nobody reads."""

    def on_broken_pipe(self) -> None:
        """Its library would end the process as failed."""
        raise BrokenPipeError


def _is_number(text: str) -> bool:
    return text.lstrip("+-").replace(".", "", 1).replace(",", "").isdigit() or not text


def complain(message: str) -> None:
    """Say on standard error why a command failed."""
    lines = [printable(line) for line in message.split("\n")]
    print("leadline: " + "\n".join(lines), file=sys.stderr, flush=True)


def announce_reading(files: Collection[str]) -> None:
    """Say on standard error that files are read now, which takes its time."""
    if files:
        print(f"leadline: reading {printable(', '.join(sorted(files)))}", file=sys.stderr, flush=True)


def announce_written(path: Path) -> None:
    """Say on standard error that a file or folder is written now, and where it lies."""
    print(f"leadline: wrote {printable(path)}", file=sys.stderr, flush=True)


def halt_text(halt: Halt) -> str:
    """A halt of an account in one line."""
    return f"halt {halt.number} ({halt.source.lower()}, by {halt.by}, {moment(halt.at_ns)}): {halt.reason}"
