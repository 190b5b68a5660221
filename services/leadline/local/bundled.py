"""The servers that a chart brings along, from the same image as the services: this process becomes the server.

Their data lies on a volume, their passwords are mounted as files and read at each start. A password that was changed
counts after a restart.
"""

import json
import os
import signal
import tempfile
from pathlib import Path
from typing import Final, NoReturn, TypeVar

from pydantic import BaseModel, Field

from leadline.local.forward import stopped_by
from leadline.local.full_disk import started_again
from leadline.local.nats_server import nats_binary, nats_config
from leadline.local.postgres_server import (
    SUPERUSER,
    as_ordinary_user,
    initialise_postgres,
    postgres_binary,
    run_to_end,
)
from leadline.model.errors import InvalidInput
from leadline.model.strict import StrictModel
from leadline.runtime.settings import Address, read_secret, validate
from leadline.schema.migrate import scram_verifier

# What the streams can come to hold before the server says that it is full.
MIN_STORE_BYTES: Final = 2 << 30

_Model = TypeVar("_Model", bound=BaseModel)
# Everybody proves to know a password, from wherever they come; who may come at all is the network's to decide.
_HOST_BASED_ACCESS: Final = """\
local all all                scram-sha-256
host  all all 0.0.0.0/0      scram-sha-256
host  all all ::/0           scram-sha-256
"""


class NatsServerSettings(StrictModel):
    """How NATS runs. `users_dir` holds a file for each user, named like it, with its password.

    `listen` is for clients; `monitor_listen` answers `/healthz`; the streams take up to `max_store_bytes`.
    """

    listen: Address
    monitor_listen: Address
    data_dir: Path
    users_dir: Path
    max_store_bytes: int = Field(ge=MIN_STORE_BYTES)


class PostgresServerSettings(StrictModel):
    """How PostgreSQL runs: in `data_dir/data`, with the superuser `postgres` whose password the file holds."""

    listen: Address
    data_dir: Path
    superuser_password_file: Path
    shared_buffers_mb: int = Field(default=128, ge=16)
    max_connections: int = Field(default=100, ge=20, le=1000)


def run_nats(settings_file: Path) -> NoReturn:
    """Become the one that runs nats-server, which ends well on SIGTERM, and again after its disk was full.

    Raises InvalidInput and Unknown for settings or users that cannot be, OSError for a file.
    """
    settings = _load(NatsServerSettings, settings_file)
    config = nats_config(
        settings.listen,
        settings.data_dir / "store",
        settings.max_store_bytes,
        _passwords(settings.users_dir),
        monitor=settings.monitor_listen,
    )
    # In memory, so that no password ever lies on a disk; the server reads it where its own process shows it.
    descriptor = os.memfd_create("server.conf", 0)
    os.write(descriptor, json.dumps(config, ensure_ascii=False).encode())
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    server = [nats_binary(), "-c", f"/proc/self/fd/{descriptor}"]
    keeping = started_again(server, settings.monitor_listen, settings.data_dir)
    os.execv(keeping[0], keeping)  # noqa: S606 - our own command


def run_postgres(settings_file: Path) -> NoReturn:
    """Become the one that runs postgres, after making its data directory if there is none.

    SIGTERM ends the sessions of its clients and then the server. Raises InvalidInput, ServerFailed and OSError.
    """
    settings = _load(PostgresServerSettings, settings_file)
    data = settings.data_dir / "data"
    # What is made by a server is nobody else's to read.
    os.umask(0o077)
    initialise_postgres(data, settings.superuser_password_file)
    # Whoever mounts a volume for a group gives the group rights that the server refuses.
    data.chmod(0o700)
    (data / "pg_hba.conf").write_text(_HOST_BASED_ACCESS)
    _set_superuser_password(data, read_secret(settings.superuser_password_file))
    host, _, port = settings.listen.rpartition(":")
    options = [
        f"listen_addresses={host.strip('[]') or '*'}",
        f"port={port}",
        f"unix_socket_directories={tempfile.gettempdir()}",
        f"shared_buffers={settings.shared_buffers_mb}MB",
        f"max_connections={settings.max_connections}",
        # A query that names no day holds a lock on each partition of a table.
        "max_locks_per_transaction=256",
        "timezone=UTC",
        "log_timezone=UTC",
    ]
    words = [word for option in options for word in ("-c", option)]
    command = [*as_ordinary_user(), postgres_binary("postgres"), "-D", str(data), *words]
    forwarding = stopped_by(command, signal.SIGINT)
    os.execv(forwarding[0], forwarding)  # noqa: S606 - our own command


def _load(model: type[_Model], settings_file: Path) -> _Model:
    return validate(model, settings_file.read_bytes(), str(settings_file))


def _passwords(directory: Path) -> dict[str, str]:
    """Users and their passwords. What a volume keeps for itself begins with a dot."""
    files = [path for path in sorted(directory.iterdir()) if not path.name.startswith(".") and path.is_file()]
    if not files:
        raise InvalidInput(str(directory), "no file", "a file for each user, with its password")
    return {path.name: read_secret(path) for path in files}


def _set_superuser_password(data: Path, password: str) -> None:
    """Bring the password to what the file says, by the server's mode for a single user, which asks for none."""
    postgres = [*as_ordinary_user(), postgres_binary("postgres"), "--single", "-D", str(data), "postgres"]
    run_to_end(postgres, f"ALTER ROLE {SUPERUSER} PASSWORD '{scram_verifier(password)}'\n")
