"""Commands that wait for the account's loop: bounded, in their order, without those that nobody waits for any more."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from leadline.model.errors import LeadlineError

MOST_COMMANDS: Final = 256


class TooManyCommands(LeadlineError):
    """More commands wait for the account than are kept."""

    grpc_status: ClassVar[str] = "RESOURCE_EXHAUSTED"


@dataclass(frozen=True, slots=True)
class Command:
    """A command. `gone` says whether its caller has left; `answer` and `fail` end the wait with a result."""

    action: Callable[[], Awaitable[Any]]
    gone: Callable[[], bool]
    answer: Callable[[Any], None]
    fail: Callable[[Exception], None]


class CommandQueue:
    """At most `MOST_COMMANDS`. `dropped` is told of each one that is not carried out because its caller has gone."""

    def __init__(self, dropped: Callable[[], None]) -> None:
        self._waiting: deque[Command] = deque()
        self._dropped = dropped

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, command: Command) -> None:
        """Add a command. Raises `TooManyCommands`, at once, when there is no place for it."""
        if len(self._waiting) >= MOST_COMMANDS:
            self._waiting = deque(waiting for waiting in self._waiting if self._kept(waiting))
        if len(self._waiting) >= MOST_COMMANDS:
            raise TooManyCommands(f"{MOST_COMMANDS} commands wait for the account already: ask again later")
        self._waiting.append(command)

    def take(self) -> Command | None:
        """The next command that somebody still waits for; None when there is none."""
        while self._waiting:
            command = self._waiting.popleft()
            if self._kept(command):
                return command
        return None

    def _kept(self, command: Command) -> bool:
        if not command.gone():
            return True
        self._dropped()
        return False
