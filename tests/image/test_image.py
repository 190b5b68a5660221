"""The image as a node gets it: built from the Dockerfile, looked at, and run with a root that cannot be written."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from leadline.local.health import HealthProbe
from leadline.local.ports import Ports
from leadline.runtime.database import DATABASE_LOST, connect
from leadline.runtime.settings import DatabaseSettings
from tests.image.unpacked import Unpacked, first_process
from tests.kube.cluster.images import missing, project_image
from tests.runtime.builders import KEY

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

MOST_BYTES = 200_000_000


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    """The image, built anew when something in it has changed."""
    if os.geteuid() != 0:
        pytest.skip("root builds and unpacks images here; `make image` builds one with your own tool")
    if lacks := missing():
        pytest.skip(f"no image can be built here: {'; '.join(lacks)}")
    return Unpacked(project_image(), tmp_path_factory.mktemp("image"))


@contextlib.contextmanager
def started(image: Unpacked, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = image.start(*arguments)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.read()


def test_the_image_is_small_names_itself_and_has_no_check_of_its_own(image: Unpacked):
    assert image.compressed_bytes < MOST_BYTES
    assert image.config["User"] == "10001:10001"
    assert image.config["Entrypoint"] == ["leadline"]
    assert "Healthcheck" not in image.config
    assert {
        name.removeprefix("org.opencontainers.image.")
        for name in image.config["Labels"]
        if name.startswith("org.opencontainers.image.")
    } >= {"title", "description", "licenses", "version", "revision", "created"}


def test_the_image_holds_no_installer_no_test_and_every_module_compiled_once(image: Unpacked):
    (packages,) = image.folder.glob("opt/leadline/lib/python3*/site-packages")
    assert not list(packages.glob("pip*"))
    assert not list(packages.rglob("numpy/**/tests"))
    modules = [path for path in (packages / "leadline").rglob("*.py") if path.stat().st_size]
    compiled = list((packages / "leadline").rglob("*.pyc"))
    assert len(compiled) >= len(modules) > 100
    # PEP 552: the flag says that the source is neither looked at nor hashed again.
    assert {path.read_bytes()[4:8] for path in compiled} == {b"\x01\x00\x00\x00"}
    assert not list(image.folder.glob("run/secrets/*"))


def test_the_command_lists_its_subcommands(image: Unpacked):
    done = image.run("--help")
    assert done.returncode == 0, done.stderr
    assert re.search(r"\bservice\b", done.stdout)
    assert re.search(r"\bserver\b", done.stdout)


async def test_a_service_runs_with_a_root_that_cannot_be_written_and_stops_when_told_to(
    image: Unpacked, tmp_path: Path, ports: Ports
):
    listen, health, metrics = (f"127.0.0.1:{ports.take()}" for _ in range(3))
    settings = {
        "service": "risk",
        "workload": "risk",
        "listen": listen,
        "health_listen": health,
        "metrics_listen": metrics,
        "data_dir": "/var/lib/leadline",
        "token_key_file": "/etc/leadline/secrets/token/risk",
    }
    image.write({"settings.json": json.dumps(settings), "secrets/token/risk": KEY})
    with started(image, "service", "risk", "--settings", "/etc/leadline/settings.json") as process:
        probe = HealthProbe(health)
        async with asyncio.timeout(30):
            while not await probe.serving():
                assert process.poll() is None, said(process)
                await asyncio.sleep(0.1)
        await probe.close()
        service = first_process(process)
        assert service.uids().effective == 10001
        service.terminate()
        assert process.wait(20) == 0, said(process)
        assert '"event":"service.stopped"' in said(process)


async def test_postgres_runs_as_the_images_user_and_ends_its_clients_sessions_when_told_to(
    image: Unpacked, tmp_path: Path, ports: Ports
):
    port = ports.take()
    settings = {
        "listen": f"127.0.0.1:{port}",
        "data_dir": "/var/lib/leadline",
        "superuser_password_file": "/etc/leadline/secrets/owner",
    }
    image.write({"settings.json": json.dumps(settings), "secrets/owner": "a password"})
    (tmp_path / "owner").write_text("a password")
    database = DatabaseSettings(
        url=f"postgresql://postgres@127.0.0.1:{port}/postgres", password_file=tmp_path / "owner"
    )
    with started(image, "server", "postgres", "--settings", "/etc/leadline/settings.json") as process:
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(*DATABASE_LOST):
                    connection = await connect(database, "test")
                    break
                assert process.poll() is None, said(process)
                await asyncio.sleep(0.1)
        assert await connection.fetchval("SELECT current_user") == "postgres"
        first = first_process(process)
        assert {member.uids().effective for member in (first, *first.children())} == {10001}
        first.terminate()
        assert process.wait(20) == 0
        assert "database system is shut down" in said(process)
        with contextlib.suppress(*DATABASE_LOST):
            await connection.close()


def test_nats_runs_under_the_one_that_starts_it_again_and_ends_well(image: Unpacked, ports: Ports):
    client, monitor = (f"127.0.0.1:{ports.take()}" for _ in range(2))
    settings = {
        "listen": client,
        "monitor_listen": monitor,
        "data_dir": "/var/lib/leadline",
        "users_dir": "/etc/leadline/secrets/nats",
        "max_store_bytes": 4 << 30,
    }
    image.write({"settings.json": json.dumps(settings), "secrets/nats/analysis-team-a": "a password"})
    with started(image, "server", "nats", "--settings", "/etc/leadline/settings.json") as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Server is ready" in line:
                break
        else:
            pytest.fail("".join(lines))
        first = first_process(process)
        (server,) = first.children()
        assert Path(server.cmdline()[0]).name == "nats-server"
        assert {member.uids().effective for member in (first, server)} == {10001}
        with contextlib.suppress(psutil.NoSuchProcess):
            first.terminate()
        assert process.wait(20) == 0
