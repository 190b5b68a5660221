"""The file that must be on disk before an order leaves: ids of orders that may have left."""

import os
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Make durable what was made, renamed or removed in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class SendJournal:
    """One line per order whose first byte may have left. Synced before `write` returns; one file per tape."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text() if path.exists() else ""
        complete = text[: text.rfind("\n") + 1]
        self._written = set(complete.split())
        self._file = path.open("a")
        self._file.truncate(len(complete))
        sync_directory(path.parent)

    @property
    def written(self) -> AbstractSet[str]:
        """Every id that was ever written."""
        return self._written

    def write(self, client_id: str) -> None:
        """Append an id durably. Raises AssertionError when it was written before: nothing is ever sent twice."""
        if client_id in self._written:
            raise AssertionError(f"order {client_id} was written to a socket before")
        self.restore([client_id])

    def restore(self, client_ids: Iterable[str]) -> None:
        """Append ids durably that an earlier file had."""
        found = sorted(client_ids)
        self._written.update(found)
        self._file.writelines(client_id + "\n" for client_id in found)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Release the file."""
        self._file.close()
