"""A temporary folder for what a study works out on the way, which may be gigabytes: none stays behind.

A process that is killed cannot take its folder away. The next study does: the owner of a folder holds a lock in it for
as long as it lives.
"""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Final

_PREFIX: Final = "leadline-study-"


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of this process, gone with the block. Raises OSError where there is no room for one."""
    remove_left_behind()
    with TemporaryDirectory(prefix=_PREFIX) as name:
        folder = Path(name)
        fresh = folder / "fresh"
        with fresh.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            fresh.rename(folder / "lock")  # nobody sees it before it is held
            yield folder


def remove_left_behind() -> None:
    """Take away the folders of processes that are gone. One that is not this user's stays."""
    for lock in Path(gettempdir()).glob(f"{_PREFIX}*/lock"):
        with suppress(OSError), lock.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
