"""A live platform as a user runs it, each part a process whose id is known."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from leadline.ingestion.live.tape import Clock
from leadline.local.local_postgres import LocalPostgres
from leadline.runtime.database import connect
from tests.system.stack_run import ROOT, STARTED, pids_of

MANIFEST: Final = Path(__file__).with_name("two.yaml")
ACCOUNTS: Final = ("default/native", "default/plain")
SERVERS: Final = ("nats", "postgres")
SUPERVISOR: Final = "supervisor"
SERVICES: Final = (
    "ingestion",
    "aggregation",
    "analysis-default-mes-often",
    "analysis-default-mnq-often",
    "risk",
    "recorder",
    "execution-default-native",
    "execution-default-plain",
    "venue-default-native",
    "venue-default-plain",
)
SPEED: Final = 30
START_SECONDS: Final = 300
STOP_SECONDS: Final = 60


def environment() -> dict[str, str]:
    """That of this process, in which the strategy can be found."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}


class NotStarted(Exception):
    """`leadline up` ended, or did not come up in time. The message has what it said."""


class Platform:
    """`leadline up --live` in a folder; started, killed and started again, with the same data.

    Its clock runs `speed` times as fast: with `SPEED` the two accounts give an order or a fill several times a second.
    `environment` is what it has besides this process's own at its next start; `at_end` is done when all of it is ended.
    """

    def __init__(self, folder: Path, seed: int, manifest: Path = MANIFEST, *, speed: int = SPEED) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.said = folder / "up.log"
        self._seed = seed
        self._manifest = manifest
        self._speed = speed
        self.environment: dict[str, str] = {}
        self.at_end: list[Callable[[], object]] = []
        self._process: asyncio.subprocess.Process | None = None
        folder.mkdir(parents=True, exist_ok=True)

    # --- the whole of it ---

    async def start(self) -> None:
        """Start it and return when it trades. Raises NotStarted."""
        begun = self.said.stat().st_size if self.said.exists() else 0
        with self.said.open("ab") as said:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "leadline.cli.main", "up", "-f", str(self._manifest)),
                *("--data-dir", str(self.data_dir), "--seed", str(self._seed)),
                *("--live", "--shift-session", "--speed", str(self._speed), "--no-live"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**environment(), **self.environment},
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while STARTED not in (words := self.said.read_text()[begun:]):
            if self._process.returncode is not None or time.monotonic() > until:
                raise NotStarted(words)
            await asyncio.sleep(0.2)

    async def stop(self) -> int:
        """Ask it to stop; its exit code. What does not end in time is killed."""
        if (process := self._process) is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        try:
            return await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            self.end()
            return await process.wait()

    def end(self) -> None:
        """SIGKILL to all that is left of it."""
        for part in (SUPERVISOR, *SERVICES, *SERVERS):
            for pid in self.pids(part):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """End what is left of it, and what was made for it."""
        self.end()
        while self.at_end:
            self.at_end.pop()()

    @property
    def runs(self) -> bool:
        """Whether `leadline up` itself is there."""
        return self._process is not None and self._process.returncode is None

    async def ended(self) -> None:
        """Return when `leadline up` is gone, and all of its children."""
        assert self._process is not None
        await self._process.wait()
        while any(self.pids(part) for part in (*SERVICES, *SERVERS)):  # noqa: ASYNC110 - they are not our children
            await asyncio.sleep(0.1)

    # --- its parts ---

    def pids(self, part: str) -> list[int]:
        """The processes of a part: a workload of the plan, `nats`, `postgres` or `supervisor`."""
        if part == SUPERVISOR:
            return [self._process.pid] if self.runs and self._process is not None else []
        return pids_of(self.data_dir, part)

    def send(self, part: str, number: signal.Signals) -> list[int]:
        """Send a signal to the processes of a part; those that were there."""
        found = self.pids(part)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return found

    def settings_file(self, service: str) -> Path:
        """Where a service's settings are; it reads them when it starts."""
        return self.data_dir / "settings" / f"{service}.json"

    def settings(self, service: str) -> dict[str, Any]:
        """A service's settings as it last read them, or will read them next."""
        found: dict[str, Any] = json.loads(self.settings_file(service).read_text())
        return found

    def rewire(self, change: Callable[[str, dict[str, Any]], None]) -> None:
        """Change the settings of every service, and kill them all, so that each comes back with the changed ones.

        `change(service, settings)` is given what `leadline.runtime.settings.ServiceSettings` has, as JSON: addresses of
        servers, of the service itself and of its peers may be those of a proxy. A start of the whole platform
        (`start`) writes the settings anew, without the change.
        """
        for service in SERVICES:
            settings = self.settings(service)
            change(service, settings)
            self.settings_file(service).write_text(json.dumps(settings))
        for service in SERVICES:
            self.send(service, signal.SIGKILL)

    def ledger(self, account: str) -> Path:
        """The file of an account's paper venue."""
        return self.data_dir / "volumes" / f"venue-{account.replace('/', '-')}" / "live" / "ledger"

    @property
    def postgres(self) -> LocalPostgres:
        """The database's addresses and passwords; the server is not this object's."""
        return LocalPostgres(self.data_dir / "postgres")

    async def connect(self) -> Any:
        """A connection that may read every table. Raises what asyncpg raises."""
        return await connect(self.postgres.settings("reader"), "chaos")

    async def clock(self, connection: Any) -> Clock:
        """The tape's clock."""
        found = (await connection.fetchval("SELECT details FROM run WHERE tape = 'live'"))["clock"]
        return Clock(found["offset_ns"], found["rate"], found["since_ns"])

    async def command(self, *words: str) -> tuple[int, str]:
        """Run a `leadline` command on it: its exit code, and what it said."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "leadline.cli.main", *words, "--data-dir", str(self.data_dir)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    def keep_logs(self, place: Path) -> None:
        """Copy what all parts said, their ledgers and journals to a folder."""
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.said, place)
        for name in ("logs", "volumes"):
            shutil.copytree(self.data_dir / name, place / name, dirs_exist_ok=True)
        for server in SERVERS:
            with contextlib.suppress(OSError):
                shutil.copy(self.data_dir / server / "server.log", place / f"{server}.log")
