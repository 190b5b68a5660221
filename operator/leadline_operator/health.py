"""Whether the operator makes progress. A server that answers proves nothing: these look at the work."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from leadline_operator.kinds import Key
from leadline_operator.queue import WorkQueue

# How long a leader with work may go without finishing any, and a watch without a word. Watches begin anew every minute.
STUCK_SECONDS: Final = 180.0
NO_CONTACT_SECONDS: Final = 600.0


@dataclass(slots=True)
class Progress:
    """`problem` says what is stuck. Times are monotonic seconds by `clock`; `last_contact` is that of a watch."""

    queue: WorkQueue[Key]
    clock: Callable[[], float]
    leading: Callable[[], bool]
    last_contact: Callable[[], float]
    busy_since: float | None = None

    def problem(self) -> str:
        """The part that is stuck, in a sentence; empty when none is."""
        now = self.clock()
        if now - self.last_contact() > NO_CONTACT_SECONDS:
            return f"nothing was heard of the API server for {now - self.last_contact():.0f} s"
        if not self.leading() or self.queue.idle():
            self.busy_since = None
            return ""
        if self.busy_since is None:
            self.busy_since = now
        since = max(self.busy_since, self.queue.last_finished or 0.0)
        if now - since > STUCK_SECONDS:
            return f"there is work, and none was done for {now - since:.0f} s"
        return ""
