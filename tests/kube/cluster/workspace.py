"""The place of one cluster: a directory that is gone with the process, and the servers that run in it."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from leadline.local.server_process import ServerProcess
from tests.kube.cluster import sweep

STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.01


class Server:
    """One server of a cluster: SIGKILL when this process dies, its output in `log`.

    `enter` is the command that runs it in other namespaces; then the server is the child of that command.
    """

    def __init__(self, name: str, log: Path, starter: ThreadPoolExecutor, enter: Sequence[str] = ()) -> None:
        self.name = name
        self.log = log
        self._process = ServerProcess(name, log, signal.SIGKILL)
        self._starter = starter
        self._enter = tuple(enter)

    @property
    def pid(self) -> int | None:
        """The server's process id as this process sees it, None while it is down."""
        pid = self._process.pid
        if pid is None or not self._enter:
            return pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:  # it ended since
            return None
        return int(children[0]) if children else None

    def start(self, argv: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
        """Start it; whether it works is for the caller to find out. Raises OSError when it cannot be run."""
        command = [*self._enter, *map(str, argv)]
        self._starter.submit(self._process.start, command, env).result()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens while it is down."""
        if (pid := self.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Send `how` and wait, at last with SIGKILL. Idempotent."""
        self.send(how)
        self.send(signal.SIGCONT)  # a frozen server would not end
        deadline = time.monotonic() + STOP_SECONDS
        while self._process.pid is not None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self.send(signal.SIGKILL)
        self._process.stop(signal.SIGKILL)

    def forget(self) -> None:
        """Kill what runs it, without waiting for the server itself: it ends with its namespace. Idempotent."""
        self._process.stop(signal.SIGKILL)

    def check(self) -> None:
        """Raises ServerFailed with the last of its log when it has ended."""
        self._process.check()

    def failed(self, what: str) -> Exception:
        """An error that says what happened and shows the last of the log."""
        return self._process.failure(what)


class Workspace:
    """A new directory for the files of one cluster, and the thread that starts its servers.

    The directory and the control groups of its name are removed by a process that outlives this one, so that
    nothing stays behind after a SIGKILL either.
    """

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=sweep.PREFIX)).resolve()
        # The kernel ends a server with the thread that started it, and a test's thread may be short-lived.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix=self.directory.name)
        self._sweeper = subprocess.Popen(
            [sys.executable, "-I", "-S", sweep.__file__, str(self.directory)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def server(self, name: str, enter: Sequence[str] = ()) -> Server:
        """A server that is not started yet, with its log in logs/<name>.log."""
        return Server(name, self.directory / "logs" / f"{name}.log", self._starter, enter)

    def close(self) -> None:
        """Remove everything; the servers must have been stopped. Returns when it is gone. Idempotent."""
        self._starter.shutdown()
        assert self._sweeper.stdin is not None
        self._sweeper.stdin.close()
        self._sweeper.wait()
