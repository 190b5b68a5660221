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
    root = Path(leadline.__path__[0])
    digest = hashlib.blake2b(digest_size=20)
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix not in {".pyc", ".pyi"})
    for path in sorted(files, key=lambda path: path.relative_to(root).as_posix()):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return derive("code", package_version(), digest.hexdigest())
