"""The data directory of a stack on this machine: where everything lies, who may read it, and who holds it."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from leadline.model.errors import LeadlineError

_SECRET_BYTES: Final = 32


class DataDirInUse(LeadlineError):
    """Another `leadline up` holds the data directory."""


def default_data_dir() -> Path:
    """Where a stack lives when nobody says: `$XDG_DATA_HOME/leadline`, else `~/.local/share/leadline`."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "leadline"


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # a file left over from a crash keeps its mode when it is opened again
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


class DataDir:
    """Names inside the data directory. Folders are 0700 and made on the way; nothing here is written by services."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()

    @property
    def token_key_file(self) -> Path:
        """The key that signs and checks tokens, 0600."""
        return self.root / "token.key"

    @property
    def stack_file(self) -> Path:
        """Addresses of the running stack, 0600; absent when nothing runs."""
        return self.root / "stack.json"

    @property
    def nats_dir(self) -> Path:
        """What the NATS server keeps."""
        return self._folder("nats")

    @property
    def postgres_dir(self) -> Path:
        """What PostgreSQL keeps."""
        return self._folder("postgres")

    def settings_file(self, workload: str) -> Path:
        """The settings that a workload is started with, 0600."""
        return self._folder("settings") / f"{workload}.json"

    def log_file(self, name: str) -> Path:
        """What a process says."""
        return self._folder("logs") / f"{name}.log"

    def volume(self, workload: str) -> Path:
        """The folder that a workload keeps its own files in."""
        return self._folder("volumes") / workload

    def ensure_token_key(self) -> None:
        """Make the key that signs tokens when there is none."""
        if not self.token_key_file.exists():
            write_private(self.token_key_file, secrets.token_urlsafe(_SECRET_BYTES).encode())

    def write_stack(self, stack: dict[str, Any]) -> None:
        """Publish the addresses of the running stack to the other commands."""
        write_private(self.stack_file, orjson.dumps(stack, option=orjson.OPT_INDENT_2))

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Make the directory and hold it. Raises DataDirInUse when another process does.

        The lock is the kernel's: it goes with the process that holds it, however that ends.
        """
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.root / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode().strip() or "unknown"
                raise DataDirInUse(
                    f"{self.root} is held by `leadline up` with pid {holder}: stop it, or take another --data-dir"
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder
