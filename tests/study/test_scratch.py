"""The temporary folder of a study goes with it, and with the next one where its process was killed."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from leadline.study.scratch import remove_left_behind, scratch

HOLD = (
    "import time; from leadline.study.scratch import scratch\nwith scratch() as f: print(f, flush=True); time.sleep(99)"
)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_folder_goes_with_its_block(temporary: Path) -> None:
    with scratch() as folder:
        (folder / "day").write_bytes(b"much")
        assert folder.parent == temporary
    assert list(temporary.iterdir()) == []


def test_a_folder_of_a_killed_process_goes_and_those_of_others_stay(temporary: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with scratch() as own:
            remove_left_behind()
            assert left.exists(), "its process lives"
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            remove_left_behind()
            assert list(temporary.iterdir()) == [own]
