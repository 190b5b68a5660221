"""NATS and PostgreSQL under the supervisor: started and watched beside its event loop, restarted when dead."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from leadline.local.process import MAX_QUICK_DEATHS, STEADY_SECONDS, State, backoff_seconds
from leadline.model.errors import LeadlineError

WATCH_SECONDS: Final = 0.25


class Server(Protocol):
    """A server as the supervisor needs it; its calls block."""

    @property
    def pid(self) -> int | None:
        """Its process id, None while it is down."""

    def start(self) -> None:
        """Start and return when it answers."""

    def stop(self) -> None:
        """Stop and wait; idempotent."""

    def restart(self) -> None:
        """Stop if it runs, and start on the same address and data."""


class SupervisedServer:
    """A server that is kept alive; `on_failed` is called once, when it is given up, `on_restarted` after each restart.

    Its calls run in one thread that lives as long as this object is open: the kernel ends a server with the thread
    that started it.
    """

    def __init__(
        self,
        name: str,
        server: Server,
        on_failed: Callable[[str, str], None],
        on_restarted: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.name = name
        self.state: State = "new"
        self.restarts = 0
        self._server = server
        self._on_failed = on_failed
        self._on_restarted = on_restarted
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._watcher: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, None while it is down."""
        return self._server.pid

    async def start(self) -> None:
        """Start it and watch it from now on. Raises ServerFailed, and OSError when it cannot be run."""
        self.state = "starting"
        await self._call(self._server.start)
        self.state = "running"
        self._watcher = asyncio.create_task(self._watch(), name=f"keep {self.name}")

    async def stop(self) -> None:
        """Stop it and wait. Idempotent."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
            self._watcher = None
        if self.state != "new":
            # After a start that is still under way: one thread takes one call after the other.
            await self._call(self._server.stop)
            self.state = "stopped"
        self._thread.shutdown(wait=False)

    async def _call(self, call: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def _watch(self) -> None:
        deaths, started = 0, time.monotonic()
        # A server that is kept, as a process is: its deaths are counted, and their pauses are those of every part.
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._server.pid is not None:
                continue
            deaths = 1 if time.monotonic() - started >= STEADY_SECONDS else deaths + 1
            self.state = "restarting"
            await asyncio.sleep(backoff_seconds(deaths))
            self.restarts += 1
            started = time.monotonic()
            try:
                await self._call(self._server.restart)
            except (LeadlineError, OSError) as error:
                if deaths > MAX_QUICK_DEATHS:
                    self.state = "failed"
                    self._on_failed(self.name, str(error))
                    return
            else:
                self.state = "running"
                if self._on_restarted is not None:
                    await self._on_restarted()
