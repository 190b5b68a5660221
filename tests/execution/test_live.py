"""An account on the tape that is live, as processes on a real bus and database: the paper venue runs by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from leadline.local.local_nats import LocalNats
from leadline.local.ports import Ports
from leadline.runtime.database import connect
from leadline.runtime.runs import LIVE_TAPE
from tests.execution.harness.builders import account
from tests.execution.harness.live import LiveSource, live_source
from tests.execution.harness.platform import Platform, set_strategy, state_of, with_retries
from tests.stack import Database, bus_as

pytestmark = pytest.mark.integration

AT_S = 600.0
"""The second of the first day at which these tests begin."""

LATENCY_S = 0.5
"""Long enough that prints come sooner."""


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[list[Platform]]:
    """Platforms whose processes end with the test."""
    found: list[Platform] = []
    yield found
    for platform in found:
        platform.stop()


@pytest.fixture
async def platform(
    tmp_path: Path, ports: Ports, nats_server: LocalNats, database: Database, stopped: list[Platform]
) -> AsyncIterator[Platform]:
    """Risk and the paper venue; the tape is the test's."""
    async with bus_as(nats_server, "ingestion") as bus, bus_as(nats_server, "analysis") as analysis:
        found = Platform(tmp_path, ports, nats_server, database, bus, analysis)
        found.tape = LIVE_TAPE
        stopped.append(found)
        yield found


@pytest.fixture
async def source(platform: Platform) -> AsyncIterator[LiveSource]:
    """A live market of MES at ten minutes after the open."""
    async with live_source(platform.bus, AT_S) as found:
        begin(platform)
        yield found


def begin(platform: Platform) -> None:
    """Start risk and the venue."""
    platform.start("risk", "risk")
    params = {"account": "default/paper", "latency_ns": round(LATENCY_S * 1e9)}
    platform.start("venue", "venue", nats=platform.nats.settings("venue"), params=params)


async def rows(platform: Platform, sql: str, wanted: Callable[[list[Any]], bool]) -> list[tuple[Any, ...]]:
    """Rows of the platform's database, once they are as wanted."""
    connection = await connect(platform.database.settings("execution"), "test")
    try:
        return [tuple(row) for row in await with_retries(lambda: connection.fetch(sql), wanted)]
    finally:
        await connection.close()


async def enter(platform: Platform, source: LiveSource, stub: Any) -> None:
    """Have the account hold a contract: a machine with much to do may be late for a bar, and then there is another."""
    await state_of(stub, lambda state: state.phase == "running")
    while (await state_of(stub, lambda _: True)).strategies[0].position == 0:
        await platform.publish([source.a_bar()])
        await asyncio.sleep(LATENCY_S + 1)


async def test_an_account_trades_live_with_the_paper_venue_that_runs_by_itself(platform: Platform, source: LiveSource):
    platform.execution("first", account())
    async with platform.calls() as stub:
        await set_strategy(stub)
        await enter(platform, source, stub)
        state = await state_of(stub, lambda state: state.strategies[0].working_orders == 2)
        assert abs(state.instant_ns - source.now_ns) < 10_000_000_000
        source.price = 20_030
        await state_of(stub, lambda state: state.strategies[0].position == 0)
        assert await platform.venue_orders() == ["E", "S1", "T1"]
    filled = """SELECT leg, price, ts_ns - decided_at_ns FROM fill JOIN intent USING (tape, account, client_id)
                ORDER BY ts_ns"""
    entry, target = await rows(platform, filled, lambda found: len(found) == 2)
    assert (entry[:2], target[:2]) == (("E", 20_001), ("T1", 20_025))
    assert entry[2] > LATENCY_S * 1e9
