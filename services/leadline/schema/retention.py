"""How long the rows of the market's tables are kept: the ages that are set, and the rows that are there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from leadline.model.errors import InvalidInput, Unknown

FOREVER: Final = "forever"

_DAYS: Final = re.compile(r"([1-9][0-9]{0,4})d")
_EXPECTED: Final = "KIND=AGE, with an age in days such as 30d, or forever"
_KEPT: Final = """
    SELECT kind, of_table, keep_days, count(name) AS partitions, min(begins) AS oldest, max(ends) - 1 AS newest,
           coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::bigint AS bytes
    FROM retention LEFT JOIN market_partition USING (of_table) GROUP BY kind ORDER BY kind
"""
_KEEP: Final = "UPDATE retention SET keep_days = $2 WHERE kind = $1"


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows of one kind.

    table: that they stand in. keep_days: for how many days, None for ever. partitions: of the table, from the date
    `oldest` to `newest`, with their indexes `bytes` large; None where there are none.
    """

    kind: str
    table: str
    keep_days: int | None
    partitions: int
    oldest: date | None
    newest: date | None
    bytes: int

    @property
    def age(self) -> str:
        """How long they are kept, as people write it."""
        return FOREVER if self.keep_days is None else f"{self.keep_days}d"


def parse_ages(text: str) -> dict[str, int | None]:
    """`ticks=30d,bars=forever` as days by kind, None for ever. Raises InvalidInput for what is no such list."""
    found: dict[str, int | None] = {}
    for part in text.split(","):
        kind, equals, age = part.partition("=")
        days = _DAYS.fullmatch(age)
        if not (kind and equals and (days or age == FOREVER)):
            raise InvalidInput("--keep", part, _EXPECTED)
        if kind in found:
            raise InvalidInput("--keep", part, f"one age of {kind}")
        found[kind] = int(days[1]) if days else None
    return found


async def retention_of(connection: Any) -> list[Kept]:
    """Each kind of rows with its age, by name. Raises what asyncpg raises."""
    rows = await connection.fetch(_KEPT)
    return [Kept(*(row[name] for name in _COLUMNS)) for row in rows]


_COLUMNS: Final = ("kind", "of_table", "keep_days", "partitions", "oldest", "newest", "bytes")


async def keep(connection: Any, ages: Mapping[str, int | None]) -> None:
    """Set how many days the rows of some kinds are kept, None for ever. Raises Unknown for a kind; then none is set."""
    async with connection.transaction():
        kinds = {row["kind"] for row in await connection.fetch("SELECT kind FROM retention FOR UPDATE")}
        for kind, days in ages.items():
            if kind not in kinds:
                raise Unknown("kind of rows", kind, tuple(sorted(kinds)))
            await connection.execute(_KEEP, kind, days)
