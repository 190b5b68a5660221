"""A contract whose prints a client pushes: batch by batch in, messages out.

The sender numbers its prints. Each message says how far those are settled with it, which are published or kept out
and counted: after a kill the last message tells the next process which prints to ask for again, and which of them to
drop. So each print is published or counted exactly once, wherever the sender cuts its batches and the process ends.
"""

import numpy as np

from leadline.ingestion.batching import BatchBounds, BatchDraft, split
from leadline.ingestion.normaliser import Normaliser
from leadline.ingestion.raw import RawColumns, nano, to_nano
from leadline.ingestion.sender import SenderRows
from leadline.ingestion.tally import OutsideSessions, Tally
from leadline.ingestion.tape import Position
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import Int64Array, SenderPosition, TickColumns, concat


class PushedContract:
    """Normalises and splits the prints that a client pushes for one contract.

    The client's watermarks are passed on: nothing else says that a silent contract has nothing to say. Its prints may
    be late by `allowed_lateness_ns`; a watermark releases them at once. position: how far an earlier process came.
    tally: counts of the prints that have reached no bar so far. next_index: the sender's index to go on from.
    overlapping: number of prints that were given again and dropped. later: it leads later than the first traded day,
    and nobody need push it; until a client does, its watermark follows the others'.
    """

    def __init__(
        self,
        contract: ContractId,
        bounds: BatchBounds,
        allowed_lateness_ns: int,
        position: Position,
        *,
        later: bool = False,
    ) -> None:
        instrument = instrument_of(contract)
        sender = position.sender
        self.contract = contract
        self.final = position.final
        self._normaliser = Normaliser.of(
            contract, allowed_lateness_ns=allowed_lateness_ns, first_index=position.next_index
        )
        self._normaliser.resume(position.watermark_ns, sender.last_time_ns, sender.last_price)
        self.tally = Tally(self._normaliser, OutsideSessions(calendar(instrument.calendar)), sender.kept_out)
        self._tick = nano(instrument.tick, "tick")
        self._step = nano(instrument.size_step, "size_step")
        self._bounds = bounds
        self._watermark_ns = position.watermark_ns
        self._first_index = position.next_index
        self._rows = SenderRows(sender)
        self._left_alone = later and position.next_index == sender.next_index == 0

    @property
    def next_index(self) -> int:
        """See the class."""
        return self._rows.next_index

    @property
    def overlapping(self) -> int:
        """See the class."""
        return self._rows.overlapping

    @property
    def left_alone(self) -> bool:
        """Whether this is a later month of which nothing has been pushed yet."""
        return self._left_alone

    @property
    def watermark_ns(self) -> int:
        """The watermark given last."""
        return self._watermark_ns

    def follow(self, watermark_ns: int) -> list[BatchDraft]:
        """The watermark of a contract that is left alone, when the others have reached it; nothing for another."""
        if not self._left_alone or self.final or watermark_ns <= self._watermark_ns:
            return []
        self._normaliser.promise(watermark_ns)
        self._watermark_ns = watermark_ns
        return [self._watermark_only()]

    def take(
        self, ticks: TickColumns, first_index: int, watermark_ns: int = 0, *, end: bool = False
    ) -> list[BatchDraft]:
        """Takes the batches that can be published now; there may be none.

        first_index: the sender's index of the first print; what was taken before is dropped. watermark_ns: nothing
        older follows. end: nothing follows at all. Raises InvalidInput when prints are missing before these, and for a
        new print after the end.
        """
        if not 0 <= first_index <= self.next_index:
            raise InvalidInput(
                f"first_index of {self.contract}",
                first_index,
                f"{self.next_index}, the index to go on from, or less where prints are sent again",
            )
        row = np.arange(first_index, first_index + len(ticks))
        fresh = self._rows.fresh(row)
        if self.final and fresh.any():
            raise InvalidInput("batch.contract", self.contract, "a contract whose prints have not ended")
        if self.final:
            return []
        self._left_alone = False
        raw = RawColumns(
            self.contract,
            ticks.time_ns[fresh],
            to_nano(ticks.price[fresh], self._tick),
            to_nano(ticks.size[fresh], self._step),
            ticks.aggressor[fresh].astype("int64"),
            row[fresh],
            "pushed",
        )
        self._rows.go_on_from(first_index + len(ticks))
        released, released_row = self._normaliser.feed(raw), self._normaliser.released_row
        promised, promised_row = self._normaliser.promise(watermark_ns), self._normaliser.released_row
        drafts = self._split(concat([released, promised]), np.concatenate([released_row, promised_row]))
        if watermark_ns > self._watermark_ns:
            self._watermark_ns = watermark_ns
            drafts.append(self._watermark_only())
        return drafts + self.finish() if end else drafts

    def finish(self) -> list[BatchDraft]:
        """The tape of this contract ends: what was held, and the end. Nothing when it has ended before."""
        if self.final:
            return []
        self.final = True
        held = self._normaliser.finish()
        return [*self._split(held, self._normaliser.released_row), self._watermark_only(final=True)]

    def _split(self, ticks: TickColumns, row: Int64Array) -> list[BatchDraft]:
        drafts: list[BatchDraft] = []
        for draft in split(ticks, self._bounds):
            self.tally.outside.feed(draft.ticks.time_ns)
            self._watermark_ns = draft.watermark_ns
            self._first_index = draft.ticks.last_index + 1
            self._rows.last = (int(draft.ticks.time_ns[-1]), int(draft.ticks.price[-1]))
            row = row[len(draft.ticks) :]
            drafts.append(BatchDraft(draft.ticks, draft.watermark_ns, sender=self._sender(row)))
        return drafts

    def _watermark_only(self, *, final: bool = False) -> BatchDraft:
        """A message without prints."""
        sender = self._sender(np.zeros(0, dtype=np.int64))
        return BatchDraft(TickColumns.empty(self._first_index), self._watermark_ns, final, sender)

    def _sender(self, released_row: Int64Array) -> SenderPosition:
        """How far the sender is. `released_row`: of prints that come in a later message."""
        open_row = np.concatenate([released_row, self._normaliser.unsettled_row])
        return self._rows.position(open_row, self.tally.counts())
