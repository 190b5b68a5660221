"""What `leadline backtest --kube --fetch` brings from a Pod: whole, or not at all."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from leadline.cli.backtest_kube import PACK, unpack

FILES = {"about.json": b"{}", "result.json": b"x" * 1_000, "variants/1.json": b"", "zeros": bytes(4_096)}


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """The bytes that the Pod's command sends."""
    for name, content in FILES.items():
        file = tmp_path / "there" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    found = tmp_path / "files.tar"
    with found.open("wb") as into:
        subprocess.run([sys.executable, "-c", PACK, str(tmp_path / "there")], stdout=into, check=True, timeout=60)
    return found


def test_every_file_of_a_folder_comes_over(packed: Path, tmp_path: Path):
    unpack(packed, tmp_path / "here")
    found = (each for each in (tmp_path / "here").rglob("*") if each.is_file())
    assert {str(each.relative_to(tmp_path / "here")): each.read_bytes() for each in found} == FILES


def test_an_archive_that_is_cut_is_refused_wherever_that_is(packed: Path, tmp_path: Path):
    whole = packed.read_bytes()
    with tarfile.open(packed) as archive:
        places = [each.offset for each in archive.getmembers()]
    for place in (*places, places[-1] + 700, len(whole) - 32, len(whole) - 1):
        packed.write_bytes(whole[:place])
        with pytest.raises(EOFError, match="its end is missing"):
            unpack(packed, tmp_path / "here")
    assert not (tmp_path / "here").exists()
