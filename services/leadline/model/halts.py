"""Halts: why an account enters nothing until a person has looked.

An account has a set of them, each with a number, a cause and a time of its own. One more cause never hides behind
another, and whoever clears halts names the ones that he has seen.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LONGEST_REASON: Final = 500
"""Characters of a halt's reason; what is longer is cut."""

FIELD_REASON: Final = "the account's manifest says halt"


class HaltSource(StrEnum):
    """The source of a halt. It decides who may clear it, and after which check."""

    PERSON = "PERSON"
    """A named person's call."""
    FIELD = "FIELD"
    """The account's manifest says `halt: true`; as long as it does, nobody clears it."""
    DIFFERENCE = "DIFFERENCE"
    """Book and venue do not say the same; cleared only after a comparison that agrees."""
    LIMIT = "LIMIT"
    """The limit of repeated executions was reached."""
    POISON = "POISON"
    """A message that cannot be used, of a kind that may have carried an entry or an exit."""
    SYSTEM = "SYSTEM"
    """The platform itself: a part of it does what it must not."""


@dataclass(frozen=True, slots=True)
class Halt:
    """One halt. `number` grows with each halt of the account; `at_ns` wall time in ns UTC, whole microseconds.

    A number below 0 stands for one that is not given yet, because what is in the database was not read yet.
    """

    number: int
    source: HaltSource
    reason: str
    by: str
    at_ns: int


def printable(text: str) -> str:
    """Text from outside as a reason or a name: one line without control characters, of bounded length."""
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"


def halts_text(reasons: Iterable[str]) -> str:
    """The reasons of all halts in force in one line; empty when there is none."""
    return "; ".join(reasons)
