"""One child process that is kept alive: started, logged, restarted when it dies, stopped for certain."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from leadline.local.logfile import LogFile
from leadline.runtime.exit_codes import EXIT_REFUSED

BACKOFF_FIRST_SECONDS: Final = 0.2
BACKOFF_MOST_SECONDS: Final = 5.0
# A process that lived this long was well: its next death starts the backoff from the beginning.
STEADY_SECONDS: Final = 30.0
# Deaths in a row, none of them after a steady life, before it is given up.
MAX_QUICK_DEATHS: Final = 10
STOP_GRACE_SECONDS: Final = 10.0

State = Literal["new", "starting", "running", "restarting", "stopped", "failed"]


def backoff_seconds(deaths: int) -> float:
    """Wait before the next start after `deaths` >= 1 quick deaths in a row: doubles, and is bounded."""
    return float(min(BACKOFF_MOST_SECONDS, BACKOFF_FIRST_SECONDS * 2 ** (min(deaths, 20) - 1)))


class KeptProcess:
    """A child process in a session of its own, so that the terminal's Ctrl-C does not reach it.

    Its output goes to `log`. Until `prove` is called its first death is final, because a service that never came up
    will not come up the next time; after that it is restarted with a bounded backoff, unless its exit code says that
    another start would be no use. `on_failed` is called once when it is given up. `restarts` counts starts after the
    first, `pid` is None while it is down.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: LogFile,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        on_failed: Callable[["KeptProcess"], None] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.state: State = "new"
        self.restarts = 0
        self.pid: int | None = None
        self.exit_code: int | None = None
        self._argv = list(argv)
        self._env = None if env is None else dict(env)
        self._cwd = cwd
        self._on_failed = on_failed
        self._proven = False
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Start it and keep it alive from now on. Raises OSError when the command cannot be run."""
        process = await self._spawn()
        self._keeper = asyncio.create_task(self._keep(process), name=f"keep {self.name}")

    def prove(self) -> None:
        """It has come up once: from now on a death means a restart."""
        self._proven = True

    async def stop(self, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """SIGTERM, and SIGKILL to the whole session after the grace. Returns when nothing of it runs."""
        self._stopping.set()
        if self._keeper is None:
            return
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_seconds):
                await asyncio.shield(self._keeper)
        except TimeoutError:
            self.kill()
            await self._keeper
        if self.state != "failed":
            self.state = "stopped"
        self.log.close()

    def kill(self) -> None:
        """SIGKILL to the whole session, without waiting."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _spawn(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *self._argv,
            env=self._env,
            cwd=self._cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._process = process
        self.pid = process.pid
        self.state = "running"
        return process

    async def _keep(self, process: asyncio.subprocess.Process) -> None:
        deaths = 0
        while True:
            started = time.monotonic()
            await self._pump(process)
            self.exit_code = await process.wait()
            self.pid = None
            if self._stopping.is_set():
                return
            deaths = 1 if time.monotonic() - started >= STEADY_SECONDS else deaths + 1
            if not self._proven or deaths > MAX_QUICK_DEATHS or self.exit_code == EXIT_REFUSED:
                self._give_up()
                return
            self.state = "restarting"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(backoff_seconds(deaths)):
                    await self._stopping.wait()
            if self._stopping.is_set():
                return
            self.restarts += 1
            try:
                process = await self._spawn()
            except OSError as error:
                self.log.write(f"cannot start again: {error}\n".encode())
                self._give_up()
                return
            if self._stopping.is_set():  # asked while it was being started: `stop` saw the one before it
                process.terminate()

    async def _pump(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while data := await process.stdout.read(64 * 1024):
            self.log.write(data)

    def _give_up(self) -> None:
        self.state = "failed"
        if self._on_failed is not None:
            self._on_failed(self)
