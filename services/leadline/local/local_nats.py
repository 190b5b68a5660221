"""A NATS server on this machine: real, private to its directory, with one user for each service."""

import json
import os
import secrets
import signal
import socket
import time
from pathlib import Path
from typing import Final

from leadline.local.data_dir import write_private
from leadline.local.environment import child_environment
from leadline.local.nats_server import nats_binary, nats_config
from leadline.local.ports import LOOPBACK
from leadline.local.server_process import ServerProcess
from leadline.runtime.settings import NatsSettings, read_secret
from leadline.schema.permissions import USERS

START_SECONDS: Final = 20.0
MAX_STORE_BYTES: Final = 64 << 30
_POLL_SECONDS: Final = 0.01


class LocalNats:
    """nats-server with its data in `directory`, on a port of the loopback interface.

    Passwords and data stay when it is started again. Start it from a thread that lives as long as it shall: it ends
    with that thread.
    """

    def __init__(self, directory: Path, port: int) -> None:
        self._directory = directory.resolve()
        self._config = self._directory / "server.conf"
        self._passwords = self._directory / "users"
        self._process = ServerProcess("nats-server", self._directory / "server.log", signal.SIGTERM)
        self.port = port

    @property
    def pid(self) -> int | None:
        """The server's process id, None while it is down."""
        return self._process.pid

    @property
    def store(self) -> Path:
        """Where the streams are on disk."""
        return self._directory / "store"

    def settings(self, user: str) -> NatsSettings:
        """How one of the services connects; `migrate` is the user that may manage streams."""
        return NatsSettings(
            servers=(f"nats://{LOOPBACK}:{self.port}",),
            user=user,
            password_file=self._passwords / user,
            only_mine=True,
        )

    def start(self) -> None:
        """Start and return when it answers. Raises ServerFailed."""
        self._prepare()
        self._process.start([nats_binary(), "-c", str(self._config)], child_environment(os.environ))
        self._wait_ready()

    def stop(self) -> None:
        """Stop it and wait. Idempotent."""
        self._process.stop(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self._process.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Stop if it runs, and start on the same port and data."""
        self.stop()
        self.start()

    def _prepare(self) -> None:
        self._passwords.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        for user in USERS:
            if not (self._passwords / user).exists():
                write_private(self._passwords / user, secrets.token_urlsafe(24).encode())
        passwords = {user: read_secret(self._passwords / user) for user in USERS}
        config = nats_config(f"{LOOPBACK}:{self.port}", self.store, MAX_STORE_BYTES, passwords)
        write_private(self._config, json.dumps(config, indent=1, ensure_ascii=False).encode())

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        # In a thread, without a loop of events; a socket that is not there yet is no failure, and `check` tells of one.
        while True:
            self._process.check()
            try:
                with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                    if connection.recv(4) == b"INFO":
                        return
            except OSError:
                pass
            if time.monotonic() > deadline:
                self.kill()
                raise self._process.failure(f"did not answer within {START_SECONDS:g} s")
            time.sleep(_POLL_SECONDS)
