"""A PostgreSQL server on this machine: real, reachable only through a socket that its owner alone can open."""

import contextlib
import os
import secrets
import shutil
import signal
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil

from leadline.local.data_dir import write_private
from leadline.local.environment import child_environment
from leadline.local.postgres_server import SUPERUSER, as_ordinary_user, initialise_postgres, postgres_binary
from leadline.local.server_process import ServerFailed, ServerProcess
from leadline.local.sockets import make_private, socket_folder
from leadline.runtime.settings import DatabaseSettings
from leadline.schema.roles import SERVICE_ROLES, login_role

START_SECONDS: Final = 30.0
DATABASE: Final = "leadline"

_POLL_SECONDS: Final = 0.01
_SOCKET_NAME: Final = ".s.PGSQL.5432"
_PID_LINE, _STATUS_LINE = 0, 7
# For data that is thrown away: nothing waits for a disk.
_FORGETFUL: Final = ("fsync=off", "full_page_writes=off")


class LocalPostgres:
    """postgres with its data in `directory`; no TCP, passwords by SCRAM, a socket directory that is private.

    Data and passwords stay when it is started again. `durable=False` is for tests: a crash of the machine may lose
    data then, a crash of the server may not. PostgreSQL refuses to run as root; then it runs in a user namespace in
    which this user has another number, so that no account and no permission of the machine is changed. Start it from a
    thread that lives as long as it shall.
    """

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self._directory = directory.resolve()
        self._data = self._directory / "data"
        self._passwords = self._directory / "roles"
        self._durable = durable
        self._process = ServerProcess("postgres", self._directory / "server.log", signal.SIGINT)
        self.socket_directory = socket_folder(self._directory, len(_SOCKET_NAME))

    @property
    def pid(self) -> int | None:
        """The server's process id, None while it is down."""
        return self._process.pid

    def settings(self, service: str, database: str = DATABASE) -> DatabaseSettings:
        """How one of the services connects, with its own role."""
        return self._settings(login_role(service), database)

    def admin_settings(self, database: str = DATABASE) -> DatabaseSettings:
        """How the one connects who makes databases and roles."""
        return self._settings(SUPERUSER, database)

    def passwords(self) -> dict[str, str]:
        """The password of every service's role."""
        return {role: (self._passwords / role).read_text() for role in map(login_role, SERVICE_ROLES)}

    def start(self) -> None:
        """Start and return when it answers. Raises ServerFailed."""
        self._prepare()
        deadline = time.monotonic() + START_SECONDS
        # In a thread of its own, without a loop of events: the server ends with the thread that started it.
        while True:
            self._process.start(
                [*as_ordinary_user(), postgres_binary("postgres"), "-D", str(self._data), *self._options()],
                child_environment(os.environ),
            )
            try:
                self._wait_ready(deadline)
            except ServerFailed:
                # The backends of a server that was killed see it within a moment, and until then hold its memory.
                if time.monotonic() > deadline or not self._holds_memory():
                    raise
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        """Stop it, ending its clients' sessions, and wait. Idempotent."""
        self._process.stop(signal.SIGINT)
        shutil.rmtree(self.socket_directory, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self._process.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Stop if it runs, and start on the same data."""
        self.stop()
        self.start()

    def _settings(self, role: str, database: str) -> DatabaseSettings:
        host = quote(str(self.socket_directory), safe="")
        return DatabaseSettings(
            url=f"postgresql:///{database}?host={host}&user={role}", password_file=self._passwords / role
        )

    def _prepare(self) -> None:
        self._passwords.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        for role in (SUPERUSER, *map(login_role, SERVICE_ROLES)):
            if not (self._passwords / role).exists():
                write_private(self._passwords / role, secrets.token_urlsafe(24).encode())
        make_private(self.socket_directory)
        initialise_postgres(self._data, self._passwords / SUPERUSER, durable=self._durable)
        self._clear_stale_pid()

    def _options(self) -> list[str]:
        settings = [
            "listen_addresses=",
            f"unix_socket_directories={self.socket_directory}",
            "unix_socket_permissions=0700",
            "shared_buffers=64MB",
            # A query that names no day holds a lock on each partition of a table.
            "max_locks_per_transaction=256",
            "timezone=UTC",
            "log_timezone=UTC",
            *([] if self._durable else _FORGETFUL),
        ]
        return [word for setting in settings for word in ("-c", setting)]

    def _clear_stale_pid(self) -> None:
        """Remove the lock file of a server that is gone, in case its number belongs to somebody else by now."""
        lock = self._data / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(lock.read_text().splitlines()[_PID_LINE])
            if not _is_postgres_of(pid, self._data):
                lock.unlink(missing_ok=True)
                return
            # A server that was told to end with its supervisor may still be ending.
            with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                psutil.Process(pid).wait(START_SECONDS)

    def _wait_ready(self, deadline: float) -> None:
        while True:
            self._process.check()
            with contextlib.suppress(OSError, ValueError, IndexError):
                lines = (self._data / "postmaster.pid").read_text().splitlines()
                if int(lines[_PID_LINE]) == self.pid and lines[_STATUS_LINE].strip() == "ready":
                    return
            if time.monotonic() > deadline:
                self.kill()
                raise self._process.failure(f"did not answer within {START_SECONDS:g} s")
            time.sleep(_POLL_SECONDS)

    def _holds_memory(self) -> bool:
        return "pre-existing shared memory block" in str(self._process.failure(""))


def _is_postgres_of(pid: int, data: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and str(data) in process.cmdline()
    except psutil.NoSuchProcess:
        return False
