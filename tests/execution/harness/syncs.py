"""What a file hands to the disk, and when: for what has to be there before anybody is told of it."""

import os
import stat
from dataclasses import dataclass, field

import pytest


@dataclass
class Syncs:
    """What was synced, oldest first: the inode of a file with its size then, or of a folder with its names."""

    found: list[tuple[int, object]] = field(default_factory=list)

    def note(self, descriptor: int) -> None:
        """This is about to be synced."""
        told = os.fstat(descriptor)
        folder = stat.S_ISDIR(told.st_mode)
        self.found.append((told.st_ino, tuple(sorted(os.listdir(descriptor))) if folder else told.st_size))


def watched_syncs(monkeypatch: pytest.MonkeyPatch) -> Syncs:
    """Watch what is synced from now on, and have it synced."""
    found, sync = Syncs(), os.fsync

    def watched(descriptor: int) -> None:
        found.note(descriptor)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    return found
