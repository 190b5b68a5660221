"""A backtest comes to the digest of the running platform: bus, database, paper venue and all processes."""

import asyncio
from collections import Counter
from datetime import date
from pathlib import Path

import orjson
import pytest

from leadline.backtest.run import Outcome, run_backtest
from leadline.catalog.catalog import Catalog
from leadline.cli.backtest_inputs import backtest_inputs
from leadline.cli.main import run
from leadline.cli.options import PlanOptions
from leadline.execution.venues.paper.venue import PaperVenue
from leadline.ingestion.simulator import simulate_day
from leadline.model.ids import ContractId, LegKind
from leadline.model.orders import OrderType
from leadline.model.ticks import TickColumns
from tests.catalog.builders import columns
from tests.system.conftest import FEED
from tests.system.stack_run import MES, Ended, run_stack

pytestmark = pytest.mark.timeout(900)

# From the Friday before the roll of June 2025 to the early close of June 19. Tiers of parity.yaml execute ES and MES in
# turns, entries and targets fill in parts, an account loses what a day may lose, and each kind of bar is read.
ROLL = ("--feed", "sim", "--sessions", "5", "--seed", "5")
FIRST, LAST = "2025-06-13", "2025-06-18"
MANIFESTS = Path(__file__).with_name("parity.yaml")
# A minute and a half on a quiet machine.
MINUTES = 10


NIGHTS = """
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: nights}
spec:
  instrument: BTCUSDT
  session: {open: "18:00", close: "06:00", zone: UTC}
  bars: 15m
  history: 2
  strategy: {name: OrderFlow, detectors: {imbalance: {minVolume: 1}, absorption: {minVolume: 1}}}
  sizing: {mode: Fixed, size: 1, respectDayBudget: false}
  bracket: {stopTicks: 50, targetTicks: 80}
---
apiVersion: leadline.dev/v1alpha1
kind: TradingAccount
metadata: {name: paper}
spec: {startingBalance: "100000", currency: USDT, tiers: [], limits: {maxPosition: 5, dayLoss: "50000"}}
"""


def backtested(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    capsys.readouterr()
    assert run(["backtest", *words, "--no-keep", "--output", "json"]) == 0
    document: dict[str, object] = orjson.loads(capsys.readouterr().out)
    return document


def test_a_session_of_the_platform_is_backtested_to_the_same_digest(
    undisturbed: Ended, capsys: pytest.CaptureFixture[str]
):
    assert backtested(capsys, "-f", str(MES), *FEED)["digest"] == undisturbed.digest


@pytest.mark.parity
def test_sessions_through_a_roll_and_an_early_close_come_to_the_same_digest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data, catalog = tmp_path / "data", tmp_path / "catalog"
    ended = asyncio.run(run_stack(MANIFESTS, data, *ROLL, "--trade-from", FIRST, longest=MINUTES * 60))
    inputs = backtest_inputs(PlanOptions([MANIFESTS], ["sim"], trade_from=FIRST, seed=5, sessions=5), None)
    found = run_backtest(inputs.plan.accounts, inputs.plan.strategies, inputs.prints, inputs.first)

    assert found.digest == ended.digest
    trades = [trade for report in ended.reports for trade in report["trades"]]
    assert {"MES", "ES", "MNQ"} <= {trade["contract"].rstrip("0123456789")[:-1] for trade in trades}
    assert {trade["contract"][-5] for trade in trades} == {"M", "U"}
    met_its_day_loss(ended)
    # What the report has no room for. The digest has every fill, so that the platform made the same ones.
    assert {LegKind.ENTRY, LegKind.TARGET} <= limits_in_parts(found)
    # Of the prints that the platform has stored: nobody knows of their last day whether it was cut off at the close.
    assert run(["data", "record", "--data-dir", str(data), "--catalog", str(catalog)]) == 0
    stored = ("--feed", "catalog", "--catalog", str(catalog))
    parts = [backtested(capsys, "-f", str(MANIFESTS), *feed, "--from", FIRST, "--to", LAST) for feed in (ROLL, stored)]
    assert parts[0]["digest"] == parts[1]["digest"]


@pytest.mark.parity
def test_days_of_a_catalog_come_to_the_same_digest_on_the_prints_of_what_is_executed(tmp_path: Path):
    catalog, days = Catalog(tmp_path / "catalog"), [date(2025, 6, day) for day in (11, 12, 13, 16, 17)]
    for month, own in (("M2025", days[:4]), ("U2025", days[2:])):
        for day in own:
            ticks = simulate_day(ContractId(f"MES{month}"), day, 5)
            catalog.write(ContractId(f"MES{month}"), day, ticks)
            time_ns, price, size, aggressor = columns(ticks)
            catalog.write(ContractId(f"ES{month}"), day, TickColumns(time_ns, price, size + 1, aggressor))
    manifest = tmp_path / "tiers.yaml"
    found_in = MANIFESTS.read_text().split("\n---\n")
    by_time, paper = (
        next(each for each in found_in if f"{{name: {name}}}\nspec" in each) for name in ("by-time", "paper")
    )
    manifest.write_text(f"{by_time}\n---\n{paper}".replace("3450", "3600"))

    feed = ("--feed", "catalog", "--catalog", str(catalog.root), "--sessions", "3", "--trade-from", FIRST)
    ended = asyncio.run(run_stack(manifest, tmp_path / "data", *feed))
    planned = PlanOptions([manifest], ["catalog"], trade_from=FIRST, catalog=catalog.root)
    inputs = backtest_inputs(planned, "2025-06-17")
    found = run_backtest(inputs.plan.accounts, inputs.plan.strategies, inputs.prints, inputs.first, inputs.last)

    assert found.digest == ended.digest
    (account,) = found.accounts.values()
    tapes = {(each.order.contract, each.order.tape_contract) for each in account.records.orders.values()}
    assert all(contract == tape for contract, tape in tapes)
    assert {contract[:2] for contract, _ in tapes} == {"ES", "ME"}


@pytest.mark.parity
def test_nights_of_a_market_that_never_closes_come_to_the_same_digest(tmp_path: Path):
    catalog, perpetual = Catalog(tmp_path / "catalog"), ContractId("BTCUSDT")
    for number in range(8, 14):
        day = date(2025, 6, number)
        catalog.write(perpetual, day, simulate_day(perpetual, day, 3))
    manifest = tmp_path / "nights.yaml"
    manifest.write_text(NIGHTS)

    feed = ("--feed", "catalog", "--catalog", str(catalog.root), "--sessions", "3", "--trade-from", "2025-06-10")
    ended = asyncio.run(run_stack(manifest, tmp_path / "data", *feed))
    planned = PlanOptions([manifest], ["catalog"], trade_from="2025-06-10", catalog=catalog.root)
    inputs = backtest_inputs(planned, "2025-06-12")
    found = run_backtest(inputs.plan.accounts, inputs.plan.strategies, inputs.prints, inputs.first, inputs.last)

    assert found.digest == ended.digest
    (account,) = found.accounts.values()
    assert len(account.records.fills) > 10


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
