"""What `leadline doctor --kube` finds out of a cluster's own database and bus, which answer here behind a kubectl."""

import base64
import json
import sys
from pathlib import Path

import pytest

from leadline.local.local_nats import LocalNats
from leadline.local.local_postgres import LocalPostgres
from leadline.schema.migrate import create_database, migrate_database
from leadline.views.doctor import gather_platform
from leadline.views.doctor.facts import Bus, Database, Missing

pytestmark = pytest.mark.integration

STAND_IN = Path(__file__).parent / "kubectl_stand_in.py"


class Cluster:
    """The documents that kubectl has, and where its ports lead to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, component: str, target: str, **passwords: str) -> None:
        """A StatefulSet of the platform with a Secret of passwords."""
        volumes = [{"projected": {"sources": [{"secret": {"name": f"own-{component}"}}]}}]
        spec = {"template": {"spec": {"volumes": volumes}}}
        item = {"metadata": {"name": f"leadline-{component}", "namespace": "system"}, "spec": spec}
        self.put(component, {"items": [item]})
        self.secret(f"own-{component}", **passwords)
        (self.folder / f"leadline-{component}").write_text(target)

    def secret(self, name: str, **passwords: str) -> None:
        """A Secret of some passwords."""
        self.put(name, {"data": {key: base64.b64encode(each.encode()).decode() for key, each in passwords.items()}})

    def put(self, name: str, document: object) -> None:
        """What kubectl answers when it is asked for a name."""
        (self.folder / f"{name}.json").write_text(json.dumps(document))


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    program = tmp_path / "kubectl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} {tmp_path} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return Cluster(tmp_path)


def password(server: LocalPostgres | LocalNats, name: str) -> str:
    """A server's password of a service or user."""
    file = server.settings(name).password_file
    assert file is not None
    return file.read_text()


async def test_the_database_is_looked_at_and_asked_whether_it_takes_the_namespaces_passwords(
    cluster: Cluster, postgres: LocalPostgres
):
    await create_database(postgres.admin_settings("postgres"), "leadline")
    await migrate_database(postgres.admin_settings("leadline"))
    socket = next(postgres.socket_directory.glob(".s.PGSQL.*[0-9]"))
    cluster.has("postgresql", str(socket), reader=password(postgres, "reader"))
    cluster.secret("leadline-database", execution=password(postgres, "execution"), reader="another")
    found, contracts, taken = await gather_platform.database("desk")
    assert isinstance(found, Database)
    assert found.applied
    assert contracts == ()
    assert taken == {"leadline-database/execution": True, "leadline-database/reader": False}


async def test_the_bus_is_looked_at_and_refuses_a_user_that_it_does_not_know(cluster: Cluster, nats_server: LocalNats):
    cluster.has("nats", str(nats_server.port), migrate=password(nats_server, "migrate"))
    cluster.secret("leadline-nats", execution="of another cluster")
    found, taken = await gather_platform.bus("desk")
    assert isinstance(found, Bus)
    assert {"TICKS", "BARS", "SIGNALS", "ORDERS", "RUNS"} <= set(found.streams)
    assert taken == {"leadline-nats/execution": False}


async def test_a_namespace_without_its_secret_leaves_open_whether_it_gets_in(cluster: Cluster, nats_server: LocalNats):
    cluster.has("nats", str(nats_server.port), migrate=password(nats_server, "migrate"))
    found, taken = await gather_platform.bus("desk")
    assert isinstance(found, Bus)
    assert isinstance(taken, Missing)
    assert "the Secret leadline-nats cannot be reached with these rights" in taken.why


async def test_servers_of_others_and_what_may_not_be_read_are_told_apart_from_what_does_not_answer(cluster: Cluster):
    cluster.put("postgresql", {"items": []})
    database, contracts, taken = await gather_platform.database("desk")
    assert isinstance(database, Missing)
    assert (database.why, database.broken) == (
        "the cluster has no database of Leadline, so it is another server's",
        False,
    )
    assert (contracts, taken) == ((), database)

    cluster.has("nats", "1", migrate="m")
    cluster.put("own-nats", {"refused": "secrets is forbidden"})
    bus, _ = await gather_platform.bus("desk")
    assert isinstance(bus, Missing)
    assert "the platform's bus cannot be reached with these rights" in bus.why
    assert not bus.broken

    cluster.has("postgresql", str(cluster.folder / "nobody"), reader="r")
    database, _, _ = await gather_platform.database("desk")
    assert isinstance(database, Missing)
    assert database.why.startswith("the platform's database does not answer")
    assert database.broken
