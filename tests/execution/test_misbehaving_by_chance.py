"""An account at a venue that misbehaves by chance: nothing is sent twice, no fill is lost, and no process ends."""

from typing import Any

import pytest

from leadline.runtime.database import connect
from leadline.venue.v1 import venue_pb2 as pb
from tests.execution.harness.builders import MES, SHORT, account, bar, ns, says
from tests.execution.harness.platform import Platform, set_strategy, state_of
from tests.execution.test_processes import between, platform
from tests.venue.misbehaving import (
    FAILS_AFTER,
    LOST_ANSWER,
    LOST_CALL,
    STALE,
    Chances,
    MisbehavingVenue,
    of_leg,
    repeated,
    slow,
    told_twice,
)

__all__ = ["between", "platform"]

pytestmark = pytest.mark.integration

ODDS = {
    "SubmitOrder": [(0.2, LOST_ANSWER), (0.2, LOST_CALL), (0.1, FAILS_AFTER), (0.2, slow(0.2))],
    "CancelOrder": [(0.3, LOST_ANSWER), (0.3, LOST_CALL)],
    "AdvanceTo": [(0.1, LOST_ANSWER), (0.1, LOST_CALL), (0.2, told_twice()), (0.1, repeated()), (0.1, slow(0.1))],
    "ListOrders": [(0.2, LOST_ANSWER), (0.1, STALE)],
    "ListPositions": [(0.2, LOST_ANSWER)],
}


async def rows(platform: Platform, sql: str) -> list[tuple[Any, ...]]:
    connection = await connect(platform.database.settings("execution"), "test")
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


@pytest.mark.parametrize("seed", [1])
async def test_no_order_is_doubled_and_no_fill_lost(platform: Platform, between: MisbehavingVenue, seed: int):
    process = platform.execution("first", account(), f"127.0.0.1:{between.port}")
    async with platform.calls() as stub:
        await set_strategy(stub)
        chances = Chances(seed, ODDS)
        between.by_chance(chances)
        *said, end = says([bar(600), bar(750), bar(1000), bar(1200, SHORT)], end=1500)
        await platform.publish([*said, end])
        state = await state_of(stub, lambda state: state.phase == "finished")
        between.by_chance(None)
    assert process.poll() is None
    assert chances.came > 3
    found = await between.act("ListFills", pb.ListFillsRequest())
    at_venue = sorted((fill.fill_id, fill.quantity, fill.price) for fill in found.fills)
    booked = await rows(platform, "SELECT fill_id, quantity, price FROM fill ORDER BY fill_id")
    assert booked == at_venue
    held = {
        each.contract: each.quantity
        for each in (await between.act("ListPositions", pb.ListPositionsRequest())).positions
    }
    assert held == ({MES: state.strategies[0].position} if state.strategies[0].position else {})
    orders = await between.act("ListOrders", pb.ListOrdersRequest())
    entries = await rows(platform, "SELECT count(*) FROM decision WHERE accepted")
    assert sum(order.leg == "E" for order in orders.orders) <= entries[0][0]


async def test_each_entry_s_answer_is_lost_and_no_other_s(platform: Platform, between: MisbehavingVenue):
    platform.execution("first", account(), f"127.0.0.1:{between.port}")
    between.always("SubmitOrder", of_leg("E", LOST_ANSWER))
    async with platform.calls() as stub:
        await set_strategy(stub)
        said, end = says([bar(600)], end=1500)
        await platform.publish([said, end_at(end, 700)])
        await state_of(stub, lambda state: state.strategies[0].working_orders == 2)
        await platform.publish([end])
        state = await state_of(stub, lambda state: state.phase == "finished")
    assert (list(state.halts), state.strategies[0].position) == ([], 0)
    assert await platform.venue_orders() == ["E", "S1", "T1"]


async def test_a_stop_that_the_venue_takes_out_by_itself_is_missed_at_once(
    platform: Platform, between: MisbehavingVenue
):
    platform.execution("first", account(), f"127.0.0.1:{between.port}")
    async with platform.calls() as stub:
        await set_strategy(stub)
        said, end = says([bar(600)], end=700)
        await platform.publish([said, end_at(end, 700)])
        await state_of(stub, lambda state: state.strategies[0].working_orders == 2)
        await between.close_order("S1")
        await platform.publish([end_at(end, 701)])  # before a print that could fill the target
        state = await state_of(stub, lambda state: state.halts)
        assert any("behind stops for 0" in halt.reason for halt in state.halts)
        await platform.publish([end])
        await state_of(stub, lambda state: state.strategies[0].position == 0)
    assert "F1" in await platform.venue_orders()


def end_at(end: Any, seconds: float) -> Any:
    """The promise that nothing more is said before a second, which is not the end."""
    return type(end)(end.tape, end.account, end.strategy, end.analysis_hash, ns(seconds), False, None)
