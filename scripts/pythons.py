"""The Pythons of this machine, and environments of them that stay between runs: $XDG_CACHE_HOME/leadline/NAME."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

OLDEST: Final = 11
_NEWEST: Final = 19
_VERSION: Final = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
_COMPLETE: Final = "complete"


def pythons() -> Mapping[int, str]:
    """The interpreters from 3.11 on that start, by minor version: this one, those of the PATH, those of pyenv."""
    found = {}
    for minor in range(OLDEST, _NEWEST + 1):
        kept = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))
        named = (shutil.which(f"python3.{minor}"), *map(str, kept))
        started = (each for each in named if each is not None and _starts(each))
        if minor == sys.version_info.minor:
            found[minor] = sys.executable
        elif (first := next(started, None)) is not None:
            found[minor] = first
    return found


def version_of(python: str) -> str:
    """The version of an interpreter, such as 3.13.0."""
    return subprocess.run([python, "-c", _VERSION], capture_output=True, text=True, check=True).stdout.strip()


def is_kept(name: str) -> bool:
    """Whether the environment of that name is there, whole."""
    return (_home(name) / _COMPLETE).exists()


def environment(name: str, python: str, fill: Callable[[Path], object]) -> Path:
    """The Python of the environment of that name, made of `python` and given to `fill` where it is not there yet."""
    inside = _home(name) / "bin" / "python"
    if not is_kept(name):
        subprocess.run([python, "-m", "venv", "--clear", _home(name)], check=True)
        fill(inside)
        (_home(name) / _COMPLETE).touch()
    return inside


def _home(name: str) -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "leadline" / name


def _starts(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
