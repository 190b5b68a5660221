import asyncio
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import asyncpg
import psutil
import pytest

from leadline.local.bootstrap import make_streams
from leadline.local.local_nats import LocalNats
from leadline.local.local_postgres import DATABASE, LocalPostgres
from leadline.local.ports import Ports
from leadline.local.server_process import ServerFailed
from leadline.local.supervised_server import SupervisedServer
from leadline.model.errors import LeadlineError
from leadline.model.ids import ContractId, RunId
from leadline.model.subjects import TICKS, tick_subject
from leadline.runtime.bus.bus import open_bus
from leadline.runtime.database import connect, open_pool
from leadline.schema.migrate import create_database, migrate_database, set_role_passwords
from leadline.schema.permissions import MIGRATE_USER
from leadline.schema.streams import migrate_bus

pytestmark = pytest.mark.integration

SUBJECT = tick_subject(RunId("r1"), "sim", ContractId("MESZ6"))


@pytest.fixture
def nats(tmp_path: Path, ports: Ports):
    server = LocalNats(tmp_path / "nats", ports.take())
    yield server
    server.stop()


@pytest.fixture
def postgres(tmp_path: Path):
    server = LocalPostgres(tmp_path / "postgres", durable=False)
    yield server
    server.stop()


def permissions(directory: Path) -> dict[str, int]:
    """Mode of every parent, up to the root."""
    return {str(parent): stat.S_IMODE(parent.stat().st_mode) for parent in (directory, *directory.parents)}


def readable_by_others(directory: Path) -> list[str]:
    return [str(path) for path in (directory, *directory.rglob("*")) if path.stat().st_mode & 0o077]


async def test_what_nats_has_stored_is_there_after_a_restart_and_after_a_kill(nats: LocalNats):
    nats.start()
    port = nats.port
    admin = await open_bus(nats.settings(MIGRATE_USER))
    await migrate_bus(admin)
    await admin.close()
    for stop in (nats.stop, nats.kill):
        bus = await open_bus(nats.settings("ingestion"))
        stored = (await bus.state(TICKS)).messages
        await bus.publish(SUBJECT, b"", f"{SUBJECT}/{stored}")
        await bus.close()
        stop()
        assert nats.pid is None
        nats.start()
        assert nats.port == port
        bus = await open_bus(nats.settings("ingestion"))
        assert (await bus.state(TICKS)).messages == stored + 1
        await bus.close()


def test_another_object_of_the_same_directory_finds_data_and_passwords(nats: LocalNats, tmp_path: Path):
    nats.start()
    passwords = nats.settings("ingestion").password_file.read_text()
    nats.stop()
    again = LocalNats(tmp_path / "nats", nats.port)
    again.start()
    assert again.settings("ingestion").password_file.read_text() == passwords
    again.stop()


def test_nats_never_moves_to_another_port_and_says_when_its_own_is_taken(nats: LocalNats):
    with socket.create_server(("127.0.0.1", nats.port)), pytest.raises(ServerFailed, match="address already in use"):
        nats.start()
    nats.start()


def test_nothing_of_a_server_can_be_read_by_another_user(nats: LocalNats, tmp_path: Path):
    nats.start()
    exposed = [
        path for path in readable_by_others(tmp_path / "nats") if "/store" not in path and "server.log" not in path
    ]
    assert exposed == []
    assert stat.S_IMODE((tmp_path / "nats").stat().st_mode) == 0o700


def test_a_server_that_cannot_start_says_why(nats: LocalNats, tmp_path: Path):
    nats.start()
    nats.stop()
    shutil.rmtree(tmp_path / "nats" / "store")
    (tmp_path / "nats" / "store").write_text("in the way")
    with pytest.raises(ServerFailed, match="store"):
        nats.start()


async def test_postgres_works_for_this_user_and_changes_no_permission(postgres: LocalPostgres, tmp_path: Path):
    before = permissions(tmp_path)
    accounts = pwd.getpwall()
    postgres.start()
    await create_database(postgres.admin_settings("postgres"), DATABASE)
    await migrate_database(postgres.admin_settings())
    await set_role_passwords(postgres.admin_settings(), postgres.passwords())
    pool = await open_pool(postgres.settings("aggregation"), "test")
    assert await pool.fetch("SELECT * FROM demand") == []
    await pool.close()
    assert permissions(tmp_path) == before
    assert pwd.getpwall() == accounts
    assert stat.S_IMODE(postgres.socket_directory.stat().st_mode) == 0o700
    assert readable_by_others(tmp_path / "postgres" / "data") == []


async def test_postgres_listens_on_no_network_address_and_trusts_nobody(postgres: LocalPostgres, tmp_path: Path):
    postgres.start()
    assert postgres.pid is not None
    listening = [found for found in psutil.Process(postgres.pid).net_connections("inet") if found.status == "LISTEN"]
    assert listening == []
    (tmp_path / "wrong").write_text("wrong")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(
            postgres.admin_settings("postgres").model_copy(update={"password_file": tmp_path / "wrong"}), "test"
        )


async def test_what_is_committed_survives_a_restart_and_a_kill_in_the_middle_of_work(postgres: LocalPostgres):
    postgres.start()
    connection = await connect(postgres.admin_settings("postgres"), "test")
    await connection.execute("CREATE TABLE done (n int)")
    await connection.close()
    for number, stop in enumerate((postgres.stop, postgres.kill, postgres.kill)):
        connection = await connect(postgres.admin_settings("postgres"), "test")
        await connection.execute("INSERT INTO done VALUES ($1)", number)
        busy = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(0)
        stop()
        with pytest.raises((asyncpg.PostgresError, OSError, asyncpg.InterfaceError)):
            await busy
        connection.terminate()
        postgres.start()
        connection = await connect(postgres.admin_settings("postgres"), "test")
        assert await connection.fetchval("SELECT count(*) FROM done") == number + 1
        await connection.close()


@pytest.mark.parametrize("whose", ["nobody's", "a stranger's"])
def test_a_lock_file_of_a_server_that_is_gone_is_no_obstacle(postgres: LocalPostgres, tmp_path: Path, whose: str):
    postgres.start()
    lock = tmp_path / "postgres" / "data" / "postmaster.pid"
    content = lock.read_text().splitlines()
    postgres.stop()
    stranger = os.getpid() if whose == "a stranger's" else 2**22 - 1
    lock.write_text("\n".join([str(stranger), *content[1:]]) + "\n")
    postgres.start()
    assert postgres.pid is not None


def test_a_socket_directory_that_somebody_else_made_is_refused(postgres: LocalPostgres, tmp_path: Path):
    postgres.socket_directory.symlink_to(tmp_path)
    try:
        with pytest.raises(LeadlineError, match="is a link"):
            postgres.start()
    finally:
        postgres.socket_directory.unlink()


def test_a_deep_directory_is_no_obstacle_to_the_socket(tmp_path: Path):
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    server = LocalPostgres(deep, durable=False)
    server.start()
    server.stop()


def test_stopped_servers_leave_only_their_directory(nats: LocalNats, postgres: LocalPostgres, tmp_path: Path):
    started = []
    for server in (nats, postgres):
        server.start()
        assert server.pid is not None
        started.append(psutil.Process(server.pid))
        started += started[-1].children(recursive=True)
    nats.stop()
    postgres.stop()
    gone, alive = psutil.wait_procs(started, timeout=10)
    assert alive == []
    assert len(gone) == len(started)
    assert not postgres.socket_directory.exists()


ORPHANS = """
    import os, signal, sys
    from pathlib import Path
    from leadline.local.local_nats import LocalNats
    from leadline.local.local_postgres import LocalPostgres
    nats = LocalNats(Path(sys.argv[1]) / "nats", int(sys.argv[2]))
    postgres = LocalPostgres(Path(sys.argv[1]) / "postgres", durable=False)
    nats.start()
    postgres.start()
    print(nats.pid, postgres.pid, postgres.socket_directory, flush=True)
    signal.pause()
"""


def test_the_servers_of_a_supervisor_that_is_killed_end_and_can_be_started_again(tmp_path: Path, ports: Ports):
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(ORPHANS), str(tmp_path), str(ports.take())],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    nats_pid, postgres_pid, _ = parent.stdout.readline().split()
    servers = [psutil.Process(int(nats_pid)), psutil.Process(int(postgres_pid))]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    # Where nobody collects orphans, one that has ended stays listed.
    for server in servers:
        wait_until_ended(server)
    postgres = LocalPostgres(tmp_path / "postgres", durable=False)
    postgres.start()
    postgres.stop()


def wait_until_ended(process: psutil.Process) -> None:
    for _ in range(1000):
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return
        psutil.wait_procs([process], timeout=0.01)
    raise AssertionError(f"{process} still runs")


async def test_a_bus_that_comes_back_without_its_store_has_its_streams_again(nats: LocalNats):
    again = asyncio.Event()

    async def restarted() -> None:
        await make_streams(nats, "live")
        again.set()

    server = SupervisedServer("nats", nats, lambda name, what: pytest.fail(f"{name} {what}"), restarted)
    await server.start()
    try:
        await make_streams(nats, "live")
        assert nats.pid is not None
        shutil.move(nats.store, nats.store.with_name("gone"))
        os.kill(nats.pid, signal.SIGKILL)
        async with asyncio.timeout(30):
            await again.wait()
        bus = await open_bus(nats.settings("ingestion"))
        try:
            await bus.publish(SUBJECT, b"0", "0")
        finally:
            await bus.close()
    finally:
        await server.stop()
