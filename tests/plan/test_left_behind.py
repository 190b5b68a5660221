"""A strategy or an account that is taken out of the manifests of a run that goes on is left in good order."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from leadline.ingestion.simulator import simulate_day
from leadline.model.ids import ContractId
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import NS_PER_MINUTE
from tests.execution.harness.builders import RTH_S, ns
from tests.plan.running import answer, leadline, nothing_is_left, processes_of

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(500)]

PATIENCE_SECONDS = 180.0
CLOSE_NS = ns(RTH_S)
STRATEGY = """
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {{name: {name}}}
spec:
  instrument: {contract}
  session: {{name: rth}}
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
MES = STRATEGY.format(name="mes", contract="MESM2025", account="both")
NQ = STRATEGY.format(name="nq", contract="NQM2025", account="both")
OTHER = STRATEGY.format(name="other", contract="MESM2025", account="two")
BOTH, TWO = ACCOUNT.format(name="both"), ACCOUNT.format(name="two")


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The end of a day of two contracts as files, and the options that name them.

    It begins two hours before the regular session closes and ends ten minutes after: enough for a position and an exit.
    """
    folder = tmp_path_factory.mktemp("feed")
    options = []
    for contract in map(ContractId, ("MESM2025", "NQM2025")):
        ticks, tick = simulate_day(contract, date(2025, 6, 10), 1), instrument_of(contract).tick
        columns = (ticks.time_ns.tolist(), ticks.price.tolist(), ticks.size.tolist(), ticks.aggressor.tolist())
        rows = [
            f"{at},{Decimal(price) * tick},{size},{side}"
            for at, price, size, side in zip(*columns, strict=True)
            if CLOSE_NS - 120 * NS_PER_MINUTE <= at < CLOSE_NS + 10 * NS_PER_MINUTE
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


@pytest.fixture(scope="module")
def left(feed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a run whose supervisor was killed while `default/mes` held a position."""
    folder = tmp_path_factory.mktemp("left")
    data, log = folder / "data", folder / "log"
    before = manifests(folder / "before.yaml", MES, NQ, OTHER, BOTH, TWO)
    command = [sys.executable, "-m", "leadline.cli.main", "up", "-f", str(before), "--data-dir", str(data)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *feed, "--speed", "300"], stdout=output, stderr=output, start_new_session=True
        )
    try:
        until(lambda: (data / "stack.json").exists() or process.poll() is not None, "the stack is up")
        assert process.poll() is None, log.read_text()
        until(
            lambda: [held for held in answer("positions", "--data-dir", data) if held["strategy"] == "default/mes"],
            "default/mes holds a position",
        )
        assert len(processes_of(data)) > 8
    finally:
        process.kill()
        process.wait(60)
    return data


def test_a_killed_supervisor_takes_everything_with_it(left: Path):
    until(lambda: not processes_of(left), "nothing runs any more")


def test_an_account_that_is_taken_out_is_refused_by_name(left: Path, feed: list[str], tmp_path: Path):
    after = manifests(tmp_path / "after.yaml", MES, NQ, BOTH)
    refused = leadline("up", "-f", after, *feed, "--until-end", "--data-dir", left)
    assert refused.returncode == 1
    assert "which goes on, has the account default/two, and the manifests have not: give it back" in refused.stderr
    assert nothing_is_left(left)


def test_a_strategy_that_is_taken_out_leaves_and_its_position_goes_to_its_exit(
    left: Path, feed: list[str], tmp_path: Path
):
    after = manifests(tmp_path / "after.yaml", NQ, OTHER, BOTH, TWO)
    done = leadline("up", "-f", after, *feed, "--until-end", "--data-dir", left, "--output", "json", timeout=200)
    assert done.returncode == 0, done.stderr
    assert "default/mes is not in the manifests any more: it enters nothing and leaves default/both" in done.stderr
    reports = json.loads(done.stdout)["reports"]
    assert [(report["account"], report["finished"], report["open_positions"]) for report in reports] == [
        ("default/both", True, []),
        ("default/two", True, []),
    ]
    trades = [trade for trade in reports[0]["trades"] if trade["strategy"] == "default/mes"]
    assert [trade["exit_by"] for trade in trades] == ["flat_by"]
