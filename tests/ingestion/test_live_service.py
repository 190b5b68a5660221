"""The tape `live` on a real bus and a real database: it goes on where it was, whatever its sources do."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest

from leadline.ingestion.live.adapters.pushed import PushSource
from leadline.ingestion.simulator import simulate_day
from leadline.ingestion.v1 import ingestion_pb2 as pb
from leadline.local.local_nats import LocalNats
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId, RunId
from leadline.model.market.calendars import calendar
from leadline.model.subjects import TICKS, tick_subject
from leadline.model.ticks import NS_PER_MINUTE, NS_PER_SECOND, TickBatch, TickColumns, concat
from leadline.model.v1 import model_pb2
from leadline.model.wire.ticks import decode_tick_batch
from leadline.recorder.store import Store as Recorded
from leadline.runtime.clock import wall_ns
from leadline.runtime.runs import LIVE_TAPE, Run, announced_runs
from leadline.schema.permissions import MIGRATE_USER
from tests.ingestion.builders import rows_of
from tests.ingestion.running import Place, client
from tests.stack import Database, OlderStore, bus_as, pool_as

pytestmark = pytest.mark.integration

BTC = ContractId("BTCUSDT")  # its market never closes


@pytest.fixture
def place(nats_server: LocalNats, database: Database, tmp_path: Path) -> Place:
    return Place(nats_server, database, tmp_path)


def simulated(rate: int = 600, **more: Any) -> dict[str, Any]:
    feed = {"kind": "sim", "mode": "live", "shift": "session", "clock_rate": rate}
    return {"feed": feed, "instruments": ["MES"], "history": 0, "wait_for": 0, **more}


def pushed(**feed: Any) -> dict[str, Any]:
    return {"feed": {"kind": "push", "mode": "live", **feed}, "instruments": [BTC], "history": 0, "wait_for": 0}


async def announced(place: Place) -> Run:
    async with bus_as(place.nats, "supervisor") as bus:
        return await asyncio.wait_for(anext(announced_runs(bus)), 10)


async def said(place: Place, contract: ContractId, venue: str) -> list[TickBatch]:
    """All messages of a contract so far."""
    subject, found = tick_subject(RunId(LIVE_TAPE), venue, contract), list[TickBatch]()
    async with asyncio.timeout(30), bus_as(place.nats, "aggregation") as bus:
        last = await bus.last(TICKS, subject)
        if last is None:
            return []
        async with aclosing(bus.ordered(TICKS, subject)) as messages:
            async for message in messages:
                found.append(decode_tick_batch(message.payload))
                if message.sequence >= last.sequence:
                    return found
    raise AssertionError("the stream ended")


async def has_come_to(place: Place, contract: ContractId, venue: str, watermark_ns: int) -> list[TickBatch]:
    async with asyncio.timeout(60):
        while True:
            batches = await said(place, contract, venue)
            if batches and batches[-1].watermark_ns >= watermark_ns:
                return batches
            await asyncio.sleep(0.2)


def prints_of(batches: Sequence[TickBatch]) -> TickColumns:
    return concat(batch.ticks for batch in batches)


def assert_promises_hold(batches: Sequence[TickBatch]) -> None:
    for before, after in pairwise(batches):
        assert after.watermark_ns >= before.watermark_ns
        if len(after.ticks) and not after.late:
            assert int(after.ticks.time_ns[0]) >= before.watermark_ns


async def test_a_simulated_market_goes_on_after_a_restart_as_if_there_had_been_none(place: Place) -> None:
    async with place.ingestion(simulated()):
        run = await announced(place)
        (contract,) = run.contracts
        opens_ns = run.now_ns(run.clock_since_ns)
        await has_come_to(place, contract, "cme", opens_ns + NS_PER_MINUTE)
    async with place.ingestion(simulated()) as context:
        assert (await announced(place)).clock_since_ns == run.clock_since_ns
        batches = await has_come_to(place, contract, "cme", opens_ns + 30 * NS_PER_MINUTE)
        async with client(context, "cli-viewer") as stub:
            status = await stub.GetFeedStatus(pb.GetFeedStatusRequest())
    day = calendar("cme").trading_day(opens_ns)
    made = simulate_day(contract, day, 1)
    reached = int(made.time_ns.searchsorted(batches[-1].watermark_ns, side="right"))
    assert rows_of(prints_of(batches)) == rows_of(made.slice(0, reached))
    assert_promises_hold(batches)
    assert not [batch for batch in batches if batch.late or batch.gap_from_ns or batch.final]
    assert run.live
    assert (run.trade_from, run.sessions) == (day, (day,))
    assert [(source.name, source.state) for source in status.sources] == [("sim", "connected")]
    assert abs(status.now_ns - run.now_ns(wall_ns())) < 600 * 60 * NS_PER_SECOND


async def test_a_tape_whose_stream_has_lost_all_goes_on_behind_the_last_print_that_is_stored(place: Place) -> None:
    async with place.ingestion(simulated()):
        (contract,) = (run := await announced(place)).contracts
        opens_ns = run.now_ns(run.clock_since_ns)
        before = await has_come_to(place, contract, "cme", opens_ns)
    stored = prints_of(before).slice(0, 500)
    async with pool_as(place.database, "recorder") as pool:
        batch = TickBatch(RunId(LIVE_TAPE), "cme", contract, stored, int(stored.time_ns[-1]))
        await Recorded(pool).write_ticks([batch])
    async with bus_as(place.nats, MIGRATE_USER) as bus:
        await bus.purge(TICKS, tick_subject(RunId(LIVE_TAPE), "cme", contract))
    async with place.ingestion(simulated()):
        after = await has_come_to(place, contract, "cme", opens_ns)
    again = prints_of(after)
    assert again.first_index == stored.last_index + 1
    whole = prints_of(before)
    assert rows_of(again.slice(0, 1000)) == rows_of(whole.slice(500, 1500))


async def test_prints_of_a_simulated_market_that_the_bus_has_lost_are_said_again(place: Place, tmp_path: Path) -> None:
    async with place.ingestion(simulated()):
        run = await announced(place)
        (contract,) = run.contracts
        opens_ns = run.now_ns(run.clock_since_ns)
        await has_come_to(place, contract, "cme", opens_ns)
        older = OlderStore(place.nats, tmp_path / "kept")
        reached = (await has_come_to(place, contract, "cme", opens_ns + 20 * NS_PER_MINUTE))[-1].watermark_ns
        older.put_back()
        batches = await has_come_to(place, contract, "cme", reached + 10 * NS_PER_MINUTE)
    made = simulate_day(contract, calendar("cme").trading_day(opens_ns), 1)
    until = int(made.time_ns.searchsorted(batches[-1].watermark_ns, side="right"))
    assert rows_of(prints_of(batches)) == rows_of(made.slice(0, until))
    assert_promises_hold(batches)


async def test_a_client_pushes_again_what_the_bus_has_lost(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PushSource, "patience_s", 0.3)
    async with place.ingestion(pushed()) as context, client(context) as stub:
        await stub.PublishTicks(stream(batch(0, wall_ns())))
        older = OlderStore(place.nats, tmp_path / "kept")
        lost_ns = wall_ns()
        await stub.PublishTicks(stream(batch(1, lost_ns)))
        older.put_back()
        await until_asked_for(stub, 1)
        answer = await stub.PublishTicks(stream(batch(1, lost_ns), batch(2, wall_ns())))
        batches = await said(place, BTC, "binance")
    assert answer.accepted == 2
    assert prints_of(batches).first_index == 0
    assert len(prints_of(batches)) == 3


async def test_the_tape_goes_on_with_no_other_source(place: Place) -> None:
    async with place.ingestion(simulated()):
        await announced(place)
    other = simulated()
    other["feed"]["seed"] = 2
    with pytest.raises(InvalidInput, match="--seed"):
        async with place.ingestion(other):
            pass


async def test_contracts_of_one_tape_have_sources_of_their_own(place: Place) -> None:
    params = pushed(kind="sim", kinds={BTC: "push"})
    params["instruments"] = ["MES", BTC]
    async with place.ingestion(params) as context, client(context) as stub:
        status = await until_pushed(stub)
        answer = await stub.PublishTicks(stream(batch(0, wall_ns())))
    assert answer.accepted == 1
    assert {source.name: list(source.contracts) for source in status.sources}["push"] == [BTC]


async def until_late(stub: Any) -> pb.GetFeedStatusResponse:
    """The status that tells of a late print."""
    async with asyncio.timeout(30):
        while True:
            found: pb.GetFeedStatusResponse = await stub.GetFeedStatus(pb.GetFeedStatusRequest())
            if found.contracts[0].late:
                return found
            await asyncio.sleep(0.05)


async def until_asked_for(stub: Any, next_index: int) -> None:
    """Return when the sender is to go on from that number."""
    async with asyncio.timeout(30):
        while True:
            found = await stub.GetFeedStatus(pb.GetFeedStatusRequest())
            if found.pushed[0].next_index == next_index:
                return
            await asyncio.sleep(0.1)


async def until_pushed(stub: Any) -> pb.GetFeedStatusResponse:
    """The status when all sources are told of."""
    async with asyncio.timeout(30):
        while True:
            found: pb.GetFeedStatusResponse = await stub.GetFeedStatus(pb.GetFeedStatusRequest())
            if len(found.sources) > 1:
                return found
            await asyncio.sleep(0.05)


def batch(index: int, *times_ns: int, watermark_ns: int = 0, price: int = 1_000_000) -> pb.PublishTicksRequest:
    ones = [1] * len(times_ns)
    ticks = model_pb2.TickBatch(
        contract=BTC,
        time_ns=list(times_ns),
        watermark_ns=watermark_ns,
        price=[price] * len(times_ns),
        size=ones,
        aggressor=ones,
    )
    return pb.PublishTicksRequest(first_index=index, batch=ticks)


async def stream(*requests: pb.PublishTicksRequest) -> AsyncIterator[pb.PublishTicksRequest]:
    for request in requests:
        yield request


async def until_states(context: Any, *states: str) -> pb.GetFeedStatusResponse:
    """The status in which the sources have these states."""
    async with client(context, "cli-viewer") as stub, asyncio.timeout(30):
        while True:
            found = await stub.GetFeedStatus(pb.GetFeedStatusRequest())
            if sorted(each.state for each in found.sources) == sorted(states):
                return found
            await asyncio.sleep(0.05)


@pytest.mark.moves("leadline_feed_source_state", "leadline_feed_reconnects_total")
async def test_pushed_prints_go_out_at_once_and_a_silent_client_is_promised_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PushSource, "patience_s", 0.3)
    hold = asyncio.Event()

    async def client_stays() -> AsyncIterator[pb.PublishTicksRequest]:
        now_ns = wall_ns()
        yield batch(0, now_ns - 2_000_000, now_ns)
        await hold.wait()

    async with place.ingestion(pushed()) as context, client(context) as stub:
        pushing = asyncio.ensure_future(stub.PublishTicks(client_stays()))
        began_ns = wall_ns()
        batches = await has_come_to(place, BTC, "binance", began_ns + 2 * NS_PER_SECOND)
        await until_states(context, "connected")
        hold.set()
        answer = await pushing
        await until_states(context, "gap")
    assert answer.accepted == 2
    marks = [each.watermark_ns for each in batches if each.watermark_ns > began_ns + NS_PER_SECOND // 2]
    assert max(after - before for before, after in pairwise(marks)) < NS_PER_SECOND
    assert_promises_hold(batches)
    # The tape began in the midst of the day.
    assert batches[0].gap_from_ns > 0


@pytest.mark.moves("leadline_feed_gaps_total", "leadline_ticks_late_total")
async def test_late_prints_and_lost_ones_are_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PushSource, "patience_s", 0.3)
    async with place.ingestion(pushed()) as context, client(context) as stub:
        now_ns = wall_ns()
        await stub.PublishTicks(stream(batch(0, now_ns), batch(1, now_ns - 10_000_000), batch(5, wall_ns() + 1)))
        status = await until_late(stub)
        batches = await said(place, BTC, "binance")
    late = [each for each in batches if each.late]
    assert [each.ticks.time_ns.tolist() for each in late] == [[now_ns - 10_000_000]]
    assert late[0].watermark_ns == now_ns
    after = [each for each in batches if len(each.ticks) and each.watermark_ns > now_ns]
    assert after[0].gap_from_ns == now_ns  # numbers 2 to 4 were lost
    assert [each.ticks.first_index for each in batches if len(each.ticks)] == [0, 1, 2]
    assert [(each.contract, each.next_index) for each in status.pushed] == [(BTC, 6)]


async def test_a_client_goes_on_after_a_restart_and_what_it_says_again_is_dropped(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PushSource, "patience_s", 0.3)
    now_ns = wall_ns()
    async with place.ingestion(pushed()) as context, client(context) as stub:
        await stub.PublishTicks(stream(batch(0, now_ns, now_ns + 1)))
    await asyncio.sleep(0.5)
    async with place.ingestion(pushed()) as context, client(context) as stub:
        status = await stub.GetFeedStatus(pb.GetFeedStatusRequest())
        assert [each.next_index for each in status.pushed] == [2]
        answer = await stub.PublishTicks(stream(batch(0, now_ns, now_ns + 1, wall_ns())))
        batches = await said(place, BTC, "binance")
    assert (answer.accepted, answer.overlapping) == (1, 2)
    assert prints_of(batches).first_index == 0
    assert len(prints_of(batches)) == 3


async def test_quotes_give_prints_their_sides(place: Place) -> None:
    request = batch(0, wall_ns(), wall_ns())
    del request.batch.aggressor[:]
    request.batch.aggressor.extend([0, 0])
    request.bid.extend([999_999, 1_000_000])
    request.ask.extend([1_000_000, 1_000_001])
    async with place.ingestion(pushed()) as context, client(context) as stub:
        await stub.PublishTicks(stream(request))
        batches = await said(place, BTC, "binance")
    assert prints_of(batches).aggressor.tolist() == [1, -1]


async def test_a_promise_of_the_future_is_refused(place: Place) -> None:
    async with place.ingestion(pushed()) as context, client(context) as stub:
        with pytest.raises(grpc.aio.AioRpcError, match="a time that has come"):
            await stub.PublishTicks(stream(batch(0, watermark_ns=wall_ns() + 60 * NS_PER_SECOND)))
        with pytest.raises(grpc.aio.AioRpcError, match="a live tape has none"):
            await stub.PublishTicks(
                stream(pb.PublishTicksRequest(first_index=0, batch=model_pb2.TickBatch(contract=BTC), end=True))
            )
