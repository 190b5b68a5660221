"""A checkup as a person reads it in a terminal, and its exit code."""

from pathlib import Path

import pytest

from leadline.cli.doctoring import draw
from leadline.cli.main import run
from leadline.views.doctor.facts import Finding

SOUND = Finding("python", "3.11.7", "OK", "Python is 3.11.7")
NEAR = Finding("calendar-horizon", "MES (cme)", "WARNING", "the calendar ends in 3 days", "load the next year's days")
BROKEN = Finding("schema", "database", "WRONG", "the database has no schema yet", "leadline db migrate")
DARK = Finding("streams", "bus", "UNKNOWN", "nothing runs", "start it with `leadline up`")


def shown(capsys: pytest.CaptureFixture[str], *findings: Finding) -> list[str]:
    draw(findings)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [80, 200])
def test_faults_stand_at_the_end_the_worst_first_each_with_what_mends_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = shown(capsys, SOUND, NEAR, BROKEN, DARK)
    assert max(map(len, lines)) <= width
    assert [line.rstrip() for line in lines[-5:]] == [
        "wrong: the database has no schema yet.",
        "  leadline db migrate",
        "warning: the calendar ends in 3 days.",
        "  load the next year's days",
        "4 findings: 1 wrong, 1 warning, 1 unknown, 1 ok.",
    ]


def test_a_place_with_an_open_key_is_wrong_and_a_new_one_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "token.key").touch(mode=0o600)
    assert run(["doctor", "--data-dir", str(data)]) == 0
    assert "1 keys" not in capsys.readouterr().out
    (data / "token.key").chmod(0o644)
    assert run(["doctor", "--data-dir", str(data), "-o", "json"]) == 1
    assert f"chmod 0600 {data / 'token.key'}" in capsys.readouterr().out
