"""Names of files: short ones, and those that tell a format."""

from collections.abc import Sequence
from typing import Final

DBN_SUFFIXES: Final = (".dbn", ".dbn.zst")


def is_dbn(name: str) -> bool:
    """Whether a name is that of a file of Databento's."""
    return name.endswith(DBN_SUFFIXES)


def distinct_names(paths: Sequence[str]) -> dict[str, str]:
    """The last parts of each path, as few as tell them apart.

    It is `mes.csv`, or `june/mes.csv` where another folder has a file of that name, too.
    """
    found: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        others = [other.split("/") for other in paths if other != path]
        for count in range(1, len(parts) + 1):
            if all(other[-count:] != parts[-count:] for other in others):
                break
        found[path] = "/".join(parts[-count:]).lstrip("/")
    return found
