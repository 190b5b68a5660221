import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import nats
import nats.errors
import pytest

from leadline.local.bundled import run_nats, run_postgres
from leadline.local.forward import stopped_by
from leadline.local.full_disk import started_again, write_error
from leadline.local.nats_server import nats_binary, nats_config
from leadline.local.ports import Ports
from leadline.model.errors import InvalidInput, Unknown


def settings_file(directory: Path, **settings: object) -> Path:
    path = directory / "settings.json"
    path.write_text(json.dumps(settings))
    return path


def nats_settings(directory: Path) -> Path:
    (directory / "users").mkdir()
    return settings_file(
        directory,
        listen="127.0.0.1:0",
        monitor_listen="127.0.0.1:0",
        data_dir=str(directory),
        users_dir=str(directory / "users"),
        max_store_bytes=4 << 30,
    )


def test_a_user_without_permissions_is_refused_before_the_server_starts(tmp_path: Path):
    settings = nats_settings(tmp_path)
    with pytest.raises(InvalidInput, match="a file for each user"):
        run_nats(settings)
    (tmp_path / "users" / "gambling").write_text("x")
    with pytest.raises(Unknown, match="gambling"):
        run_nats(settings)


@pytest.mark.parametrize(("field", "value"), [("max_connections", 1), ("listen", "5432"), ("data", "/")])
def test_settings_that_cannot_be_are_refused_by_name(tmp_path: Path, field: str, value: object):
    good = {"listen": ":5432", "data_dir": str(tmp_path), "superuser_password_file": "/secret"}
    with pytest.raises(InvalidInput, match=rf"settings\.json: {field}"):
        run_postgres(settings_file(tmp_path, **{**good, field: value}))


CHILD = """
import signal, sys
def on_signal(number, frame):
    print(signal.Signals(number).name, flush=True)
    sys.exit(7)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, on_signal)
print("ready", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_command_hears_the_signal_that_it_wants_and_its_code_is_handed_on(asked: signal.Signals):
    command = stopped_by([sys.executable, "-c", CHILD], signal.SIGINT)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(asked)
        assert process.stdout.read() == "SIGINT\n"
        assert process.wait(10) == 7


def test_a_command_that_is_killed_counts_as_killed():
    dies = "import os; os.kill(os.getpid(), 9)"
    done = subprocess.run(stopped_by([sys.executable, "-c", dies], signal.SIGINT), check=False)
    assert done.returncode == 128 + signal.SIGKILL


def test_a_bus_whose_disk_was_full_takes_messages_again_when_there_is_room(tmp_path: Path, ports: Ports):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk of its own needs the right to mount one")
    client, monitor = f"127.0.0.1:{ports.take()}", f"127.0.0.1:{ports.take()}"
    config = nats_config(client, disk / "store", 1 << 30, {}, monitor=monitor)
    del config["accounts"]
    (tmp_path / "nats.json").write_text(json.dumps(config))
    server = [nats_binary(), "-c", str(tmp_path / "nats.json")]
    try:
        (disk / "others").write_bytes(b"x" * (32 << 20))
        with subprocess.Popen(started_again(server, monitor, disk, room_bytes=16 << 20)) as process:
            try:
                asyncio.run(_fill_and_free(disk / "others", client, monitor))
            finally:
                process.terminate()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


async def _fill_and_free(others: Path, client: str, monitor: str) -> None:
    async with asyncio.timeout(60):
        connection = await nats.connect(client, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
        stream = connection.jetstream()
        await stream.add_stream(name="T", subjects=["t"])
        while not write_error(monitor):
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                await stream.publish("t", b"x" * 500_000, timeout=2)
        # What fills the disk is somebody else's, and goes.
        await asyncio.to_thread(others.unlink)
        taken = False
        while not taken:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                await stream.publish("t", b"room", timeout=1)
                taken = True
        await connection.close()
