"""A footprint bar for a terminal: at each price, who traded there."""

from collections.abc import Collection

from rich import box
from rich.table import Table
from rich.text import Text

from leadline.report.printable import plain_text
from leadline.views.explained import FootprintView, RowView

_LONGEST_BAR = 24
_OTHER_COLUMNS = 46


def footprint_table(bar: FootprintView, marked: Collection[int], width: int) -> Table:
    """The rows, the highest price first: volume of sellers to the left and of buyers to the right of each price.

    marked: prices in ticks that signals name. width: of the terminal, in columns.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    longest = max(4, min(_LONGEST_BAR, (width - _OTHER_COLUMNS) // 2))
    unknown = any(row.unknown for row in bar.rows)
    table.add_column("", justify="right")
    table.add_column("sold", justify="right")
    table.add_column("price", justify="right")
    table.add_column("bought", justify="right")
    table.add_column("")
    table.add_column("delta", justify="right")
    if unknown:
        table.add_column("unknown", justify="right")
    table.add_column("")
    most = max((max(row.bid, row.ask) for row in bar.rows), default=1) or 1
    for row in bar.rows:
        inside = bar.value_area_low_ticks <= row.price_ticks <= bar.value_area_high_ticks
        delta = row.ask - row.bid
        price = plain_text(row.price, "bold" if row.price_ticks == bar.poc_ticks else "" if inside else "dim")
        cells: list[Text] = [
            Text("█" * _length(row.bid, most, longest), style="red"),
            Text(f"{row.bid:,}", style="red" if row.bid > row.ask else ""),
            price,
            Text(f"{row.ask:,}", style="green" if row.ask > row.bid else ""),
            Text("█" * _length(row.ask, most, longest), style="green"),
            Text(f"{delta:+,}", style="green" if delta > 0 else "red" if delta < 0 else ""),
        ]
        if unknown:
            cells.append(Text(f"{row.unknown:,}"))
        table.add_row(*cells, Text(_mark(bar, row, marked, inside=inside), style="yellow"))
    return table


def _length(volume: int, most: int, longest: int) -> int:
    return max(1, round(longest * volume / most)) if volume else 0


def _mark(bar: FootprintView, row: RowView, marked: Collection[int], *, inside: bool) -> str:
    """Words beside a row: the point of control, the ends of the value area, and whether a signal names it."""
    words = []
    if row.price_ticks == bar.poc_ticks:
        words.append("POC")
    elif inside and row.price_ticks == bar.value_area_high_ticks:
        words.append("VAH")
    elif inside and row.price_ticks == bar.value_area_low_ticks:
        words.append("VAL")
    if row.price_ticks in marked:
        words.append("signal")
    return " ".join(words)
