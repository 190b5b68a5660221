"""The file that must be on disk before an order leaves: ids of orders that may have left."""

import errno
import os
import re
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from leadline.model.ids import ClientOrderId
from leadline.runtime.files import sync_directory, write_whole

KEPT_IDS: Final = 65_536
"""How many ids the journal keeps at least: an order every minute for six weeks of days and nights."""

_RESTORED: Final = re.compile(r"#restored at_ns=(-?\d+) orders=(\d+) found=(\d+)")


@dataclass(frozen=True, slots=True)
class Restoration:
    """A journal that was lost, or was older than the book, and was made whole from it.

    `at_ns` is wall time in ns UTC; `orders` how many ids were put back; `found` how many it still had.
    """

    at_ns: int
    orders: int
    found: int

    def line(self) -> str:
        """As the journal keeps it."""
        return f"#restored at_ns={self.at_ns} orders={self.orders} found={self.found}\n"


def _append(descriptor: int, content: bytes) -> None:
    written = os.write(descriptor, content)
    if written != len(content):
        raise OSError(errno.ENOSPC, f"the disk took {written} of {len(content)} bytes")
    os.fsync(descriptor)


class SendJournal:
    """One line per order whose first byte may have left. Synced before `write` returns; one file per tape.

    A file that has grown to twice `kept` ids is cut to the newest of them when it is opened. `now_ns` gives wall time
    (0 where there is no clock), and `on_restored` gets each restoration once, when it is durable.
    """

    def __init__(
        self,
        path: Path,
        kept: int = KEPT_IDS,
        *,
        now_ns: Callable[[], int] = lambda: 0,
        on_restored: Callable[[Restoration], None] = lambda _: None,
    ) -> None:
        self._now_ns = now_ns
        self._on_restored = on_restored
        path.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes() if path.exists() else b""
        complete = content[: content.rfind(b"\n") + 1]
        self._written, self._restored = _read(complete)
        if len(self._written) > 2 * kept:
            self._written = dict.fromkeys(list(self._written)[-kept:])
            complete = _lines(self._written, self._restored)
            write_whole(path, complete)
        self._file = path.open("ab")
        self._size = len(complete)
        self._file.truncate(self._size)
        sync_directory(path.parent)

    @property
    def restored(self) -> Restoration | None:
        """The last time that ids were put back into this file; None when it has always been whole."""
        return self._restored

    @property
    def written(self) -> AbstractSet[ClientOrderId]:
        """Every id that is kept."""
        return self._written.keys()

    def newest(self, count: int) -> list[ClientOrderId]:
        """The ids written last, oldest first."""
        return list(islice(reversed(self._written), count))[::-1]

    def write(self, client_id: ClientOrderId) -> None:
        """Append an id durably. Raises AssertionError when it was written before: nothing is ever sent twice.

        Raises OSError when the disk does not take it; then nothing of the id is kept.
        """
        if client_id in self._written:
            raise AssertionError(f"order {client_id} was written to a socket before")
        self._keep([client_id])

    def restore(self, client_ids: Iterable[ClientOrderId]) -> None:
        """Append ids durably that an earlier file had, and that they were put back. Raises OSError as `write` does."""
        missing = sorted(client_ids)
        restoration = Restoration(self._now_ns(), len(missing), len(self._written))
        self._keep(missing, restoration)
        self._restored = restoration
        self._on_restored(restoration)

    def _keep(self, client_ids: Iterable[ClientOrderId], restoration: Restoration | None = None) -> None:
        """One write, so that ids are never put back without a word of it."""
        ids = dict.fromkeys(client_ids)
        lines = _lines(ids, restoration)
        descriptor = self._file.fileno()
        try:
            _append(descriptor, lines)
        except OSError:
            os.ftruncate(descriptor, self._size)
            raise
        self._size += len(lines)
        self._written.update(ids)

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def _read(content: bytes) -> tuple[dict[ClientOrderId, None], Restoration | None]:
    """The ids of a file in their order, and its last restoration. A damaged id is none that the book knows."""
    written: dict[ClientOrderId, None] = {}
    restored: Restoration | None = None
    for line in filter(None, content.decode("ascii", "replace").split("\n")):
        found = _RESTORED.fullmatch(line)
        if found is not None:
            restored = Restoration(*(int(number) for number in found.groups()))
        else:
            written[ClientOrderId(line)] = None
    return written, restored


def _lines(client_ids: Iterable[ClientOrderId], restoration: Restoration | None) -> bytes:
    told = "" if restoration is None else restoration.line()
    return (told + "".join(f"{client_id}\n" for client_id in client_ids)).encode()
