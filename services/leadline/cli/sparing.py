"""Starts that load less."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """Import inside as if these packages were not installed, for libraries that use them where they are.

    A package that is loaded already stays. Afterwards all of them can be imported again.
    """
    hidden = [name for name in packages if name not in sys.modules]
    # Python's own mark for a module that cannot be imported.
    sys.modules.update(dict.fromkeys(hidden, cast("ModuleType", None)))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
