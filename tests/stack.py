"""Real servers for tests: one NATS and one PostgreSQL a run, and in them a clean place for each test."""

import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from leadline.plan.servers import LocalNats
from leadline.runtime.bus import Bus, open_bus
from leadline.runtime.subjects import BARS, ORDERS, RUNS, SIGNALS, TICKS
from leadline.schema.permissions import MIGRATE_USER
from leadline.schema.streams import migrate_bus


@pytest.fixture(scope="session")
def nats_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNats]:
    """The run's NATS server. Its streams belong to the test that asked for `nats_server`."""
    server = LocalNats(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def nats_server(nats_process: LocalNats) -> LocalNats:
    """A running NATS server with the streams of `leadline bus migrate`, all of them empty."""
    if nats_process.pid is None:
        nats_process.start()
    async with bus_as(nats_process, MIGRATE_USER) as bus:
        for stream in (TICKS, BARS, SIGNALS, ORDERS, RUNS):
            with contextlib.suppress(Exception):
                await bus.api(f"STREAM.DELETE.{stream}")
        await migrate_bus(bus)
    return nats_process


@contextlib.asynccontextmanager
async def bus_as(server: LocalNats, user: str, *, patience_s: float = 20) -> AsyncIterator[Bus]:
    """A connection as one of the services, closed at the end."""
    bus = await open_bus(server.settings(user), patience_s=patience_s)
    try:
        yield bus
    finally:
        await bus.close()
