"""`leadline backtest`: its document, its table, and what it refuses before it begins."""

import io
import os
import signal
import subprocess
import sysconfig
from contextlib import redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from leadline.catalog.catalog import Catalog
from leadline.cli.main import run
from tests.backtest.test_run import simulated

LEADLINE = Path(sysconfig.get_path("scripts")) / "leadline"
MES = str(Path(__file__).parents[2] / "examples" / "mes-orderflow.yaml")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place of the page, in a folder that is not there yet."""
    return tmp_path_factory.mktemp("results") / "of" / "backtest.html"


@pytest.fixture(scope="module")
def printed(page: Path) -> dict[str, Any]:
    """The document of the simulated day of `make demo`; its page is written beside it."""
    printed = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(printed)):
        assert run(["backtest", "-f", MES, "--report", str(page), "--output", "json"]) == 0
        found: dict[str, Any] = orjson.loads(printed.getvalue())
    return found


@pytest.fixture
def account(printed: dict[str, Any]) -> dict[str, Any]:
    (found,) = printed["accounts"]
    assert isinstance(found, dict)
    return found


def test_the_document_has_days_accounts_and_the_digest(printed: dict[str, Any], account: dict[str, Any]):
    assert (printed["first"], printed["last"], printed["days"]) == ("2025-06-10", "2025-06-10", 1)
    assert (account["account"], account["net"]) == ("default/paper", "183.75")
    assert len(printed["digest"]) == 64


def test_every_group_of_trades_comes_to_the_net_result(account: dict[str, Any]):
    for name in ("by_pattern", "by_regime", "by_hour", "by_weekday", "days", "trades"):
        assert sum(Decimal(each["net"]) for each in account[name]) == Decimal("183.75"), name
    for name in ("by_pattern", "by_regime", "by_hour", "by_weekday", "days"):
        assert sum(each["trades"] for each in account[name]) == account["trade_count"] == 9, name
    assert [each["name"] for each in account["by_weekday"]] == ["Tuesday"]
    assert account["by_hour"][0]["name"] == "10:00"
    assert account["zones"] == ["America/New_York"]


def test_the_figures_are_those_of_the_trades(account: dict[str, Any]):
    nets = [Decimal(each["net"]) for each in account["trades"]]
    assert account["wins"] == sum(net > 0 for net in nets)
    assert account["commission"] == str(sum(Decimal(each["commission"]) for each in account["trades"]))
    assert Decimal(account["max_drawdown"]) >= -min(nets)
    assert 0 < Decimal(account["exposure"]) < 1
    assert "sharpe" not in account, "one day has no deviation"


def test_each_trade_of_the_page_has_the_footprint_of_its_entry(page: Path, account: dict[str, Any]):
    drawn = page.read_text(encoding="utf-8")
    assert drawn.count("Footprint of the bar MESM2025/rth/5m-r1/2025-06-10/") == 2 * account["trade_count"]
    assert "is not kept" not in drawn


def test_a_place_where_no_page_can_be_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["backtest", "-f", MES, "--report", str(tmp_path)]) == 2
    assert f"leadline: --report: got '{tmp_path}', expected a file, and this is a folder" in capsys.readouterr().err


def test_decisions_that_were_refused_are_counted_by_their_first_reason(account: dict[str, Any]):
    assert account["refused"]["no_approved_signal"] == max(account["refused"].values())
    assert sum(account["refused"].values()) + account["trade_count"] == account["decisions"]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["--from", "2025-13-01"], "leadline: --from: got '2025-13-01', expected a date such as 2025-10-08\n"),
        (
            ["--to", "2025-06-20"],
            (
                "leadline: --to: got '2025-06-20', expected a day up to 2025-06-10, the last that has prints: "
                "--sessions makes more\n"
            ),
        ),
        (["--to", "tomorrow"], "leadline: --to: got 'tomorrow', expected a date such as 2025-10-08\n"),
        (
            ["--from", "2025-06-10", "--to", "2025-06-09"],
            "leadline: --to: got '2025-06-09', expected a day not before --from, 2025-06-10\n",
        ),
        (
            ["--feed", "catalog", "--sessions", "2"],
            "leadline: --sessions: got 2, expected --to, the last day, with a catalog\n",
        ),
        (
            ["--feed", "push", "--from", "2025-06-10"],
            (
                "leadline: --feed: got 'push', expected sim, catalog or files: what is pushed goes into the catalog by "
                "`leadline data record`\n"
            ),
        ),
        (
            ["--feed", "nowhere.csv"],
            (
                "leadline: --feed: got 'nowhere.csv', expected sim, catalog, or a file that exists, "
                "and is no folder and no pipe\n"
            ),
        ),
    ],
)
def test_a_range_or_a_feed_that_cannot_be_used_is_refused(
    words: list[str], refusal: str, capsys: pytest.CaptureFixture[str]
):
    assert run(["backtest", "-f", MES, *words]) == 2
    assert capsys.readouterr().err == refusal


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kube", "--sessions", "3"), "--sessions: got 3, expected nothing of it with --kube"),
        (("--kube", "--workers", "2"), "--workers: got 2, expected nothing of it with --kube"),
        (("--kube", "--no-keep"), "--no-keep: got 'given', expected nothing of it with --kube"),
        (("--fetch", "results"), "--fetch: got 'results', expected --kube with it"),
        (("--namespace", "desk"), "--namespace: got 'desk', expected --kube with it"),
        (("--kube",), "expected one Backtest with --kube, and nothing beside it"),
    ],
)
def test_an_option_without_effect_is_refused_in_a_cluster_and_outside_of_one(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
):
    assert run(["backtest", "-f", MES, *words]) == 2
    assert said in capsys.readouterr().err


def test_a_backtest_of_a_cluster_is_no_manifest_of_this_machine(capsys: pytest.CaptureFixture[str]):
    assert run(["backtest", "-f", MES, "-f", MES.replace("mes-orderflow", "backtest")]) == 2
    assert "Backtest default/mes-autumn" in capsys.readouterr().err


def test_what_nobody_reads_is_kept_and_written_all_the_same(tmp_path: Path):
    """As in `leadline backtest ... | head -3`: the reader goes after a few lines."""
    reader, writer = os.pipe()
    os.close(reader)
    words = ["--tables", "tables", "--report", "page.html", "--data-dir", "data"]
    try:
        command = [str(LEADLINE), "backtest", "-f", MES, *words]
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, cwd=tmp_path)
    finally:
        os.close(writer)
    assert done.returncode == -signal.SIGPIPE
    assert (tmp_path / "tables" / "trades.csv").stat().st_size
    assert (tmp_path / "page.html").stat().st_size
    (kept,) = (tmp_path / "data" / "backtests").glob("*/about.json")
    assert run(["backtest", "show", kept.parent.name, "--data-dir", str(tmp_path / "data")]) == 0


def test_a_backtest_of_a_cluster_is_told_how_it_runs(capsys: pytest.CaptureFixture[str]):
    assert run(["backtest", "-f", str(Path(MES).with_name("backtest.yaml"))]) == 2
    assert capsys.readouterr().err == (
        "leadline: kind: got 'Backtest default/mes-autumn', expected a TradingStrategy or a TradingAccount: "
        "a Backtest runs by `leadline backtest --kube`\n"
    )


@pytest.mark.parametrize(("words", "said"), [((), True), (("--from", "2025-06-10"), False)])
def test_days_at_hand_that_are_history_alone_are_named(
    words: tuple[str, ...], said: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    prints, catalog = simulated(None, 1, 5), Catalog(tmp_path)
    for contract in prints.contracts:
        for each in prints.days(contract):
            catalog.write(contract, each.day, prints.read(contract, each.day))
    feed = ["--feed", "catalog", "--catalog", str(tmp_path)]
    assert run(["backtest", "-f", MES, *feed, "--no-keep", *words]) == 0
    line = "leadline: without --from it traded from 2025-06-10 on: 5 days before it are its history\n"
    assert (line in capsys.readouterr().err) == said
