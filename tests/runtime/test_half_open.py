"""A connection that stays open and says nothing any more is given up soon, and another one is made."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from leadline.local.local_nats import LocalNats
from leadline.model.ids import ContractId, RunId
from leadline.model.subjects import tick_subject
from leadline.runtime.bus.bus import open_bus
from leadline.runtime.clock import monotonic_s
from leadline.runtime.database import DATABASE_LOST, answering, connect, open_pool
from leadline.runtime.needs import database_answers
from leadline.runtime.retry import until_done
from leadline.runtime.rpc.auth import one_key
from leadline.runtime.rpc.grpc_client import KEEPALIVE_ANSWER_MS, KEEPALIVE_MS, open_channel
from leadline.runtime.rpc.grpc_server import GrpcServer
from leadline.runtime.settings import DatabaseSettings
from tests.chaos.proxy import Address, proxied
from tests.stack import Database

MES = tick_subject(RunId("r1"), "sim", ContractId("MESZ6"))
BUS_SECONDS = 3.5
CALL_SECONDS = 5.5

pytestmark = pytest.mark.integration


async def test_a_bus_that_says_nothing_any_more_is_another_connection_within_three_seconds(nats_server: LocalNats):
    async with proxied(Address(), Address(port=nats_server.port)) as proxy:
        settings = nats_server.settings("ingestion").model_copy(
            update={"servers": (f"nats://127.0.0.1:{proxy.address.port}",)}
        )
        bus = await open_bus(settings)
        try:
            await bus.publish(MES, b"0", "0")
            began_s = monotonic_s()
            async with proxy.half_open():
                publishing = asyncio.create_task(bus.publish(MES, b"1", "1"))
                async with asyncio.timeout(BUS_SECONDS):
                    while bus.connected:  # noqa: ASYNC110 - the bus tells nobody
                        await asyncio.sleep(0.02)
                took_s = monotonic_s() - began_s
            await asyncio.wait_for(publishing, 5)
        finally:
            await bus.close()
    assert took_s > 1


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[GrpcServer]:
    """A server at a socket in the test's folder."""
    listening = GrpcServer(f"unix:{tmp_path}/server", one_key("k" * 32), to="aggregation")
    await listening.start()
    yield listening
    await listening.stop()


@pytest.mark.usefixtures("server")
async def test_a_call_on_a_connection_that_says_nothing_fails_and_the_next_makes_another(tmp_path: Path):
    async with (
        proxied(Address(path=f"{tmp_path}/proxy"), Address(path=f"{tmp_path}/server")) as proxy,
        open_channel(f"unix:{tmp_path}/proxy", str) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
        began_s = monotonic_s()
        async with proxy.half_open():
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
            assert monotonic_s() - began_s < CALL_SECONDS
        # A connection that was begun meanwhile may be given up as well.
        await until_done(
            lambda: stub.Check(health_pb2.HealthCheckRequest(), timeout=5, wait_for_ready=True),
            "server",
            (grpc.aio.AioRpcError,),
            timeout_s=10,
        )
        assert proxy.accepted > 1


async def test_a_call_whose_answer_takes_long_is_waited_for(server: GrpcServer, tmp_path: Path):
    async with open_channel(f"unix:{tmp_path}/server", str) as channel:
        answers = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        await answers.read()
        await asyncio.sleep((KEEPALIVE_MS + KEEPALIVE_ANSWER_MS) / 1000 + 1)
        server.set_ready(True)
        assert (await answers.read()).status == health_pb2.HealthCheckResponse.SERVING
        answers.cancel()


async def test_a_database_that_says_nothing_any_more_is_lost_in_time(database: Database, tmp_path: Path):
    socket = ".s.PGSQL.5432"
    server = Address(path=str(database.server.socket_directory / socket))
    async with proxied(Address(path=str(tmp_path / socket)), server) as proxy:
        pool = await open_pool(through(database.settings("execution"), tmp_path), "test")
        try:
            assert await database_answers(pool)()
            began_s = monotonic_s()
            async with proxy.half_open():
                with pytest.raises(DATABASE_LOST):
                    async with answering(pool, 1) as connection, connection.transaction():
                        await connection.execute("SELECT 1")
                with pytest.raises(DATABASE_LOST):  # it takes connections as well, and does not answer on them
                    await connect(through(database.settings("execution"), tmp_path), "test")
                assert monotonic_s() - began_s < CALL_SECONDS
            assert await database_answers(pool)()
        finally:
            pool.terminate()


def through(settings: DatabaseSettings, folder: Path) -> DatabaseSettings:
    """The same database, by way of the socket in another folder."""
    place, _, query = settings.url.partition("?")
    url = f"{place}?{urlencode({**dict(parse_qsl(query)), 'host': str(folder)})}"
    return settings.model_copy(update={"url": url})
