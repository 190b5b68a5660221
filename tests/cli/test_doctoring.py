"""A checkup as a person reads it in a terminal, and its exit code."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from leadline.cli.doctoring import draw
from leadline.cli.main import run
from leadline.model.manifest.own_markets import OwnMarkets, put_in_force
from leadline.views.doctor.facts import Finding
from tests.own_markets import ETHER, EVENINGS, file_of

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


def test_what_several_checks_cannot_see_for_one_reason_is_one_row(capsys: pytest.CaptureFixture[str]):
    lines = shown(capsys, DARK, replace(DARK, check="consumers"), replace(DARK, check="feed"), SOUND)
    found = [" ".join(line.replace("│", " ").split()) for line in lines]
    assert "streams and 2 more unknown nothing runs." in found
    assert found[-1] == "4 findings: 3 unknown, 1 ok."


def test_a_place_with_an_open_key_is_wrong_and_a_new_one_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "token.key").touch(mode=0o600)
    assert run(["doctor", "--data-dir", str(data)]) == 0
    assert "1 keys" not in capsys.readouterr().out
    (data / "token.key").chmod(0o644)
    assert run(["doctor", "--data-dir", str(data), "-o", "json"]) == 1
    assert f"chmod 0600 {data / 'token.key'}" in capsys.readouterr().out


def test_manifests_of_a_start_that_is_to_come_are_looked_at_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    ending = {**EVENINGS, "valid_through": "2021-12-31"}
    own = file_of(tmp_path, {"ETHUSDT": {**ETHER, "calendar": "evenings"}}, {"evenings": ending})
    manifest = tmp_path / "ether.yaml"
    manifest.write_text(
        "apiVersion: leadline.dev/v1alpha1\nkind: TradingStrategy\nmetadata: {name: ether}\nspec:\n"
        "  instrument: ETHUSDT\n  bracket: {stopTicks: 10, targetTicks: 20}\n"
        "  strategy: {name: OrderFlow, detectors: {imbalance: {minVolume: 5}, absorption: {minVolume: 30}}}\n"
    )
    words = ["doctor", "--data-dir", str(tmp_path / "data"), "-f", str(manifest), "--instruments", str(own)]
    try:
        assert run([*words, "-o", "json"]) == 1
    finally:
        put_in_force(OwnMarkets())
    found = {(each["check"], each["subject"]): each for each in orjson.loads(capsys.readouterr().out)["findings"]}
    assert found["calendar-horizon", "ETHUSDT (evenings)"]["state"] == "wrong"
    assert ("margins", "default/paper") in found
    assert not (tmp_path / "data").exists()


def test_a_cluster_has_its_manifests(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "a.yaml"
    file.write_text("")
    assert run(["doctor", "--kube", "-f", str(file)]) == 2
    assert "expected nothing beside --kube" in capsys.readouterr().err
