"""The report as one file: complete, valid, and closed to what stands in it."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from leadline.report.html import write_html
from leadline.views.report import AccountReport
from tests.report.builders import COVERED, KEPT_OUT, NOT_FILLED, UNEASY, WON, report

VOID = {"meta", "path", "circle", "line", "rect"}


class Page(HTMLParser):
    """Text, tags and addresses of a page; every tag must be closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page(folder: Path, *reports: AccountReport) -> Page:
    write_html(list(reports), folder / "report.html")
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_it_says_what_the_report_says(tmp_path: Path):
    text = page(tmp_path, report()).text
    assert "Tape run-1 , feed simulated, traded from 2025-06-10" in text
    assert "+26.25 net result" in text
    assert "10,026.25 equity, from 10,000.00" in text
    assert "50 % won, after commission" in text
    assert "28.75 largest drawdown of cash" in text
    assert "max open trades 5" in text
    assert (
        f"12,345 prints, 78 bars, 31 signals, 9 decisions (7 refused, 2 entered, 0 not filled). Digest {'d' * 64}"
        in text
    )


def test_the_entries_that_came_to_nothing_stand_by_what_took_them_out(tmp_path: Path):
    write_html([report(not_filled=NOT_FILLED)], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "<h2>Entries not filled</h2>" in text
    assert "<td>its validity has ended</td><td class=n>25</td>" in text


def test_it_needs_nothing_but_itself(tmp_path: Path):
    found = page(tmp_path, report(**UNEASY))
    assert found.addresses == []
    assert not {"script", "link", "img", "iframe"} & set(found.tags)
    assert "http" not in (tmp_path / "report.html").read_text().replace("http-equiv", "")


def test_each_trade_is_drawn_from_its_entry_to_its_exit(tmp_path: Path):
    write_html([report()], tmp_path / "report.html")
    drawn = re.findall(r"<title>((?:BUY|SELL)[^<]*)</title>", (tmp_path / "report.html").read_text())
    assert drawn == ["BUY 2 buying absorption net +55.00 (target)", "SELL 2 selling absorption net -28.75 (day_loss)"]


def test_what_a_reader_has_to_know(tmp_path: Path):
    text = page(tmp_path, report(**UNEASY)).text
    assert "Given up: entry Lgone, MESM2025: dead (absent at the venue)" in text
    assert "Still open: MESM2025 -2, -12.50 at 5005.00, not in the result" in text
    assert "ESM2025 filled on the prints of MESM2025" in text
    assert "Sessions that were not at hand: 2025-06-06" in text
    ended = "the tape ends inside a bar of MESM2025 rth 5m-r1: 1,037 prints of 2025-06-10 in no bar"
    assert f"Unfinished bar: {ended}" in text
    assert "Misdated: default/mes said 12 bars at another instant than they were known" in text
    assert "not finished" in text
    assert "3 person employment report ann 2025-11-24 16:00:00 bob 2025-11-24 16:01:00 the news is out" in text
    assert "4 difference the venue holds 2, the book 0 execution 2025-11-24 16:01:30 in force" in text


def test_prints_that_were_kept_out_stand_by_day_and_reason_with_the_first_of_them(tmp_path: Path):
    text = page(tmp_path, report(coverage=COVERED, kept_out=KEPT_OUT)).text
    sample = "mes.csv line 7: ts_ns 1749562200000000000, price 6000.30, size 1, side 1"
    assert f"MESM2025 2025-06-10 bad tick 2 {sample}" in text
    assert "MESM2025 none no time 1" in text
    assert "MESM2025 rth 2025-06-10 06-10 13:30:00 06-10 13:30:01 12,345 70 2" in text
    assert "outside session" not in text


def test_nothing_that_stands_in_a_report_becomes_a_tag(tmp_path: Path):
    evil = "<script>alert(1)</script>"
    trade = replace(WON, exit_by=evil, pattern=evil)
    found = page(tmp_path, report(account=evil, feed=evil, trades=(trade,), refused=((evil, 1),)))
    assert "script" not in found.tags
    assert evil in found.text


def test_a_reason_that_begins_like_a_cell_of_ours_is_no_tag_either(tmp_path: Path):
    found = page(tmp_path, report(refused=(("<span onclick=steal()>", 1),)))
    assert "<span onclick=steal()>" in found.text


def test_a_day_without_a_trade_is_a_page_too(tmp_path: Path):
    text = page(tmp_path, report(trades=(), curve=(), by_pattern=(), refused=(), closes={})).text
    assert "No fills." in text
    assert "None." in text
    assert "none won, after commission" in text


def test_several_accounts_are_one_page(tmp_path: Path):
    text = page(tmp_path, report(), report(account="default/other")).text
    assert "default/paper" in text
    assert "default/other" in text
