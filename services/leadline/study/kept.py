"""The folder of a sweep: each variant that has come to its end, in a file of its own.

A sweep that was killed goes on there, and shards of one sweep find each other. A file is whole or not there.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import orjson

from leadline.model.errors import InvalidInput
from leadline.study.rows import VariantRow, bytes_of, row_of_document


class KeptSweep:
    """The folder of one sweep below `root`, by its id; `definition` is what the id is made of, for people."""

    def __init__(self, root: Path, sweep_id: str, definition: dict[str, Any]) -> None:
        self.folder = root / sweep_id
        self._rows = self.folder / "variants"
        self._rows.mkdir(parents=True, exist_ok=True)
        _write(self.folder / "sweep.json", orjson.dumps(definition, option=orjson.OPT_INDENT_2) + b"\n")

    def rows(self, numbers: Iterable[int]) -> dict[int, VariantRow]:
        """The rows of those of these variants that are finished.

        Raises InvalidInput for a file that is not as it was written, and OSError.
        """
        found: dict[int, VariantRow] = {}
        for number in numbers:
            file = self._file(number)
            try:
                content = file.read_bytes()
            except FileNotFoundError:
                continue
            try:
                row = row_of_document(orjson.loads(content))
            except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
                row = None
            if row is None or bytes_of(row) != content or row.number != number:
                expected = "the result of a variant as it was written; without this file it is worked out anew"
                raise InvalidInput(str(file), "other contents", expected)
            found[number] = row
        return found

    def write(self, row: VariantRow) -> None:
        """Keep the row of a variant. Raises OSError."""
        _write(self._file(row.number), bytes_of(row))

    def _file(self, number: int) -> Path:
        return self._rows / f"{number:05d}.json"


def _write(path: Path, content: bytes) -> None:
    """Put a file there whole; another process may do the same at the same time."""
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)
