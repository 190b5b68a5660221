"""An account on the live tape whose venue loses an order or is given one: what differs is found in seconds."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from leadline.execution.core.goals import OVERDUE_SECONDS
from leadline.execution.v1 import execution_pb2 as ex
from leadline.venue.v1 import venue_pb2 as pb
from tests.execution.harness.builders import account
from tests.execution.harness.live import LiveSource
from tests.execution.harness.platform import Platform, set_strategy, state_of
from tests.execution.test_live import LATENCY_S, platform, source
from tests.venue.misbehaving import LOST_CALL, Fault, MisbehavingVenue, answered, misbehaving

__all__ = ["platform", "source"]

pytestmark = pytest.mark.integration

SECONDS = 15.0
"""Comparisons are five seconds apart; a machine on which other tests run takes longer."""


@pytest.fixture
async def between(
    platform: Platform,
    source: LiveSource,
) -> AsyncIterator[MisbehavingVenue]:
    """A way to the venue on which a test makes things go wrong."""
    async with misbehaving(platform.addresses["venue"]) as found:
        yield found


async def holds_a_contract(platform: Platform, source: LiveSource, stub: Any) -> None:
    await state_of(stub, lambda state: state.phase == "running")
    while (await state_of(stub, lambda _: True)).strategies[0].working_orders < 2:
        await platform.publish([source.a_bar()])
        await asyncio.sleep(LATENCY_S + 1)


async def test_a_stop_that_the_venue_has_forgotten_is_missed_and_the_position_closed(
    platform: Platform, source: LiveSource, between: MisbehavingVenue
):
    platform.execution("first", account(), f"127.0.0.1:{between.port}")
    async with platform.calls() as stub:
        await set_strategy(stub)
        await holds_a_contract(platform, source, stub)
        await asyncio.sleep(6)  # compared at least once, and nothing is found
        assert list((await state_of(stub, lambda _: True)).halts) == []

        def forgets(reply: pb.ListOrdersResponse) -> None:
            kept = [order for order in reply.orders if order.leg != "S1"]
            del reply.orders[:]
            reply.orders.extend(kept)

        between.always("ListOrders", answered(forgets))
        began = asyncio.get_running_loop().time()
        state = await state_of(stub, lambda state: state.strategies[0].position == 0 and state.halts)
        assert asyncio.get_running_loop().time() - began < SECONDS
        assert any("is absent at the venue" in halt.reason for halt in state.halts)
        assert {halt.source for halt in state.halts} == {"DIFFERENCE"}
    assert "F1" in await platform.venue_orders()


async def test_a_position_that_does_not_leave_is_told_after_ten_seconds(
    platform: Platform, source: LiveSource, between: MisbehavingVenue
):
    platform.execution("first", account(), f"127.0.0.1:{between.port}")
    async with platform.calls() as stub:
        await set_strategy(stub)
        await holds_a_contract(platform, source, stub)
        between.always("SubmitOrder", replace(LOST_CALL, only=lambda request: request.order.leg.startswith("F")))
        await stub.Flatten(ex.FlattenRequest(reason="drill"), timeout=5)
        began = asyncio.get_running_loop().time()
        state = await state_of(stub, lambda state: "the account is to be flat: drill" in state.lacking)
        assert asyncio.get_running_loop().time() - began > OVERDUE_SECONDS - 1
        assert state.strategies[0].position == 1
        between.always("SubmitOrder", Fault())
        await state_of(stub, lambda state: state.strategies[0].position == 0 and not state.lacking)
