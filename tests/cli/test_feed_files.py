"""Which contract and which file an option of a feed names."""

import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from leadline.cli.main import run
from leadline.cli.manifests import _file_of
from leadline.ingestion.file_names import distinct_names
from leadline.local.data_dir import DataDir
from leadline.model.errors import InvalidInput

STRATEGY = """
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {{name: {name}}}
spec:
  instrument: {contract}M2025
  bars: 5m
  account: {{name: both}}
  sizing: {{mode: Fixed, size: 1}}
  strategy: {{name: OrderFlow}}
"""
ACCOUNT = """
apiVersion: leadline.dev/v1alpha1
kind: TradingAccount
metadata: {name: both}
spec: {startingBalance: "25000", tiers: []}
"""
MES = Path(__file__).parents[2] / "examples" / "mes-orderflow.yaml"


def test_a_path_may_have_an_equals_sign_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "day=1"
    folder.mkdir()
    path = folder / "mes.csv"
    path.touch()
    assert _file_of(str(path), "sim") == ("", path)
    assert _file_of(f"MESM2025={path}", "sim") == ("MESM2025", path)


@pytest.mark.parametrize("text", ["MESM2025=", "MESM2025=no.csv", "no=such.csv", "", "x" * 400, "/dev/null"])
def test_what_is_no_file_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="sim, catalog, push, or a file that exists"):
        _file_of(text, "sim, catalog, push")


def of_a_day(day: str) -> str:
    """Prints within the regular session of a day."""
    begins = int(datetime.fromisoformat(f"{day}T15:00:00+00:00").timestamp()) * 10**9
    return "ts_ns,price,size,side\n" + "".join(f"{begins + n * 10**9},6000.00,1,1\n" for n in range(3))


def test_two_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path, capsys):
    for folder, day in (("june", "2025-06-10"), ("july", "2025-07-10")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mes.csv").write_text(of_a_day(day))
    feed = [f"--feed=MESM2025={tmp_path}/june/mes.csv", f"--feed=MESU2025={tmp_path}/july/mes.csv"]
    manifest = tmp_path / "m.yaml"
    manifest.write_text(MES.read_text().replace("bars: 5m", "bars: ticks:100\n  history: 0"))
    assert run(["plan", "-f", str(manifest), *feed, "-o", "json"]) == 0, capsys.readouterr().err
    said = capsys.readouterr()
    files = json.loads(said.out)["workloads"][0]["settings"]["feed"]["files"]
    assert [file["path"] for file in files] == ["june/mes.csv", "july/mes.csv"]
    assert said.err == "leadline: reading july/mes.csv, june/mes.csv\n"
    (tmp_path / "july" / "mes.csv").write_text("nothing")
    assert run(["plan", "-f", str(manifest), *feed]) == 2
    assert "leadline: july/mes.csv:1: got 'nothing', expected the header" in capsys.readouterr().err


def test_names_are_as_short_as_they_can_be():
    paths = ["/mes.csv", "/a/mes.csv", "/b/a/mes.csv", "/b/es.csv"]
    assert list(distinct_names(paths).values()) == ["mes.csv", "a/mes.csv", "b/a/mes.csv", "es.csv"]


def test_what_is_no_utf_8_is_refused_in_a_word_and_in_a_place(tmp_path: Path, monkeypatch, capsys):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/m\xff")
    assert run(["digest", "--tape", "m\udcff"]) == 2
    assert capsys.readouterr().err == (
        "leadline: 'm\\udcff': a word that is no UTF-8; rename what it names, or type it in UTF-8\n"
    )
    Path(odd).mkdir()
    monkeypatch.chdir(odd)
    Path("mes.csv").write_text(of_a_day("2025-06-10"))
    assert run(["plan", "-f", str(MES), "--feed", "mes.csv"]) == 2
    assert "--feed: got 'mes.csv', expected a file whose path is UTF-8" in capsys.readouterr().err
    with pytest.raises(InvalidInput, match=r"^data_dir: got .*, expected a folder whose path is UTF-8$"):
        DataDir(Path("data")).hold().__enter__()


@pytest.mark.parametrize("place", ["file/data", "x" * 300])
def test_a_data_directory_that_cannot_be_made_is_refused(place, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        InvalidInput, match=r"^data_dir: got .*, expected a folder, or a place where one can be made \("
    ):
        DataDir(tmp_path / place).hold().__enter__()


def test_the_home_folder_of_nobody_is_no_failure_of_the_program(capsys):
    assert run(["plan", "-f", str(MES), "--feed", "~nobody-at-all/x.csv"]) == 2
    assert "expected sim, catalog, push, or a file that exists" in capsys.readouterr().err


def test_who_has_no_home_folder_is_asked_for_a_data_directory(monkeypatch, capsys):
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr(Path, "home", lambda: Path("~nobody-at-all").expanduser())  # as for a user of no name
    assert run(["status"]) == 2
    assert capsys.readouterr().err.startswith("leadline: --data-dir: got nothing, expected a folder: this user has no")


def test_a_data_directory_that_cannot_be_looked_into_is_refused(tmp_path, capsys):
    assert run(["status", "--data-dir", str(tmp_path / ("x" * 300))]) == 2
    assert "expected a folder that can be used (file name too long)" in capsys.readouterr().err


def prints_at(path: Path, *instants: str) -> Path:
    """A file with a print at each of these instants, UTC."""
    times = [int(datetime.fromisoformat(f"{instant}+00:00").timestamp()) * 10**9 for instant in instants]
    path.write_text("ts_ns,price,size,side\n" + "".join(f"{time},6000.00,1,1\n" for time in times))
    return path


@pytest.mark.parametrize("command", ["plan", "up"])
def test_prints_outside_of_the_traded_hours_alone_are_refused_before_anything_starts(command, tmp_path: Path, capsys):
    file = prints_at(tmp_path / "night.csv", "2025-06-10T08:00", "2025-06-10T09:00", "2025-06-11T08:00")
    data = tmp_path / "data"
    own = ["--data-dir", str(data)] if command == "up" else []
    assert run([command, "-f", str(MES), "--feed", f"MESM2025={file}", *own]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "leadline: the feed's prints of MESM2025: got '3 prints of 2025-06-10 to 2025-06-11, none of them in a session "
        "that is traded', expected prints within rth (09:30 to 16:00 America/New_York)"
    )
    assert not data.exists()


def test_one_print_within_the_hours_is_enough(tmp_path: Path, capsys):
    file = prints_at(tmp_path / "day.csv", "2025-06-10T08:00", "2025-06-10T15:00")
    assert run(["plan", "-f", str(MES), "--feed", f"MESM2025={file}"]) == 0, capsys.readouterr().err


def test_the_sessions_before_the_first_traded_day_are_no_day_that_is_traded(tmp_path: Path, capsys):
    file = prints_at(tmp_path / "mes.csv", "2025-06-09T15:00", "2025-06-10T15:00", "2025-06-11T08:00")
    assert run(["plan", "-f", str(MES), "--feed", f"MESM2025={file}", "--trade-from", "2025-06-11"]) == 2
    assert "got '1 print of 2025-06-11, none of them in a session" in capsys.readouterr().err


def test_a_contract_whose_prints_end_before_the_first_traded_day_is_refused(tmp_path: Path, capsys):
    early = prints_at(tmp_path / "nq.csv", "2025-06-09T15:00")
    late = prints_at(tmp_path / "mes.csv", "2025-06-10T15:00")
    manifest = tmp_path / "both.yaml"
    manifest.write_text(
        "---".join([ACCOUNT, *(STRATEGY.format(name=name.lower(), contract=name) for name in ("MES", "NQ"))])
    )
    feed = ["--feed", f"MESM2025={late}", "--feed", f"NQM2025={early}"]
    assert run(["plan", "-f", str(manifest), *feed, "--trade-from", "2025-06-10"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "leadline: the feed's prints of NQM2025: got 'prints of 2025-06-09', expected prints on 2025-06-10, the first "
        "day that is traded, or later"
    )
