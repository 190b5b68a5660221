"""The settings with which the services of a data directory were started last."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from leadline.local.data_dir import DataDir


def started_with(data_dir: Path, service: str) -> Iterator[dict[str, Any]]:
    """The `params` of each workload of a service that is one of an account or a strategy, by name. Raises OSError."""
    for path in sorted((DataDir(data_dir).root / "settings").glob(f"{service}-*.json")):
        yield orjson.loads(path.read_bytes())["params"]
