"""Market structure over the last bars: which way the highs and lows step, and how bound price is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from leadline.model.bars import Bar

SPAN: Final = 5
BARS_NEEDED: Final = 2 * SPAN


@dataclass(frozen=True, slots=True)
class Structure:
    """Highs and lows of the last five bars against the five before.

    `range_bound_bars`: how many of the last five closes lie within the range of the bar before each.
    """

    higher_high: bool
    higher_low: bool
    lower_high: bool
    lower_low: bool
    range_bound_bars: int


def structure(bars: Sequence[Bar]) -> Structure | None:
    """The structure at the last of `bars` (oldest first); None with fewer than ten."""
    if len(bars) < BARS_NEEDED:
        return None
    seen = bars[-BARS_NEEDED:]
    highs, lows = [bar.high for bar in seen], [bar.low for bar in seen]
    high, high_before = max(highs[SPAN:]), max(highs[:SPAN])
    low, low_before = min(lows[SPAN:]), min(lows[:SPAN])
    # Each close of the last bars with the low and the high of the bar before it.
    closes = zip(seen[SPAN:], lows[SPAN - 1 :], highs[SPAN - 1 :], strict=False)
    return Structure(
        higher_high=high > high_before,
        higher_low=low > low_before,
        lower_high=high < high_before,
        lower_low=low < low_before,
        range_bound_bars=sum(below <= bar.close <= above for bar, below, above in closes),
    )
