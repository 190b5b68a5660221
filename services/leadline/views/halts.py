"""The halts of a run: why nothing was entered for a while, since when, and who let it go on."""

from dataclasses import dataclass

from leadline.views.values import Choice


@dataclass(frozen=True, slots=True)
class ReportedHalt:
    """One halt. `by` set it, `cleared_by` let entries go on; the three of the clearing are None while it is in force.

    Times are those of the wall, ns UTC, in a replay too: a person acts in his own time, not in the tape's.
    """

    number: int
    source: Choice
    reason: str
    by: str
    at_ns: int
    cleared_by: str | None = None
    cleared_at_ns: int | None = None
    clear_reason: str | None = None
