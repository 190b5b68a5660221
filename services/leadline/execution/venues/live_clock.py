"""The clock of an account that is live: it never goes back, and it says when it is not to be believed."""

from typing import Final

from leadline.model.durations import NS_PER_SECOND

STEP_NS: Final = NS_PER_SECOND // 10
"""A wall clock that moves so much against the monotonic one between two looks was set."""

OFFSET_NS: Final = NS_PER_SECOND // 10
"""By how much this machine's clock and the database's may differ."""

SETTLING_S: Final = 60.0
"""For so long after a step the clock is not believed: whatever set it may do so again."""


class LiveClock:
    """The wall clock in ns as it was last looked at, kept from going back.

    `offset_ns`: this machine's clock less the database's, as it was last measured.
    """

    def __init__(self, wall_ns: int, monotonic_s: float) -> None:
        self.offset_ns = 0
        self._latest_ns = wall_ns
        self._wall_ns = wall_ns
        self._looked_s = monotonic_s
        self._stepped_s: float | None = None
        self._step_ns = 0

    def look(self, wall_ns: int, monotonic_s: float) -> int:
        """The time now: the wall clock's, or the latest that it has shown where it went back."""
        passed_ns = round((monotonic_s - self._looked_s) * NS_PER_SECOND)
        step_ns = wall_ns - self._wall_ns - passed_ns
        if abs(step_ns) > STEP_NS:
            self._stepped_s, self._step_ns = monotonic_s, step_ns
        self._wall_ns, self._looked_s = wall_ns, monotonic_s
        self._latest_ns = max(self._latest_ns, wall_ns)
        return self._latest_ns

    @property
    def doubt(self) -> str:
        """Why the clock is not to be believed, as of the last look; empty while it is."""
        if self._latest_ns - self._wall_ns > STEP_NS:
            return f"the clock was set back by {_seconds(self._latest_ns - self._wall_ns)} s"
        if self._stepped_s is not None and self._looked_s - self._stepped_s < SETTLING_S:
            return f"the clock was set by {_seconds(self._step_ns)} s"
        if abs(self.offset_ns) > OFFSET_NS:
            return f"the clock is {_seconds(self.offset_ns)} s off the database's"
        return ""


def _seconds(ns: int) -> str:
    return f"{ns / NS_PER_SECOND:.3f}"
