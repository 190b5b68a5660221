"""The room on the disk of a data directory."""

import shutil
from pathlib import Path
from typing import Final

from leadline.model.errors import LeadlineError

NEEDED_BYTES: Final = 256 << 20
"""Below this a stack is not started: its servers alone write that much."""
LOW_BYTES: Final = 128 << 20
"""Below this a running stack says so."""
FULL_BYTES: Final = 16 << 20
"""Below this nothing can be counted on to be stored."""


class DiskFull(LeadlineError):
    """There is no room where a stack keeps its data."""


def free_bytes(folder: Path) -> int:
    """Room for this user on the disk that holds `folder`."""
    return shutil.disk_usage(folder).free


def require_room(folder: Path) -> None:
    """Raises DiskFull when a stack cannot be started there."""
    free = free_bytes(folder)
    if free < NEEDED_BYTES:
        raise DiskFull(f"{room_text(folder, free)}; a stack needs {NEEDED_BYTES >> 20} MB to start")


def room_text(folder: Path, free: int) -> str:
    """How much room there is, in words."""
    return f"the disk of {folder} has {free >> 20} MB left"
