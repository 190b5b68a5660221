"""The table `demand`: how a row is written."""

from typing import Any, Final

from leadline.plan.demand import DemandRow

INSERT_DEMAND: Final = """
    INSERT INTO demand (account, strategy, contract, venue, session, hours, bars, ticks_per_row)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
"""Writes one row; its arguments are `demand_values`."""


def demand_values(row: DemandRow) -> tuple[Any, ...]:
    """A row as the columns of the table `demand`, in the order of `INSERT_DEMAND`."""
    names = (row.account, row.strategy, row.contract, row.venue)
    bars = row.bars
    if bars is None:
        return (*names, None, None, None, None)
    hours = {"open": bars.open, "close": bars.close, "zone": bars.zone}
    return (*names, bars.session, hours, bars.bars, bars.ticks_per_row)
