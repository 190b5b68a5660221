"""Stores that are lost, or are as they were a while ago, while the venue goes on."""

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path
from random import Random
from typing import Final

import psutil

from leadline.runtime.database import connect
from tests.chaos.faults import Fault
from tests.chaos.platform import Platform

SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 40.0


def _family(platform: Platform, server: str) -> list[int]:
    """Every process of a server."""
    found = []
    for pid in platform.pids(server):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found += [process.pid, *(child.pid for child in process.children(recursive=True))]
    return found


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def _copy(platform: Platform, server: str, store: Path, copy: Path) -> None:
    """Copy a store as a power cut at this moment would leave it."""
    pids = _family(platform, server)
    _send(pids, signal.SIGSTOP)
    try:
        await asyncio.to_thread(shutil.copytree, store, copy, symlinks=True)
    finally:
        _send(pids, signal.SIGCONT)


def _replace(platform: Platform, server: str, store: Path, by: Path | None) -> None:
    """Kill a server, and have another store, or none, in place of its own when it starts again."""
    pids = _family(platform, server)
    _send(pids, signal.SIGSTOP)
    gone = platform.folder / f"{server}-gone"
    store.rename(gone)
    if by is not None:
        by.rename(store)
    _send(pids, signal.SIGKILL)
    shutil.rmtree(gone)


async def wipe_bus(platform: Platform, rng: Random) -> None:
    """The bus loses everything."""
    _replace(platform, "nats", platform.data_dir / "nats" / "store", None)


async def roll_back(platform: Platform, rng: Random, *, server: str, folder: str) -> None:
    """A server is killed, and comes back with its store of 5 to 40 seconds ago."""
    store, copy = platform.data_dir / server / folder, platform.folder / f"{server}-copy"
    await _copy(platform, server, store, copy)
    await asyncio.sleep(rng.uniform(SHORTEST_SECONDS, LONGEST_SECONDS))
    _replace(platform, server, store, copy)


async def roll_back_bus(platform: Platform, rng: Random) -> None:
    """The bus as it was a while ago."""
    await roll_back(platform, rng, server="nats", folder="store")


async def restore_database(platform: Platform, rng: Random) -> None:
    """The database from a copy of a while ago."""
    await roll_back(platform, rng, server="postgres", folder="data")


async def read_only_database(platform: Platform, rng: Random) -> None:
    """The database takes nothing for 5 to 20 seconds, as a standby does that is not promoted yet."""
    await _set_read_only(platform, "on")
    try:
        await asyncio.sleep(rng.uniform(5, 20))
    finally:
        await _set_read_only(platform, "off")


async def _set_read_only(platform: Platform, value: str) -> None:
    connection = await connect(platform.postgres.admin_settings(), "chaos")
    try:
        await connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


FAULTS: Final = (
    Fault("bus-wiped", "kill -9 of NATS, and its store is empty", wipe_bus, heals_s=90.0),
    Fault("bus-rolled-back", "kill -9 of NATS, and its store is as it was 5 to 40 s ago", roll_back_bus, heals_s=90.0),
    Fault(
        "database-restored",
        "kill -9 of PostgreSQL, and its data are as they were 5 to 40 s ago",
        restore_database,
        heals_s=90.0,
        fresh=True,
    ),
    Fault("database-read-only", "PostgreSQL takes nothing for 5 to 20 s", read_only_database),
)
