"""The report in a terminal, as a person reads it."""

import io
from dataclasses import replace
from datetime import date
from decimal import Decimal

from rich.console import Console

from leadline.model.ids import ContractId, StrategyId
from leadline.report.text import render_text, spark
from leadline.views.days import TradedDay
from leadline.views.prices import price_text
from leadline.views.report import AccountReport
from tests.execution.harness.builders import MES
from tests.report.builders import COVERED, KEPT_OUT, NOT_FILLED, UNEASY, WON, report


def shown(found: AccountReport, width: int = 80) -> str:
    out = io.StringIO()
    render_text(found, Console(file=out, width=width, color_system=None))
    return out.getvalue()


def row(text: str, word: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if word in line)


def test_a_trade_is_a_line():
    text = shown(report(), width=100)
    assert row(text, "order") == ["time", "order", "pattern", "price", "time", "price", "by", "ticks", "net"]
    assert row(text, "entry") == ["entry", "entry", "exit", "exit", "exit"]
    told = "13:40:01 buy 2 buying absorption 5000.25 13:41:50 5006.25 target +24 +55.00"
    assert " ".join(row(text, "target")) == told
    assert " ".join(row(text, "day loss")).endswith("5002.6250 13:55:00 5005.00 day loss -9.5 -28.75")


def test_no_number_is_cut_where_it_is_narrow():
    text = shown(report())
    assert "…" not in text
    assert row(text, "order") == ["time", "order", "pattern", "price", "price", "by", "ticks", "net"]
    assert row(text, "target")[-4:] == ["5006.25", "target", "+24", "+55.00"]
    assert row(text, "day loss")[-5:] == ["5005.00", "day", "loss", "-9.5", "-28.75"]


def test_the_sum_of_it():
    text = " ".join(shown(report()).split())
    assert "2 trades, 1 won, net +26.25, equity 10000.00 -> 10026.25, largest drawdown of cash 28.75" in text
    assert (
        f"12,345 prints, 78 bars, 31 signals, 9 decisions (7 refused, 2 entered, 0 not filled); digest {'d' * 64}"
        in text
    )


def test_why_there_was_no_trade():
    text = shown(report())
    assert row(text, "max open trades")[-1] == "5"
    assert row(text, "conflict")[-1] == "2"


def test_the_entries_that_came_to_nothing_are_told_by_what_took_them_out():
    text = shown(report(decisions=35, not_filled=NOT_FILLED))
    assert row(text, "its validity has ended")[-1] == "25"
    assert row(text, "halt") == ["halt", "1"]
    assert "35 decisions (7 refused, 2 entered, 26 not filled)" in " ".join(text.split())
    assert "Entries not filled" not in shown(report())


def test_what_a_strategy_did_about_what_it_held_is_counted_beside_its_entries():
    text = " ".join(shown(report(decisions=12, adjusted=3)).split())
    assert "12 decisions (7 refused, 2 entered, 0 not filled, 3 on what was held or working)" in text


def test_one_of_a_thing_is_no_several():
    text = " ".join(shown(report(trades=(WON,), prints=1, bars=1, signals=1, decisions=1)).split())
    assert "1 trade, 1 won" in text
    assert "1 print, 1 bar, 1 signal, 1 decision (" in text


def test_the_day_of_a_session_stays_whole_in_eighty_columns():
    long = replace(COVERED[0], contract=ContractId("BTCUSDTPERP"), prints=1_234_567)
    text = shown(report(coverage=(long,)))
    assert row(text, "BTCUSDTPERP")[:3] == ["BTCUSDTPERP", "rth", "2025-06-10"]
    assert row(text, "BTCUSDTPERP")[-3] == "1,234,567"


def test_the_line_of_the_heading_is_no_longer_in_a_file_than_somebody_reads():
    assert len(shown(report(), width=200).splitlines()[0]) == 100
    assert len(shown(report()).splitlines()[0]) == 80


def test_what_a_reader_has_to_know():
    text = " ".join(shown(report(**UNEASY)).split())
    assert "given up entry Lgone, MESM2025: dead (absent at the venue)" in text
    assert "still open MESM2025 -2, -12.50 at 5005.00, not in the result" in text
    assert "still open MNQM2025 +1, no print to value it at" in text
    assert "ESM2025 filled on the prints of MESM2025: the feed has no others" in text
    assert "sessions that were not at hand: 2025-06-06" in text
    ended = "the tape ends inside a bar of MESM2025 rth 5m-r1: 1,037 prints of 2025-06-10 in no bar"
    assert ended in text
    assert "default/mes said 12 bars at another instant than they were known, or that there never were" in text
    assert "a first fill of default/mes took out 2 entries of default/mnq" in text
    assert "a first fill of default/mnq took out 1 entry of its own" in text
    set_and_cleared = "halt 3 (person, by ann, 2025-11-24 16:00:00 UTC): employment report; "
    assert f"{set_and_cleared}cleared 2025-11-24 16:01:00 UTC by bob: the news is out" in text
    assert "halt 4 (difference, by execution, 2025-11-24 16:01:30 UTC): the venue holds 2, the book 0; in force" in text


def test_prints_that_were_kept_out_stand_by_day_and_reason_with_the_first_of_them():
    text = shown(report(coverage=COVERED, kept_out=KEPT_OUT), width=200)
    assert row(text, "bad tick")[:4] == ["MESM2025", "2025-06-10", "bad", "tick"]
    assert row(text, "bad tick")[4] == "2"
    assert "mes.csv line 7: ts_ns 1749562200000000000, price 6000.30, size 1, side 1" in text
    assert row(text, "no time")[:2] == ["MESM2025", "none"]
    assert " ".join(row(text, "06-10 13:30:00")).endswith("12,345 70 2")  # outside every session, and kept out
    assert "outside session" not in text


def test_a_day_without_a_trade_is_a_report_too():
    text = " ".join(shown(report(trades=(), curve=(), by_pattern=(), refused=())).split())
    assert "0 trades, 0 won" in text


def test_it_fits_into_a_terminal_of_eighty_columns():
    assert max(map(len, shown(report(**UNEASY)).splitlines())) <= 80


def test_prices_and_times_are_those_of_the_instrument():
    assert price_text(MES, Decimal(20_001)) == "5000.25"
    assert price_text(MES, Decimal("20001.5")) == "5000.3750"


def test_a_curve_is_drawn_between_its_lowest_and_highest_point():
    assert spark([Decimal(value) for value in (0, 7, 3)]) == "▁█▄"
    assert spark([Decimal(5), Decimal(5)]) == "▁▁"


def test_the_contracts_of_a_run_through_a_roll_and_the_days_without_a_session_are_told():
    def of(day: int, contract: ContractId, *, session: bool = True) -> TradedDay:
        return TradedDay(StrategyId("default/mes"), date(2025, 6, day), contract, session, 78, 1, Decimal(0))

    days = (
        of(12, ContractId("MESM2025")),
        of(13, ContractId("MESM2025")),
        of(16, ContractId("MESU2025")),
        of(17, ContractId("MESU2025"), session=False),
    )
    text = " ".join(shown(report(days=days), width=200).split())
    assert "default/mes traded MESM2025 2025-06-12 to 2025-06-13, MESU2025 2025-06-16 to 2025-06-17" in text
    assert "default/mes has no session on 1 of 4 days: 2025-06-17" in text
    assert "traded MESM2025" not in shown(report(days=days[:2]))
