"""The cases as values: a name, a sentence on what one asks, and the capabilities without which it asks nothing."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from leadline.execution.venues.conformance.exercise import Exercise
from leadline.model.manifest.venues import Capability

Run: TypeAlias = Callable[[Exercise], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `needs` are capabilities of the venue that it is about; without one of them it is not asked."""

    name: str
    asks: str
    needs: tuple[Capability, ...]
    run: Run


class Cases(list[Case]):
    """The cases of one subject, in the order in which they are written."""

    def case(self, *needs: Capability) -> Callable[[Run], Run]:
        """Add a function as a case that is named like it, and asks what its docstring says."""

        def added(run: Run) -> Run:
            name = getattr(run, "__name__", "").replace("_", "-")
            self.append(Case(name, run.__doc__ or "", needs, run))
            return run

        return added
