"""An account on the tape that is live, as processes on a real bus and database: the paper venue runs by itself."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from leadline.execution.v1 import execution_pb2 as pb
from leadline.model.subjects import TICKS, tick_subject
from leadline.runtime.database import connect
from leadline.runtime.runs import LIVE_TAPE
from tests.execution.harness.builders import MES, RTH_S, account, ns, strategy
from tests.execution.harness.live import WORD_SECONDS, LiveSource, live_source
from tests.execution.harness.platform import Platform, set_strategy, state_of, with_retries

pytestmark = pytest.mark.integration

AT_S = 600.0
"""The second of the first day at which these tests begin."""

LATE_S = 4.0
"""A bar that comes so long after it was known is late."""

LATENCY_S = 0.5
"""Long enough that prints come sooner."""


@pytest.fixture
def platform(idle_platform: Platform) -> Platform:
    """A platform whose tape is the test's."""
    idle_platform.tape = LIVE_TAPE
    return idle_platform


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


async def enter(source: LiveSource, platform: Platform, stub: Any) -> None:
    """Have the account hold a contract: a machine with much to do may be late for a bar, and then there is another."""
    await state_of(stub, lambda state: state.phase == "running")
    while (await state_of(stub, lambda _: True)).strategies[0].position == 0:
        await platform.publish([source.a_bar()])
        await asyncio.sleep(LATENCY_S + 1)


async def flat(stub: Any) -> None:
    """Wait until the account holds nothing, and see that nothing has halted it."""
    state = await state_of(stub, lambda state: state.strategies[0].position == 0)
    assert list(state.halts) == []


async def reasons(platform: Platform, wanted: str) -> list[tuple[Any, ...]]:
    """Why entries were refused, once there is one of that reason."""
    sql = "SELECT reason, arithmetic FROM decision WHERE NOT accepted ORDER BY instant_ns"
    return await rows(platform, sql, lambda found: any(reason == wanted for reason, _ in found))


async def test_an_account_trades_live_with_the_paper_venue_that_runs_by_itself(platform: Platform, source: LiveSource):
    platform.execution("first", account())
    async with platform.calls() as stub:
        await set_strategy(stub)
        await enter(source, platform, stub)
        state = await state_of(stub, lambda state: state.strategies[0].working_orders == 2)
        assert abs(state.instant_ns - source.now_ns) < 10_000_000_000
        source.price = 20_030
        await flat(stub)
        assert await platform.venue_orders() == ["E", "S1", "T1"]
    filled = """SELECT leg, price, ts_ns - decided_at_ns FROM fill JOIN intent USING (tape, account, client_id)
                ORDER BY ts_ns"""
    entry, target = await rows(platform, filled, lambda found: len(found) == 2)
    assert (entry[:2], target[:2]) == (("E", 20_001), ("T1", 20_025))
    assert entry[2] > LATENCY_S * 1e9


async def test_a_fill_while_execution_is_dead_is_booked_after_its_start(platform: Platform, source: LiveSource):
    process = platform.execution("first", account())
    async with platform.calls() as stub:
        await set_strategy(stub)
        await enter(source, platform, stub)
    process.kill()
    process.wait()
    source.price = 20_030
    await asyncio.sleep(1)
    source.price = 20_000  # whoever comes now sees nothing of it
    await platform.publish([source.a_bar()])
    await asyncio.sleep(LATE_S)
    platform.again("first")
    async with platform.calls() as stub:
        await flat(stub)
        # The bar of that time came too late, and is told all the same.
        assert [reason for reason, _ in await reasons(platform, "late")].count("late") == 1
        await enter(source, platform, stub)
    legs = "SELECT leg FROM intent ORDER BY decided_at_ns, leg"
    assert len(await rows(platform, legs, lambda found: len(found) == 6)) == 6


async def test_a_venue_that_was_dead_matches_what_it_has_missed_and_tells_what_it_cannot(
    platform: Platform, source: LiveSource
):
    platform.execution("first", account())
    async with platform.calls() as stub:
        await set_strategy(stub)
        await enter(source, platform, stub)
        await stop_venue(platform)
        await source.say(20_030)
        platform.again("venue")
        await flat(stub)

        await enter(source, platform, stub)
        await stop_venue(platform)
        await source.say(20_030)  # would have closed the position
        await platform.bus.purge(TICKS, tick_subject(LIVE_TAPE, "cme", MES))
        platform.again("venue")
        state = await state_of(stub, lambda state: len(state.halts) > 0)
        [halt] = state.halts
        assert halt.source == "DIFFERENCE"
        lost = "the paper venue has lost [0-9]+ prints of MESM2025 while 2 orders rested on it"
        assert re.fullmatch(lost, halt.reason)
        assert state.strategies[0].position == 1


async def stop_venue(platform: Platform) -> None:
    process = next(each for each in reversed(platform.processes) if "venue.json" in str(each.args))
    process.kill()
    process.wait()
    await asyncio.sleep(0.5)


async def test_an_account_without_risk_enters_nothing_and_leaves_all_the_same(platform: Platform, source: LiveSource):
    platform.execution("first", account(limits={"maxOpenTrades": 2, "maxPosition": 4}))
    async with platform.calls() as stub:
        await set_strategy(stub)
        await enter(source, platform, stub)
        risk = platform.processes[0]
        risk.send_signal(signal.SIGSTOP)
        await platform.publish([source.a_bar()])
        assert await reasons(platform, "risk_unavailable")
        async with platform.calls(role="cli-trader") as trader:
            await trader.Flatten(pb.FlattenRequest(reason="out"), timeout=5)
        await flat(stub)
        risk.send_signal(signal.SIGCONT)


async def test_a_late_bar_enters_nothing_and_late_prints_move_nothing(platform: Platform, source: LiveSource):
    platform.execution("first", account())
    async with platform.calls() as stub:
        await set_strategy(stub)
        await asyncio.sleep(2 * LATE_S)  # what is known before a strategy joins only warms it up
        await platform.publish([source.a_bar(LATE_S)])
        [(_, arithmetic)] = await reasons(platform, "late")
        assert int(dict(arithmetic)["behind_ns"]) > 3_000_000_000
        await enter(source, platform, stub)
        await source.say(20_030, 19_900, late_ns=5_000_000_000)
        await asyncio.sleep(2 * WORD_SECONDS)
        assert (await state_of(stub, lambda _: True)).strategies[0].position == 1


async def test_a_loss_of_the_day_is_met_at_the_print_that_makes_it_although_the_price_comes_back(
    platform: Platform, source: LiveSource
):
    platform.execution("first", account(limits={"dayLoss": "50"}))
    async with platform.calls() as stub:
        await set_strategy(stub, strategy(bars="ticks:500", bracket=(100, 100), budget=False))
        await enter(source, platform, stub)
        await source.say(19_960, 20_000)  # 51.25 below the entry
        await flat(stub)
    blocked = "SELECT block, trades FROM account_state"
    assert await rows(platform, blocked, lambda found: len(found) == 1) == [("DAY_LOSS", 1)]
    legs = await rows(platform, "SELECT leg, reason FROM intent WHERE leg LIKE 'F%'", lambda found: len(found) == 1)
    assert legs == [("F1", "day_loss")]


async def test_readiness_falls_with_the_venue_and_the_prints_and_comes_back(platform: Platform, source: LiveSource):
    platform.execution("first", account())

    async def ready_is(wanted: bool) -> dict[str, float]:
        ready = "leadline_ready{service=execution}"
        found: dict[str, float] = await with_retries(
            lambda: platform.scrape("first"), lambda measured: measured.get(ready) == wanted
        )
        return found

    async with platform.calls() as stub:
        await set_strategy(stub)
        await ready_is(True)
        venue = platform.processes[1]
        venue.send_signal(signal.SIGSTOP)
        assert (await ready_is(False))["leadline_need_met{need=venue}"] == 0
        venue.send_signal(signal.SIGCONT)
        await ready_is(True)
        source.silent = True
        measured = await ready_is(False)
        assert measured["leadline_need_met{need=prints}"] == 0
        assert measured["leadline_need_met{need=lease}"] == 1
        phase = "leadline_account_phase{account=default/paper,phase=waiting_for_prints}"
        await with_retries(lambda: platform.scrape("first"), lambda measured: measured[phase] == 1)
        source.silent = False
        await ready_is(True)
        await with_retries(lambda: platform.scrape("first"), lambda measured: measured[phase] == 0)


async def test_an_account_is_flat_by_the_clock_and_not_by_a_print(platform: Platform):
    rate, flat_by_s = 4, RTH_S - 300
    async with live_source(platform.bus, flat_by_s - 120, rate) as source:
        begin(platform)
        platform.execution("first", account())
        async with platform.calls() as stub:
            await set_strategy(stub, strategy(bars="ticks:500", entries={"beforeClose": "5m"}))
            await enter(source, platform, stub)
            before = await state_of(stub, lambda _: True)
            assert before.instant_ns < ns(flat_by_s)
            await flat(stub)
        [(leg, decided_ns)] = await rows(
            platform, "SELECT leg, decided_at_ns FROM intent WHERE leg LIKE 'F%'", lambda found: len(found) == 1
        )
        assert (leg, ns(flat_by_s) <= decided_ns < ns(flat_by_s + 5 * rate)) == ("F1", True)
