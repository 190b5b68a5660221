"""The state of the feed, as `GetFeedStatus` answers it."""

from dataclasses import dataclass, field
from enum import StrEnum

from leadline.ingestion.batching import BatchDraft
from leadline.ingestion.tally import Tally
from leadline.ingestion.tape import Position
from leadline.model.ids import ContractId


class State(StrEnum):
    """The states of ingestion."""

    WAITING_FOR_DEMAND = "waiting_for_demand"
    WAITING_FOR_FEED = "waiting_for_feed"
    PUBLISHING = "publishing"
    WAITING_FOR_SPACE = "waiting_for_space"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(slots=True)
class ContractStatus:
    """How far a contract is published.

    `ticks` counts prints; times are ns UTC, 0 before the first; `last_price` in ticks. `tally` says which prints did
    not reach a bar. Only on the tape `live`, since the process started: `late` prints, and `gaps` in which some may be
    missing, which take `gap_ns` of open market in all.
    """

    venue: str
    tally: Tally
    ticks: int = 0
    last_time_ns: int = 0
    watermark_ns: int = 0
    last_price: int = 0
    final: bool = False
    late: int = 0
    gaps: int = 0
    gap_ns: int = 0

    def resume(self, position: Position) -> None:
        """Begin where an earlier process ended."""
        self.ticks, self.watermark_ns, self.final = position.next_index, position.watermark_ns, position.final
        self.last_time_ns, self.last_price = max(position.sender.last_time_ns, 0), position.sender.last_price

    def advance(self, draft: BatchDraft) -> None:
        """A message was published."""
        self.ticks = draft.ticks.last_index + 1
        self.watermark_ns, self.final = draft.watermark_ns, draft.final
        if len(draft.ticks) and not draft.late:
            self.last_time_ns = int(draft.ticks.time_ns[-1])
            self.last_price = int(draft.ticks.price[-1])


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source of the tape `live`.

    since_ns: wall time since when its state is as it is. lost: connections to it, a count. reason: why it is away,
    empty while it is there.
    """

    name: str
    state: str
    since_ns: int
    lost: int
    reason: str
    contracts: tuple[ContractId, ...]


@dataclass(slots=True)
class FeedStatus:
    """How far the feed is. `expected` is the number of prints of the whole tape, 0 when nobody knows.

    failure: why the run failed, in a sentence; empty when it did not. sources: of the tape `live`.
    """

    state: State = State.WAITING_FOR_DEMAND
    failure: str = ""
    expected: int = 0
    contracts: dict[ContractId, ContractStatus] = field(default_factory=dict)
    sources: tuple[SourceStatus, ...] = ()

    @property
    def progress(self) -> float:
        """Share of the tape that is published, from 0 to 1; 0 when nobody knows."""
        if not self.expected:
            return 0.0
        if self.state in {State.FINISHED, State.FAILED}:
            return 1.0
        seen = sum(each.ticks + sum(each.tally.quarantined().values()) for each in self.contracts.values())
        return min(seen / self.expected, 1.0)
