"""A server's calls by kind: none takes another's place, and nobody unknown makes it read a byte."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from leadline.aggregation.v1 import aggregation_pb2, aggregation_pb2_grpc
from leadline.runtime import measurements
from leadline.runtime.rpc import lanes, pace
from leadline.runtime.rpc.auth import METHOD_ROLES, OPEN_METHODS, mint_token, one_key
from leadline.runtime.rpc.errors import again_after, explain
from leadline.runtime.rpc.grpc_server import GrpcServer
from leadline.runtime.rpc.health import Health
from leadline.runtime.rpc.lanes import SHARES, SLOTS, Busy, Lanes
from tests.measured import value

KEY = "k" * 32
SERVICE = aggregation_pb2.DESCRIPTOR.services_by_name["AggregationService"].full_name
GET_BARS = f"/{SERVICE}/GetBars"
STREAM_BARS = f"/{SERVICE}/StreamBars"
MIB = 1024 * 1024
SERVER = """
import asyncio, sys
from leadline.aggregation.v1 import aggregation_pb2, aggregation_pb2_grpc
from leadline.runtime.rpc.auth import one_key
from leadline.runtime.rpc import lanes
from leadline.runtime.rpc.grpc_server import GrpcServer
lanes.REFUSALS_PER_SECOND = 10_000
async def main():
    server = GrpcServer("127.0.0.1:0", one_key("k" * 32), to="aggregation", largest_request_bytes=16 * 1024 * 1024)
    service = aggregation_pb2.DESCRIPTOR.services_by_name["AggregationService"].full_name
    add = aggregation_pb2_grpc.add_AggregationServiceServicer_to_server
    server.add_service(add, aggregation_pb2_grpc.AggregationServiceServicer(), service)
    print(await server.start(), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def refused_at_once(monkeypatch) -> None:
    """No test waits for its refusals; the pace of them has a test of its own."""
    monkeypatch.setattr(lanes, "REFUSALS_PER_SECOND", 10_000)


class Bars(aggregation_pb2_grpc.AggregationServiceServicer):
    """GetBars waits until the test lets it go; a stream gives one answer and stays open."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.waiting = 0

    async def GetBars(self, request, context):  # noqa: N802 - the contract's name
        self.waiting += 1
        await self.go.wait()
        return aggregation_pb2.GetBarsResponse(next_from_ns=42)

    async def ListSeries(self, request, context):  # noqa: N802 - as above
        return aggregation_pb2.ListSeriesResponse()

    async def StreamBars(self, request, context):  # noqa: N802 - the contract's name
        yield aggregation_pb2.StreamBarsResponse(final=False)
        await self.go.wait()


@contextlib.asynccontextmanager
async def serving(bars: Bars) -> AsyncIterator[Any]:
    server = GrpcServer("127.0.0.1:0", one_key(KEY), to="aggregation")
    server.add_service(aggregation_pb2_grpc.add_AggregationServiceServicer_to_server, bars, SERVICE)
    port = await server.start()
    server.set_ready(True)
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    try:
        yield channel
    finally:
        bars.go.set()
        await channel.close(None)
        await server.stop()


def ann() -> tuple[tuple[str, str], ...]:
    return (("authorization", "Bearer " + mint_token(KEY, "cli-viewer", "ann", "aggregation")),)


async def until(wanted: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not wanted():  # noqa: ASYNC110 - the servicer of another task says nothing
            await asyncio.sleep(0.01)


async def probe(channel: grpc.aio.Channel) -> int:
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
    return int(answer.status)


async def refused(call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value


def test_every_method_that_there_is_and_no_other_has_a_number_of_slots():
    assert set(SLOTS) <= set(METHOD_ROLES) | OPEN_METHODS


async def test_watchers_without_a_token_are_few_and_take_nobody_elses_place():
    bars = Bars()
    bars.go.set()
    async with serving(bars) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(256)]
        first = await asyncio.gather(*(watch.read() for watch in watches), return_exceptions=True)
        told = [answer for answer in first if isinstance(answer, health_pb2.HealthCheckResponse)]
        assert len(told) == SLOTS["/grpc.health.v1.Health/Watch"]
        codes = {answer.code().name for answer in first if isinstance(answer, grpc.aio.AioRpcError)}
        assert codes == {"RESOURCE_EXHAUSTED"}
        assert await probe(channel) == health_pb2.HealthCheckResponse.SERVING
        bar_stub = aggregation_pb2_grpc.AggregationServiceStub(channel)
        assert (await bar_stub.GetBars(aggregation_pb2.GetBarsRequest(), metadata=ann())).next_from_ns == 42
        for watch in watches:
            watch.cancel()

        async def again() -> bool:
            watch = stub.Watch(health_pb2.HealthCheckRequest())
            with contextlib.suppress(grpc.aio.AioRpcError):
                answer = await watch.read()
                watch.cancel()
                return isinstance(answer, health_pb2.HealthCheckResponse)
            return False

        async with asyncio.timeout(20):
            while not await again():  # noqa: ASYNC110 - the server says nothing of a slot that is free
                await asyncio.sleep(0.01)


async def test_the_port_of_the_probes_has_few_watchers_too():
    health = Health()
    await health.listen("127.0.0.1:0")
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{health.port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(100)]
            first = await asyncio.gather(*(watch.read() for watch in watches), return_exceptions=True)
            assert sum(isinstance(answer, grpc.aio.AioRpcError) for answer in first) == 100 - 16
            assert await probe(channel) == health_pb2.HealthCheckResponse.NOT_SERVING
    finally:
        await health.close()


async def test_a_caller_without_a_token_that_says_nothing_is_sent_away(monkeypatch):
    monkeypatch.setattr(lanes, "OPEN_REQUEST_SECONDS", 0.2)
    async with serving(Bars()) as channel:
        silent = [channel.stream_stream("/grpc.health.v1.Health/Check")() for _ in range(32)]
        codes = [await call.code() for call in silent]
        assert {code.name for code in codes} == {"DEADLINE_EXCEEDED"}
        assert await probe(channel) == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("method", ["Check", "Watch"])
async def test_callers_without_a_token_that_say_nothing_keep_no_probe_out(monkeypatch, method: str):
    monkeypatch.setattr(lanes, "OPEN_REQUEST_SECONDS", 3600)
    monkeypatch.setattr(lanes, "REFUSALS_PER_SECOND", 10_000)
    monkeypatch.setattr(lanes, "MOST_SILENT", 40)
    async with serving(Bars()) as channel:
        silent = [channel.stream_stream(f"/grpc.health.v1.Health/{method}")() for _ in range(60)]
        await until(lambda: sum(call.done() for call in silent) == 60 - 40)  # more than there are slots stay
        assert await probe(channel) == health_pb2.HealthCheckResponse.SERVING
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        await until(lambda: sum(call.done() for call in silent) == 60 - 40 + 1)  # one made room
        assert {(await call.code()).name for call in silent if call.done()} == {"DEADLINE_EXCEEDED"}
        for call in [watch, *silent]:
            call.cancel()


async def test_calls_beyond_the_slots_of_their_method_are_refused_and_others_are_answered():
    bars = Bars()
    async with serving(bars) as channel:
        stub = aggregation_pb2_grpc.AggregationServiceStub(channel)
        slots = SLOTS[GET_BARS]
        waiting = [
            asyncio.ensure_future(stub.GetBars(aggregation_pb2.GetBarsRequest(), metadata=ann())) for _ in range(slots)
        ]
        await until(lambda: bars.waiting == slots)
        error = await refused(stub.GetBars(aggregation_pb2.GetBarsRequest(), metadata=ann()))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert explain(error) == f"{slots} calls of {GET_BARS} are being answered, which is the most at a time"
        assert again_after(error) == 0.5
        stream = stub.StreamBars(aggregation_pb2.StreamBarsRequest(), metadata=ann())
        assert (await stream.read()).final is False
        assert await probe(channel) == health_pb2.HealthCheckResponse.SERVING
        bars.go.set()
        assert {answer.next_from_ns for answer in await asyncio.gather(*waiting)} == {42}
        assert (await stub.GetBars(aggregation_pb2.GetBarsRequest(), metadata=ann())).next_from_ns == 42


async def test_calls_of_a_method_with_a_share_are_answered_one_at_a_time(monkeypatch):
    monkeypatch.setattr(lanes, "SHARES", {GET_BARS: 1.0})
    open_calls = measurements.CALLS_OPEN.labels(GET_BARS)._value
    bars = Bars()
    async with serving(bars) as channel:
        stub = aggregation_pb2_grpc.AggregationServiceStub(channel)
        calls = [asyncio.ensure_future(stub.GetBars(aggregation_pb2.GetBarsRequest(), metadata=ann())) for _ in "123"]
        await until(lambda: open_calls.get() == 3)
        assert bars.waiting == 1
        bars.go.set()
        assert {answer.next_from_ns for answer in await asyncio.gather(*calls)} == {42}


def test_what_if_questions_have_a_small_share_of_risk():
    assert SHARES["/leadline.risk.v1.RiskService/Evaluate"] <= 0.01
    assert "/leadline.risk.v1.RiskService/Decide" not in SHARES


async def test_what_reads_from_a_process_that_trades_keeps_a_pace(monkeypatch):
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(pace, "monotonic_s", lambda: 100.0)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    own = Lanes()
    for _ in range(40):
        async with own.turn("/leadline.execution.v1.ExecutionService/GetOrders"):
            pass
    assert slept[-1] == pytest.approx(40 / 20 - pace.BURST_SECONDS)
    slept.clear()
    async with own.turn("/leadline.execution.v1.ExecutionService/Halt"):
        pass
    assert slept == []


class Refused:
    """The end of a call that is told how it ends."""

    def __init__(self) -> None:
        self.code: grpc.StatusCode | None = None

    async def abort(self, code: grpc.StatusCode, details: str, metadata: object) -> None:
        self.code = code


@pytest.mark.moves("leadline_grpc_calls_held")
async def test_refusals_keep_a_pace_of_their_method_and_those_that_are_too_many_are_refused_at_once(monkeypatch):
    monkeypatch.setattr(lanes, "REFUSALS_PER_SECOND", 1)
    monkeypatch.setattr(lanes, "REFUSALS_AT_ONCE", 0.5)
    monkeypatch.setattr(lanes, "MOST_HELD", 3)
    slept: list[float] = []
    go = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await go.wait()

    monkeypatch.setattr(pace, "monotonic_s", lambda: 100.0)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    own = Lanes()
    contexts = [Refused() for _ in range(6)]
    methods = [GET_BARS] * 5 + [STREAM_BARS]
    tasks = [
        asyncio.create_task(own.refuse(context, method, Busy(method, 4)))
        for context, method in zip(contexts, methods, strict=True)
    ]
    # Two are refused at once: there are three already, and that is the most.
    done, _ = await asyncio.wait(tasks[3:5])
    assert {context.code for context in contexts[3:5]} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert len(done) == 2
    # One after the other, the first for what half of one at once leaves; another method's refusals wait for none.
    assert slept == [0.5, 0.5]
    assert [context.code for context in contexts[:3]] == [None] * 3
    assert value("leadline_grpc_calls_held", method=GET_BARS) == 3
    go.set()
    await asyncio.gather(*tasks)
    assert slept == [0.5, 0.5, 1.5, 2.5]  # the clock of this test stands still
    assert all(context.code is grpc.StatusCode.RESOURCE_EXHAUSTED for context in contexts)
    assert value("leadline_grpc_calls_held", method=GET_BARS) == 0


async def test_streams_beyond_their_slots_are_refused_until_one_ends():
    async with serving(Bars()) as channel:
        stub = aggregation_pb2_grpc.AggregationServiceStub(channel)
        streams = [stub.StreamBars(aggregation_pb2.StreamBarsRequest(), metadata=ann()) for _ in range(40)]
        first = await asyncio.gather(*(stream.read() for stream in streams), return_exceptions=True)
        assert sum(isinstance(answer, grpc.aio.AioRpcError) for answer in first) == 40 - SLOTS[STREAM_BARS]
        for stream in streams:
            stream.cancel()


@pytest.mark.parametrize(
    ("metadata", "code"),
    [((), "UNAUTHENTICATED"), ((("authorization", "Bearer x"),), "UNAUTHENTICATED"), (None, "INVALID_ARGUMENT")],
)
async def test_garbage_is_the_callers_fault_and_is_not_looked_at_without_a_token(metadata, code: str):
    async with serving(Bars()) as channel:
        call = channel.unary_unary(GET_BARS)(b"\xff\xff\xff", metadata=ann() if metadata is None else metadata)
        error = await refused(call)
        assert error.code().name == code
        call = channel.unary_stream(STREAM_BARS)(b"\xff\xff\xff", metadata=ann() if metadata is None else metadata)
        with pytest.raises(grpc.aio.AioRpcError) as streamed:
            await call.read()
        assert streamed.value.code().name == code


async def test_a_request_that_is_too_large_is_refused():
    async with serving(Bars()) as channel:
        error = await refused(channel.unary_unary(GET_BARS)(b"x" * (5 * MIB), metadata=ann()))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture
def server_process() -> Iterator[tuple[int, int]]:
    """A server of 16 MiB messages in a process of its own: its process id and its port."""
    process = subprocess.Popen([sys.executable, "-P", "-c", SERVER], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process.pid, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def peak_mib(pid: int) -> float:
    """The most memory that a process has had."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
async def test_large_calls_without_a_token_are_refused_before_they_are_read(server_process: tuple[int, int]):
    pid, port = server_process
    before = peak_mib(pid)
    body = b"x" * (15 * MIB)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask: Any = channel.unary_unary
        calls = [ask(GET_BARS)(body) for _ in range(48)]
        codes = {(await call.code()).name for call in calls}
    assert codes == {"UNAUTHENTICATED"}
    assert peak_mib(pid) - before < 200
