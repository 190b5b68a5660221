"""Marks of the loop's present work, for the process after it: a cause that ends one must not end every process."""

from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol


class Marks(Protocol):
    """Names of bars, events and orders as they are handled, and which of them are passed over."""

    def poison(self, name: str) -> str:
        """Why something is to be passed over; empty when it is not."""

    def at(self, name: str) -> AbstractContextManager[None]:
        """Handle something: what fails meanwhile is counted at its name."""

    def waiting(self) -> AbstractContextManager[None]:
        """Wait for another part: an end meanwhile that nobody tells of is not counted at what is handled."""


_NOTHING: Final = nullcontext()


class Unmarked:
    """No marks: for a backtest, which ends with its first error."""

    def poison(self, name: str) -> str:  # noqa: ARG002 - nothing is passed over
        """Nothing is passed over."""
        return ""

    def at(self, name: str) -> AbstractContextManager[None]:  # noqa: ARG002 - nothing is kept
        """Nothing is kept."""
        return _NOTHING

    def waiting(self) -> AbstractContextManager[None]:
        """As `at`."""
        return _NOTHING


UNMARKED = Unmarked()
