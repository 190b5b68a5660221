"""A service is ready while it has what it needs, with the servers really stopped and started."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from leadline.local.health import HealthProbe
from leadline.local.local_nats import LocalNats
from leadline.local.ports import Ports
from leadline.runtime.context import Context, open_context
from leadline.runtime.measurements import NEEDS
from leadline.runtime.rpc.auth import one_key
from leadline.runtime.rpc.grpc_server import GrpcServer
from leadline.runtime.telemetry import configure_logging
from tests import measured
from tests.runtime.builders import KEY, service_settings
from tests.stack import Database

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


@asynccontextmanager
async def working(settings) -> AsyncIterator[tuple[Context, HealthProbe]]:
    """A service that does its work, and the one who asks whether it does."""
    context = await open_context(settings, configure_logging("execution", "execution"))
    await context.serve()
    context.set_ready(True)
    probe = HealthProbe(f"127.0.0.1:{context.port}")
    try:
        yield context, probe
    finally:
        await probe.close()
        await context.close()


async def until(probe: HealthProbe, ready: bool, seen: Callable[[], bool] = lambda: True) -> None:
    async with asyncio.timeout(100):
        while await probe.serving() is not ready or not seen():  # noqa: ASYNC110 - the probe is asked, it tells nothing
            await asyncio.sleep(0.1)


def value(gauge, label: str) -> float:
    return float(gauge.labels(label)._value.get())


@pytest.mark.moves("leadline_ready")
async def test_readiness_falls_with_the_database_and_comes_back_with_it(database: Database, tmp_path: Path):
    settings = service_settings(tmp_path, "execution", database=database.settings("execution"))
    async with working(settings) as (_, probe):
        await until(probe, True)
        database.server.stop()
        try:
            await until(probe, False, lambda: value(NEEDS, "database") == 0)
            assert measured.value("leadline_ready", service="execution") == 0
        finally:
            database.server.start()
        await until(probe, True, lambda: value(NEEDS, "database") == 1)
        assert measured.value("leadline_ready", service="execution") == 1


async def test_readiness_falls_with_the_bus_and_comes_back_with_it(nats_server: LocalNats, tmp_path: Path):
    settings = service_settings(tmp_path, "execution", nats=nats_server.settings("execution"))
    async with working(settings) as (_, probe):
        await until(probe, True)
        nats_server.stop()
        try:
            await until(probe, False, lambda: value(NEEDS, "bus") == 0)
        finally:
            nats_server.start()
        await until(probe, True, lambda: value(NEEDS, "bus") == 1)


async def test_readiness_falls_with_a_peer_and_comes_back_with_it(ports: Ports, tmp_path: Path):
    address = f"127.0.0.1:{ports.take()}"
    settings = service_settings(tmp_path, "execution", peers={"risk": address})
    async with working(settings) as (context, probe):
        await until(probe, False)
        for ends_well in (True, False):
            peer = GrpcServer(address, one_key(KEY), to="risk")
            await peer.start()
            peer.set_ready(True)
            await until(probe, True)
            if ends_well:
                # One that runs and does not do its work is as good as none.
                peer.set_ready(False)
                await until(probe, False)
            await peer.stop()
            await until(probe, False)
        context.set_ready(False)
        peer = GrpcServer(address, one_key(KEY), to="risk")
        await peer.start()
        peer.set_ready(True)
        async with asyncio.timeout(100):
            while value(NEEDS, "risk") == 0:  # noqa: ASYNC110 - a gauge tells nothing
                await asyncio.sleep(0.1)
        # It has what it needs, and says itself that it does not work.
        assert not await probe.serving()
        await peer.stop()
