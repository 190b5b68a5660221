"""The partitions of the tables of market data: made before they are written, dropped when they are too old."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

import asyncpg

from leadline.runtime.clock import wall_ns
from leadline.runtime.database import Pool

AHEAD_DAYS: Final = 2
"""So many days after today have their partitions already: no print waits for one at midnight."""

_USE: Final = "SELECT use_partition($1, $2, $3)"
_TABLES: Final = "SELECT of_table FROM retention ORDER BY of_table"
_EXPIRED: Final = """
    SELECT of_table, begins, name FROM market_partition JOIN retention USING (of_table)
    WHERE greatest(ends - 1, written_on) < $1::date - keep_days ORDER BY of_table, begins
"""
_DROP: Final = "SELECT drop_partition($1, $2)"


def wall_today() -> date:
    """Today, in UTC."""
    return date_of(wall_ns())


def date_of(time_ns: int) -> date:
    """The date of an instant, in UTC."""
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).date()


class Partitions:
    """The partitions that this process knows to be there, and to be marked as written today.

    pool: connections of the recorder. today: the date by which partitions grow old.
    """

    def __init__(self, pool: Pool, today: Callable[[], date] = wall_today) -> None:
        self._pool = pool
        self.today = today
        self._marked: set[tuple[str, date]] = set()
        self._marked_on: date | None = None

    async def use(self, dates: Mapping[str, Iterable[date]]) -> None:
        """See to it that rows of these dates, by table, have a place. Raises what asyncpg raises."""
        today = self.today()
        if today != self._marked_on:
            self._marked, self._marked_on = set(), today
        wanted = {(table, day) for table, days in dates.items() for day in days} - self._marked
        for table, day in sorted(wanted):
            await self._pool.execute(_USE, table, day, today)
            self._marked.add((table, day))

    def forget(self) -> None:
        """Look again: the database is another than it was, as after a backup was put back."""
        self._marked = set()

    async def make_ahead(self) -> None:
        """Make the partitions of today and of the days that come. Raises what asyncpg raises."""
        today = self.today()
        days = [today + timedelta(ahead) for ahead in range(AHEAD_DAYS + 1)]
        await self.use({row["of_table"]: days for row in await self._pool.fetch(_TABLES)})

    async def drop_old(self) -> tuple[dict[str, int], list[str]]:
        """Drop what is older than its table keeps: how many partitions by table, and those that somebody reads now.

        Raises what asyncpg raises.
        """
        dropped: dict[str, int] = {}
        in_use: list[str] = []
        for row in await self._pool.fetch(_EXPIRED, self.today()):
            try:
                await self._pool.execute(_DROP, row["of_table"], row["begins"])
            except asyncpg.LockNotAvailableError:
                in_use.append(row["name"])
            else:
                dropped[row["of_table"]] = dropped.get(row["of_table"], 0) + 1
        if dropped:
            self.forget()
        return dropped, in_use
