"""A backtest comes to the digest of the running platform: bus, database, paper venue and all processes."""

import asyncio
from collections import Counter
from pathlib import Path

import orjson
import pytest

from leadline.backtest.run import Outcome, run_backtest
from leadline.cli.backtest_inputs import backtest_inputs
from leadline.cli.main import run
from leadline.cli.options import PlanOptions
from leadline.execution.venues.paper.venue import PaperVenue
from leadline.model.ids import LegKind
from leadline.model.orders import OrderType
from tests.system.conftest import FEED
from tests.system.stack_run import MES, Ended, run_stack

pytestmark = pytest.mark.timeout(900)

# From the Friday before the roll of June 2025 to the early close of June 19. Tiers execute ES and MES in turns, entries
# and targets fill in parts, an account loses what a day may lose, and each kind of bar is read.
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
kind: TradingStrategy
metadata: {name: in-parts}
spec:
  instrument: ES
  account: {name: strict}
  bars: 5m
  history: 1
  sizing: {mode: Fixed, size: 30, maxSize: 30, respectDayBudget: false}
  entries: {type: Limit, offsetTicks: 1, validFor: 10m}
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
---
apiVersion: leadline.dev/v1alpha1
kind: TradingAccount
metadata: {name: strict}
spec:
  startingBalance: "900000"
  tiers: []
  limits: {dayLoss: "4000", dayTarget: "30000", maxPosition: 60}
  paper: {fillRule: Pessimistic}
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
def test_sessions_through_a_roll_and_an_early_close_come_to_the_same_digest(tmp_path: Path):
    manifests = tmp_path / "parity.yaml"
    manifests.write_text(MANIFESTS)

    ended = asyncio.run(run_stack(manifests, tmp_path / "data", *ROLL, "--trade-from", FIRST))
    inputs = backtest_inputs(PlanOptions([manifests], ["sim"], trade_from=FIRST, seed=5, sessions=5), None)
    found = run_backtest(inputs.plan.accounts, inputs.plan.strategies, inputs.prints, inputs.first)

    assert found.digest == ended.digest
    trades = [trade for report in ended.reports for trade in report["trades"]]
    assert {"MES", "ES", "MNQ"} <= {trade["contract"].rstrip("0123456789")[:-1] for trade in trades}
    assert {trade["contract"][-5] for trade in trades} == {"M", "U"}
    met_its_day_loss(ended)
    # What the report has no room for. The digest has every fill, so that the platform made the same ones.
    assert {LegKind.ENTRY, LegKind.TARGET} <= limits_in_parts(found)


def met_its_day_loss(ended: Ended) -> None:
    """The account was closed out on more than one day, each time refused more, and was free on the day after."""
    (strict,) = (report for report in ended.reports if report["account"] == "default/strict")
    lost = [trade["exit_ns"] for trade in strict["trades"] if trade["exit_by"] == "day_loss"]
    assert len(lost) > 1
    assert max(trade["entry_ns"] for trade in strict["trades"]) > min(lost)
    assert strict["refused"]["day_loss"] > 0


def limits_in_parts(outcome: Outcome) -> set[LegKind]:
    """The kinds of limit orders that filled by more than one print under the pessimistic rule."""
    found = set()
    for account in outcome.accounts.values():
        assert PaperVenue().section_of(account.book.manifest.spec).fill_rule == "Pessimistic"
        fills = Counter(booked.fill.client_id for booked in account.records.fills.values())
        orders = [account.records.orders[client_id].order for client_id, count in fills.items() if count > 1]
        found |= {order.leg.kind for order in orders if order.type is OrderType.LIMIT}
    return found
