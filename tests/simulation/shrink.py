"""Fewer faults with which a schedule still fails: halves of them are left out, then smaller parts, then one by one."""

from dataclasses import replace
from pathlib import Path

from tests.simulation.faults import Planned
from tests.simulation.run import run
from tests.simulation.schedule import Schedule


def shrunk(schedule: Schedule, folder: Path) -> Schedule:
    """The schedule with as few faults as it still violates the same invariant with; itself where none can go."""
    invariant = run(schedule, folder).violations[0].invariant

    def fails(faults: tuple[Planned, ...]) -> bool:
        found = run(replace(schedule, faults=faults), folder).violations
        return any(each.invariant == invariant for each in found)

    faults = schedule.faults
    size = max(1, len(faults) // 2)
    while faults:
        for first in range(0, len(faults), size):
            fewer = faults[:first] + faults[first + size :]
            if fails(fewer):
                faults = fewer
                break
        else:
            if size == 1:
                break
            size = max(1, size // 2)
    return replace(schedule, faults=faults)
