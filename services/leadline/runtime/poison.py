"""Messages of which a process has died, known to the process that comes after it.

Before a message is handled its name is laid into a file that is mapped into memory: a copy of some hundred bytes and
no call of the system, and it is there for the next process however this one ends. A message of which two processes in
a row have died is poison: it is refused from then on, as one that cannot be used.

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

DEATHS: Final = 2
"""So many processes in a row may die of a message."""

MOST_POISON: Final = 256
"""Messages that are remembered; those before them are tried again."""

MARK_NAME: Final = "handling"
"""The file in a service's own folder that says what it is at."""

_LONGEST: Final = 1000
_LONGEST_WORDS: Final = 200
# Whether there is one; the length of its name, and the name; the same of the words about it.
_WORDS_AT: Final = 4 + _LONGEST
_SIZE: Final = _WORDS_AT + 2 + _LONGEST_WORDS

_log = structlog.get_logger(__name__)


class Poison(RefusedMessage):
    """A message of which processes have died."""

    def __init__(self, name: str) -> None:
        super().__init__("poison", f"{DEATHS} processes in a row ended while they handled {name}")


class Handling:
    """What this process handles, and what the ones before it died of: two files in `folder`.

    Without a folder, or with a disk that does not take them, nothing is remembered: that is no reason to serve nobody.
    """

    def __init__(self, folder: Path | None) -> None:
        self._known = None if folder is None else folder / "poison.json"
        self._mark = mmap.mmap(-1, _SIZE)
        self._suspect = ""
        self._deaths = 0
        self._poison: list[str] = []
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
            raise Poison(shown)
        self._mark[2 : 4 + len(name)] = len(name).to_bytes(2, "little") + name
        self._put_words("")
        self._mark[0] = 1
        try:
            yield
        except BaseException as error:
            # What is left set is a death, if the process ends of it.
            if isinstance(error, LeadlineError) or not isinstance(error, Exception):
                self._mark[0] = 0
            raise
        self._mark[0] = 0
        if shown == self._suspect:
            self._suspect, self._deaths = "", 0
            self._remember()

    def at(self, words: str) -> None:
        """Say in words what is handled now, for people who ask why this process answers no more."""
        self._put_words(words)

    @property
    def known_file(self) -> Path | None:
        """Where the poison is remembered; whoever removes it has every message tried again."""
        return self._known

    def _put_words(self, words: str) -> None:
        found = words.encode()[:_LONGEST_WORDS]
        self._mark[_WORDS_AT : _WORDS_AT + 2 + len(found)] = len(found).to_bytes(2, "little") + found

    def _recall(self, known: Path) -> None:
        """Read what is known, and count a death of the process before this one."""
        try:
            stored = orjson.loads(known.read_bytes())
            self._suspect, self._deaths = str(stored["suspect"]), int(stored["deaths"])
            self._poison = [str(name) for name in stored["poison"]]
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("poison.unreadable", file=str(known), reason=str(error))
        if not self._mark[0]:
            return
        died_of = _text_at(self._mark[:_WORDS_AT], 2)
        self._deaths = self._deaths + 1 if died_of == self._suspect else 1
        self._suspect = died_of
        _log.error("poison.died_before", message=died_of, deaths=self._deaths)
        if self._deaths >= DEATHS:
            self._poison = [*self._poison, died_of][-MOST_POISON:]
            self._suspect, self._deaths = "", 0
        self._remember()
        self._mark[0] = 0

    def _remember(self) -> None:
        if self._known is None:
            return
        content = {"suspect": self._suspect, "deaths": self._deaths, "poison": self._poison}
        fresh = self._known.with_suffix(".new")
        try:
            fresh.write_bytes(orjson.dumps(content))
            fresh.replace(self._known)
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
