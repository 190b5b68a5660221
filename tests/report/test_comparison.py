"""The comparison of two backtests in a terminal."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from leadline.backtest.comparison import compared
from leadline.backtest.documents import result_document
from leadline.backtest.identity import DataDay, Identity
from leadline.backtest.kept import KeptBacktest, keep, opened, store_of
from leadline.backtest.results import BacktestResult
from leadline.report.clock import moment
from leadline.report.comparison import render_comparison
from tests.backtest.builders import FIGURES, IDENTITY, MONDAY, TUESDAY, D, account_result, backtest_result
from tests.execution.harness.builders import ns

OTHER_DAYS = (DataDay("MESM2025", MONDAY, 6_000, "c" * 64), DataDay("ESM2025", TUESDAY, 1, "d" * 64))


def kept(folder: Path, result: BacktestResult, identity: Identity) -> KeptBacktest:
    store = store_of(folder)
    keep(store, result, result_document(result), identity, {})
    return opened(store, identity.id)


def text(one: KeptBacktest, other: KeptBacktest, width: int = 160) -> list[str]:
    console = Console(file=StringIO(), width=width, markup=False, emoji=False)
    render_comparison(one, other, compared(one.identity, other.identity, one.accounts, other.accounts), console)
    assert isinstance(console.file, StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


@pytest.fixture
def one(tmp_path: Path) -> KeptBacktest:
    return kept(tmp_path, backtest_result(), IDENTITY)


def test_what_is_equal_is_said_to_be(one: KeptBacktest):
    lines = text(one, one)
    assert "The manifests do not differ." in lines
    assert "The data do not differ: 2 days of the same prints." in lines
    assert "The code does not differ." in lines
    assert "The digests are equal." in lines
    assert "net result +26.25 +26.25 +0.00" in lines


def test_figures_data_and_code_that_differ_are_shown(one: KeptBacktest, tmp_path: Path):
    figures = replace(FIGURES, net=D("-10.00"), sharpe=None, win_rate=D("0.4"))
    data = replace(IDENTITY.data, feed="catalog", settings={}, days=OTHER_DAYS, ends_ns={"MESM2025": ns(30_600)})
    identity = Identity(replace(IDENTITY.code, version="0.2.0"), IDENTITY.manifests, data)
    result = replace(backtest_result(account_result(figures=figures)), digest="e" * 64)
    other = kept(tmp_path, result, identity)
    lines = text(one, other)
    assert "net result +26.25 -10.00 -36.25" in lines
    assert "win rate 50.0 % 40.0 % -10.0 points" in lines
    assert "Sharpe ratio 11.22 – –" in lines
    assert "feed sim catalog" in lines
    assert f"tape ends: MESM2025 {moment(ns(23_400))} {moment(ns(30_600))}" in lines
    assert "seed 1 not there" in lines
    assert "Days with the same prints: 0." in lines
    assert "Days with other prints: MESM2025 2025-06-09." in lines
    assert f"Days that only {one.id} has: MESM2025 2025-06-10." in lines
    assert f"Days that only {other.id} has: ESM2025 2025-06-10." in lines
    assert "version 0.1.0 0.2.0" in lines
    assert "The digests are not equal." in lines


def test_of_many_days_the_first_are_named(one: KeptBacktest, tmp_path: Path):
    days = tuple(DataDay("ESM2025", MONDAY.replace(day=number), 1, "x") for number in range(1, 26))
    other = kept(tmp_path, backtest_result(), replace(IDENTITY, data=replace(IDENTITY.data, days=days)))
    (line,) = (each for each in text(one, other, 2_000) if each.startswith(f"Days that only {other.id} has"))
    assert line.endswith("ESM2025 2025-06-20, and 5 more.")


def test_it_fits_a_narrow_terminal(one: KeptBacktest):
    assert max(map(len, text(one, one, 70))) <= 70
