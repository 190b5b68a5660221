"""What the tests of this room share."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from leadline.local.local_postgres import LocalPostgres
from leadline.schema.migrate import create_database, migrate_database, set_role_passwords
from tests.kube.cluster.control_plane import ControlPlane
from tests.operator.harness import Leadline, Site
from tests.stack import Database

_DATABASE = "operator"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests with operators of their own last: between the others each would stop the shared one."""
    places = [place for place, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    room = [items[place] for place in places]
    room.sort(key=lambda item: "site" in _fixtures(item) and "leadline" not in _fixtures(item))
    for place, item in zip(places, room, strict=True):
        items[place] = item


def _fixtures(item: pytest.Item) -> tuple[str, ...]:
    return tuple(getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def site(
    control_plane: ControlPlane, postgres_process: LocalPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """What all tests of this room share."""
    if postgres_process.pid is None:
        postgres_process.start()
    asyncio.run(_migrated(postgres_process))
    found = Site(control_plane, Database(postgres_process, _DATABASE), tmp_path_factory.mktemp("operator"))
    yield found
    found.close()


@pytest.fixture
def leadline(site: Site, namespace: str) -> Iterator[Leadline]:
    """A namespace that the shared operator looks after."""
    found = Leadline(site, namespace, own=False)
    yield found
    found.close()


@pytest.fixture
def idle(site: Site, namespace: str) -> Iterator[Leadline]:
    """A namespace with an operator of its own that is not started, to be treated badly."""
    found = Leadline(site, namespace, own=True)
    yield found
    found.close()


@pytest.fixture
def own(idle: Leadline) -> Leadline:
    """A namespace with an operator of its own at work, to be treated badly."""
    idle.operator.start()
    return idle


async def _migrated(server: LocalPostgres) -> None:
    await create_database(server.admin_settings("postgres"), _DATABASE)
    await migrate_database(server.admin_settings(_DATABASE))
    await set_role_passwords(server.admin_settings(_DATABASE), server.passwords())
