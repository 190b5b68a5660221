"""One contract of the tape `live`: prints as they arrive in, messages out.

A watermark that was given is a promise: a print that is older than it goes out late, in a message of its own. Prints
that arrive in order wait for nobody. Messages end between instants, so that a source that can say its prints again goes
on with those later than the last watermark.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from leadline.ingestion.batching import BatchDraft
from leadline.ingestion.normaliser import Normaliser, Reason
from leadline.ingestion.raw import TOO_LARGE, RawColumns
from leadline.ingestion.sender import SenderRows
from leadline.ingestion.tally import Counts, OutsideSessions, Tally
from leadline.ingestion.tape import Position
from leadline.model.ids import ContractId
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.market.phases import market_phase, open_between
from leadline.model.ticks import NS_PER_MINUTE, NS_PER_SECOND, Int64Array, TickColumns

# A print may be ahead of the tape's clock by so much: no two clocks agree.
AHEAD_NS: Final = 2 * NS_PER_SECOND
# The normaliser is told by promises alone what is too late.
_ANY_LATENESS_NS: Final = 1 << 60


@dataclass(frozen=True, slots=True)
class MessageBounds:
    """Bounds of one message: at most about `most` prints within `span_ns`. An instant stays in one message."""

    most: int
    span_ns: int


# A message, and the numbers that its sender gave the prints in it.
_Part: TypeAlias = tuple[BatchDraft, Int64Array]


class LiveContract:
    """Normalises and splits the prints of one contract as they arrive.

    position: how far an earlier process came. before: its prints that have reached no bar so far.
    sender: the numbers of whoever pushes its prints; None where nobody does. late: prints that went out late. gaps:
    stretches of time in which prints may be missing; gap_ns: their length.
    """

    def __init__(
        self, contract: ContractId, position: Position, before: Counts | None = None, *, pushed: bool = False
    ) -> None:
        self.contract = contract
        self.market = calendar(instrument_of(contract).calendar)
        self.watermark_ns = position.watermark_ns
        self.late = 0
        self.gaps = 0
        self.gap_ns = 0
        self.sender = SenderRows(position.sender) if pushed else None
        self._next_index = position.next_index
        self._normaliser = Normaliser.of(contract, allowed_lateness_ns=_ANY_LATENESS_NS)
        sender = position.sender
        self._normaliser.resume(position.watermark_ns, sender.last_time_ns, sender.last_price)
        self._gap_from_ns = 0
        self._missed_until_ns = -1
        self.tally = Tally(self._normaliser, OutsideSessions(self.market), dict(before or {}))

    @property
    def next_index(self) -> int:
        """The source index of the print that comes next."""
        return self._next_index

    def is_due(self, watermark_ns: int) -> bool:
        """Whether a watermark is worth a message: an open market has each, a closed one has one a minute."""
        if watermark_ns - self.watermark_ns >= NS_PER_MINUTE:
            return True
        return any(market_phase(self.market, at_ns).is_open for at_ns in (self.watermark_ns, watermark_ns))

    def miss(self, from_ns: int, until_ns: int) -> None:
        """Prints between two times may be missing for ever: the next message says so, where the market was open."""
        open_ns = open_between(self.market, from_ns, until_ns)
        if not open_ns:
            return
        if from_ns > self._missed_until_ns:
            self.gaps += 1
        self._gap_from_ns = self._gap_from_ns or from_ns
        self._missed_until_ns = max(until_ns, self._missed_until_ns)
        self.gap_ns += open_ns

    def take(self, raw: RawColumns, now_ns: int, bounds: MessageBounds) -> list[BatchDraft]:
        """The messages that prints make which have arrived by `now_ns` on the tape's clock; there may be none."""
        if self.sender is not None:
            raw = self._numbered_by(self.sender, raw)
        ahead = (raw.time_ns > now_ns + AHEAD_NS) & (raw.time_ns != TOO_LARGE)
        if ahead.any():
            # Their day is as wrong as their time.
            self._keep_out({(None, Reason.CLOCK_AHEAD.value): int(ahead.sum())})
            raw = raw.only(~ahead)
        late = (raw.time_ns < self._normaliser.watermark_ns) & (raw.time_ns >= 0)
        drafts = self._late(raw.only(late), bounds) if late.any() else []
        timely = raw.only(~late)
        released = self._normaliser.feed(timely)
        assert not len(released)  # nothing is released but by a promise
        times = timely.time_ns[timely.time_ns != TOO_LARGE]
        drafts += self._released(max(int(times.max(initial=0)), self.watermark_ns), bounds)
        return self._told(drafts)

    def reach(self, watermark_ns: int, bounds: MessageBounds) -> list[BatchDraft]:
        """The messages that a promise makes: nothing older than this time follows. None for one that is no news."""
        if watermark_ns <= self.watermark_ns:
            return []
        drafts = self._released(watermark_ns, bounds)
        if self.watermark_ns < watermark_ns:
            self.watermark_ns = watermark_ns
            empty = BatchDraft(TickColumns.empty(self._next_index), watermark_ns)
            drafts.append((self._flagged(empty), np.zeros(0, dtype=np.int64)))
        return self._told(drafts)

    def _numbered_by(self, sender: SenderRows, raw: RawColumns) -> RawColumns:
        """The prints that the sender has not given before. Numbers that it leaves out are prints that it has lost."""
        if not len(raw):
            return raw
        if raw.row[0] > sender.next_index:
            self.miss(self.watermark_ns, int(raw.time_ns[0]))
        fresh = raw.only(sender.fresh(raw.row))
        sender.go_on_from(int(raw.row[-1]) + 1)
        return fresh

    def _released(self, until_ns: int, bounds: MessageBounds) -> list[_Part]:
        ticks = self._normaliser.promise(until_ns)
        row = self._normaliser.released_row
        drafts: list[_Part] = []
        for part, rows in _cut(ticks, row, bounds):
            self.watermark_ns = max(self.watermark_ns, int(part.time_ns[-1]))
            if self.sender is not None:
                self.sender.last = (int(part.time_ns[-1]), int(part.price[-1]))
            drafts.append((self._flagged(BatchDraft(self._numbered(part), self.watermark_ns)), rows))
        return drafts

    def _late(self, raw: RawColumns, bounds: MessageBounds) -> list[_Part]:
        """Late prints are judged by themselves: what was promised keeps none of them out."""
        judge = Normaliser.of(self.contract, allowed_lateness_ns=_ANY_LATENESS_NS)
        judge.feed(raw)
        ticks = judge.finish()
        self._keep_out({(day, reason.value): count for (day, reason), count in judge.kept_out.items()})
        drafts: list[_Part] = []
        for part, rows in _cut(ticks, judge.released_row, bounds):
            self.late += len(part)
            drafts.append((BatchDraft(self._numbered(part), self.watermark_ns, late=True), rows))
        return drafts

    def _numbered(self, part: TickColumns) -> TickColumns:
        numbered = replace(part, first_index=self._next_index)
        self._next_index = numbered.last_index + 1
        self.tally.outside.feed(part.time_ns)
        return numbered

    def _told(self, parts: Sequence[_Part]) -> list[BatchDraft]:
        """The messages, each with how far the sender is with it."""
        if self.sender is None:
            return [draft for draft, _ in parts]
        told, open_row = [], self._normaliser.unsettled_row
        for draft, rows in reversed(parts):
            told.append(replace(draft, sender=self.sender.position(open_row)))
            open_row = np.concatenate([open_row, rows])
        return told[::-1]

    def _keep_out(self, more: Counts) -> None:
        counts = Counter(self.tally.before)
        counts.update(more)
        self.tally.before = counts

    def _flagged(self, draft: BatchDraft) -> BatchDraft:
        if not self._gap_from_ns:
            return draft
        flagged = replace(draft, gap_from_ns=self._gap_from_ns)
        self._gap_from_ns = 0
        return flagged


def _cut(ticks: TickColumns, row: Int64Array, bounds: MessageBounds) -> Iterator[tuple[TickColumns, Int64Array]]:
    """Parts within the bounds, in order, none empty. One instant is not cut, so a part may have some prints more."""
    start, times = 0, ticks.time_ns
    while start < len(ticks):
        last_ns = int(times[min(start + bounds.most, len(ticks)) - 1])
        last_ns = min(last_ns, int(times[start]) + bounds.span_ns)
        end = int(np.searchsorted(times, last_ns, side="right"))
        yield ticks.slice(start, end), row[start:end]
        start = end
