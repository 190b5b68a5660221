"""The port of live sources, and the states that are told of one."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Protocol

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

    reached: the source's promise by contract that nothing older follows, ns UTC. Where it has none, the tape's clock
    and the allowed lateness promise it.
    """

    prints: Sequence[RawColumns] = ()
    reached: Mapping[ContractId, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A contract that is subscribed to: its prints later than `after_ns`, from the trading day `first_day` on."""

    after_ns: int
    first_day: date


class NotPushed(LeadlineError):
    """Prints were pushed to a feed that does not take them now. reason: why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class PushedTo(Protocol):
    """How far a contract is taken that a client pushes: `next_index` of its prints; `overlapping` came twice."""

    @property
    def contract(self) -> ContractId:
        """Its name."""

    @property
    def next_index(self) -> int:
        """The sender's number to go on from."""

    @property
    def overlapping(self) -> int:
        """Prints that were given again and dropped, a count."""

    @property
    def final(self) -> bool:
        """Whether its sender has ended it."""


class Pushed(Protocol):
    """Takes what clients push. connected: whether one is there."""

    connected: bool

    @property
    def contracts(self) -> Mapping[ContractId, PushedTo]:
        """The contracts that can be pushed."""

    async def take(self, requests: AsyncIterator[Any]) -> Any:
        """Take the stream of a client, `PublishTicksRequest`; returns a `PublishTicksResponse` when it is published."""


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
        """Connect, where it is not, and subscribe to these contracts, each from how far the tape is with it.

        Raises SourceLost.
        """

    async def receive(self) -> Arrival:
        """The next that it says. Raises SourceLost when the connection is gone."""

    async def close(self) -> None:
        """End the connection, where there is one."""
