"""What others have written is drawn as text: no markup is obeyed, no control character reaches the terminal."""

import re
from dataclasses import replace

import pytest
from rich.console import Console

from leadline.cli.output import complain, print_table
from leadline.model.orders import OrderState
from leadline.report.html import write_html
from leadline.report.printable import printable
from leadline.report.text import render_text
from tests.report.builders import LATE, UNEASY, report

HOSTILE = [
    "bad [/nope] tag",
    "[link=http://evil]x[/link]",
    "\x1b[31mred",
    "\x1b]0;owned\x07",
    "a\nleadline: forged",
    "\u202etxt",
]
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_table_draws_what_others_wrote_as_text(capsys, reason):
    print_table(f"of {reason}", ("account", reason), [("default/paper", reason)], "Nothing.")
    said = capsys.readouterr().out
    assert not CONTROL.search(said)
    assert printable(reason) in said
    assert "\nleadline: forged" not in said


@pytest.mark.parametrize("reason", HOSTILE)
def test_an_empty_table_says_as_text_what_is_missing(capsys, reason):
    print_table("t", ("a",), [], f"no {reason}")
    assert printable(f"no {reason}") in capsys.readouterr().out


@pytest.mark.parametrize("reason", HOSTILE)
def test_an_error_keeps_its_lines_and_nothing_else(capsys, reason):
    complain(reason)
    assert not CONTROL.search(capsys.readouterr().err)


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_report_draws_reasons_as_text(tmp_path, reason):
    found = report(**{**UNEASY, "in_doubt": (replace(LATE, state=OrderState.DEAD, reason=reason),)})
    console = Console(width=300, force_terminal=False)  # of any caller: the text itself must be harmless
    with console.capture() as captured:
        render_text(found, console)
    assert not CONTROL.search(captured.get())
    assert printable(reason) in captured.get()
    write_html([found], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Content-Security-Policy" in page


def test_letters_of_any_script_stay_as_they_are():
    assert printable("höchster Stand: 日本 ✓ ـ") == "höchster Stand: 日本 ✓ ـ"
    assert printable("a\x00b\u2028c\ud800") == "a\\x00b\\u2028c\\ud800"
