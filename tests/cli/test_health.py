"""`leadline health` asks what the probes ask."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health  # type: ignore[attr-defined]

from leadline.cli.health import readiness
from leadline.cli.main import run

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Answers(health.HealthServicer):  # type: ignore[misc]
    """A health service that says when it was asked first."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def Check(self, request, context):  # noqa: N802 - gRPC names methods as the contract does
        self.asked.set()
        return await super().Check(request, context)


@contextlib.asynccontextmanager
async def service(status) -> AsyncIterator[tuple[str, Answers]]:
    """A server that answers for its health only: its address, and what it answers from."""
    server, answers = grpc.aio.server(), Answers()
    health_pb2_grpc.add_HealthServicer_to_server(answers, server)
    await answers.set("", status)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}", answers
    finally:
        await server.stop(None)


@pytest.mark.integration
async def test_each_address_is_told_apart():
    async with service(SERVING) as (ready, _), service(NOT_SERVING) as (starting, _):
        assert await readiness([ready, starting], wait_seconds=0) == {ready: True, starting: False}


@pytest.mark.integration
async def test_it_waits_for_a_service_that_is_starting():
    async with service(NOT_SERVING) as (address, answers):
        waiting = asyncio.create_task(readiness([address], wait_seconds=30))
        await answers.asked.wait()
        assert not waiting.done()
        await answers.set("", SERVING)
        assert await waiting == {address: True}


@pytest.mark.integration
def test_the_command_fails_when_nobody_answers(capsys):
    assert run(["health", "127.0.0.1:1"]) == 1
    assert "not ready" in capsys.readouterr().out
