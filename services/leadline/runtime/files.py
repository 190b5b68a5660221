"""Files that are whole at every moment: what a crash leaves is the content before, or the one after."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes, *, private: bool = False, synced: bool = True) -> None:
    """Put a file with this content in the place of the one that is there. Raises OSError; then the old one stays.

    private: only its owner may read it, whoever could read the old one. synced: the content is on the disk before the
    file takes its name; `sync_directory` makes the name durable. Without it a crash of the machine may leave it empty.
    """
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if private else 0o666)
    with os.fdopen(descriptor, "wb") as file:
        if private:
            os.fchmod(descriptor, 0o600)  # a file left over from a crash keeps its mode when it is opened again
        file.write(content)
        file.flush()
        if synced:
            os.fsync(descriptor)
    fresh.replace(path)


def sync_directory(path: Path) -> None:
    """Make durable what was made, renamed or removed in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
