"""What a drain does with what a strategy has in the market."""

from enum import StrEnum


class DrainOrders(StrEnum):
    """What becomes of working entry orders."""

    CANCEL = "Cancel"
    """They are taken back."""
    KEEP = "Keep"
    """They stay."""


class DrainPositions(StrEnum):
    """What becomes of an open position."""

    KEEP = "Keep"
    """It stays with its protection, and the drain ends without waiting for it."""
    FLATTEN = "Flatten"
    """It is closed."""
    REFUSE = "Refuse"
    """It stays with its protection, and the drain waits until it is closed."""
