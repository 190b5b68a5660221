"""A reconcile as the list of its steps: each does one thing, and may end the whole."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

SubjectT = TypeVar("SubjectT")


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a reconcile. again: the seconds after which to reconcile again, None for when something changes."""

    again: float | None = None


Step: TypeAlias = Callable[[SubjectT], Awaitable[Done | None]]
"""Does one thing for its subject. Returns Done when nothing is to be done after it in this reconcile."""


async def run_steps(steps: Sequence[Step[SubjectT]], subject: SubjectT) -> Done | None:
    """Do the steps in order, until one of them is the last; None when none of them was."""
    for step in steps:
        if (done := await step(subject)) is not None:
            return done
    return None
