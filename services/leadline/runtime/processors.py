"""The processors that this process may use, which are often fewer than the machine has."""

import os
from math import ceil
from pathlib import Path
from typing import Final

_CGROUP: Final = Path("/sys/fs/cgroup")


def processors(cgroup: Path = _CGROUP) -> int:
    """How many there are: those that the process may run on, and no more than its container may use the time of.

    cgroup: where the container's limits are mounted, of either version. A part of a processor counts as one.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return usable if quota is None else max(1, min(usable, ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    """Processors' time that a container may use in a unit of time; None without a limit."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            most, period, *_ = " ".join((cgroup / name).read_text() for name in names).split()
        except (OSError, ValueError):
            continue
        return int(most) / int(period) if most.isdecimal() else None
    return None
