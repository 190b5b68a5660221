"""Messages of which a process has died, known to the process that comes after it.

Before a message is handled its name is laid into a file that is mapped into memory: a copy of some hundred bytes and
no call of the system, and it is there for the next process however this one ends. Two failures in a row that Python
reported at the same message make it poison: it is refused from then on, as one that cannot be used. An end that nobody
reported (a kill, no memory left) is as likely the doing of somebody else who happened to come then. So it takes three
ends in a row at the same message.

Others may read that file while the process lives: it says what a process is at that answers no more.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson
import structlog

from leadline.model.errors import LeadlineError, RefusedMessage
from leadline.runtime.bus.dead_letters import Message
from leadline.runtime.files import write_whole

DEATHS: Final = 2
"""So many failures in a row may be reported at one message."""

ENDS: Final = 3
"""So many ends in a row may be met at one message, those that nobody reported among them."""

MOST_POISON: Final = 256
"""Messages that are remembered; those before them are tried again."""

MARK_NAME: Final = "handling"
"""The file in a service's own folder that says what it is at."""

_LONGEST: Final = 1000
_LONGEST_WORDS: Final = 200
# How it is with the message: one of those below; the length of its name, and the name; the same of the words about it.
_WORDS_AT: Final = 4 + _LONGEST
_SIZE: Final = _WORDS_AT + 2 + _LONGEST_WORDS

_NONE, _HANDLED, _FAILED = range(3)

_log = structlog.get_logger(__name__)


class Poison(RefusedMessage):
    """A message of which processes have died."""

    def __init__(self, name: str, ends: int) -> None:
        super().__init__("poison", f"{ends} processes in a row ended while they handled {name}")


class Handling:
    """The message that this process handles, and those that the ones before it died of: two files in `folder`.

    Without a folder, or with a disk that does not take them, nothing is remembered: that is no reason to serve nobody.
    """

    def __init__(self, folder: Path | None) -> None:
        self._known = None if folder is None else folder / "poison.json"
        self._mark = mmap.mmap(-1, _SIZE)
        self._suspect = ""
        self._failures = self._ends = 0
        self._poison: dict[str, int] = {}
        if folder is None or self._known is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._mark = _mapped(folder / MARK_NAME)
            self._recall(self._known)
        except OSError as error:
            _log.warning("poison.not_remembered", reason=str(error))

    @contextmanager
    def of(self, stream: str, message: Message) -> Iterator[None]:
        """Handle a message, without waiting for anything meanwhile. Raises Poison where it is known to kill.

        An error that is one of the platform's own is an end that somebody can hear of, and no death.
        """
        name = f"{stream} {message.sequence} {message.subject} {message.message_id}".encode()[:_LONGEST]
        shown = name.decode(errors="replace")
        if shown in self._poison:
            raise Poison(shown, self._poison[shown])
        self._mark[2 : 4 + len(name)] = len(name).to_bytes(2, "little") + name
        self._write_work("")
        self._mark[0] = _HANDLED
        try:
            yield
        except BaseException as error:
            # What is left set is a death, if the process ends of it.
            explained = isinstance(error, LeadlineError) or not isinstance(error, Exception)
            self._mark[0] = _NONE if explained else _FAILED
            raise
        self._mark[0] = _NONE
        if shown == self._suspect:
            self._forget()

    def at(self, work: str) -> None:
        """Say in words what is handled now, for people who ask why this process answers no more."""
        self._write_work(work)

    @property
    def known_file(self) -> Path | None:
        """Where the poison is remembered; whoever removes it has every message tried again."""
        return self._known

    def _write_work(self, work: str) -> None:
        found = work.encode()[:_LONGEST_WORDS]
        self._mark[_WORDS_AT : _WORDS_AT + 2 + len(found)] = len(found).to_bytes(2, "little") + found

    def _recall(self, known: Path) -> None:
        """Read what is known, and count a death of the process before this one."""
        try:
            stored = orjson.loads(known.read_bytes())
            poison = {str(name): int(ends) for name, ends in stored["poison"].items()}
            suspect, failures, ends = str(stored["suspect"]), int(stored["failures"]), int(stored["ends"])
            self._suspect, self._failures, self._ends, self._poison = suspect, failures, ends, poison
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("poison.unreadable", file=str(known), reason=str(error))
        if self._mark[0] == _NONE:
            return
        self._count(_text_at(self._mark[:_WORDS_AT], 2), reported=self._mark[0] == _FAILED)
        self._mark[0] = _NONE

    def _count(self, died_of: str, *, reported: bool) -> None:
        if died_of != self._suspect:
            self._suspect, self._failures, self._ends = died_of, 0, 0
        self._ends += 1
        self._failures += reported
        _log.error("poison.died_before", message=died_of, deaths=self._ends)
        if self._failures < DEATHS and self._ends < ENDS:
            self._remember()
            return
        self._poison = dict([*self._poison.items(), (died_of, self._ends)][-MOST_POISON:])
        self._forget()

    def _forget(self) -> None:
        self._suspect, self._failures, self._ends = "", 0, 0
        self._remember()

    def _remember(self) -> None:
        if self._known is None:
            return
        content = {"suspect": self._suspect, "failures": self._failures, "ends": self._ends, "poison": self._poison}
        try:
            write_whole(self._known, orjson.dumps(content), synced=False)
        except OSError as error:
            _log.warning("poison.not_remembered", reason=str(error))


def handled_now(folder: Path) -> tuple[str, str] | None:
    """The message that the process of a folder is at, by its name and in words; None where it is at none.

    The words are empty where it has none. Read while it is written, it may be of two messages.
    """
    try:
        mark = (folder / MARK_NAME).read_bytes()
    except OSError:
        return None
    if not mark[:1].strip(b"\0"):
        return None
    return _text_at(mark, 2), _text_at(mark, _WORDS_AT)


def _text_at(mark: bytes, place: int) -> str:
    length = int.from_bytes(mark[place : place + 2], "little")
    return mark[place + 2 : place + 2 + length].decode(errors="replace")


def _mapped(path: Path) -> mmap.mmap:
    """A file in memory, of which every byte has its place on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if (missing := _SIZE - os.fstat(handle).st_size) > 0:
            os.pwrite(handle, bytes(missing), _SIZE - missing)
        return mmap.mmap(handle, _SIZE)
    finally:
        os.close(handle)
