"""The port of live sources, and the states that are told of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol

from leadline.ingestion.raw import RawColumns
from leadline.model.errors import LeadlineError
from leadline.model.ids import ContractId


class SourceState(StrEnum):
    """The states of a live source.

    stale: it is connected, and has said nothing for longer than it may. gap: it is away for so long that the tape goes
    on without it, and prints may be missing. closed: all of its markets are closed.
    """

    CONNECTING = "connecting"
    CONNECTED = "connected"
    STALE = "stale"
    GAP = "gap"
    CLOSED = "closed"


class SourceLost(LeadlineError):
    """The connection to a live source broke, or was not made. reason: why, in words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One word of a source: prints, or nothing but that it is there.

    reached_ns: the source's promise that nothing older follows on any of its contracts; 0 for none: then the tape's
    clock and the allowed lateness promise it.
    """

    prints: Sequence[RawColumns] = ()
    reached_ns: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A contract that is subscribed to: its prints later than `after_ns`, from the trading day `first_day` on."""

    after_ns: int
    first_day: date


class LiveSource(Protocol):
    """A connection to somebody who has prints as they happen, of its `contracts` alone.

    name: how people know it. repeats: it says again, after `connect`, what was missed while nobody listened. promises:
    how far it is follows from what it says alone, and not from the tape's clock. heartbeat_s: it says something at
    least so often while one of its markets is open; it is stale when it does not. patience_s: for so long the tape
    waits for it where it is away; then the tape goes on, with a gap.
    """

    name: str
    repeats: bool
    promises: bool
    heartbeat_s: float
    patience_s: float

    async def connect(self, contracts: Mapping[ContractId, Wanted]) -> None:
        """Connect and subscribe to contracts, each from how far the tape is with it. Raises SourceLost."""

    async def receive(self) -> Arrival:
        """The next that it says. Raises SourceLost when the connection is gone."""

    async def close(self) -> None:
        """End the connection, where there is one."""
