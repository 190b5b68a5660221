"""The room on the disk that has an account's journal and halts: entries end while there is still some for exits."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from leadline.runtime.clock import monotonic_s

MOST_USED: Final = 0.85
ENOUGH_BYTES: Final = 2 << 30
"""A disk that has as much left is not nearly full, however large it is."""

LOOK_SECONDS: Final = 1.0


class AccountDisk:
    """The disk of a folder, looked at once a second. The clock is an argument for tests."""

    def __init__(self, folder: Path, monotonic: Callable[[], float] = monotonic_s) -> None:
        self._folder = folder
        self._monotonic = monotonic
        self._looked_s = -LOOK_SECONDS
        self._doubt = ""

    @property
    def doubt(self) -> str:
        """Why nothing may be entered for the disk's sake, as of the last second; empty while there is room."""
        if (now_s := self._monotonic()) - self._looked_s >= LOOK_SECONDS:
            self._looked_s, self._doubt = now_s, self._look()
        return self._doubt

    def _look(self) -> str:
        try:
            found = os.statvfs(self._folder)
        except OSError as error:
            return f"the disk does not say how full it is: {error}"
        return nearly_full((found.f_blocks - found.f_bfree) * found.f_frsize, found.f_bavail * found.f_frsize)


def nearly_full(used: int, free: int) -> str:
    """Why a disk with so many bytes used, and free for this user, is nearly full; empty where it is not."""
    share = used / max(1, used + free)
    if share <= MOST_USED or free >= ENOUGH_BYTES:
        return ""
    return f"the disk is {share:.0%} full, and {free >> 20} MB are left"
