"""A contract whose prints a client pushes: batch by batch in, messages out."""

import numpy as np

from leadline.ingestion.batching import Cuts, Piece, cut
from leadline.ingestion.normaliser import Normaliser
from leadline.ingestion.raw import RawColumns, nano, to_nano
from leadline.ingestion.tally import OutsideSessions, Tally
from leadline.ingestion.tape import Position
from leadline.model.calendars import calendar
from leadline.model.contracts import instrument_of
from leadline.model.errors import InvalidInput
from leadline.model.ticks import TickBatch, TickColumns, concat


class PushedContract:
    """Normalises and cuts what a client pushes for one contract.

    The client's watermarks are passed on: nothing else says that a silent contract has nothing to say. Its prints may
    be late by `grace_ns`; a watermark releases them at once. position: how far an earlier process came. tally: what of
    its prints has not reached a bar so far. later: it leads later than the first traded day, and nobody need push it:
    until somebody does it goes along with the others.
    """

    def __init__(self, contract: str, cuts: Cuts, grace_ns: int, position: Position, *, later: bool = False) -> None:
        instrument = instrument_of(contract)
        self.contract = contract
        self.final = position.final
        self._normaliser = Normaliser.of(contract, grace_ns=grace_ns, first_index=position.next_index)
        self._normaliser.promise(position.watermark_ns)
        self.tally = Tally(self._normaliser, OutsideSessions(calendar(instrument.calendar)))
        self._tick = nano(instrument.tick, "tick")
        self._step = nano(instrument.size_step, "size_step")
        self._cuts = cuts
        self._watermark_ns = position.watermark_ns
        self._next_index = position.next_index
        self._rows = 0
        self._left_alone = later and position.next_index == 0

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
        return [self._promise(watermark_ns)]

    def take(self, batch: TickBatch) -> list[Piece]:
        """What can be published now, perhaps nothing. Raises InvalidInput when the contract's tape has ended."""
        if self.final:
            raise InvalidInput("batch.contract", self.contract, "a contract whose tape has not ended")
        self._left_alone = False
        ticks = batch.ticks
        raw = RawColumns(
            self.contract,
            ticks.time_ns,
            to_nano(ticks.price, self._tick),
            to_nano(ticks.size, self._step),
            ticks.aggressor.astype("int64"),
            np.arange(self._rows, self._rows + len(ticks)),
            "pushed",
        )
        self._rows += len(raw)
        released = concat([self._normaliser.feed(raw), self._normaliser.promise(batch.watermark_ns)])
        pieces = self._cut(released)
        if batch.watermark_ns > self._watermark_ns:
            pieces.append(self._promise(batch.watermark_ns))
        return pieces + self.finish() if batch.final else pieces

    def finish(self) -> list[Piece]:
        """The tape of this contract ends: what was held, and the end. Nothing when it has ended before."""
        if self.final:
            return []
        self.final = True
        pieces = self._cut(self._normaliser.finish())
        return [*pieces, Piece(TickColumns.empty(self._next_index), self._watermark_ns, final=True)]

    def _cut(self, ticks: TickColumns) -> list[Piece]:
        self.tally.outside.feed(ticks)
        pieces = list(cut(ticks, self._cuts))
        if pieces:
            self._watermark_ns = pieces[-1].watermark_ns
            self._next_index = ticks.last_index + 1
        return pieces

    def _promise(self, watermark_ns: int) -> Piece:
        self._watermark_ns = watermark_ns
        return Piece(TickColumns.empty(self._next_index), watermark_ns)
