"""Causes that end an account's process, or its transaction, again and again: they are passed over, or halt it.

Before the loop handles a bar of a strategy or an event of the venue, it lays its name into a file that is mapped into
memory: the next process finds it there, however this one ends. Two failures in a row that Python reported at the same
name make it poison. An end that nobody reported (a kill, no memory left) is as likely the doing of somebody else who
happened to come then. So it takes three ends in a row at the same name, none of them after a stop in order, and none
that waited for another part.
"""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import orjson

from leadline.execution.adapters.kill_switch import KillSwitch
from leadline.execution.loop.ports import Fenced, NotTaken, PartFailed
from leadline.model.halts import HaltSource, printable
from leadline.model.ids import RunId
from leadline.runtime.files import write_whole

DEATHS: Final = 2
"""So many failures in a row may be reported at one name, or at one instant."""

ENDS: Final = 3
"""So many ends in a row may be met at one name, those that nobody reported among them."""

MOST_POISON: Final = 256
"""Names that are remembered; those before them are tried again."""

_LONGEST: Final = 400
_SIZE: Final = 4 + _LONGEST


class MarkFile:
    """The present work of the loop, and that at which earlier processes ended: two files in `folder` for each tape.

    Another run has other bars and events of the same names, and may have another release. With a disk that does not
    take them nothing outlives the process: that is no reason to trade for nobody.
    """

    def __init__(self, folder: Path, tape: RunId) -> None:
        self._known = folder / f"passed_over-{tape}.json"
        self._suspect, self._why = "", ""
        self._failures = self._ends = 0
        self._poison: dict[str, str] = {}
        self._at: list[str] = []
        self._counted: Exception | None = None
        self._mark = mmap.mmap(-1, _SIZE)
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            self._recall()
            self._mark = _mapped(folder / f"passed_over-{tape}.at")
        if self._mark[0]:
            length = min(_LONGEST, int.from_bytes(self._mark[2:4], "little"))
            self._count(self._mark[4 : 4 + length].decode(errors="replace"), None)
            self._mark[0] = 0

    def poison(self, name: str) -> str:
        """Why something is to be passed over; empty when it is not."""
        return self._poison.get(_cut(name), "")

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Handle something. What fails is counted at the innermost name; a part that is away is nobody's failure."""
        name = _cut(name)
        self._at.append(name)
        self._set()
        try:
            yield
        except (PartFailed, Fenced) as error:
            self._leave()
            if isinstance(error, NotTaken):
                self._count(name, error)
            raise
        except Exception as error:
            self._leave()
            self._count(name, error)
            raise
        self._leave()
        if name == self._suspect:
            self._forget()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for another part: a kill meanwhile ends this process at nothing. What is raised counts as before."""
        self._mark[0] = 0
        try:
            yield
        except Exception:
            self._mark_again()
            raise
        self._mark_again()

    def counted(self, error: Exception) -> bool:
        """Whether a failure is counted at something that can be passed over."""
        return self._counted is error

    def stopped(self) -> None:
        """The process is stopped in order: whatever it is at has not ended it."""
        self._mark[0] = 0

    def _set(self) -> None:
        written = self._at[-1].encode()
        self._mark[0] = 0
        self._mark[2 : 4 + len(written)] = len(written).to_bytes(2, "little") + written
        self._mark[0] = 1

    def _leave(self) -> None:
        self._at.pop()
        self._mark_again()

    def _mark_again(self) -> None:
        if self._at:
            self._set()
        else:
            self._mark[0] = 0

    def _count(self, name: str, error: Exception | None) -> None:
        if error is not None and self._counted is error:
            return
        self._counted = error
        if name != self._suspect:
            self._suspect, self._failures, self._ends, self._why = name, 0, 0, ""
        self._ends += 1
        if error is not None:
            self._failures += 1
            self._why = f"{type(error).__name__}: {error}"
        if self._failures >= DEATHS or self._ends >= ENDS:
            said = f"the last error was {self._why}" if self._why else "nothing was said"
            words = printable(f"{self._ends} times in a row a process failed at it, {said}")
            self._poison.pop(name, None)
            self._poison[name] = words
            self._poison = dict(list(self._poison.items())[-MOST_POISON:])
            self._forget()
            return
        self._remember()

    def _forget(self) -> None:
        self._suspect, self._failures, self._ends, self._why = "", 0, 0, ""
        self._remember()

    def _recall(self) -> None:
        with suppress(ValueError, KeyError, TypeError, AttributeError, FileNotFoundError):
            stored = orjson.loads(self._known.read_bytes())
            poison = {str(name): str(why) for name, why in stored["poison"].items()}
            suspect, why = str(stored["suspect"]), str(stored["why"])
            self._failures, self._ends = int(stored["failures"]), int(stored["ends"])
            self._suspect, self._why, self._poison = suspect, why, poison

    def _remember(self) -> None:
        content = {
            "suspect": self._suspect,
            "failures": self._failures,
            "ends": self._ends,
            "why": printable(self._why),
            "poison": self._poison,
        }
        with suppress(OSError):
            write_whole(self._known, orjson.dumps(content), synced=False)


def _cut(name: str) -> str:
    """A name as it fits the mark."""
    return name.encode(errors="replace")[:_LONGEST].decode(errors="ignore")


def _mapped(path: Path) -> mmap.mmap:
    """A file in memory, of which every byte has its place on the disk. Raises OSError."""
    path.touch(mode=0o600)
    if path.stat().st_size < _SIZE:
        path.write_bytes(bytes(_SIZE))
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), _SIZE)


def note_death(file: Path, switch: KillSwitch, instant_ns: int, error: Exception) -> None:
    """Count a failure of the loop at an instant, and halt the account at the second in a row.

    It is of nothing that can be passed over: the next process meets the same. It protects what is open as far as it
    comes, and enters nothing.
    """
    deaths = 1 + _deaths(file, instant_ns)
    with suppress(OSError):  # a full disk does not hide the error that is being told
        write_whole(file, orjson.dumps({"instant_ns": instant_ns, "deaths": deaths}), synced=False)
    if deaths >= DEATHS:
        words = printable(f"{type(error).__name__}: {error}")
        reason = f"{DEATHS} processes in a row failed at the instant {instant_ns}: {words}"
        switch.halt(HaltSource.POISON, reason, "execution")


def _deaths(file: Path, instant_ns: int) -> int:
    """How many processes before this one failed at the instant, one after the other."""
    try:
        stored = orjson.loads(file.read_bytes())
        return int(stored["deaths"]) if stored["instant_ns"] == instant_ns else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0
