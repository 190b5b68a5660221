"""Faults of a schedule, as data: what goes wrong, and at which occasion. A schedule without some of them is another."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Fault(StrEnum):
    """What goes wrong."""

    KILL = "kill"
    """The process dies before its n-th callback."""
    KILL_AT = "kill_at"
    """The process dies at the n-th call of a kind: before it leaves, while it is under way, and so on to its answer."""
    KILL_SELDOM = "kill_seldom"
    """It dies when it is for the n-th time at an await to which no undisturbed day leads."""
    KILL_POINT = "kill_point"
    """It dies when it makes a call at one await of the code for the n-th time."""
    STAND_AT = "stand_at"
    """It stands still at the answer of the n-th call of a kind."""
    STOP = "stop"
    """At a time the process that holds the account is asked to end, and does."""
    STAND_STILL = "stand_still"
    """The process stands still for some seconds before its n-th callback, and then goes on as if nothing had been."""
    RIVAL = "rival"
    """At a time another process takes the account's lease as soon as it can, whoever is alive."""
    LOST_CALL = "lost_call"
    """The n-th call of a kind is never heard; the caller is told so, or hears nothing until its deadline."""
    LOST_ANSWER = "lost_answer"
    """The n-th call of a kind has its effect, and its answer is lost."""
    SLOW = "slow"
    """The n-th call of a kind takes some seconds, on its way there or back."""
    OUTAGE = "outage"
    """From a time on a part answers nobody for some seconds; the disk takes nothing meanwhile."""
    FAILS = "fails"
    """The n-th call of a kind is answered with an error, before it has had its effect or after that."""
    REJECTED = "rejected"
    """The venue rejects the n-th order."""
    STALE = "stale"
    """The n-th call of a kind is answered as things stood some seconds before."""
    TAMPER = "tamper"
    """At a time the venue does something on its own; `on` says what."""
    LOST_TAIL = "lost_tail"
    """At a time the database is what it was some seconds before, and has forgotten the rest."""
    CLOCK = "clock"
    """At a time the wall clock jumps by some seconds."""
    LOST_STREAM = "lost_stream"
    """At a time the bus has forgotten what it has stored of the account's events in the last seconds."""
    LATE_PRINTS = "late_prints"
    """The prints of the n-th message of a live source come too late."""


class Tamper(StrEnum):
    """What a venue does on its own."""

    CANCELS = "cancels an order"
    BY_HAND = "trades by hand"
    FORGETS = "forgets an order"
    TELLS_AGAIN = "tells events again"


class Phase(StrEnum):
    """Where in a call something happens."""

    BEFORE = "before"
    UNDERWAY = "underway"
    EFFECT = "effect"
    ANSWER = "answer"


OF_CALLS: Final = frozenset(
    {
        Fault.LOST_CALL,
        Fault.LOST_ANSWER,
        Fault.SLOW,
        Fault.KILL_AT,
        Fault.STAND_AT,
        Fault.FAILS,
        Fault.REJECTED,
        Fault.STALE,
    }
)
"""Faults whose occasion is a call."""

OF_TIME: Final = frozenset({Fault.RIVAL, Fault.STOP, Fault.TAMPER, Fault.LOST_TAIL, Fault.LOST_STREAM, Fault.CLOCK})
"""Faults whose occasion is a time, and that come at once."""


@dataclass(frozen=True)
class Planned:
    """A fault. `at` is an occasion (a count from 1) or a time (seconds from the start), `seconds` how long it lasts."""

    fault: Fault
    at: float
    on: str = ""
    phase: Phase = Phase.BEFORE
    seconds: float = 0.0

    def text(self) -> str:
        """One line for people."""
        parts = [self.fault.value, f"at {self.at:g}", self.on, self.phase.value, f"{self.seconds:g} s"]
        return " ".join(part for part in parts if part)


@dataclass
class Plan:
    """The faults of a schedule while it runs: which have come, and how often each call has been made."""

    faults: tuple[Planned, ...]
    calls: dict[str, int] = field(default_factory=dict)
    struck: set[Planned] = field(default_factory=set)

    def of_call(self, name: str) -> list[Planned]:
        """The faults of the present call of a kind; the call is counted."""
        count = self.calls[name] = self.calls.get(name, 0) + 1
        found = [each for each in self.faults if each.fault in OF_CALLS and each.on == name and each.at == count]
        self.struck.update(found)
        return found

    def would_meet(self, name: str, fault: Fault) -> bool:
        """Whether the next call of a kind meets a fault."""
        count = self.calls.get(name, 0) + 1
        return any(each.fault is fault and each.on == name and each.at == count for each in self.faults)

    def strikes(self, fault: Fault, count: int) -> bool:
        """Whether the n-th occasion of a fault is here."""
        found = [each for each in self.faults if each.fault is fault and each.at == count]
        self.struck.update(found)
        return bool(found)

    def outage(self, part: str, now_s: float) -> bool:
        """Whether a part is away."""
        for each in self.faults:
            if each.fault is Fault.OUTAGE and each.on == part and each.at <= now_s < each.at + each.seconds:
                self.struck.add(each)
                return True
        return False
