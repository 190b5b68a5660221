"""Capital tiers: equity decides which instrument of the underlying is executed, and within which sizes."""

from decimal import Decimal

from leadline.risk.view import Tier


def tier_index(tiers: tuple[Tier, ...], equity: Decimal) -> int:
    """Index of the tier that holds at `equity` (lower bound inclusive); -1 when there is none, as below zero."""
    found = -1
    for index, tier in enumerate(tiers):
        if equity >= tier.start:
            found = index
    return found
