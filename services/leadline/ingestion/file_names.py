"""Short names of files: the last parts of their paths, as few as tell them apart."""

from collections.abc import Sequence


def distinct_names(paths: Sequence[str]) -> dict[str, str]:
    """The name of each path: `mes.csv`, or `june/mes.csv` where another folder has a file of that name, too."""
    found: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        others = [other.split("/") for other in paths if other != path]
        for count in range(1, len(parts) + 1):
            if all(other[-count:] != parts[-count:] for other in others):
                break
        found[path] = "/".join(parts[-count:]).lstrip("/")
    return found
