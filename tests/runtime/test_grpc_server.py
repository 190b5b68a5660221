import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from leadline.aggregation.v1 import aggregation_pb2, aggregation_pb2_grpc
from leadline.local.health import HealthProbe
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import AccountId
from leadline.runtime.rpc import grpc_server
from leadline.runtime.rpc.auth import Caller, caller, mint_token, one_key
from leadline.runtime.rpc.errors import explain
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.runtime.rpc.grpc_server import GrpcServer

KEY = "k" * 32
SERVICE = aggregation_pb2.DESCRIPTOR.services_by_name["AggregationService"].full_name


class Bars(aggregation_pb2_grpc.AggregationServiceServicer):
    """Answers with whatever the test gave it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.callers: list[Caller] = []
        self.traces: list[int] = []

    async def GetBars(self, request, context):  # noqa: N802 - the contract's name
        self.callers.append(caller())
        self.traces.append(trace.get_current_span().get_span_context().trace_id)
        if self.error is not None:
            raise self.error
        if request.limit == 7:
            await asyncio.Event().wait()
        return aggregation_pb2.GetBarsResponse(next_from_ns=42)

    async def ListSeries(self, request, context):  # noqa: N802 - as above
        return aggregation_pb2.ListSeriesResponse()

    async def StreamBars(self, request, context):  # noqa: N802 - the contract's name
        self.callers.append(caller())
        yield aggregation_pb2.StreamBarsResponse(final=False)
        if self.error is not None:
            raise self.error
        yield aggregation_pb2.StreamBarsResponse(final=True)


@contextlib.asynccontextmanager
async def serving(servicer: Bars, account: AccountId | None = None) -> AsyncIterator[GrpcServer]:
    server = GrpcServer("127.0.0.1:0", one_key(KEY), to="aggregation", account=account)
    server.add_service(aggregation_pb2_grpc.add_AggregationServiceServicer_to_server, servicer, SERVICE)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def channel_to(server: GrpcServer, token: str | None) -> AsyncIterator[grpc.aio.Channel]:
    address = f"127.0.0.1:{server.port}"
    channel = grpc.aio.insecure_channel(address) if token is None else open_channel(address, lambda: token)
    try:
        yield channel
    finally:
        await channel.close(None)


async def get_bars(server: GrpcServer, token: str | None, limit: int = 0, timeout_s: float | None = None):
    async with channel_to(server, token) as channel:
        stub = aggregation_pb2_grpc.AggregationServiceStub(channel)
        return await stub.GetBars(aggregation_pb2.GetBarsRequest(limit=limit), timeout=timeout_s)


def ada() -> str:
    return mint_token(KEY, "cli-viewer", "ada", "aggregation")


async def refusal(server: GrpcServer, token: str | None) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await get_bars(server, token)
    return refused.value


async def test_a_call_with_a_token_is_answered_and_the_servicer_knows_the_caller():
    bars = Bars()
    async with serving(bars) as server:
        assert (await get_bars(server, ada())).next_from_ns == 42
    assert bars.callers == [Caller("ada", "cli-viewer")]


@pytest.mark.parametrize("token", [None, "nonsense", mint_token("o" * 32, "cli-admin", "eve", "aggregation")])
async def test_a_call_without_a_good_token_is_unauthenticated(token: str | None):
    bars = Bars()
    async with serving(bars) as server:
        assert (await refusal(server, token)).code() is grpc.StatusCode.UNAUTHENTICATED
    assert bars.callers == []


async def test_a_role_without_the_right_is_denied_and_told_so():
    bars = Bars()
    async with serving(bars) as server:
        error = await refusal(server, mint_token(KEY, "venue", "venue-default-paper", "aggregation"))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "venue-default-paper has the role venue" in explain(error)
    assert bars.callers == []


async def test_streams_are_guarded_like_single_calls():
    bars = Bars()
    async with serving(bars) as server:
        async with channel_to(server, None) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await read_all(channel)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        async with channel_to(server, ada()) as channel:
            assert await read_all(channel) == [False, True]


async def read_all(channel: grpc.aio.Channel) -> list[bool]:
    stub = aggregation_pb2_grpc.AggregationServiceStub(channel)
    return [response.final async for response in stub.StreamBars(aggregation_pb2.StreamBarsRequest())]


async def test_health_needs_no_token_and_follows_readiness():
    async with serving(Bars()) as server, channel_to(server, None) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        seen = []
        for ready in (False, True, False):
            server.set_ready(ready)
            await asyncio.sleep(0)
            seen += [(await stub.Check(health_pb2.HealthCheckRequest(service=name))).status for name in ("", SERVICE)]
    serving_status, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    assert seen == [not_serving] * 2 + [serving_status] * 2 + [not_serving] * 2


async def test_a_fresh_server_is_not_ready():
    async with serving(Bars()) as server, channel_to(server, None) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_reflection_describes_the_contracts_to_those_with_a_token():
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async with serving(Bars()) as server:
        async with channel_to(server, None) as channel:
            call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request]))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await anext(aiter(call))
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        async with channel_to(server, ada()) as channel:
            call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request]))
            answer = await anext(aiter(call))
    assert SERVICE in {service.name for service in answer.list_services_response.service}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            InvalidInput("stream.spec", "5x", "a bar specification such as 5m-r1"),
            grpc.StatusCode.INVALID_ARGUMENT,
            "stream.spec: got '5x', expected a bar specification such as 5m-r1",
        ),
        (InvalidInput("size", Decimal("0.5"), "a whole number"), grpc.StatusCode.INVALID_ARGUMENT, "size: got 0.5"),
        (Unknown("instrument", "XYZ", ("ES", "MES")), grpc.StatusCode.NOT_FOUND, "unknown instrument 'XYZ'"),
        (ConnectionError("postgres is gone"), grpc.StatusCode.UNAVAILABLE, "the database cannot be reached"),
        (KeyError("secret detail"), grpc.StatusCode.INTERNAL, "internal error"),
    ],
)
async def test_errors_become_statuses_that_say_what_to_do(
    error: Exception, code: grpc.StatusCode, words: str, streamed: bool
):
    async with serving(Bars(error)) as server:
        if streamed:
            async with channel_to(server, ada()) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await read_all(channel)
            found = refused.value
        else:
            found = await refusal(server, ada())
    assert found.code() is code
    assert words in explain(found)
    assert "secret detail" not in explain(found)


async def test_a_call_that_lasts_too_long_is_given_up_also_when_the_caller_named_no_deadline(monkeypatch):
    monkeypatch.setattr(grpc_server, "MAX_CALL_SECONDS", 0.1)
    async with serving(Bars()) as server:
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await get_bars(server, ada(), limit=7)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_two_servers_cannot_share_a_port():
    async with serving(Bars()) as first:
        second = GrpcServer(f"127.0.0.1:{first.port}", one_key(KEY), to="aggregation")
        with pytest.raises(OSError, match=str(first.port)):
            await second.start()


async def test_a_service_of_one_account_refuses_the_token_of_another():
    token = mint_token(KEY, "cli-viewer", "ada", "aggregation", account=AccountId("default/a"))
    async with serving(Bars(), account=AccountId("default/b")) as server:
        assert (await refusal(server, token)).code() is grpc.StatusCode.PERMISSION_DENIED
    async with serving(Bars(), account=AccountId("default/a")) as server:
        assert (await get_bars(server, token)).next_from_ns == 42


async def test_the_callers_trace_goes_on_in_the_service():
    bars = Bars()
    async with serving(bars) as server:
        with TracerProvider().get_tracer("test").start_as_current_span("ask") as span:
            await get_bars(server, ada())
    assert bars.traces == [span.get_span_context().trace_id]


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "grpc_proxy"])
async def test_no_proxy_of_the_environment_comes_between_the_parts_of_the_platform(monkeypatch, name: str):
    for other in ("http_proxy", "https_proxy", "grpc_proxy", "no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:9")  # the port of `discard`, where nobody listens
    async with serving(Bars()) as server:
        server.set_ready(True)
        assert (await get_bars(server, ada(), timeout_s=10)).next_from_ns == 42
        probe = HealthProbe(f"127.0.0.1:{server.port}")
        assert await probe.serving()
        await probe.close()
