"""The file that must be on disk before an order leaves: ids of orders that may have left."""

import errno
import os
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from itertools import islice
from pathlib import Path
from typing import Final

KEPT_IDS: Final = 65_536
"""How many ids the journal keeps at least: an order every minute for six weeks of days and nights."""


def sync_directory(path: Path) -> None:
    """Make durable what was made, renamed or removed in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _append(descriptor: int, content: bytes) -> None:
    written = os.write(descriptor, content)
    if written != len(content):
        raise OSError(errno.ENOSPC, f"the disk took {written} of {len(content)} bytes")
    os.fsync(descriptor)


def _replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another, durably: after a crash it is the one or the other."""
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_directory(path.parent)


class SendJournal:
    """One line per order whose first byte may have left. Synced before `write` returns; one file per tape.

    A file that has grown to twice `kept` ids is cut to the newest of them when it is opened.
    """

    def __init__(self, path: Path, kept: int = KEPT_IDS) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text() if path.exists() else ""
        complete = text[: text.rfind("\n") + 1]
        self._written = dict.fromkeys(complete.split())
        if len(self._written) > 2 * kept:
            self._written = dict.fromkeys(list(self._written)[-kept:])
            complete = "".join(client_id + "\n" for client_id in self._written)
            _replace(path, complete.encode())
        self._file = path.open("ab")
        self._size = len(complete)
        self._file.truncate(self._size)
        sync_directory(path.parent)

    @property
    def written(self) -> AbstractSet[str]:
        """Every id that is kept."""
        return self._written.keys()

    def newest(self, count: int) -> list[str]:
        """The ids written last, oldest first."""
        return list(islice(reversed(self._written), count))[::-1]

    def write(self, client_id: str) -> None:
        """Append an id durably. Raises AssertionError when it was written before: nothing is ever sent twice.

        Raises OSError when the disk does not take it; then nothing of the id is kept.
        """
        if client_id in self._written:
            raise AssertionError(f"order {client_id} was written to a socket before")
        self.restore([client_id])

    def restore(self, client_ids: Iterable[str]) -> None:
        """Append ids durably that an earlier file had. Raises OSError as `write` does."""
        found = sorted(client_ids)
        lines = "".join(client_id + "\n" for client_id in found).encode()
        descriptor = self._file.fileno()
        try:
            _append(descriptor, lines)
        except OSError:
            os.ftruncate(descriptor, self._size)
            raise
        self._size += len(lines)
        self._written.update(dict.fromkeys(found))

    def close(self) -> None:
        """Release the file."""
        self._file.close()
