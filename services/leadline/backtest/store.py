"""Results that are kept: a folder for each, named by its id, that is there whole or not at all.

`about.json` says what the result is of, and has the digest of every other file: what was cut or changed is told before
anything of it is believed.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from leadline.model.errors import InvalidInput, Unknown
from leadline.runtime.files import sync_directory

ABOUT: Final = "about.json"
_LOCK: Final = ".lock"
_FRESH: Final = ".new-"
_OLD: Final = ".old-"
_REMOVED: Final = ".removed-"
# Ids that are told where none is meant.
_MOST_NAMED: Final = 12


@dataclass(frozen=True, slots=True)
class Kept:
    """A result that is kept: its id, its folder, what its `about.json` says, and when that was written, ns UTC."""

    id: str
    folder: Path
    about: Mapping[str, Any]
    written_ns: int

    def read(self, name: str) -> bytes:
        """One of its files. Raises InvalidInput for one that is missing or not the one that was written."""
        path = self.folder / name
        expected = "the file as it was written: make this result again, or remove it"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise InvalidInput(str(path), None, expected) from None
        if _digest(content) != self.about["files"].get(name):
            raise InvalidInput(str(path), f"{len(content):,} other bytes", expected)
        return content


class Store:
    """Results of one kind in a directory. It holds nothing in memory, and several processes may write at once.

    root: the directory. kind: what a result is called (`backtest`). schema: the version of its files. Methods raise
    OSError for what cannot be read or written.
    """

    def __init__(self, root: Path, kind: str, schema: int) -> None:
        self.root = root
        self._kind = kind
        self._schema = schema

    def keep(self, name: str, about: Mapping[str, Any], files: Mapping[str, bytes]) -> Path:
        """Put a result in, in the place of one with the same id; returns its folder.

        about: plain values; `schema`, `kind`, `id` and `files` are added to them. They and the files are the same for
        the same id, but for `noted`: of the process that made it last, such as its commit, which nothing follows from.
        The result is on the disk when this returns.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        document = {
            "schema": self._schema,
            "kind": self._kind,
            "id": name,
            **about,
            "files": {each: _digest(content) for each, content in sorted(files.items())},
        }
        folder, fresh, old = (self.root / f"{prefix}{name}" for prefix in ("", _FRESH, _OLD))
        with self._locked():
            self._mend()
            about_text = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
            try:
                fresh.mkdir()
                for each, content in {**files, ABOUT: about_text}.items():
                    _write(fresh / each, content)
                sync_directory(fresh)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
            if folder.exists():
                folder.rename(old)
            fresh.rename(folder)
            sync_directory(self.root)
            shutil.rmtree(old, ignore_errors=True)
        return folder

    def names(self) -> tuple[str, ...]:
        """The ids of all results, damaged ones too, in order; none where there is no directory yet."""
        if not self.root.is_dir():
            return ()
        return tuple(sorted(each.name for each in self.root.iterdir() if each.is_dir() and each.name[0] != "."))

    def find(self, prefix: str) -> str:
        """The id that begins so. Raises Unknown where none does, InvalidInput where several do."""
        names = self.names()
        if prefix in names:
            return prefix
        found = [each for each in names if prefix and each.startswith(prefix)]
        if not found:
            more = (f"and {len(names) - _MOST_NAMED:,} more",) if len(names) > _MOST_NAMED else ()
            raise Unknown(f"{self._kind} in {self.root}", prefix, (*names[:_MOST_NAMED], *more))
        if len(found) > 1:
            raise InvalidInput("ID", prefix, f"the beginning of one {self._kind}, and not of {', '.join(found)}")
        return found[0]

    def open(self, name: str) -> Kept:
        """A result by its whole id. Raises InvalidInput for one that is damaged or of another schema version."""
        path = self.root / name / ABOUT
        expected = f"what says which {self._kind} this is: make it again, or remove it"
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise InvalidInput(str(path), None, expected) from None
        try:
            about = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise InvalidInput(str(path), str(error), expected) from None
        if not isinstance(about, dict) or not isinstance(about.get("files"), dict):
            raise InvalidInput(str(path), f"{len(content):,} bytes of something else", expected)
        for field, wanted, of in (
            ("schema", self._schema, "the version that this program reads"),
            ("kind", self._kind, "the kind of what is kept here"),
            ("id", name, "the name of its folder"),
        ):
            if about.get(field) != wanted:
                raise InvalidInput(f"{path}: {field}", about.get(field), f"{wanted}, {of}")
        return Kept(name, path.parent, about, path.stat().st_mtime_ns)

    def remove(self, name: str) -> None:
        """Take a result out by its whole id. It may be damaged."""
        with self._locked():
            self._mend()
            removed = self.root / f"{_REMOVED}{name}"
            (self.root / name).rename(removed)
            shutil.rmtree(removed)
            sync_directory(self.root)

    def _mend(self) -> None:
        """Clear away what processes that were killed have left, and bring back a result that had no successor yet."""
        for old in self.root.glob(f"{_OLD}*"):
            folder = self.root / old.name.removeprefix(_OLD)
            if not folder.exists():
                old.rename(folder)
                sync_directory(self.root)
        for prefix in (_FRESH, _OLD, _REMOVED):
            for left_behind in self.root.glob(f"{prefix}*"):
                shutil.rmtree(left_behind)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, of all processes."""
        descriptor = os.open(self.root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
