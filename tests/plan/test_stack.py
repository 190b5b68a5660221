"""`leadline up` runs the whole platform for real, and leaves nothing but its data directory behind.

Each test starts NATS, PostgreSQL and seven services as processes, as a user does.
"""

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plan.running import MANIFEST, Up, answer, leadline, nothing_is_left, processes_of

BOOM = '''"""A strategy that gives up."""
class Boom:
    def __init__(self, parameters, instrument):
        if parameters.get("after") == 0:
            raise ValueError("after: 0")
    def warm(self, bar):
        pass
    def on_bar(self, bar):
        raise ValueError("no idea what to do")
'''
MANIFEST_OF_BOOM = """
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: boom}
spec:
  instrument: MES
  bars: 15m
  strategy: {entryPoint: "boom:Boom"}
"""

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The data directory and the answer of a run that nothing happened to."""
    data = tmp_path_factory.mktemp("undisturbed") / "data"
    done = leadline("up", "-f", MANIFEST, "--until-end", "--data-dir", data, "--output", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)  # nothing else on standard output
    return data, found


@contextlib.contextmanager
def pythonpath(folder: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield


def digest_of(data: Path) -> str:
    return str(answer("digest", "--data-dir", data)["digest"])


def test_one_command_goes_from_a_manifest_to_an_audited_book(undisturbed):
    data, found = undisturbed
    (report,) = found["reports"]
    assert report["account"] == "default/paper"
    assert report["finished"]
    assert report["trades"]
    assert report["open_positions"] == []
    assert (data / "report.html").read_text().startswith("<!doctype html>")
    assert nothing_is_left(data)
    # The book can be read without the stack.
    assert digest_of(data) == report["digest"]
    orders = answer("orders", "--limit", "5000", "--data-dir", data)
    assert sum(int(order["filled"]) for order in orders) == 2 * sum(trade["quantity"] for trade in report["trades"])
    assert answer("orders", "--working", "--data-dir", data) == []
    assert answer("positions", "--data-dir", data) == []
    (bar,) = answer("signals", "--last", "1", "--data-dir", data)
    assert bar["proposals"][0]["decision"]["reason"]
    assert {"pattern", "strength", "rejection"} <= bar["signals"][0].keys()
    missing = leadline("orders", "--account", "nobody", "--data-dir", data)
    assert (missing.returncode, missing.stderr.splitlines()[-1]) == (
        2,
        "leadline: unknown account 'default/nobody', known: default/paper",
    )
    assert nothing_is_left(data)


# What stands at the moment of the signal is chance.
REST = {
    "leadline: no position is held and no order works",
    "leadline: nothing of it trades before that",
}


def test_an_interrupted_run_goes_on_to_the_same_end(undisturbed, tmp_path):
    data = tmp_path / "Daten für 行情"
    with Up(data, "--speed", "1000", "--until-end", nohup=True) as up:
        up.process.send_signal(signal.SIGHUP)  # the terminal is closed, and `nohup` said that this ends nothing
        tape = answer("status", "--data-dir", data)["run"]["tape"]
        assert up.process.poll() is None
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(60) == 130
        assert f"leadline: run {tape} is not over: the same command goes on with it\n" in up.said()
        assert up.said().splitlines()[-1] in REST
    done = leadline("up", "-f", MANIFEST, "--until-end", "--data-dir", data, "--output", "json")
    assert json.loads(done.stdout)["tape"] == tape
    assert digest_of(data) == undisturbed[1]["reports"][0]["digest"]


def test_a_stack_is_read_commanded_and_stopped_from_outside(tmp_path):
    data = tmp_path / "data"
    with Up(data, "--speed", "4000") as up:
        second = leadline("up", "-f", MANIFEST, "--data-dir", data)
        assert second.returncode == 1
        assert f"{data} is held by `leadline up` with pid {up.process.pid}" in second.stderr

        status = answer("status", "--data-dir", data)
        assert set(status["health"].values()) == {"serving"}
        assert status["run"]["contracts"] == {"MESM2025": "cme"}
        assert {item["strategy"] for item in answer("positions", "--data-dir", data)} <= {"default/mes-orderflow"}

        venue = processes_of(data)["venue-default-paper"]
        venue.suspend()  # whether execution is in a step that waits for it now or not
        [halted] = answer("halt", "--reason", "a drill", "--data-dir", data)
        assert (halted["account"], int(halted["halt"]["number"]), halted["halt"]["reason"]) == (
            "default/paper",
            1,
            "a drill",
        )
        answer("halt", "--reason", "another", "--data-dir", data)
        shown = answer("status", "--data-dir", data)["accounts"][0]["halts"]
        assert [(int(halt["number"]), halt["source"], halt["reason"]) for halt in shown] == [
            (1, "person", "a drill"),
            (2, "person", "another"),
        ]
        venue.resume()
        execution = processes_of(data)["execution-default-paper"]
        execution.suspend()
        late = leadline("flatten", "--reason", "a drill", "--data-dir", data, "--wait-seconds", "1")
        execution.resume()
        assert late.returncode == 1
        # Whether it was connected already when it froze is chance, and so is which of the two is said.
        assert "execution of default/paper " in late.stderr
        assert "has not answered within 1 s" in late.stderr or "cannot be reached" in late.stderr
        assert "it may still do what was asked" in late.stderr.lower()

        [resumed] = answer("resume", "--reason", "the drill is over", "--data-dir", data)
        assert resumed["by"] == halted["halt"]["by"] != ""
        assert [int(halt["number"]) for halt in resumed["cleared"]] == [1, 2]
        assert answer("status", "--data-dir", data)["accounts"][0]["halts"] == []
        flat = answer("flatten", "--strategy", "mes-orderflow", "--reason", "a drill", "--data-dir", data)
        assert flat[0]["account"] == "default/paper"

        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(60) == 0
        assert nothing_is_left(data)
    gone = leadline("status", "--data-dir", data)
    assert (gone.returncode, gone.stderr) == (
        1,
        f"leadline: nothing runs in {data}: start it with `leadline up`, or give its --data-dir\n",
    )


def test_a_strategy_that_raises_ends_the_run_in_one_sentence(tmp_path):
    data = tmp_path / "data"
    (tmp_path / "boom.py").write_text(BOOM)
    manifest = tmp_path / "boom.yaml"
    manifest.write_text(MANIFEST_OF_BOOM)
    with pythonpath(tmp_path):
        done = leadline("up", "-f", manifest, "--data-dir", data, "--until-end", "--no-live")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "leadline: analysis-default-boom cannot go on: the strategy failed at bar MESM2025/rth/15m-r1/2025-06-10/0: "
        f"ValueError: no idea what to do ({tmp_path}/boom.py, line 9, in on_bar)"
    )
    assert "Traceback" not in done.stderr
    assert nothing_is_left(data)
