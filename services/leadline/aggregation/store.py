"""The demand for bars, which is all that aggregation reads from the database."""

from typing import Any, Final

from leadline.runtime.database import Pool

_DEMAND: Final = """
    SELECT DISTINCT contract, venue, session, hours, bars, ticks_per_row FROM demand WHERE NOT ticks_only
    ORDER BY contract, session, bars, ticks_per_row
"""


async def wanted_series(pool: Pool) -> list[dict[str, Any]]:
    """The rows of the demand that want bars, each series once, as `series_of` reads them."""
    return [dict(row) for row in await pool.fetch(_DEMAND)]
