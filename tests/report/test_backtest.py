"""The tables of a backtest."""

from dataclasses import replace
from datetime import date, timedelta
from io import StringIO

import pytest
from rich.console import Console

from leadline.backtest.results import AccountResult, DayLine
from leadline.model.ids import ContractId
from leadline.report.backtest import render_backtest
from leadline.report.figures import NO_FIGURE, doubts, few_days, figure_rows, gaps
from tests.backtest.builders import FIGURES, D, account_result, backtest_result


def text(*accounts: AccountResult, width: int = 160) -> str:
    console = Console(file=StringIO(), width=width, markup=False, emoji=False)
    render_backtest(backtest_result(*accounts), console, 1.25)
    assert isinstance(console.file, StringIO)
    return "\n".join(" ".join(line.split()) for line in console.file.getvalue().splitlines())


@pytest.mark.parametrize(
    "line",
    [
        "net result +26.25",
        "equity at the start 10,000.00",
        "equity at the end 10,026.25",
        "trades 2",
        "won and lost 1 / 1",
        "win rate 50.0 %",
        "profit factor 1.91",
        "largest drawdown 28.75",
        "result a day +13.12",
        "days won 1 of 2",
        "Sharpe ratio 11.22",
        f"Sortino ratio {NO_FIGURE}",
        "exposure 0.9 %",
        f"buying absorption 1 1 +55.00 {NO_FIGURE}",
        "ranging 2 1 +26.25 1.91",
        "09:00 2 1 +26.25 1.91",
        "By hour of the entry, America/New_York",
        "Tuesday 2 1 +26.25 1.91",
        "2025-06-10 2 +26.25 10,026.25",
        "2025-06-10 tier 1 to tier 2 (MES 1 to 3) 10,000.00",
        "max open trades 5",
        "money in USD",
        "part of a session MESM2025 2025-06-10 rth, 13:30:00 to 15:30:00 UTC 30.8 % covered",
        "The Sharpe and Sortino ratios are of 2 days. So few days say little.",
        "kept out, off grid MESM2025 52 prints",
        "unfinished bar MESM2025 MESM2025/rth/5m-r1/2025-06-10/24 187 prints",
        f"2 days, 12,345 prints in 1.2 s; digest {'d' * 64}",
    ],
)
def test_it_says_each_figure(line: str):
    assert line in text().splitlines()


def test_prints_that_were_not_at_hand_whole_are_named():
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(12)]
    before = (date(2013, 10, 4), date(2013, 10, 7))
    stand_in = ((ContractId("ESM2025"), ContractId("MESM2025")),)
    result = replace(backtest_result(), first=days[0], missing=(*before, *days), filled_on=stand_in)
    assert doubts(backtest_result()) == []
    assert doubts(result) == [
        "history without prints: 2013-10-04, 2013-10-07",
        f"sessions that were not at hand: {', '.join(map(str, days[:10]))} ... 2025-01-12, 12 in all",
        "orders in ESM2025 were filled on the prints of MESM2025: it has none of its own here",
    ]
    console = Console(file=StringIO(), width=200, markup=False, emoji=False)
    render_backtest(result, console)
    assert isinstance(console.file, StringIO)
    assert all(doubt in console.file.getvalue() for doubt in doubts(result))


def test_days_without_a_decision_are_said_to_say_nothing():
    (doubt,) = doubts(backtest_result(account_result(decisions=0)))
    assert doubt.startswith("nothing was decided on these days: no bar was completed in the strategy's session")
    assert doubts(backtest_result(account_result(decisions=0), account_result(decisions=1))) == []


def test_only_ratios_of_few_days_come_with_a_word():
    assert few_days(account_result())
    for changes in ({"session_days": 60}, {"sharpe": None}):
        assert few_days(account_result(figures=replace(FIGURES, **changes))) == ""


def test_a_session_without_any_print_inside_says_so():
    result = backtest_result()
    (short,) = result.short_days
    outside = replace(result, short_days=(replace(short, outside=True, share=D(0)),))
    assert gaps(outside)[0][2:] == ("2025-06-10 rth, no print inside the session", "0.0 % covered")


def test_of_many_days_the_months_are_shown():
    days = tuple(DayLine(date(2025, 1, 1) + timedelta(days=n), 1, D(1), D(100 + n)) for n in range(40))

    found = text(account_result(days=days)).splitlines()

    assert "2025-01 31 31 +31.00" in found
    assert "2025-02 9 9 +9.00" in found
    assert not any(line.startswith("2025-01-02") for line in found)


def test_what_is_open_is_no_part_of_the_net_result():
    rows = dict(figure_rows(account_result(figures=replace(FIGURES, open_result=D("-12.50")))))
    assert rows["open, not in the net result"] == "-12.50"
    assert "open, not in the net result" not in dict(figure_rows(account_result()))


def test_a_terminal_obeys_nothing_that_others_wrote():
    assert "\x1b[31m" not in text(account_result(refused=(("\x1b[31mred[/]", 1),)))


def test_it_fits_a_narrow_terminal():
    console = Console(file=StringIO(), width=60, markup=False, emoji=False)
    render_backtest(backtest_result(), console, 1.25)
    assert isinstance(console.file, StringIO)
    assert max(len(line) for line in console.file.getvalue().splitlines()) <= 60
