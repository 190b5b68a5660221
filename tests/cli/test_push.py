"""The programs that a reader may copy push to a running stack: the how-to's, and the example client."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, blocks
from tests.plan.running import ROOT, Up, answer, leadline, wait_for

EXAMPLE = ROOT / "examples" / "grpc_client.py"

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]


def test_the_example_is_short_enough_to_be_read():
    assert len(EXAMPLE.read_text().splitlines()) < 64


def phase(data: Path) -> str:
    (account,) = answer("status", "--data-dir", data)["accounts"]
    return str(account["phase"])


def push_the_next_month(folder: Path, data: Path) -> list[str]:
    """What the how-to's program says, as it stands there, when it sends 2500 prints in two files."""
    (program,) = blocks(DOCS / "how-to" / "push-ticks.md", "python")
    (folder / "push.py").write_text(program.text)
    first_ns = 1_749_562_200_000_000_000
    rows = [f"{first_ns + number // 3 * 10**9},6050.25,1,1\n" for number in range(2500)]
    for name, part in (("a.csv.gz", rows[:1100]), ("b.csv.gz", rows[1100:])):
        with gzip.open(folder / name, "wt") as file:
            file.write("ts_ns,price,size,side\n" + "".join(part))
    command = [sys.executable, "push.py", str(data), "MESU2025", "a.csv.gz", "b.csv.gz"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_pushed_session_goes_through_the_stack_to_its_end(tmp_path):
    data = tmp_path / "data"
    with Up(data, "--feed", "push", "--trade-from", "2025-06-10", "--no-live"):
        assert push_the_next_month(tmp_path, data) == ["goes on from 0", "2500 accepted, {} kept out"]
        assert push_the_next_month(tmp_path, data) == ["goes on from 2500", "0 accepted, {} kept out"]
        done = subprocess.run(
            [sys.executable, str(EXAMPLE), str(data)], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        said = done.stdout.splitlines()
        assert "the tape ended" in said
        assert sum(line.startswith("bar ") for line in said) >= 76  # 78 of 5 minutes, the last ones may stay open
        assert any("IMBALANCE" in line for line in said)
        assert "pushed 60000 prints" in done.stdout
        # Every contract was ended, and with them the run.
        wait_for(lambda: phase(data) == "finished", "the account has reached the end")
    (report,) = answer("report", "--data-dir", data)
    assert int(report["prints"]) == 62_500
    assert report["finished"]
    assert report["failure"] == ""
    assert leadline("status", "--data-dir", data).returncode == 1  # the stack is gone; its book is not
    assert answer("signals", "--data-dir", data)
    # Its days are kept, and are what the stack was pushed.
    kept = answer("data", "record", "--data-dir", data, "--catalog", tmp_path / "catalog")
    days = {(each["contract"], each["day"]): each["prints"] for each in kept["days"]}
    assert (sum(days.values()), kept["left_out"]) == (62_500, {})
    assert days["MESU2025", "2025-06-10"] == 2_500
    assert [each["became"] for each in kept["days"]] == ["written"] * len(days)
