"""The parts of a study on a page and on a terminal: colours of a heat map, amounts, and text of others."""

import io
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from leadline.backtest.results import DayLine
from leadline.report.parts import (
    Amount,
    Document,
    HeatMap,
    Section,
    equity_line,
    print_document,
    write_document,
)

D = Decimal
MAP = HeatMap("Net", "stop", "target", ("12", "16"), ("18", "24"), ((D(-50), D(25)), (D(100), None)), 2)


def page(document: Document, folder: Path) -> str:
    write_document(document, folder / "page.html")
    return (folder / "page.html").read_text(encoding="utf-8")


def printed(document: Document, width: int = 120) -> str:
    written = io.StringIO()
    print_document(document, Console(file=written, width=width))
    return written.getvalue()


def of(*parts: object) -> Document:
    return Document("Study", ("<intro>",), ("mind <this>",), parts)  # type: ignore[arg-type]


def test_a_heat_map_is_coloured_from_zero_and_frames_the_best(tmp_path: Path) -> None:
    drawn = page(of(MAP), tmp_path)
    cells = [each.split("</td>")[0] for each in drawn.split("<td class=")[1:]]
    assert "var(--down) 35%" in cells[0]
    assert "var(--up) 18%" in cells[1]
    assert "var(--up) 70%" in cells[2]
    assert cells[2].startswith('"h best"')
    assert cells[3] == "h>"


def test_of_a_figure_of_which_less_is_better_the_lowest_is_framed(tmp_path: Path) -> None:
    falls = HeatMap("Drawdown", "stop", "target", ("12",), ("18", "24"), ((D(300), D(100)),), 0, higher=False)
    cells = page(of(falls), tmp_path).split("<td class=")[1:]
    assert "var(--down) 70%" in cells[0]
    assert cells[1].startswith('"h best"')
    assert "var(--up) 70%" in cells[1]


@pytest.mark.parametrize("value", [D(5), D(0)])
def test_values_that_are_all_the_same_have_no_colour(value: Decimal, tmp_path: Path) -> None:
    same = HeatMap("Net", "stop", "target", ("12",), ("18", "24"), ((value, value),), 2)
    assert page(of(same), tmp_path).count(" 0%") == 2


def test_texts_are_shown_as_they_are(tmp_path: Path) -> None:
    section = Section("Tables", ("name", "net"), (("<b>x</b>", Amount(D("-1.5"), 2)),))
    drawn = page(of(section), tmp_path)
    assert "&lt;b&gt;x&lt;/b&gt;" in drawn
    assert "<span class=down>-1.50</span>" in drawn
    assert "&lt;intro&gt;" in drawn
    assert "mind &lt;this&gt;" in drawn
    terminal = printed(of(section, MAP))
    assert "<b>x</b>" in terminal
    assert "stop, across: target" in terminal


def test_an_empty_table_has_its_note_alone(tmp_path: Path) -> None:
    drawn = page(of(Section("Mondays", ("day",), (), note="There is none.")), tmp_path)
    assert "There is none." in drawn
    assert "<table" not in drawn


def test_an_equity_begins_with_that_before_the_first_day() -> None:
    days = [DayLine(date(2025, 6, 10), 1, D(5), D(105)), DayLine(date(2025, 6, 11), 1, D(-5), D(100))]
    line = equity_line("Equity", D(100), days, 2)
    assert [value for _, value in line.points] == [100, 105, 100]
    assert line.points[0][0] == date(2025, 6, 9)


def test_a_narrow_terminal_leaves_columns_out_and_breaks_no_number() -> None:
    heads = ("scenario", "from", "trades", "net", "profit factor", "Sortino")
    row = ("a title of several words in a row", "2025-06-12", "1,204", Amount(D("-12345.5"), 2), "1.25", "2.50")
    part = Section("Runs", heads, (row,), 2, less=("Sortino", "profit factor"))

    narrow, wide = printed(of(part), 66), printed(of(part))
    assert all(text in narrow for text in ("2025-06-12", "1,204", "-12345.50", "1.25"))
    assert "2.50" not in narrow
    assert "A wider terminal shows Sortino." in narrow
    assert max(map(len, narrow.splitlines())) <= 66
    assert "A wider terminal" not in wide
    assert "2.50" in wide


def test_a_heat_map_without_room_is_named() -> None:
    assert "shows the heat map: Net." in " ".join(printed(of(MAP), 30).split())
    assert "across" in printed(of(MAP))


def test_texts_give_way_before_numbers_where_no_column_is_left_to_leave_out() -> None:
    row = ("2025-06-10 to 2025-06-11", "2025-06-12 to 2025-06-13", "-87.50", "35.46")
    part = Section("Folds", ("in sample", "out of sample", "net after", "Sharpe in sample"), (row,), 2)
    narrow = printed(of(part), 52)
    assert all(text in narrow for text in ("2025-06-10 to", "2025-06-13", "-87.50", "35.46"))
