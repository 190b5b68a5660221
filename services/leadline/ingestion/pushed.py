"""A contract whose prints a client pushes: batch by batch in, messages out.

The sender numbers its prints. Each message says how far those are settled with it, which are published or kept out
and counted: after a kill the last message tells the next process which prints to ask for again, and which of them to
drop. So each print is published or counted exactly once, wherever the sender cuts its batches and the process ends.
"""

from itertools import pairwise

import numpy as np

from leadline.ingestion.batching import Cuts, Piece, cut
from leadline.ingestion.normaliser import Normaliser
from leadline.ingestion.raw import RawColumns, nano, to_nano
from leadline.ingestion.tally import OutsideSessions, Tally
from leadline.ingestion.tape import Position
from leadline.model.calendars import calendar
from leadline.model.contracts import instrument_of
from leadline.model.errors import InvalidInput
from leadline.model.ticks import Int64Array, SenderPosition, TickColumns, concat


class PushedContract:
    """Normalises and cuts what a client pushes for one contract.

    The client's watermarks are passed on: nothing else says that a silent contract has nothing to say. Its prints may
    be late by `grace_ns`; a watermark releases them at once. position: how far an earlier process came. tally: what of
    its prints has not reached a bar so far. next_index: the sender's index to go on from. overlapping: number of prints
    that were given again and dropped. later: it leads later than the first traded day, and nobody need push it: until
    somebody does it goes along with the others.
    """

    def __init__(self, contract: str, cuts: Cuts, grace_ns: int, position: Position, *, later: bool = False) -> None:
        instrument = instrument_of(contract)
        sender = position.sender
        self.contract = contract
        self.final = position.final
        self.next_index = sender.next_index
        self.overlapping = 0
        self._normaliser = Normaliser.of(contract, grace_ns=grace_ns, first_index=position.next_index)
        self._normaliser.resume(position.watermark_ns, sender.last_time_ns, sender.last_price)
        self.tally = Tally(self._normaliser, OutsideSessions(calendar(instrument.calendar)), sender.kept_out)
        self._tick = nano(instrument.tick, "tick")
        self._step = nano(instrument.size_step, "size_step")
        self._cuts = cuts
        self._watermark_ns = position.watermark_ns
        self._first_index = position.next_index
        # Settled by an earlier process, and behind `next_index`.
        self._settled = sender.settled
        self._last = (sender.last_time_ns, sender.last_price)
        self._left_alone = later and position.next_index == sender.next_index == 0

    @property
    def left_alone(self) -> bool:
        """Whether this is a later month of which nothing has been pushed yet."""
        return self._left_alone

    @property
    def watermark_ns(self) -> int:
        """The watermark given last."""
        return self._watermark_ns

    def go_along(self, watermark_ns: int) -> list[Piece]:
        """What a contract that is left alone promises when the others have come to a watermark; nothing for another."""
        if not self._left_alone or self.final or watermark_ns <= self._watermark_ns:
            return []
        self._normaliser.promise(watermark_ns)
        self._watermark_ns = watermark_ns
        return [self._word()]

    def take(self, ticks: TickColumns, first_index: int, watermark_ns: int = 0, *, end: bool = False) -> list[Piece]:
        """What can be published now, perhaps nothing.

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
        fresh = row >= self.next_index
        for begin, stop in self._settled:
            fresh &= (row < begin) | (row >= stop)
        if self.final and fresh.any():
            raise InvalidInput("batch.contract", self.contract, "a contract whose prints have not ended")
        self.overlapping += len(row) - int(fresh.sum())
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
        self._go_on_from(max(self.next_index, first_index + len(ticks)))
        released, released_row = self._normaliser.feed(raw), self._normaliser.released_row
        promised, promised_row = self._normaliser.promise(watermark_ns), self._normaliser.released_row
        pieces = self._cut(concat([released, promised]), np.concatenate([released_row, promised_row]))
        if watermark_ns > self._watermark_ns:
            self._watermark_ns = watermark_ns
            pieces.append(self._word())
        return pieces + self.finish() if end else pieces

    def finish(self) -> list[Piece]:
        """The tape of this contract ends: what was held, and the end. Nothing when it has ended before."""
        if self.final:
            return []
        self.final = True
        held = self._normaliser.finish()
        return [*self._cut(held, self._normaliser.released_row), self._word(final=True)]

    def _go_on_from(self, index: int) -> None:
        for begin, stop in self._settled:
            if begin <= index:
                index = max(index, stop)
        self._settled = tuple(each for each in self._settled if each[0] > index)
        self.next_index = index

    def _cut(self, ticks: TickColumns, row: Int64Array) -> list[Piece]:
        pieces: list[Piece] = []
        for piece in cut(ticks, self._cuts):
            self.tally.outside.feed(piece.ticks)
            self._watermark_ns = piece.watermark_ns
            self._first_index = piece.ticks.last_index + 1
            self._last = (int(piece.ticks.time_ns[-1]), int(piece.ticks.price[-1]))
            row = row[len(piece.ticks) :]
            pieces.append(Piece(piece.ticks, piece.watermark_ns, sender=self._sender(row)))
        return pieces

    def _word(self, *, final: bool = False) -> Piece:
        """A message without prints."""
        sender = self._sender(np.zeros(0, dtype=np.int64))
        return Piece(TickColumns.empty(self._first_index), self._watermark_ns, final, sender)

    def _sender(self, released_row: Int64Array) -> SenderPosition:
        """How far the sender is. `released_row`: of prints that come in a later message."""
        open_row = np.sort(np.concatenate([released_row, self._normaliser.unsettled_row]))
        edges = np.append(open_row, self.next_index).tolist()
        between = [(begin + 1, stop) for begin, stop in pairwise(edges) if begin + 1 < stop]
        return SenderPosition(edges[0], (*between, *self._settled), *self._last, self.tally.counts())
