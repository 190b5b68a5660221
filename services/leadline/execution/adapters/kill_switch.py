"""The kill switch: an account's halts in memory and on disk, before anyone is told of them."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from leadline.execution.core.halts import Clearing, Halts, Standing, StoredHalts
from leadline.model.halts import Halt, HaltSource
from leadline.runtime.files import sync_directory, write_whole


class KillSwitch:
    """The halts of an account. A halt is in memory first, then synced to the disk, all before `halt` returns.

    What waits for anything else than the disk happens elsewhere, so that nothing that stands still can hold it up.
    `now_ns` gives wall time; `changed` is told after each change.
    """

    def __init__(
        self, path: Path, now_ns: Callable[[], int], changed: Callable[[Halts], None] = lambda _: None
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._now_ns = now_ns
        self._changed = changed
        self.durable = True
        """Whether the file holds what the memory holds."""
        self.halts = Halts()
        try:
            self.halts = _read(path)
        except (ValueError, KeyError, TypeError) as error:
            # The damaged file stays in its place until the one with this halt is written over it: until then every
            # start finds it and halts.
            _keep_aside(path)
            self.halt(HaltSource.SYSTEM, f"the file of halts {path.name} could not be read: {error}", "execution")

    @property
    def words(self) -> str:
        """Why nothing is entered; empty when entries may go on."""
        return self.halts.words

    def halt(self, source: HaltSource, reason: str, by: str) -> Halt:
        """Stop entries. When the disk refuses the halt it holds in memory, and `durable` says that it is not kept."""
        before = self.halts.in_force
        self.halts, halt = self.halts.halt(source, reason, by, self._now_ns())
        if self.halts.in_force != before:
            self.durable = False
            self.keep()
            self._changed(self.halts)
        return halt

    def draft(self, source: HaltSource, reason: str, by: str) -> Halt:
        """A halt that stops nothing before `adopt`: its row is written in the transaction that is its cause."""
        self.halts, halt = self.halts.drafted(source, reason, by, self._now_ns())
        return halt

    def adopt(self, halt: Halt) -> None:
        """Let a drafted halt stand, now that its row has been written."""
        self._become(self.halts.adopted(halt))

    def keep(self) -> None:
        """Write the file again where it does not hold what the memory holds."""
        if self.durable:
            return
        try:
            self._write(self.halts)
        except OSError:
            return
        self.durable = True

    def clear(self, halts: Iterable[Halt]) -> None:
        """Let go of halts, on the disk first. Raises OSError when it refuses; they stand then."""
        after = self.halts.without(halts)
        try:
            self._write(after)
        except OSError:
            self.durable = False  # the file may be without them already: only its last step failed
            raise
        self.halts, self.durable = after, True
        self._changed(after)

    def merge(self, stored: StoredHalts) -> None:
        """Lay what the database has over what is here: what stands in either stands."""
        self._become(self.halts.merged(stored))

    def stored(self, halts: Iterable[Halt], closed: Iterable[Clearing], by: str) -> None:
        """These halts have their rows now, and the rows of these replaced ones are closed."""
        self._become(self.halts.stored(halts, closed, at_ns=self._now_ns(), by=by))

    def _become(self, after: Halts) -> None:
        changed = after.in_force != self.halts.in_force or after.last != self.halts.last
        self.halts = after
        if changed:
            self.durable = False
            self.keep()
            self._changed(after)

    def _write(self, halts: Halts) -> None:
        content = {
            "last": halts.last,
            "halts": [
                {
                    "number": halt.number,
                    "source": halt.source.value,
                    "reason": halt.reason,
                    "by": halt.by,
                    "at_ns": halt.at_ns,
                }
                for halt in halts.in_force
            ],
        }
        write_whole(self._path, orjson.dumps(content))
        sync_directory(self._path.parent)


def _keep_aside(path: Path) -> None:
    """Leave a copy of a damaged file for those who look into it, where the disk takes one."""
    with contextlib.suppress(OSError):
        path.with_suffix(".damaged").write_bytes(path.read_bytes())


def _read(path: Path) -> Halts:
    """The halts of the file. Raises ValueError, KeyError or TypeError for one that was not written here."""
    if not path.exists():
        return Halts()
    stored = orjson.loads(path.read_bytes())
    return Halts(tuple(_standing(item) for item in stored["halts"]), _whole(stored["last"]))


def _standing(item: Mapping[str, Any]) -> Standing:
    reason, by = item["reason"], item["by"]
    if not isinstance(reason, str) or not isinstance(by, str):
        raise TypeError(f"a halt's reason and its person are text, not {reason!r} and {by!r}")
    return Standing(Halt(_whole(item["number"]), HaltSource(item["source"]), reason, by, _whole(item["at_ns"])))


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    return value
