"""Bars of more rows than one message of the bus carries: how high their rows would have to be."""

from typing import Final

import numpy as np

from leadline.model.bars import Bar
from leadline.model.errors import LeadlineError

HIGHEST_ROW: Final = 10_000
"""The most ticks that a manifest lets a row have."""

_SPARE: Final = 0.9
"""The share of a message that a bar may fill: one of the next days moves farther."""


class BarTooWide(LeadlineError):
    """A bar that does not fit into a message. size_bytes: its size; most_bytes: what a message carries."""

    def __init__(self, bar: Bar, size_bytes: int, most_bytes: int) -> None:
        super().__init__(bar.key, size_bytes, most_bytes)
        self.rows = len(bar.rows)
        self.ticks_per_row = bar.ticks_per_row
        self.enough = fitting_ticks_per_row(bar, int(self.rows * most_bytes / size_bytes * _SPARE))

    def __str__(self) -> str:
        key, _, most_bytes = self.args
        wanted = "shorter bars (spec.bars)" if self.enough is None else f"{self.enough} or more"
        return (
            f"spec.ticksPerRow: got {self.ticks_per_row}, expected {wanted}: the bar {key.session} {key.spec} number "
            f"{key.ordinal} of {key.contract} on {key.trading_day} has {self.rows} rows, which is more than a message "
            f"of {most_bytes} bytes carries"
        )


def fitting_ticks_per_row(bar: Bar, most_rows: int) -> int | None:
    """The least of 2, 5, 10, 20, 50 ... times the present height at which a bar has so few rows, ticks.

    None where even rows of `HIGHEST_ROW` ticks are too many.
    """
    for decade in range(len(str(HIGHEST_ROW))):
        for step in (1, 2, 5):
            height: int = bar.ticks_per_row * step * 10**decade
            if height > HIGHEST_ROW:
                return None
            if len(np.unique(bar.rows.price // height)) <= most_rows:
                return height
    return None
