"""Reasons for which an account, or a strategy of it, enters nothing for the rest of a trading day."""

from enum import StrEnum


class Block(StrEnum):
    """A reason to enter nothing until the trading day rolls. A loss also closes what is held; a target leaves it.

    An account has both, a strategy its own loss alone. NONE is empty, and false.
    """

    NONE = ""
    DAY_LOSS = "DAY_LOSS"
    DAY_TARGET = "DAY_TARGET"
