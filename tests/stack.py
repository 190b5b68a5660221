"""Real servers for tests: one NATS and one PostgreSQL a run, and in them a clean place for each test."""

import asyncio
import contextlib
import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from leadline.local.local_nats import LocalNats
from leadline.local.local_postgres import LocalPostgres
from leadline.local.ports import Ports
from leadline.model.subjects import BARS, ORDERS, RUNS, SIGNALS, TICKS
from leadline.runtime.bus.bus import Bus, BusRefused, open_bus
from leadline.runtime.database import Pool, connect, open_pool
from leadline.runtime.settings import DatabaseSettings
from leadline.schema.migrate import create_database, migrate_database, set_role_passwords
from leadline.schema.permissions import MIGRATE_USER
from leadline.schema.streams import migrate_bus

_CANNOT_MAKE_STORE = 10049


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[Ports]:
    """Ports that are this test's alone."""
    with Ports(str(tmp_path)) as held:
        yield held


@pytest.fixture(scope="session")
def nats_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNats]:
    """The run's NATS server. Its streams belong to the test that asked for `nats_server`."""
    directory = tmp_path_factory.mktemp("nats")
    with Ports(str(directory)) as held:
        server = LocalNats(directory, held.take())
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
            with contextlib.suppress(BusRefused):
                await bus.api(f"STREAM.DELETE.{stream}")
        await make_streams(bus)
    return nats_process


async def make_streams(bus: Bus) -> None:
    """The streams; the server may still be removing the directories of those that were deleted."""
    for _ in range(20):
        try:
            await migrate_bus(bus)
        except BusRefused as refusal:
            if refusal.code != _CANNOT_MAKE_STORE:
                raise
            await asyncio.sleep(0.1)
        else:
            return
    await migrate_bus(bus)


@contextlib.asynccontextmanager
async def bus_as(server: LocalNats, user: str, *, timeout_s: float = 20) -> AsyncIterator[Bus]:
    """A connection as one of the services, closed at the end."""
    bus = await open_bus(server.settings(user), timeout_s=timeout_s)
    try:
        yield bus
    finally:
        await bus.close()


class OlderStore:
    """The store of a NATS server as it is now, to be put back later: what it acknowledged in between is lost then."""

    def __init__(self, server: LocalNats, folder: Path) -> None:
        self._server = server
        self._store = server.store
        self._copy = folder / "older store"
        server.stop()
        shutil.copytree(self._store, self._copy)
        server.start()

    def put_back(self) -> None:
        """Kill the server, and start it with the older store."""
        self._server.kill()
        shutil.rmtree(self._store)
        shutil.copytree(self._copy, self._store)
        self._server.start()


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database of one test, empty at its start."""

    server: LocalPostgres
    name: str

    def settings(self, service: str) -> DatabaseSettings:
        """How a service connects to it, with that service's rights."""
        return self.server.settings(service, self.name)

    def admin_settings(self) -> DatabaseSettings:
        """How to connect with all rights."""
        return self.server.admin_settings(self.name)


_TEMPLATE = "leadline_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    """The run's PostgreSQL server."""
    server = LocalPostgres(tmp_path_factory.mktemp("postgres"), durable=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def postgres(postgres_process: LocalPostgres) -> LocalPostgres:
    """A running PostgreSQL server with the roles of all services."""
    if postgres_process.pid is None:
        postgres_process.start()
    if await create_database(postgres_process.admin_settings("postgres"), _TEMPLATE):
        await migrate_database(postgres_process.admin_settings(_TEMPLATE))
        await set_role_passwords(postgres_process.admin_settings(_TEMPLATE), postgres_process.passwords())
    return postgres_process


@pytest.fixture
async def database(postgres: LocalPostgres) -> AsyncIterator[Database]:
    """A database with the schema of `leadline db migrate`, dropped after the test."""
    name = f"test_{next(_numbers)}"
    await run_sql(postgres.admin_settings("postgres"), f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    yield Database(postgres, name)
    if postgres.pid is None:
        postgres.start()
    await run_sql(postgres.admin_settings("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


async def run_sql(settings: DatabaseSettings, *statements: str) -> None:
    """Run statements on a connection of their own, each by itself."""
    connection = await connect(settings, "test")
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def pool_as(database: Database, service: str) -> AsyncIterator[Pool]:
    """A pool with the rights of one of the services, closed at the end."""
    pool = await open_pool(database.settings(service), f"test {service}")
    try:
        yield pool
    finally:
        await pool.close()
