"""Which code is running, so that a result can name the code that made it."""

import functools
import hashlib
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import leadline
from leadline.model.ids import derive

# Where the package lies in a checkout of this repository, and nowhere else.
_IN_A_CHECKOUT: Final = Path("services", "leadline")


@dataclass(frozen=True, slots=True)
class Commit:
    """The commit of a checkout. dirty: the package's files are not those of that commit."""

    name: str
    dirty: bool


@functools.cache
def package_version() -> str:
    """The version that the package was released under."""
    return version("leadline")


@functools.cache
def code_version() -> str:
    """An id of this package's sources and data files: the same wherever the same files are installed."""
    return derive("code", package_version(), files_digest(Path(leadline.__path__[0])))


@functools.cache
def commit() -> Commit | None:
    """The commit that the package is checked out at; None where it is installed, and where git does not say."""
    return commit_of(Path(leadline.__path__[0]).resolve())


def commit_of(package: Path) -> Commit | None:
    """As `commit`, of the package in a folder."""
    root = package.parents[len(_IN_A_CHECKOUT.parts) - 1]
    if package != root / _IN_A_CHECKOUT or not (root / ".git").exists():
        return None
    words = ("git", "--no-optional-locks", "-C", str(root), "status", "--porcelain=v2", "--branch", "--")
    try:
        asked = subprocess.run([*words, str(package)], capture_output=True, text=True, check=True)  # noqa: S603 - our own
    except (OSError, subprocess.CalledProcessError):
        return None
    heads = [line for line in asked.stdout.splitlines() if line.startswith("# branch.oid ")]
    changes = [line for line in asked.stdout.splitlines() if not line.startswith("#")]
    return Commit(heads[0].split()[-1], bool(changes)) if heads else None


@functools.cache
def module_digest(name: str) -> str:
    """An id of the files of a loaded module's package, or of its one file; empty for one that has no files."""
    module = sys.modules[name.partition(".")[0]]
    if paths := list(getattr(module, "__path__", ())):
        return derive("module", *(files_digest(Path(path)) for path in paths))
    file = getattr(module, "__file__", None)
    return derive("module", hashlib.blake2b(Path(file).read_bytes(), digest_size=20).hexdigest()) if file else ""


def files_digest(root: Path) -> str:
    """Digest of the names and contents of all files below `root` but stubs and what lies in folders of compiled ones.

    Another process may be writing there: such a folder has files that come and go.
    """
    digest = hashlib.blake2b(digest_size=20)
    files = (path for path in root.rglob("*") if "__pycache__" not in path.parts and path.is_file())
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in files):
        if path.suffix in {".pyc", ".pyi"}:
            continue
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
