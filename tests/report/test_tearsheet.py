"""The page of a backtest: complete, valid, bounded, and closed to the texts that stand in it."""

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from leadline.backtest.causes import cause_of, entry_of
from leadline.backtest.results import AccountResult
from leadline.model.bars import Bar, FootprintRows
from leadline.report import tearsheet
from leadline.report.footprint import MOST_ROWS, footprint
from leadline.report.svg import Point, bars, thinned
from leadline.report.tearsheet import write_tearsheet
from tests.backtest.builders import CLOSED, DECIDED, SAID, account_result, backtest_result
from tests.report.builders import WON
from tests.report.test_html import Page


def drawn_bar(bar: Bar, marked: Collection[int]) -> str:
    found = cause_of(None, entry_of(bar, SAID)).footprint
    assert found is not None
    return footprint(found, marked)


def page(folder: Path, *accounts: AccountResult) -> Page:
    write_tearsheet(backtest_result(*accounts), folder / "page.html")
    return Page((folder / "page.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "words",
    [
        "Backtest from 2025-06-09 to 2025-06-10",
        "+26.25 net result",
        "28.75 largest drawdown",
        "11.22 Sharpe ratio",
        "– Sortino ratio",
        "By hour of the entry, America/New_York",
        "09:00 2 1 +26.25 1.91",
        "buying absorption 1 1 +55.00",
        "max open trades 5",
        "Feed sim, seed 1: MESM2025.",
        "Manifests of default/paper, default/mes-orderflow apiVersion: leadline.dev/v1alpha1 kind: TradingAccount",
        "kept out, off grid MESM2025 52 prints",
        "2025-06-10 tier 1 to tier 2 (MES 1 to 3) 10,000.00",
        "2025-06-10: 26.25",  # the bar of a day
        "0.00 to 5.00: 0",  # a step of the distribution that nobody is in
        "2025-06-10 13:40:01 buy 2 buying absorption, ranging target 5000.25 5006.25 +55.00",
        "Size: size 2",
        "buying absorption long 5000.00 0.75 approved price 20000; ratio 2.5; rows 20000, 20001",
        "volume 31, delta +5",
        "The bar of this entry is not kept.",
    ],
)
def test_it_says_what_the_results_say(words: str, tmp_path: Path):
    assert words in page(tmp_path).text


def test_it_needs_nothing_but_itself(tmp_path: Path):
    found = page(tmp_path)
    assert found.addresses == []
    assert not {"script", "link", "img", "iframe"} & set(found.tags)
    assert found.tags.count("svg") == 5  # equity, drawdown, days, distribution and one footprint


def test_texts_of_others_are_texts(tmp_path: Path):
    evil = "<script>alert(1)</script>"
    signal = replace(SAID.signals[0], evidence={evil: evil})
    entry = entry_of(CLOSED, replace(SAID, signals=(signal,)))
    decided = replace(DECIDED, arithmetic=((evil, evil),))
    trade = replace(WON, pattern=evil, regime=evil, exit_by=evil)
    found = page(
        tmp_path,
        account_result(
            trades=(trade,), causes=(cause_of(decided, entry),), refused=((evil, 1),), currency=evil, zones=(evil,)
        ),
    )
    assert "script" not in found.tags
    assert found.text.count(evil) > 6


def test_a_day_without_a_trade_has_a_page(tmp_path: Path):
    text = page(tmp_path, account_result(trades=(), causes=(), equity=(), by_pattern=(), days=())).text
    assert "No fills." in text
    assert "No trades." in text


def test_of_many_trades_the_newest_are_drawn_and_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tearsheet, "MOST_FOOTPRINTS", 2)
    monkeypatch.setattr(tearsheet, "MOST_TRADES", 5)
    cause = cause_of(DECIDED, entry_of(CLOSED, SAID))
    trades = tuple(replace(WON, entry_ns=WON.entry_ns + number * 10**9) for number in range(7))
    found = page(tmp_path, account_result(trades=trades, causes=(cause,) * 7))
    assert found.tags.count("details") == 1 + 2  # the manifests, and the newest trades
    assert found.text.index("13:40:07 buy 2") < found.text.index("13:40:06 buy 2") < found.text.index("13:40:05 buy 2")
    assert "Of 7 trades the newest 2 show their bar." in found.text
    assert "2 still older trades stand in the JSON document alone." in found.text
    assert "13:40:02" not in found.text


def test_a_thinned_line_keeps_its_extremes():
    points: list[Point] = [(index, Decimal(index % 7)) for index in range(1_000)]
    points[333], points[777] = (333, Decimal(-50)), (777, Decimal(90))
    found = thinned(points, 100)
    assert len(found) <= 104
    assert {points[0], points[333], points[777], points[-1]} <= set(found)
    assert found == sorted(found)
    assert thinned(points[:5], 5) == points[:5]


def test_bars_hang_from_zero():
    drawn = bars([("a", Decimal(10), "up"), ("b", Decimal(-10), "down")], str, "both")
    up, down = (part for part in drawn.split("<rect ")[1:])
    top = float(down.split('y="')[1].split('"')[0])
    assert float(up.split('y="')[1].split('"')[0]) + float(up.split('height="')[1].split('"')[0]) == pytest.approx(top)
    assert bars([], str, "none") == ""


def test_a_footprint_has_a_row_for_each_price_the_highest_first():
    drawn = drawn_bar(CLOSED, {20_000})
    assert [drawn.index(price) for price in ("5000.50", "5000.25", "5000.00")] == sorted(
        drawn.index(price) for price in ("5000.50", "5000.25", "5000.00")
    )
    assert drawn.count("<circle") == 1
    assert drawn.count('stroke="var(--mark)"') == 1, "the point of control"


def test_of_a_tall_bar_the_rows_around_its_point_of_control_are_drawn():
    numbers = np.arange(MOST_ROWS + 40)
    rows = FootprintRows(20_000 + numbers, *([numbers] * 6))
    drawn = drawn_bar(replace(CLOSED, rows=rows, poc=20_000), ())
    assert drawn.count("class=v") == 2 * MOST_ROWS
    assert "5000.00" in drawn
