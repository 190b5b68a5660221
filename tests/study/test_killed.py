"""A sweep that is killed in its midst: no process stays behind, and the same command goes on to the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.study.builders import EXAMPLE

LEADLINE = str(Path(sys.executable).with_name("leadline"))
PATIENCE_SECONDS = 60.0


def command(folder: Path) -> list[str]:
    fields = ("strategy.spec.strategy.router.minStrength=0.4,0.6", "account.spec.paper.slippageTicks=0..1/1")
    words = [LEADLINE, "study", "sweep", "-f", str(EXAMPLE), "--workers", "2", "--folder", str(folder)]
    return [*words, *(word for field in fields for word in ("--set", field))]


def rows(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*/variants/0*.json")}


@pytest.mark.parametrize("kept", [0, 1])
def test_a_killed_sweep_leaves_no_process_and_goes_on(tmp_path: Path, kept: int) -> None:
    sweep = subprocess.Popen(command(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children: list[psutil.Process] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(children) < 2 or len(rows(tmp_path)) < kept:
        assert sweep.poll() is None
        assert time.monotonic() < deadline
        children = psutil.Process(sweep.pid).children(recursive=True)
        time.sleep(0.05)
    os.kill(sweep.pid, signal.SIGKILL)
    sweep.wait()
    _, alive = psutil.wait_procs(children, timeout=PATIENCE_SECONDS)
    assert alive == []
    before = rows(tmp_path)

    subprocess.run(command(tmp_path), stdout=subprocess.DEVNULL, check=True)
    after = rows(tmp_path)
    assert len(after) == 4
    assert before.items() <= after.items()
