"""The part that an order has in its decision, in words."""

from collections.abc import Mapping
from typing import Final

from leadline.model.ids import Leg, LegKind

LEG_WORDS: Final[Mapping[LegKind, str]] = {
    LegKind.ENTRY: "entry",
    LegKind.STOP: "stop",
    LegKind.TARGET: "target",
    LegKind.FLATTEN: "closing order",
    LegKind.SETTLEMENT: "settlement",
    LegKind.FOREIGN: "order of somebody else",
}


def leg_text(leg: Leg) -> str:
    """A leg in words: `entry`; `stop of fill 2`, the exit of its entry's second fill; `closing order`."""
    words = LEG_WORDS[leg.kind]
    return f"{words} of fill {leg.number}" if leg.is_exit else words
