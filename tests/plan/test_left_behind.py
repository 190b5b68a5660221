"""A strategy or an account that is taken out of the manifests of a run that goes on is left in good order."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from leadline.ingestion.simulator import simulate_day
from leadline.model.contracts import instrument_of
from tests.execution.harness.builders import OPEN_NS
from tests.plan.running import answer, leadline, nothing_is_left

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(500)]

PATIENCE_SECONDS = 180.0
STRATEGY = """
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {{name: {name}}}
spec:
  instrument: {contract}
  session: {{name: globex}}
  bars: ticks:250
  history: 0
  account: {{name: {account}}}
  sizing: {{mode: Fixed, size: 1}}
  bracket: {{stopTicks: 400, targetTicks: 400}}
  strategy:
    name: OrderFlow
    router: {{minStrength: "0", minConfidence: "0"}}
"""
ACCOUNT = """
apiVersion: leadline.dev/v1alpha1
kind: TradingAccount
metadata: {{name: {name}}}
spec:
  startingBalance: "25000"
  tiers: []
  limits: {{maxOpenTrades: 4, maxPosition: 8, dayLoss: "10000", dayTarget: "10000"}}
"""


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A day of two contracts as files, from the open of the regular session on, and the options that name them."""
    folder = tmp_path_factory.mktemp("feed")
    options = []
    for contract in ("MESM2025", "NQM2025"):
        ticks, tick = simulate_day(contract, date(2025, 6, 10), 1), instrument_of(contract).tick
        columns = (ticks.time_ns.tolist(), ticks.price.tolist(), ticks.size.tolist(), ticks.aggressor.tolist())
        rows = [
            f"{at},{Decimal(price) * tick},{size},{side}"
            for at, price, size, side in zip(*columns, strict=True)
            if at >= OPEN_NS
        ]
        (folder / f"{contract}.csv").write_text("\n".join(["ts_ns,price,size,side", *rows]) + "\n")
        options += ["--feed", f"{contract}={folder / contract}.csv"]
    return options


def manifests(path: Path, *texts: str) -> Path:
    path.write_text("---".join(texts))
    return path


def until(condition: Callable[[], Any], what: str) -> None:
    """Return as soon as the condition holds: other processes have no event to wait for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:g} s: {what}"
        time.sleep(0.1)


@contextmanager
def running(manifest: Path, data: Path, options: list[str]) -> Iterator[None]:
    """`leadline up` in the background, stopped in order at the end."""
    log = data.with_suffix(".log").open("wb")
    command = [sys.executable, "-m", "leadline.cli.main", "up", "-f", str(manifest), "--data-dir", str(data), *options]
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        until(lambda: (data / "stack.json").exists() or process.poll() is not None, "the stack is up")
        assert process.poll() is None, data.with_suffix(".log").read_text()
        yield
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGINT)
        process.wait(60)
        log.close()


def test_a_strategy_that_is_taken_out_leaves_and_its_position_goes_to_its_exit(feed: list[str], tmp_path: Path):
    mes, nq = (STRATEGY.format(name=n, contract=c, account="both") for n, c in (("mes", "MESM2025"), ("nq", "NQM2025")))
    account, data = ACCOUNT.format(name="both"), tmp_path / "data"
    with running(manifests(tmp_path / "before.yaml", mes, nq, account), data, [*feed, "--speed", "300"]):
        until(
            lambda: [held for held in answer("positions", "--data-dir", data) if held["strategy"] == "default/mes"],
            "default/mes holds a position",
        )
    after = manifests(tmp_path / "after.yaml", nq, account)
    done = leadline("up", "-f", after, *feed, "--until-end", "--data-dir", data, "--output", "json", timeout=200)
    assert done.returncode == 0, done.stderr
    assert "default/mes is not in the manifests any more: it enters nothing and leaves default/both" in done.stderr
    (report,) = json.loads(done.stdout)["reports"]
    assert report["finished"]
    assert report["open_positions"] == []
    assert [trade["exit"] for trade in report["trades"] if trade["strategy"] == "default/mes"] != []


def test_an_account_that_is_taken_out_is_refused_by_name(feed: list[str], tmp_path: Path):
    mes = STRATEGY.format(name="mes", contract="MESM2025", account="one")
    nq = STRATEGY.format(name="nq", contract="NQM2025", account="two")
    one, two = ACCOUNT.format(name="one"), ACCOUNT.format(name="two")
    data = tmp_path / "data"
    with running(manifests(tmp_path / "before.yaml", mes, nq, one, two), data, [*feed, "--speed", "60"]):
        pass
    after = manifests(tmp_path / "after.yaml", mes, one)
    refused = leadline("up", "-f", after, *feed, "--until-end", "--data-dir", data)
    assert refused.returncode == 1
    assert "which goes on, has the account default/two, and the manifests have not: give it back" in refused.stderr
    assert nothing_is_left(data)
