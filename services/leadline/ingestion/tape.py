"""The tape of a run: the prints of every contract, normalised, in messages, in the order in which they go out."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from leadline.ingestion.batching import BatchBounds, BatchDraft, split, with_idle_watermarks
from leadline.ingestion.normaliser import Normaliser
from leadline.ingestion.sources import Source
from leadline.ingestion.tally import OutsideSessions, Tally
from leadline.model.ids import ContractId
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import NS_PER_MINUTE, NS_PER_SECOND, SenderPosition, TickColumns

# Tape time that passes between two messages while any market is open; a longer gap is a closure.
_LONGEST_WAIT_NS: Final = NS_PER_MINUTE


@dataclass(frozen=True, slots=True)
class Position:
    """How far a contract is published: the source index that comes next, and the watermark given last.

    sender: of a pushed feed, how far its sender is.
    """

    next_index: int
    watermark_ns: int
    final: bool = False
    sender: SenderPosition = field(default_factory=SenderPosition)


class ContractTape:
    """The messages of one contract of a run.

    days: its trading days, in order, at least one. bounds: of one message. allowed_lateness_ns: see `Normaliser`.
    position: how far an earlier process came; None at the start. tally: what of its prints has not reached a bar so
    far.
    """

    def __init__(
        self,
        source: Source,
        contract: ContractId,
        days: Sequence[date],
        bounds: BatchBounds,
        allowed_lateness_ns: int,
        position: Position | None = None,
    ) -> None:
        instrument = instrument_of(contract)
        self.contract = contract
        self.venue = instrument.venue
        self._normaliser = Normaliser.of(contract, allowed_lateness_ns=allowed_lateness_ns)
        self._market = calendar(instrument.calendar)
        accepted = source.accepted(contract, days)
        before = {} if accepted is None else accepted.kept_out
        self.tally = Tally(self._normaliser, OutsideSessions(self._market), before)
        self._source = source
        self._days = days
        self._bounds = bounds
        self._position = position

    def drafts(self) -> Iterator[BatchDraft]:
        """The batches that are not published yet, in order; the last one is final. To be read once."""
        position = self._position
        if position is None:
            begins_ns = self._source.day(self.contract, self._days[0]).begins_ns
            position = Position(0, begins_ns)
            yield BatchDraft(TickColumns.empty(), begins_ns)
        if not position.final:
            yield from with_idle_watermarks(
                self._prints(position), self._market, position.watermark_ns, position.next_index
            )

    def _prints(self, position: Position) -> Iterator[BatchDraft]:
        next_index, watermark_ns = position.next_index, position.watermark_ns
        for ticks in self._normalised():
            # Published before: the source says the same again.
            for draft in split(ticks.slice(max(next_index - ticks.first_index, 0), len(ticks)), self._bounds):
                yield draft
                next_index, watermark_ns = draft.ticks.last_index + 1, draft.watermark_ns
        ends_ns = max(watermark_ns, self._source.ends_ns(self.contract, self._days[-1]))
        yield BatchDraft(TickColumns.empty(next_index), ends_ns, final=True)

    def _normalised(self) -> Iterator[TickColumns]:
        if (accepted := self._source.accepted(self.contract, self._days)) is not None:
            yield from map(self._counted, accepted.ticks)
            return
        for raw in self._source.read(self.contract, self._days):
            yield self._counted(self._normaliser.feed(raw))
        yield self._counted(self._normaliser.finish())

    def _counted(self, ticks: TickColumns) -> TickColumns:
        self.tally.outside.feed(ticks.time_ns)
        return ticks


def in_tape_order(tapes: Iterable[ContractTape]) -> Iterator[tuple[ContractTape, BatchDraft]]:
    """The messages of all contracts by watermark; equal ones in the order of the contracts given."""
    return heapq.merge(*map(_labelled, tapes), key=lambda item: item[1].watermark_ns)


def _labelled(tape: ContractTape) -> Iterator[tuple[ContractTape, BatchDraft]]:
    for draft in tape.drafts():
        yield tape, draft


class Pace:
    """When messages are due in a replay at `speed` seconds of the tape per second.

    What lies before `from_ns` (the history) is due at once, and closures take no time.
    """

    def __init__(self, speed: float, from_ns: int) -> None:
        self._speed = speed
        self._now_ns = from_ns
        self._played_ns = 0

    def due_seconds(self, watermark_ns: int) -> float:
        """Seconds after the first message at which a message with this watermark is due; to be asked in order."""
        step_ns = max(watermark_ns - self._now_ns, 0)
        self._now_ns += step_ns
        self._played_ns += min(step_ns, _LONGEST_WAIT_NS)
        return self._played_ns / self._speed / NS_PER_SECOND
