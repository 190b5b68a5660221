"""A kept process is logged, restarted when it dies, and gone when it is stopped."""

import asyncio
import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from leadline.local.logfile import LogFile
from leadline.local.process import BACKOFF_MOST_SECONDS, KeptProcess, backoff_seconds
from leadline.runtime.exit_codes import EXIT_REFUSED

# Says hello to a port (so that the test has an event to wait for) and then does what the test wants.
HELLO = "import os, socket, sys, signal, time; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
HELLO += "s.sendall(f'{os.getpid()}\\n'.encode())\n"


class Hellos:
    """A port that hands out the pids of the children that said hello."""

    def __init__(self) -> None:
        self.pids: asyncio.Queue[int] = asyncio.Queue()
        self.let_go = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pids.put_nowait(int(await reader.readline()))
        gone, let_go = asyncio.ensure_future(reader.read()), asyncio.ensure_future(self.let_go.wait())
        await asyncio.wait({gone, let_go}, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (gone, let_go):
            waiting.cancel()
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await gone
        writer.close()

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()


def child(
    tmp_path: Path, script: str, port: int = 0, on_failed: Callable[[KeptProcess], None] | None = None
) -> KeptProcess:
    log = LogFile(tmp_path / "child.log")
    return KeptProcess(
        "child", [sys.executable, "-c", HELLO * bool(port) + script, str(port)], log, on_failed=on_failed
    )


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_killed_process_is_started_again_and_counted(tmp_path):
    async with Hellos() as hellos:
        process = child(tmp_path, "signal.pause()", hellos.port)
        await process.start()
        first = await hellos.pids.get()
        process.prove()
        os.kill(first, signal.SIGKILL)
        second = await hellos.pids.get()
        assert second != first
        assert process.pid == second
        assert (process.restarts, process.state, process.exit_code) == (1, "running", -signal.SIGKILL)
        await process.stop()
        assert not alive(second)
        assert process.state == "stopped"


async def test_a_process_that_never_came_up_is_not_tried_again(tmp_path):
    failed = asyncio.get_running_loop().create_future()
    process = child(tmp_path, "print('no such feed', flush=True); sys.exit(3)", on_failed=failed.set_result)
    process._argv[2] = "import sys; " + process._argv[2]
    await process.start()
    assert await failed is process
    assert (process.state, process.exit_code, process.restarts) == ("failed", 3, 0)
    assert process.log.tail() == ["no such feed"]
    await process.stop()
    assert process.state == "failed"


async def test_a_process_that_says_that_another_start_is_no_use_is_not_tried_again(tmp_path):
    given_up = asyncio.Event()
    async with Hellos() as hellos:
        # It ends only when it is told to: by then it has come up.
        script = f"s.recv(1); sys.exit({EXIT_REFUSED})"
        process = child(tmp_path, script, hellos.port, on_failed=lambda _: given_up.set())
        await process.start()
        await hellos.pids.get()
        process.prove()
        hellos.let_go.set()
        await asyncio.wait_for(given_up.wait(), 30)
        assert (process.state, process.restarts, process.exit_code) == ("failed", 0, EXIT_REFUSED)
        await process.stop()


async def test_a_process_that_ignores_sigterm_is_killed_after_the_grace(tmp_path):
    async with Hellos() as hellos:
        script = "signal.signal(signal.SIGTERM, signal.SIG_IGN); s.sendall(b'deaf'); time.sleep(600)"
        process = child(tmp_path, script, hellos.port)
        await process.start()
        pid = await hellos.pids.get()
        await process.stop(grace_seconds=0.2)
        assert not alive(pid)


async def test_children_do_not_share_the_terminals_process_group(tmp_path):
    async with Hellos() as hellos:
        process = child(tmp_path, "signal.pause()", hellos.port)
        await process.start()
        pid = await hellos.pids.get()
        assert os.getpgid(pid) == pid != os.getpgid(0)
        await process.stop()


async def test_stopping_while_it_waits_to_restart_starts_nothing(tmp_path):
    async with Hellos() as hellos:
        process = child(tmp_path, "os.abort()", hellos.port)
        await process.start()
        process.prove()
        await hellos.pids.get()
        await process.stop()
        assert process.state == "stopped"
        assert process.pid is None


@pytest.mark.parametrize(("deaths", "seconds"), [(1, 0.2), (2, 0.4), (5, 3.2), (6, 5.0), (10_000, 5.0)])
def test_the_backoff_doubles_and_is_bounded(deaths, seconds):
    assert backoff_seconds(deaths) == pytest.approx(seconds)
    assert backoff_seconds(deaths) <= BACKOFF_MOST_SECONDS


def test_a_log_holds_at_most_twice_its_bound(tmp_path):
    log = LogFile(tmp_path / "service.log", max_bytes=1000)
    for number in range(100):
        log.write(f"line {number:04d}\n".encode())  # 10 bytes each: 1000 bytes in all fill the first file exactly
    log.write(b"one more\n")
    log.close()
    assert (tmp_path / "service.log.1").stat().st_size == 1000
    assert (tmp_path / "service.log").read_bytes() == b"one more\n"
    assert log.tail(2) == ["line 0099", "one more"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["service.log", "service.log.1"]


def test_a_log_that_cannot_begin_anew_loses_lines_and_nothing_else(tmp_path):
    log, before = LogFile(tmp_path / "service.log", max_bytes=10), tmp_path / "service.log.1"
    log.write(b"line 0001\n")
    before.mkdir()
    log.write(b"line 0002\n")  # nothing can be renamed to a folder
    assert log.tail(2) == ["line 0001", "line 0002"]
    before.rmdir()
    free = os.dup(0)
    os.close(free)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        log.write(b"line 0003\n")  # renamed, and no new file can be opened
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    log.write(b"line 0004\n")
    log.close()
    assert (before.read_bytes(), log.path.read_bytes()) == (b"line 0001\n", b"line 0004\n")
    assert log.tail(2) == ["line 0003", "line 0004"]
