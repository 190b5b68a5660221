"""The calls of the service, over a real connection and a real bus."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
import pytest

from leadline.aggregation import servicer
from leadline.aggregation.demand import Series
from leadline.aggregation.servicer import AggregationServicer
from leadline.aggregation.v1 import aggregation_pb2 as pb
from leadline.aggregation.v1 import aggregation_pb2_grpc as rpc
from leadline.local.local_nats import LocalNats
from leadline.model.bars import Bar, BarMessage
from leadline.model.durations import parse_bar_spec
from leadline.model.subjects import bar_subject
from leadline.model.wire.bars import bar_from_proto, bar_key_to_proto, encode_bar
from leadline.runtime.bus.bus import Bus
from leadline.runtime.rpc.auth import one_key, token_source
from leadline.runtime.rpc.errors import explain
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.runtime.rpc.grpc_server import GrpcServer
from leadline.runtime.runs import Run
from tests.aggregation.builders import BUY, CONTRACT, DAY, RTH, TAPE, VENUE, at, batches, builder, plain, run
from tests.stack import bus_as

pytestmark = pytest.mark.integration

KEY = "a key that is long enough to sign tokens with"
RUN = Run(TAPE, "sim", {CONTRACT: VENUE}, DAY, 0, (DAY,), (), 0)
SUBJECT = bar_subject(TAPE, VENUE, CONTRACT, "rth", "1m-r1")
STREAM = pb.BarStream(contract=CONTRACT, session="rth", spec="1m-r1")

ROWS = [(at(20 * n), 20_000 + n % 11, 1 + n % 5, BUY) for n in range(60)]
MESSAGES = run(builder("1m"), batches(ROWS, range(0, 60, 5), end_ns=at(1300)))
TAPE_BARS = [message.bar for message in MESSAGES if message.bar is not None]


async def publish(bus: Bus, messages: Sequence[BarMessage], subject: str = SUBJECT) -> None:
    await bus.publish_many([(subject, encode_bar(one), f"{subject}/{n}/{id(one)}") for n, one in enumerate(messages)])


@asynccontextmanager
async def calls(nats: LocalNats, *series: Series) -> "AsyncIterator[tuple[rpc.AggregationServiceAsyncStub, Bus]]":
    """A viewer's stub of a service that builds `series`, and the bus as the service's user."""
    async with bus_as(nats, "aggregation") as bus:
        server = GrpcServer("127.0.0.1:0", one_key(KEY), to="aggregation")
        server.add_service(
            rpc.add_AggregationServiceServicer_to_server,
            AggregationServicer(bus, RUN, lambda: series),
            "leadline.aggregation.v1.AggregationService",
        )
        token = token_source(one_key(KEY), "cli-viewer", "ann", "aggregation")
        channel = open_channel(f"127.0.0.1:{await server.start()}", token)
        try:
            yield rpc.AggregationServiceStub(channel), bus
        finally:
            await channel.close(None)
            await server.stop()


def known(bars: Sequence[Bar]) -> list[int]:
    return [bar.known_at_ns for bar in bars]


async def page(stub: "rpc.AggregationServiceAsyncStub", **wanted: object) -> tuple[list[Bar], int]:
    response = await stub.GetBars(pb.GetBarsRequest(stream=STREAM, **wanted))  # type: ignore[arg-type]
    return [bar_from_proto(bar) for bar in response.bars], response.next_from_ns


async def test_a_stream_has_every_bar_once_and_then_the_end(nats_server: LocalNats):
    async with calls(nats_server) as (stub, bus):
        await publish(bus, MESSAGES[:9])
        await publish(bus, MESSAGES[4:])
        replies = [reply async for reply in stub.StreamBars(pb.StreamBarsRequest(stream=STREAM))]
    assert [plain(bar_from_proto(reply.bar)) for reply in replies[:-1]] == [plain(bar) for bar in TAPE_BARS]
    assert [reply.final for reply in replies] == [False] * len(TAPE_BARS) + [True]


async def test_the_end_of_a_stream_and_the_list_of_series_say_what_is_in_no_bar(nats_server: LocalNats):
    tail = run(builder("1m"), batches(ROWS, [], end_ns=ROWS[-1][0]))
    series = [Series(CONTRACT, VENUE, RTH, parse_bar_spec(spec), 1) for spec in ("5m", "1m")]
    async with calls(nats_server, *series) as (stub, bus):
        before = await stub.ListSeries(pb.ListSeriesRequest())
        await publish(bus, tail)
        replies = [reply async for reply in stub.StreamBars(pb.StreamBarsRequest(stream=STREAM))]
        after = await stub.ListSeries(pb.ListSeriesRequest())
    named = [(each.spec, each.progress_ns, each.final) for each in before.series]
    assert named == [("1m-r1", 0, False), ("5m-r1", 0, False)]
    built = after.series[0]
    assert (built.contract, built.session, built.spec) == (CONTRACT, "rth", "1m-r1")
    assert (built.progress_ns, built.final) == (ROWS[-1][0], True)
    for unfinished in (replies[-1].unfinished, built.unfinished):
        assert (unfinished.bar.trading_day, unfinished.bar.ordinal, unfinished.prints) == (DAY.isoformat(), 19, 3)
    assert not any(reply.HasField("unfinished") for reply in replies[:-1])
    assert not after.series[1].HasField("unfinished")


async def test_a_stream_resumes_after_a_bar(nats_server: LocalNats):
    async with calls(nats_server) as (stub, bus):
        await publish(bus, MESSAGES)
        after = bar_key_to_proto(TAPE_BARS[6].key)
        request = pb.StreamBarsRequest(stream=STREAM, after=after, candles_only=True)
        replies = [reply async for reply in stub.StreamBars(request)]
    assert [reply.bar.known_at_ns for reply in replies[:-1]] == known(TAPE_BARS[7:])
    assert not any(reply.bar.HasField("rows") for reply in replies)


async def test_a_stream_waits_for_bars_that_are_not_closed_yet(nats_server: LocalNats):
    series = Series(CONTRACT, VENUE, RTH, parse_bar_spec("1m"), 1)
    async with calls(nats_server, series) as (stub, bus):
        stream = stub.StreamBars(pb.StreamBarsRequest(stream=STREAM))
        await publish(bus, MESSAGES[:3])
        first = await anext(aiter(stream))
        await publish(bus, MESSAGES[3:])
        rest = [reply async for reply in stream]
    assert [first.bar.known_at_ns, *(reply.bar.known_at_ns for reply in rest[:-1])] == known(TAPE_BARS)


async def test_a_range_is_half_open_in_the_instants_at_which_bars_became_known(nats_server: LocalNats):
    async with calls(nats_server) as (stub, bus):
        await publish(bus, MESSAGES)
        assert known((await page(stub))[0]) == known(TAPE_BARS)
        within = (await page(stub, from_ns=TAPE_BARS[3].known_at_ns, to_ns=TAPE_BARS[6].known_at_ns))[0]
        assert known(within) == known(TAPE_BARS[3:6])
        assert await page(stub, from_ns=at(3600)) == ([], 0)


async def test_pages_follow_each_other_without_a_hole_or_a_repetition(nats_server: LocalNats):
    async with calls(nats_server) as (stub, bus):
        await publish(bus, MESSAGES)
        found, start, pages = [], 0, 0
        while pages == 0 or start:
            bars, start = await page(stub, from_ns=start, limit=3)
            found += bars
            pages += 1
            assert len(bars) <= 3
    assert ([plain(bar) for bar in found], pages) == ([plain(bar) for bar in TAPE_BARS], -(-len(TAPE_BARS) // 3))


async def test_a_page_does_not_end_inside_an_instant(nats_server: LocalNats):
    rows = [(at(n // 4), 20_000, 1, BUY) for n in range(12)]
    messages = run(builder("ticks:1"), batches(rows, [], end_ns=at(60)))
    stream = pb.BarStream(contract=CONTRACT, session="rth", spec="ticks1-r1")
    async with calls(nats_server) as (stub, bus):
        await publish(bus, messages, bar_subject(TAPE, VENUE, CONTRACT, "rth", "ticks1-r1"))
        first = await stub.GetBars(pb.GetBarsRequest(stream=stream, limit=2))
        second = await stub.GetBars(pb.GetBarsRequest(stream=stream, limit=2, from_ns=first.next_from_ns))
    assert [bar.key.ordinal for bar in (*first.bars, *second.bars)] == list(range(8))
    assert second.next_from_ns == at(2)


async def test_a_page_stays_below_what_a_client_accepts(nats_server: LocalNats, monkeypatch: pytest.MonkeyPatch):
    async with calls(nats_server) as (stub, bus):
        await publish(bus, MESSAGES)
        monkeypatch.setattr(servicer, "LARGEST_PAGE_BYTES", 1500)
        response = await stub.GetBars(pb.GetBarsRequest(stream=STREAM))
    assert 0 < len(response.bars) < len(TAPE_BARS)
    assert sum(bar.ByteSize() for bar in response.bars) <= 1500
    assert response.next_from_ns == TAPE_BARS[len(response.bars)].known_at_ns


async def test_what_is_not_built_and_was_never_built_is_not_found(nats_server: LocalNats):
    series = Series(CONTRACT, VENUE, RTH, parse_bar_spec("5m"), 1)
    async with calls(nats_server, series) as (stub, _):
        for change, words in [
            ({"contract": "XYZZ2025"}, "unknown contract 'XYZZ2025', known: MESZ2025"),
            ({"spec": "3m-r1"}, "unknown bars 'MESZ2025/rth/3m-r1', known: MESZ2025/rth/5m-r1"),
            ({"tape": "run-0", "contract": "XYZZ2025"}, "unknown instrument"),
            ({"tape": "run-0"}, "unknown bars"),
        ]:
            stream = pb.BarStream()
            stream.CopyFrom(STREAM)
            stream.MergeFrom(pb.BarStream(**change))
            with pytest.raises(grpc.aio.AioRpcError, match=words) as refusal:
                await stub.GetBars(pb.GetBarsRequest(stream=stream))
            assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
        empty = await stub.GetBars(
            pb.GetBarsRequest(stream=pb.BarStream(contract=CONTRACT, session="rth", spec="5m-r1"))
        )
    assert (len(empty.bars), empty.next_from_ns) == (0, 0)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.GetBarsRequest(stream=STREAM, from_ns=-1), "from_ns"),
        (pb.GetBarsRequest(stream=STREAM, from_ns=at(60), to_ns=at(60)), "to_ns"),
        (pb.GetBarsRequest(stream=STREAM, limit=5001), "limit"),
        (pb.GetBarsRequest(stream=STREAM, limit=-1), "limit"),
        (pb.GetBarsRequest(), "stream.contract"),
        (pb.GetBarsRequest(stream=pb.BarStream(contract=">", session="rth", spec="5m-r1")), "stream.contract"),
        (pb.GetBarsRequest(stream=pb.BarStream(contract=CONTRACT, session="rth.*", spec="5m-r1")), "stream.session"),
    ],
)
async def test_a_bad_request_names_its_field(nats_server: LocalNats, request_: pb.GetBarsRequest, field: str):
    async with calls(nats_server) as (stub, _):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stub.GetBars(request_)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert explain(refusal.value).startswith(f"{field}: ")


async def test_a_stream_cannot_resume_after_a_bar_of_another_series(nats_server: LocalNats):
    async with calls(nats_server) as (stub, bus):
        await publish(bus, MESSAGES)
        other = bar_key_to_proto(TAPE_BARS[0].key)
        other.spec = "5m-r1"
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await anext(aiter(stub.StreamBars(pb.StreamBarsRequest(stream=STREAM, after=other))))
        other.spec, other.trading_day = "1m-r1", "yesterday"
        with pytest.raises(grpc.aio.AioRpcError) as malformed:
            await anext(aiter(stub.StreamBars(pb.StreamBarsRequest(stream=STREAM, after=other))))
    assert explain(refusal.value).startswith("after: ")
    assert explain(malformed.value).startswith("after.trading_day: ")
