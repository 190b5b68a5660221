"""The only place that reads the machine's clocks. Cores get their time as an argument."""

import time
from datetime import UTC, date, datetime


def wall_ns() -> int:
    """Wall time, nanoseconds since 1970 UTC. It may jump: for people and for a live tape, never for a timeout."""
    return time.time_ns()


def today() -> date:
    """The day of the calendar by wall time, UTC."""
    return datetime.fromtimestamp(wall_ns() // 1_000_000_000, UTC).date()


def monotonic_s() -> float:
    """Seconds on a clock that never goes back: for leases, supervision and network deadlines."""
    return time.monotonic()


def worked_s() -> float:
    """Seconds that the calling thread has had a processor: what a piece of work costs, whoever else is running."""
    return time.thread_time()
