"""A backtest comes to the digest of the running platform: bus, database, paper venue and all processes."""

from pathlib import Path

import orjson
import pytest

from leadline.cli.main import run
from tests.system.conftest import FEED
from tests.system.stack_run import MES, Ended, run_stack

pytestmark = pytest.mark.timeout(900)

# From the Friday before the roll of June 2025 to the early close of June 19. Tiers execute ES and MES in turns, limits
# fill in parts, and each kind of bar is read.
ROLL = ("--feed", "sim", "--sessions", "5", "--seed", "5")
FIRST = "2025-06-13"
MANIFESTS = """
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: by-time}
spec:
  instrument: MES
  bars: 5m
  history: 1
---
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: by-ticks}
spec:
  instrument: MNQ
  account: {name: limits}
  bars: ticks:400
  history: 1
  sizing: {mode: Fixed, size: 1}
  entries: {blocks: [{from: "12:00", to: "13:00"}]}
---
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: by-volume}
spec:
  instrument: ES
  account: {name: limits}
  bars: volume:1500
  history: 1
  sizing: {mode: Fixed, size: 9, maxSize: 9}
  entries: {type: Limit, offsetTicks: 2, validFor: 15m}
---
apiVersion: leadline.dev/v1alpha1
kind: TradingAccount
metadata: {name: paper}
spec: {startingBalance: "3450"}
---
apiVersion: leadline.dev/v1alpha1
kind: TradingAccount
metadata: {name: limits}
spec: {startingBalance: "400000", tiers: [], limits: {dayLoss: "20000"}}
"""


def backtested(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    capsys.readouterr()
    assert run(["backtest", *words, "--output", "json"]) == 0
    document: dict[str, object] = orjson.loads(capsys.readouterr().out)
    return document


def test_a_session_of_the_platform_is_backtested_to_the_same_digest(
    undisturbed: Ended, capsys: pytest.CaptureFixture[str]
):
    assert backtested(capsys, "-f", str(MES), *FEED)["digest"] == undisturbed.digest


@pytest.mark.parity
async def test_sessions_through_a_roll_and_an_early_close_come_to_the_same_digest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    manifests = tmp_path / "parity.yaml"
    manifests.write_text(MANIFESTS)

    ended = await run_stack(manifests, tmp_path / "data", *ROLL, "--trade-from", FIRST)
    found = backtested(capsys, "-f", str(manifests), *ROLL, "--from", FIRST)

    assert found["digest"] == ended.digest
    trades = [trade for report in ended.reports for trade in report["trades"]]
    assert {"MES", "ES", "MNQ"} <= {trade["contract"].rstrip("0123456789")[:-1] for trade in trades}
    assert {trade["contract"][-5] for trade in trades} == {"M", "U"}
