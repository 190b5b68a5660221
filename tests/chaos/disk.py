"""Disks that are full. The platform's data lie on a small one of their own, which needs root on Linux."""

import asyncio
import contextlib
import shutil
import subprocess
from pathlib import Path
from random import Random
from typing import Final

from tests.chaos.faults import Fault
from tests.chaos.platform import NotStarted, Platform

SIZE_BYTES: Final = 1 << 30
_STEP_BYTES: Final = 1 << 20


async def give_small_disk(platform: Platform) -> None:
    """Start the platform again, with its data on a disk of 1 GB. Raises NotStarted where none can be mounted."""
    if platform.at_end:
        return
    await platform.stop()
    away = platform.folder / "moved"
    platform.data_dir.rename(away)
    platform.data_dir.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES},mode=0700", "leadline", str(platform.data_dir)]
    mounted = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=False)
    if mounted.returncode:
        raise NotStarted(f"no disk can be mounted here: {mounted.stderr}")
    platform.at_end.append(lambda: subprocess.run(["umount", "-l", str(platform.data_dir)], check=False))
    await asyncio.to_thread(shutil.copytree, away, platform.data_dir, symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(away)
    await platform.start()


def fill(folder: Path, leave_bytes: int) -> Path:
    """Fill the disk of a folder until no more than so many bytes are left; the file that does it."""
    filler = folder / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while (free := shutil.disk_usage(folder).free) > leave_bytes:
            file.write(b"\0" * min(_STEP_BYTES, free - leave_bytes))
            file.flush()
    return filler


async def fill_disk(platform: Platform, rng: Random) -> None:
    """Nothing is left on the disk for 5 to 20 seconds."""
    filler = await asyncio.to_thread(fill, platform.data_dir, 0)
    await asyncio.sleep(rng.uniform(5, 20))
    filler.unlink()


FAULTS: Final = (
    Fault(
        "disk-full",
        "nothing is left on the disk of NATS, PostgreSQL, journal, halts and ledger for 5 to 20 s",
        fill_disk,
        prepare=give_small_disk,
        heals_s=120.0,
    ),
)
