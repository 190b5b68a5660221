"""The policies of a drain for the orders and the position of a strategy."""

from enum import StrEnum


class DrainOrders(StrEnum):
    """Policy for working entry orders."""

    CANCEL = "Cancel"
    """They are taken back."""
    KEEP = "Keep"
    """They stay."""


class DrainPositions(StrEnum):
    """Policy for an open position."""

    KEEP = "Keep"
    """It stays with its protection, and the drain ends without waiting for it."""
    FLATTEN = "Flatten"
    """It is closed."""
    REFUSE = "Refuse"
    """It stays with its protection, and the drain waits until it is closed."""
