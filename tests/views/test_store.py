"""What a stopped run has left, as values: its orders, positions and signals."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from leadline.model.errors import Unknown
from leadline.model.ids import AccountId, RunId
from leadline.views.database import dsn_of
from leadline.views.left_open import AccountLeftOpen
from leadline.views.store import StoppedRun
from leadline.views.values import OrdersWanted
from tests.execution.harness.builders import MES, bar, ns
from tests.execution.harness.desk import Books, Desk
from tests.report.builders import change, recorded
from tests.stack import Database

pytestmark = pytest.mark.integration

ALL = OrdersWanted(500)
PAPER = AccountId("default/paper")
SIGNAL = {
    "pattern": "BUYING_ABSORPTION",
    "direction": "LONG",
    "price": 20_001,
    "strength": "0.7",
    "evidence": {"rows": 2, "at": 1},
    "approved": True,
    "rejection": "",
}


@asynccontextmanager
async def stopped(desks: Database, desk: Desk) -> AsyncIterator[StoppedRun]:
    connection = await asyncpg.connect(dsn_of(desks.settings("reader")))
    try:
        yield StoppedRun(RunId(desk.tape), connection)
    finally:
        await connection.close()


async def test_its_orders_are_those_of_the_book_oldest_first(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder)
    async with stopped(desks, desk) as run:
        found = (await run.orders("paper", ALL)).found[PAPER]
        working = (await run.orders(None, OrdersWanted(500, only_working=True))).found[PAPER]
        newest = (await run.orders(None, OrdersWanted(2, strategy="default/mes"))).found[PAPER]
    assert [
        (each.leg, each.side, each.type, each.filled, each.state, each.price, each.reason) for each in found[:4]
    ] == [
        ("E", "BUY", "MARKET", 2, "FILLED", "", ""),
        ("T1", "SELL", "LIMIT", 2, "FILLED", "5006.25", ""),
        ("S1", "SELL", "STOP", 0, "CANCELLED", "4996.25", "the other leg filled"),
        ("E", "SELL", "MARKET", 1, "FILLED", "", ""),
    ]
    assert [each.average_price for each in found[:4]] == [
        "5000.25",
        "5006.25",
        "",
        "22500.25",
    ]
    assert [each.decided_at_ns for each in found] == sorted(each.decided_at_ns for each in found)
    assert working == []
    assert newest == [each for each in found if each.strategy == "default/mes"][-2:]


async def test_a_name_that_the_run_did_not_have_is_told_with_those_that_it_had(
    desks: Database, books: Books, folder: Path
):
    async with stopped(desks, await recorded(desks, books, folder)) as run:
        with pytest.raises(Unknown, match="unknown account 'default/gold', known: default/paper"):
            await run.orders("gold", ALL)
        with pytest.raises(Unknown, match="unknown strategy 'default/gold', known: default/"):
            await run.signals("gold", 5)


async def test_its_positions_are_at_the_last_prints_that_the_account_has_seen(
    desks: Database, books: Books, folder: Path
):
    desk = await recorded(desks, books, folder)
    async with stopped(desks, desk) as run:
        assert (await run.positions(None)).found == {PAPER: []}
    await change(desks, "UPDATE position SET quantity = 2, lots = $2 WHERE tape = $1 AND contract = $3",
                 desk.tape, [[20_001, 2, "fill"]], MES)  # fmt: skip
    async with stopped(desks, desk) as run:
        (held,) = (await run.positions(PAPER)).found[PAPER]
    assert (held.contract, held.quantity, held.average_price) == (MES, 2, "5000.25")
    assert held.last_price


async def test_its_signals_stand_with_what_was_decided(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder)
    await change(desks, "UPDATE signal SET signals = $2 WHERE tape = $1", desk.tape, [SIGNAL])
    async with stopped(desks, desk) as run:
        found = (await run.signals("mes", 5)).found["default/mes"]
        (last,) = (await run.signals(None, 1)).found["default/mes"]
    assert [each.known_at_ns for each in found] == [ns(600), ns(900)]
    assert (last.bar, last.close) == (bar(900).bar.text(), "5002.00")
    assert last.regime is not None
    assert (last.regime.regime, last.regime.confidence, last.regime.inputs) == ("RANGING", "0.8", {"atr": "4"})
    (only,) = last.signals
    assert (only.pattern, only.direction, only.evidence) == ("BUYING_ABSORPTION", "LONG", {"at": 1, "rows": 2})
    assert (only.price, only.price_ticks) == ("5000.25", 20_001)
    (proposal,) = found[0].proposals
    assert proposal.decision is not None
    assert (proposal.action, proposal.decision.accepted, proposal.decision.side) == ("ENTER", True, "BUY")


async def test_what_it_leaves_open_is_each_position_with_its_exits(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder)
    async with stopped(desks, desk) as run:
        left = await run.left_open()
    assert (left.tape, left.over, left.goes_on) == (desk.tape, True, True)
    assert left.accounts == (AccountLeftOpen(PAPER, (), ()),)
    await change(desks, "UPDATE position SET quantity = 2, lots = $2 WHERE tape = $1 AND contract = $3",
                 desk.tape, [[20_001, 2, "fill"]], MES)  # fmt: skip
    await change(desks, "UPDATE intent SET state = 'WORKING' WHERE tape = $1 AND leg = 'S1' AND contract = $2 "
                 "AND state = 'CANCELLED' AND quantity = 1", desk.tape, MES)  # fmt: skip
    async with stopped(desks, desk) as run:
        (account,) = (await run.left_open()).accounts
    (held,) = account.held
    assert (held.position.quantity, [order.price for order in held.exits], account.others) == (2, ["4996.25"], ())
