"""Which code is running, so that a result can name the code that made it."""

import functools
import hashlib
from importlib.metadata import version
from pathlib import Path

import leadline
from leadline.model.ids import derive


@functools.cache
def package_version() -> str:
    """The version that the package was released under."""
    return version("leadline")


@functools.cache
def code_version() -> str:
    """An id of this package's sources and data files: the same wherever the same files are installed."""
    return derive("code", package_version(), files_digest(Path(leadline.__path__[0])))


def files_digest(root: Path) -> str:
    """Digest of the names and contents of all files below `root` but compiled ones and stubs."""
    digest = hashlib.blake2b(digest_size=20)
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix not in {".pyc", ".pyi"})
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in files):
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
