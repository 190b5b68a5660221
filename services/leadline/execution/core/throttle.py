"""A venue's quota of messages as three token buckets: to enter, to protect, and to leave. Exits never wait for entries.

Each bucket has its share of the quota and holds what comes in a second at most. Who protects may take of the entries'
bucket besides its own, who leaves of all three; an entry has its own alone.
"""

from enum import StrEnum
from typing import Final

from leadline.model.ticks import NS_PER_SECOND


class Purpose(StrEnum):
    """The purpose of a message. LEAVE: a cancel, or what closes or shrinks a position's exits."""

    ENTER = "enter"
    PROTECT = "protect"
    LEAVE = "leave"


TENTHS: Final = {Purpose.ENTER: 4, Purpose.PROTECT: 3, Purpose.LEAVE: 3}
"""Tenths of the quota that each purpose has for itself."""

_LENDERS: Final = {
    Purpose.ENTER: (Purpose.ENTER,),
    Purpose.PROTECT: (Purpose.PROTECT, Purpose.ENTER),
    Purpose.LEAVE: (Purpose.LEAVE, Purpose.PROTECT, Purpose.ENTER),
}
_TOKEN: Final = 10 * NS_PER_SECOND
"""A message, in the unit in which buckets fill: tenths of a message, times nanoseconds."""


class Throttle:
    """The buckets of one account, full at first; `per_second` messages, 1 or more."""

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self._rates = {purpose: per_second * tenths for purpose, tenths in TENTHS.items()}
        self._most = {purpose: max(_TOKEN, rate * NS_PER_SECOND) for purpose, rate in self._rates.items()}
        self._levels = dict(self._most)
        self._at_ns: int | None = None

    def take(self, purpose: Purpose, instant_ns: int) -> bool:
        """Whether a message of a purpose may be sent at an instant; it is counted then."""
        self._fill(instant_ns)
        for lender in _LENDERS[purpose]:
            if self._levels[lender] >= _TOKEN:
                self._levels[lender] -= _TOKEN
                return True
        return False

    def ready_ns(self, purpose: Purpose, instant_ns: int) -> int:
        """The first instant at which a message of a purpose may be sent."""
        self._fill(instant_ns)
        missing = ((_TOKEN - self._levels[lender], self._rates[lender]) for lender in _LENDERS[purpose])
        return instant_ns + max(0, min(-(-short // rate) for short, rate in missing))

    def _fill(self, instant_ns: int) -> None:
        passed_ns = 0 if self._at_ns is None else max(0, instant_ns - self._at_ns)
        self._at_ns = instant_ns
        for purpose, rate in self._rates.items():
            self._levels[purpose] = min(self._most[purpose], self._levels[purpose] + passed_ns * rate)
