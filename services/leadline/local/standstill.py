"""Services that stay at one message: a strategy's code that never returns, say, and says nothing about it."""

from pathlib import Path
from typing import Final

from leadline.runtime.poison import handled_now

STANDS_SECONDS: Final = 5.0
"""So long at one message is worth telling. Handling one takes milliseconds."""


class Standstills:
    """The work at which each service stands still, by the mark that it leaves in its folder, read now and then."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[str, float]] = {}
        self._words: dict[str, str] = {}
        self._told: dict[str, str] = {}

    def look(self, workload: str, folder: Path, now_s: float) -> str | None:
        """Look at one service. Returns what is to be told of it, once for each message; None for nothing."""
        found = handled_now(folder)
        if found is None:
            self.forget(workload)
            return None
        name, words = found
        before = self._since.get(workload)
        if before is None or before[0] != name:
            self._since[workload] = (name, now_s)
            self._words.pop(workload, None)
            return None
        seconds = now_s - before[1]
        if seconds < STANDS_SECONDS:
            return None
        self._words[workload] = f"has been at {words or name} for {seconds:.0f} s"
        if self._told.get(workload) == name:
            return None
        self._told[workload] = name
        return self._words[workload]

    def forget(self, workload: str) -> None:
        """It is at nothing, or is another process."""
        self._since.pop(workload, None)
        self._words.pop(workload, None)

    def work_of(self, workload: str) -> str:
        """The work at which a service has been for long, as of the last look; empty for none."""
        return self._words.get(workload, "")
