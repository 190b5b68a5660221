"""The figures of the house are counted from what stands in the files."""

import json
from pathlib import Path

import pytest

from scripts.house import DETECTORS, SERVICES, main, measure

RETRIES = """
import asyncio
import grpc

async def ask(call):
    while True:
        try:
            return await call()
        except OSError:
            pass
        await asyncio.sleep(1)

async def ask_once(call):
    for _ in range(3):
        try:
            return await call()
        except OSError:
            await asyncio.sleep(1)
            raise

async def tick():
    while True:
        await asyncio.sleep(1)

AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
"""
FILES = {
    "model/logic.py": 'class StackedParams: ...\nPATTERN = "stacked"\nfor_service("venue")\n',
    "nodes/stacked.py": 'NAME = "stacked"\n',
    "runtime/retry.py": RETRIES.partition("AWAY")[0],
    "runtime/calls.py": RETRIES,
    "recorder/sink.py": 'QUERY = "SELECT 1 FROM run"\nNAME = "recorder"\nPEER = "risk"\n',
    "recorder/store.py": 'QUERY = "SELECT 1 FROM run"\nSAID = "recorder"\n',
    "recorder/v1/recorder_pb2.py": 'QUERY = "SELECT 1 FROM run"\n',
    "recorder/__init__.py": "",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "services" / "leadline" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    glossary = tmp_path / "docs" / "reference" / "glossary.md"
    glossary.parent.mkdir(parents=True)
    glossary.write_text("# Glossary\n\n## book\n\nA.\n\n## tape\n\nB.\n")
    return tmp_path


def test_files_and_folders_are_counted_without_what_is_generated_or_empty(checkout: Path):
    house = measure(checkout)
    assert (house.files, house.folders, house.files_per_folder) == (6, 4, 1.5)
    assert house.largest_folder[1] == 2
    assert house.glossary_words == 2


def test_a_statement_counts_where_no_store_is(checkout: Path):
    assert measure(checkout).sql_outside_stores == 1


def test_a_loop_that_catches_and_sleeps_counts_outside_of_the_helper(checkout: Path):
    house = measure(checkout)
    assert house.retry_loops == 1
    assert house.status_tables == 1


def test_places_are_those_of_the_detector_and_the_service_with_the_fewest(checkout: Path):
    room = checkout / "services" / "leadline" / "model"
    for name in DETECTORS:
        (room / f"of_{name}.py").write_text(f"find_{name} = {name}s = 1\n")
    for name in SERVICES:
        (room / f"to_{name}.py").write_text(f'PEER = "{name}"\n')
    house = measure(checkout)
    assert house.detector_places == 1  # and the stacked one is named in two
    assert house.service_places == 1  # and risk and venue in two
    (room / "of_divergence.py").unlink()
    (room / "to_recorder.py").unlink()
    assert measure(checkout).detector_places == 0
    assert measure(checkout).service_places == 0


def test_it_prints_a_table_or_a_document(checkout: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--root", str(checkout)]) == 0
    assert "words of the glossary                2\n" in capsys.readouterr().out
    assert main(["--root", str(checkout), "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["glossary_words"] == 2


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "example: python -m scripts.house" in capsys.readouterr().out


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path):
    with pytest.raises(SystemExit, match="got no checkout"):
        measure(tmp_path)
