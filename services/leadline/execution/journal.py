"""Files that must be on disk before something happens: ids of orders that may have left, and the kill switch."""

import os
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path

import orjson


def _sync_directory(path: Path) -> None:
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
        _sync_directory(path.parent)

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


class HaltLatch:
    """The kill switch: in memory and on disk before anyone is told. Only `clear`, by a named person, opens it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self.reason = ""
        self.by = ""
        if path.exists():
            stored = orjson.loads(path.read_bytes())
            self.reason, self.by = stored["reason"], stored["by"]

    def engage(self, reason: str, by: str) -> None:
        """Stop entries. The first reason stays until it is cleared."""
        if self.reason:
            return
        self._store(reason, by)

    def clear(self) -> None:
        """Let entries go on."""
        self._store("", "")

    def _store(self, reason: str, by: str) -> None:
        self.reason, self.by = reason, by
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(orjson.dumps({"reason": reason, "by": by}))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        _sync_directory(self._path.parent)
