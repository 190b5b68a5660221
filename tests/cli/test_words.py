"""Messages speak to people: in none of them stands a value as Python spells it."""

import re
from pathlib import Path

import pytest

from leadline.cli.main import run

MES = Path(__file__).parents[2] / "examples" / "mes-orderflow.yaml"
PYTHON = re.compile(r"\b(None|True|False|PosixPath|Decimal|datetime|NoneType)\b|<[a-z_.]+ object|\[\]|\{\}")
BACKTEST = ("backtest", "-f", str(MES))
REFUSED = [
    (*BACKTEST, "--feed", "catalog", "--catalog", "nowhere"),
    (*BACKTEST, "--feed", "catalog", "--sessions", "2"),
    (*BACKTEST, "--feed", "catalog", "--seed", "2"),
    (*BACKTEST, "--feed", "push"),
    (*BACKTEST, "--from", "2030-01-01"),
    (*BACKTEST, "--to", "2001-01-01"),
    (*BACKTEST, "--to", ""),
    (*BACKTEST, "--workers", "0"),
    (*BACKTEST, "--report", "."),
    ("backtest", "show", "x", "--data-dir", "nowhere"),
    ("backtest", "compare", "x", "y", "--data-dir", "nowhere"),
    ("data", "remove", "ESH2025", "--catalog", "nowhere"),
    ("data", "remove", "ESH2025", "--all", "--from", "2025-01-13", "--catalog", "nowhere"),
    ("data", "remove", "ESH2025", "--all", "--catalog", "nowhere"),
    ("data", "export", "ESH2025", "es.csv", "--catalog", "nowhere"),
    ("data", "export", "ESH2025", "es.csv", "--from", "2025-01-13", "--catalog", "nowhere"),
    ("data", "verify", "ESH2025", "--catalog", "nowhere"),
    ("data", "import", "no.csv", "--catalog", "nowhere"),
    ("data", "record", "--data-dir", "nowhere"),
    ("plan", "-f", str(MES), "--feed", "push"),
    ("plan", "-f", str(MES), "--feed", "catalog", "--catalog", "nowhere"),
    ("up", "-f", str(MES), "--seed", "9", "--feed", "push", "--data-dir", "nowhere"),
    ("report", "--data-dir", "nowhere"),
    ("digest", "--tape", "x", "--data-dir", "nowhere"),
    ("status", "--data-dir", "nowhere"),
    ("halt", "--data-dir", "nowhere"),
    ("nodes", "nothing"),
    ("venues", "nothing"),
]


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_a_refusal_has_no_value_of_the_program_in_it(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert run(list(words)) != 0
    said = capsys.readouterr().err
    assert said.startswith("leadline: ")
    assert PYTHON.findall(said) == [], said


@pytest.mark.parametrize("command", ["backtest", "plan"])
def test_who_has_no_catalog_is_told_how_to_get_one(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run([command, "-f", str(MES), "--feed", "catalog", "--catalog", str(tmp_path)]) == 2
    ways = "`leadline data import` puts prints of files in, `leadline data fetch` buys some"
    said = f"leadline: --catalog: got '{tmp_path}', expected a folder with days of prints: {ways}\n"
    assert capsys.readouterr().err.endswith(said)
