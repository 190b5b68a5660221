"""A log file that cannot fill the disk, and the last of what was written to it."""

from io import FileIO
from pathlib import Path
from typing import Final

MAX_LOG_BYTES: Final = 8 * 1024 * 1024
KEPT_LINES: Final = 20
_TAIL_BYTES: Final = 16 * 1024


class LogFile:
    """Appends bytes to `path`; at `max_bytes` the file becomes `<name>.1` and a new one begins.

    So one service never holds more than twice `max_bytes`. `tail` answers from memory.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_LOG_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._tail = b""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _open(path)
        self._size = self._file.tell()

    def write(self, data: bytes) -> None:
        """Append; what the disk refuses is lost to the file, never to the service that said it."""
        self._tail = (self._tail + data)[-_TAIL_BYTES:]
        try:
            if self._size + len(data) > self._max_bytes:
                self._begin_anew()
            self._file.write(data)
        except OSError:
            return
        self._size += len(data)

    def _begin_anew(self) -> None:
        """Put a new file in the place of a full one. Raises OSError; the next call goes on where this one ended."""
        if self.path.exists():
            self.path.replace(self.path.with_name(self.path.name + ".1"))
        fresh = _open(self.path)
        self._file.close()
        self._file, self._size = fresh, 0

    def tail(self, lines: int = KEPT_LINES) -> list[str]:
        """The last lines, oldest first."""
        return self._tail.decode(errors="replace").splitlines()[-lines:]

    def close(self) -> None:
        """Close the file; `tail` still answers."""
        self._file.close()


def _open(path: Path) -> FileIO:
    return path.open("ab", buffering=0)
