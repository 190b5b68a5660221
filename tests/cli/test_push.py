"""The example client feeds a running stack and watches what it makes of the prints."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.plan.running import ROOT, Up, answer, leadline, wait_for

EXAMPLE = ROOT / "examples" / "grpc_client.py"

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]


def test_the_example_is_short_enough_to_be_read():
    assert len(EXAMPLE.read_text().splitlines()) < 60


def phase(data: Path) -> str:
    (account,) = answer("status", "--data-dir", data)["accounts"]
    return str(account["phase"])


def test_a_pushed_session_goes_through_the_stack_to_its_end(tmp_path):
    data = tmp_path / "data"
    with Up(data, "--feed", "push", "--trade-from", "2025-06-10", "--no-live"):
        done = subprocess.run(
            [sys.executable, str(EXAMPLE), str(data)], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        said = done.stdout.splitlines()
        assert "the tape ended" in said
        assert sum(line.startswith("bar ") for line in said) >= 76  # 78 of 5 minutes, the last ones may stay open
        assert any("IMBALANCE" in line for line in said)
        assert "pushed 60000 prints" in done.stdout
        # Closing the stream ended the tape, and with it the run.
        wait_for(lambda: phase(data) == "finished", "the account has reached the end")
    (report,) = answer("report", "--data-dir", data)
    assert int(report["ticks"]) == 60_000
    assert report["finished"]
    assert leadline("signals", "--data-dir", data).returncode == 1  # the stack is gone; its book is not
