"""`leadline data ...`: files of prints into the catalog and out of it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from leadline.catalog.catalog import Catalog
from leadline.cli.data import lines_of
from leadline.cli.main import run
from tests.catalog.builders import CONTRACT, DAY, columns, equal, filled, prints
from tests.ingestion.databento_files import SPREAD, dbn_file, trade

HEADER = "ts_ns,price,size,side\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "catalog"


def text_file(folder: Path, name: str = "es.csv", count: int = 500) -> Path:
    """The prints of the day as text."""
    path = folder / name
    content = HEADER.encode() + lines_of(prints(count), CONTRACT)
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    return path


def data(folder: Path, *words: object) -> int:
    return run(["data", *map(str, words), "--catalog", str(folder)])


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_prints_go_in_and_are_listed(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert data(folder, "import", f"{CONTRACT}={text_file(tmp_path)}", "-o", "json") == 0
    (day,) = document(capsys)["days"]
    volume = int(prints(500).size.sum())
    assert (day["contract"], day["day"], day["prints"], day["volume"]) == (CONTRACT, "2025-01-13", 500, volume)
    assert (day["became"], day["source"]) == ("written", "es.csv")
    assert equal(Catalog(folder).read(CONTRACT, DAY, verified=True), prints(500))
    assert data(folder, "list", "-o", "json") == 0
    (listed,) = document(capsys)["days"]
    assert listed == {key: value for key, value in day.items() if key != "became"}
    assert data(folder, "list", CONTRACT) == 0
    assert "2025-01-13" in capsys.readouterr().out


def test_a_day_that_is_there_is_skipped_and_one_with_other_prints_needs_a_word(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
):
    whole, other = text_file(tmp_path, "whole.csv.gz"), tmp_path / "other.csv"
    other.write_bytes(HEADER.encode() + lines_of(prints(500, seed=2), CONTRACT))
    words = ["import", "--contract", CONTRACT]
    assert data(folder, *words, whole) == 0
    assert f"{CONTRACT} 2025-01-13: 500 prints, written" in capsys.readouterr().err
    assert data(folder, *words, whole) == 0
    assert f"{CONTRACT} 2025-01-13: 500 prints, there already" in capsys.readouterr().err
    assert data(folder, *words, other) == 2
    assert "expected the 500 prints that are there" in capsys.readouterr().err
    assert equal(Catalog(folder).read(CONTRACT, DAY), prints(500))
    assert data(folder, *words, other, "--replace") == 0
    assert "500 prints, replaced" in capsys.readouterr().err
    assert equal(Catalog(folder).read(CONTRACT, DAY), prints(500, seed=2))


def test_files_that_were_cut_inside_a_day_make_it_one_after_the_other(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
):
    lines = text_file(tmp_path).read_text().splitlines(keepends=True)
    files = [tmp_path / "evening.csv", tmp_path / "day.csv"]
    for file, part in zip(files, (lines[1:101], lines[101:]), strict=True):
        file.write_text("".join([HEADER, *part]))
    assert data(folder, "import", f"{CONTRACT}={files[0]}") == 0
    said = capsys.readouterr()
    assert "ESH2025 2025-01-13: a part of the day, from 2025-01-12 23:" in said.err
    assert "the market is open from 2025-01-12 23:00:00 UTC to 2025-01-13 22:00:00 UTC" in said.err
    assert "a part" in said.out
    assert data(folder, "import", f"{CONTRACT}={files[1]}", "-o", "json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["days"][0]["became"] == "joined"
    assert json.loads(said.out)["days"][0]["covers"] == ["rth", "globex"]
    assert "a part of the day" not in said.err
    assert equal(Catalog(folder).read(CONTRACT, DAY), prints(500))


def test_a_damaged_day_hides_no_other_in_the_list(folder: Path, capsys: pytest.CaptureFixture[str]):
    catalog = filled(folder)
    catalog.write(CONTRACT, DAY.replace(day=14), prints(50, day=DAY.replace(day=14)))
    path = catalog.path(CONTRACT, DAY)
    path.write_bytes(path.read_bytes()[:-1])
    assert data(folder, "list") == 1
    said = capsys.readouterr()
    assert "2025-01-14" in said.out
    assert f"{folder}, times in UTC" in said.out
    assert "2025-01-13.parquet: got 'no end of a Parquet file" in said.err
    assert "import that day again with --replace" in said.err
    assert data(folder, "list", "-o", "json") == 1
    found = document(capsys)
    assert ([each["day"] for each in found["days"]], [each["day"] for each in found["faults"]]) == (
        ["2025-01-14"],
        ["2025-01-13"],
    )


def test_the_list_breaks_no_number_on_a_narrow_terminal(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    assert data(folder, "import", f"{CONTRACT}={text_file(tmp_path)}", "-o", "json") == 0
    capsys.readouterr()
    monkeypatch.setenv("COLUMNS", "80")
    assert data(folder, "list") == 0
    printed = capsys.readouterr().out
    assert f"{int(prints(500).size.sum()):,}" in printed
    assert "2025-01-13" in printed
    assert "A wider terminal shows covers, bytes." in printed


def test_an_import_that_was_interrupted_goes_on(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]):
    day = 86_400
    rows = [trade(second) for second in (0, 60, day, day + 60, 2 * day)]
    file = dbn_file(tmp_path, "es.dbn.zst", rows, days=(DAY, DAY.replace(day=17)))
    assert data(folder, "import", file) == 0
    Catalog(folder).remove(CONTRACT, DAY.replace(day=14))
    capsys.readouterr()
    assert data(folder, "import", file, "-o", "json") == 0
    found = {each["day"]: each["became"] for each in document(capsys)["days"]}
    assert found == {"2025-01-13": "there already", "2025-01-14": "written", "2025-01-15": "there already"}


def test_nothing_is_written_of_files_of_which_one_has_an_error(tmp_path: Path, folder: Path):
    good, bad = text_file(tmp_path), tmp_path / "bad.csv"
    bad.write_text(f"{HEADER}{int(prints(1).time_ns[0]) + 86_400 * 10**9},5000.00,x,1\n")
    assert data(folder, "import", "--contract", CONTRACT, good, bad) == 2
    assert not folder.exists()


def test_faulty_prints_are_said_by_day_and_reason(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]):
    file = text_file(tmp_path)
    with file.open("a") as more:
        more.write(f"{int(prints(500).time_ns[-1])},5000.10,1,1\n1,5000.00,1,1\n")
    assert data(folder, "import", f"{CONTRACT}={file}", "-o", "json") == 0
    found = document(capsys)
    assert found["days"][0]["kept_out"] == {"off_grid": 1}
    assert found["undated"] == {CONTRACT: {"outside_calendar": 1}}
    assert data(folder, "list") == 0
    assert "off grid 1" in capsys.readouterr().out


def test_spreads_are_named(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]):
    file = dbn_file(tmp_path, "es.dbn", [trade(0), trade(1, 12, instrument=SPREAD)])
    assert data(folder, "import", file) == 0
    assert "not taken, because they are no single contract: ESH5-ESM5 (1)" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["es.csv", "es.csv.gz"])
def test_what_is_exported_is_imported_as_the_same(
    tmp_path: Path, folder: Path, name: str, capsys: pytest.CaptureFixture[str]
):
    filled(folder)
    assert data(folder, "export", CONTRACT, tmp_path / name) == 0
    assert "500 prints of ESH2025, 1 day" in capsys.readouterr().out
    assert data(tmp_path / "other", "import", f"{CONTRACT}={tmp_path / name}") == 0
    once, again = (Catalog(each).day(CONTRACT, DAY) for each in (folder, tmp_path / "other"))
    assert once.content_hash == again.content_hash
    assert not list(tmp_path.glob("*.new"))


def test_nothing_is_exported_of_a_day_that_is_damaged(tmp_path: Path, folder: Path):
    path = filled(folder).path(CONTRACT, DAY)
    path.write_bytes(path.read_bytes()[:-1])
    target = tmp_path / "es.csv"
    target.write_text("as it was")
    assert data(folder, "export", CONTRACT, target) == 2
    assert target.read_text() == "as it was"
    assert not list(tmp_path.glob("*.new"))


def test_every_day_is_looked_at_and_each_that_is_not_sound_is_named(folder: Path, capsys: pytest.CaptureFixture[str]):
    catalog = filled(folder)
    for number in (14, 15):
        day = DAY.replace(day=number)
        catalog.write(CONTRACT, day, prints(50, day=day))
    assert data(folder, "verify") == 0
    assert columns(catalog.read(CONTRACT, DAY))[0].size == 500
    for number in (13, 15):
        path = catalog.path(CONTRACT, DAY.replace(day=number))
        path.write_bytes(path.read_bytes()[:100])
    capsys.readouterr()
    assert data(folder, "verify", "-o", "json") == 1
    found = document(capsys)
    assert [each["day"] for each in found["sound"]] == ["2025-01-14"]
    assert [each["day"] for each in found["faults"]] == ["2025-01-13", "2025-01-15"]
    assert data(folder, "verify") == 1
    assert "2025-01-15.parquet: got 'no end of a Parquet file" in capsys.readouterr().err


def test_days_are_removed_by_range_or_all(folder: Path, capsys: pytest.CaptureFixture[str]):
    catalog = filled(folder)
    for number in (14, 15):
        day = DAY.replace(day=number)
        catalog.write(CONTRACT, day, prints(50, day=day))
    assert data(folder, "remove", CONTRACT) == 2
    assert "--all: got nothing, expected either --all, or a first or last day" in capsys.readouterr().err
    assert data(folder, "remove", CONTRACT, "--from", "2025-01-14", "--to", "2025-01-14") == 0
    assert [day.day for day in catalog.dates(CONTRACT)] == [13, 15]
    assert data(folder, "remove", CONTRACT, "--all") == 0
    assert catalog.contracts() == ()


@pytest.mark.parametrize(
    "words",
    [["remove", "{outside}", "--all"], ["export", "{outside}", "es.csv"], ["list", "../other"], ["verify", "."]],
)
def test_text_that_is_no_contract_leads_to_no_other_folder(
    words: list[str], tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
):
    filled(folder)
    outside = tmp_path / "other"
    outside.mkdir()
    file = outside / f"{DAY}.parquet"
    file.write_bytes(filled(tmp_path / "third").path(CONTRACT, DAY).read_bytes())
    assert data(folder, *(word.format(outside=outside) for word in words)) == 2
    assert "unknown instrument" in capsys.readouterr().err
    assert file.exists()
    assert not Path("es.csv").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["import", "none.csv"], "FILES: got 'none.csv', expected a file that exists, or CONTRACT=FILE"),
        (["import", "{file}"], "expected CONTRACT=FILE, or one --contract: prints as text do not name theirs"),
        (["import", "ESH5=={file}"], "FILES: got"),
        (["export", CONTRACT, "es.txt"], "FILE: got 'es.txt', expected a name that ends in .csv"),
        (["export", "ESM2025", "es.csv"], "/catalog has no ESM2025; it has ESH2025"),
        (
            ["export", CONTRACT, "es.csv", "--to", "2024-01-01"],
            "has no day of ESH2025 to 2024-01-01; it has 2025-01-13",
        ),
        (["remove", CONTRACT, "--to", "2024-01-01"], "has no day of ESH2025 to 2024-01-01; it has 2025-01-13"),
        (["list", "esh2025"], "; did you mean ESH2025?"),
        (["fetch", "es", "--from", "2025-01-13", "--to", "2025-01-13"], "; did you mean ES?"),
        (["list", "--from", "soon"], "--from: got 'soon', expected a date such as 2025-01-13"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    words: list[str], said: str, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
):
    filled(folder)
    file = text_file(tmp_path)
    assert data(folder, *(word.format(file=file) for word in words)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
