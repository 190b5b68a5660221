"""Facts of this machine and of the files of a data directory."""

import ctypes
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

from leadline.local.data_dir import DataDir
from leadline.local.nats_server import nats_binary
from leadline.local.ports import Ports
from leadline.local.postgres_server import postgres_binary
from leadline.model.errors import LeadlineError
from leadline.views.doctor.facts import Machine, PrivateFile

_REQUIREMENT: Final = re.compile(r"^([A-Za-z0-9_.-]+)\s*(?:\[[^\]]*\])?\s*(?:>=\s*([0-9][^,;\s]*))?")
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - looked at, and not used
# What the kernel's call says of a clock that nothing synchronises, and the room for its answer.
_NOT_SYNCHRONISED: Final = 5
_TIMEX_BYTES: Final = 512


def machine(data: DataDir) -> Machine:
    """This machine, as a stack in that data directory would find it."""
    wanted = dict(_wanted(requires("leadline") or ()))
    folder = next(each for each in (data.root, *data.root.parents) if each.is_dir())
    return Machine(
        python=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        packages={name: _version(name) for name in wanted},
        wanted=wanted,
        servers=dict(_servers()),
        folder=str(folder),
        free=shutil.disk_usage(folder).free,
        writable=os.access(folder, os.W_OK | os.X_OK),
        shared_memory=shutil.disk_usage(_SHARED_MEMORY).free if _SHARED_MEMORY.is_dir() else None,
        free_ports=_port_can_be_taken(),
        synchronised=_clock_synchronised(),
        uid=os.geteuid(),
        files=tuple(_files(data)),
    )


def _wanted(requirements: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The packages that are needed without any extra, with their least versions."""
    for text in requirements:
        requirement, _, marker = text.partition(";")
        found = _REQUIREMENT.match(requirement)
        if found is not None and "extra" not in marker:
            yield found[1], found[2] or ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _servers() -> Iterator[tuple[str, str]]:
    for name, find in (("nats-server", nats_binary), ("postgres", lambda: postgres_binary("postgres"))):
        try:
            yield name, find()
        except (LeadlineError, ImportError, OSError):
            yield name, ""


def _port_can_be_taken() -> bool:
    try:
        with Ports("doctor") as ports:
            ports.take()
    except LeadlineError:
        return False
    return True


def _clock_synchronised() -> bool | None:
    """Whether the kernel says that its clock is synchronised (adjtimex, which changes nothing here)."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _NOT_SYNCHRONISED


def _files(data: DataDir) -> Iterator[PrivateFile]:
    """The folders and files that must be their owner's alone, of those that are there."""
    root = data.root
    named = ("", "token.key", "metrics.token", "instruments.json", "stack.json", "settings", "nats", "nats/server.conf",
             "nats/users", "postgres", "postgres/roles", "volumes")  # fmt: skip
    places = [root / name for name in named]
    for pattern in ("settings/*.json", "nats/users/*", "postgres/roles/*"):
        with suppress(OSError):
            places += sorted(root.glob(pattern))
    for path in places:
        with suppress(OSError):
            found = path.stat()
            yield PrivateFile(str(path), stat.S_IMODE(found.st_mode), found.st_uid, os.access(path, os.R_OK))
