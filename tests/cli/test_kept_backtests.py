"""The commands of backtests that are kept: `leadline backtest list`, `show`, `compare` and `remove`."""

import io
import os
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import orjson
import pytest

from leadline.cli.main import run

MES = Path(__file__).parents[2] / "examples" / "mes-orderflow.yaml"
Run = Callable[..., tuple[int, str, str]]


def document(*words: str) -> dict[str, Any]:
    printed = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(printed)):
        assert run([*words, "--output", "json"]) == 0
        found: dict[str, Any] = orjson.loads(printed.getvalue())
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with two backtests, of bars of 5 and of 10 minutes."""
    folder = tmp_path_factory.mktemp("kept")
    other = folder / "other.yaml"
    other.write_text(MES.read_text().replace("bars: 5m", "bars: 10m"))
    data = folder / "data"
    made = [document("backtest", "-f", str(each), "--data-dir", str(data))["id"] for each in (MES, other)]
    (folder / "ids").write_text(" ".join(made))
    return data


@pytest.fixture
def leadline(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def ran(*words: str) -> tuple[int, str, str]:
        code = run(["backtest", *words, "--data-dir", str(home)])
        out, err = capsys.readouterr()
        return code, out, err

    return ran


@pytest.fixture
def ids(home: Path) -> list[str]:
    """The ids of both, in the order in which they were made."""
    return (home.parent / "ids").read_text().split()


def test_the_list_has_each_with_its_figures_the_newest_first(leadline: Run, home: Path, ids: list[str]):
    os.utime(home / "backtests" / ids[1] / "about.json")
    code, out, _ = leadline("list")
    assert code == 0
    rows = [line.split() for line in out.splitlines() if any(name in line for name in ids)]
    assert [row[1] for row in rows] == ids[::-1]
    assert {"mes-orderflow", "2025-06-10", "9", "+183.75", "102.50"} <= set(rows[1])


def test_a_terminal_of_80_columns_breaks_no_id(leadline: Run, ids: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = leadline("list")
    assert all(f" {name} " in out for name in ids)


def test_the_same_backtest_again_is_the_same_bytes(home: Path, ids: list[str]):
    before = files(home)
    document("backtest", "-f", str(MES), "--data-dir", str(home))
    assert files(home) == before
    assert {name.split("/")[1] for name in before if name.count("/") == 2} == set(ids)


def test_with_any_number_of_processes_the_same_is_kept(home: Path, tmp_path: Path):
    document("backtest", "-f", str(MES), "--workers", "2", "--data-dir", str(tmp_path / "data"))
    for name, content in files(tmp_path / "data").items():
        assert (home / name).read_bytes() == content, name


def test_one_is_shown_again_as_it_was_by_the_beginning_of_its_id(leadline: Run, ids: list[str], tmp_path: Path):
    page = tmp_path / "page.html"
    code, out, err = leadline("show", ids[0][:6], "--report", str(page))
    assert code == 0
    assert "+183.75" in out
    assert f"backtest {ids[0]}, code 0.1.0 (" in out
    assert err == f"leadline: wrote {page}\n"
    run(["backtest", "-f", str(MES), "--no-keep", "--report", str(tmp_path / "again.html")])
    assert page.read_bytes() == (tmp_path / "again.html").read_bytes()
    assert ids[0] in page.read_text(encoding="utf-8")


def test_a_trade_of_it_is_explained_by_the_id_of_its_decision(
    home: Path, leadline: Run, ids: list[str], capsys: pytest.CaptureFixture[str]
):
    _, shown, _ = leadline("show", ids[0], "--output", "json")
    trade = orjson.loads(shown)["accounts"][0]["trades"][0]
    words = ["explain", trade["decision_id"], "--backtest", ids[0][:6], "--data-dir", str(home)]
    assert run([*words, "--output", "json"]) == 0
    found = orjson.loads(capsys.readouterr().out)
    assert found["bars"][0]["decisions"][0]["result"]["net"] == trade["net"]
    assert found["bars"][0]["footprint"]["rows"]
    assert run([*words, "--tape", "t"]) == 2
    assert "--tape: got 't', expected nothing beside --backtest" in capsys.readouterr().err


def test_its_document_is_the_one_that_was_printed(home: Path, ids: list[str]):
    shown = document("backtest", "show", ids[0], "--data-dir", str(home))
    printed = document("backtest", "-f", str(MES), "--no-keep")
    assert shown == printed
    assert shown["id"] == ids[0]
    (account,) = shown["accounts"]
    assert len(account["equity"]) > 2 * len(account["trades"])
    assert {each["cause"]["footprint"]["contract"] for each in account["trades"]} == {"MESM2025"}
    assert all(any(one["approved"] for one in each["cause"]["signals"]) for each in account["trades"])


def test_two_are_compared_field_by_field(leadline: Run, home: Path, ids: list[str]):
    code, out, _ = leadline("compare", *ids)
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "TradingStrategy default/mes-orderflow: spec.bars 5m 10m" in lines
    assert "The data do not differ: 6 days of the same prints." in lines
    assert "The code does not differ." in lines
    found = document("backtest", "compare", *ids, "--data-dir", str(home))
    assert [each["where"] for each in found["manifests"]] == ["TradingStrategy default/mes-orderflow: spec.bars"]
    (net,) = (each for each in found["figures"] if each["figure"] == "net")
    assert net["one"] == "183.75"


def test_nothing_is_kept_where_nobody_wants_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["backtest", "-f", str(MES), "--no-keep", "--data-dir", str(tmp_path / "data")]) == 0
    assert not (tmp_path / "data").exists()
    assert run(["backtest", "list", "--data-dir", str(tmp_path / "data")]) == 0
    assert f"no backtest is kept in {tmp_path / 'data' / 'backtests'}" in capsys.readouterr().out


def test_one_that_is_damaged_does_not_hide_the_others(home: Path, leadline: Run, ids: list[str]):
    damaged = home / "backtests" / "aaaaaaaaaaaa"
    damaged.mkdir()
    code, out, err = leadline("list")
    assert code == 1
    assert all(name in out for name in ids)
    assert err.startswith(f"leadline: {damaged / 'about.json'}: got nothing, expected what says which backtest")
    assert leadline("show", "aaaa")[0] == 2
    assert leadline("remove", "aaaa")[:2] == (0, "removed aaaaaaaaaaaa\n")
    assert leadline("list")[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "refusal"),
    [
        (["show", "zzzz"], 2, "leadline: unknown backtest in "),
        (["show", ""], 2, "leadline: ID: got '', expected a value"),
        (["compare", "zzzz", "zzzz"], 2, "leadline: unknown backtest in "),
        (["remove", "zzzz"], 2, "leadline: unknown backtest in "),
        (["lst"], 2, "leadline: lst: no such command of `leadline backtest`; did you mean list?"),
        (["list", "more"], 2, "leadline: more: `leadline backtest list` takes no such words"),
    ],
)
def test_what_is_not_there_is_one_line(leadline: Run, words: list[str], code: int, refusal: str):
    found, _, err = leadline(*words)
    assert (found, err.count("\n")) == (code, 1)
    assert err.startswith(refusal)


def test_options_of_a_backtest_do_not_go_before_another_command(capsys: pytest.CaptureFixture[str]):
    assert run(["backtest", "-f", str(MES), "list"]) == 2
    expected = "expected `leadline backtest` alone with it: list takes options behind its name"
    assert capsys.readouterr().err == f"leadline: --file: got 'list', {expected}\n"


def test_a_backtest_without_a_manifest_is_told_so(capsys: pytest.CaptureFixture[str]):
    assert run(["backtest"]) == 2
    assert capsys.readouterr().err.startswith(
        "leadline: --file: got nothing, expected a value: this option is required"
    )


def test_a_place_where_nothing_can_be_kept_is_told_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").touch()
    assert run(["backtest", "-f", str(MES), "--data-dir", str(tmp_path / "file" / "data")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"leadline: --data-dir: got '{tmp_path / 'file' / 'data'}', expected a folder")
