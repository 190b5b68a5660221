"""Prints into the table, without a hole as long as the stream has them."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from itertools import groupby
from typing import Final

import structlog

from leadline.model.errors import RefusedMessage
from leadline.model.ids import ContractId, RunId
from leadline.model.subjects import TICKS, tick_subject
from leadline.model.ticks import TickBatch
from leadline.recorder import metrics
from leadline.recorder.store import Store
from leadline.recorder.writes import REFUSED_BY_CONTENT
from leadline.runtime.bus.bus import Bus
from leadline.runtime.bus.intake import place_before, read_ticks

# A stream that is silent for this long while it is read again does not have what is missing.
IDLE_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class TickSink:
    """Stores batches and reads what they leave out from the stream; what the stream does not have becomes a gap."""

    def __init__(self, store: Store, bus: Bus, idle_s: float = IDLE_SECONDS) -> None:
        self._store = store
        self._bus = bus
        self._idle_s = idle_s

    async def write(self, batches: Sequence[TickBatch]) -> int:
        """Store the prints that are not stored yet; returns how many. Raises what asyncpg raises."""
        stored = 0
        for _, group in groupby(sorted(batches, key=_tape_and_contract), key=_tape_and_contract):
            waiting = list(group)
            while waiting:
                found = await self._store.write_ticks(waiting)
                stored += sum(map(len, found.parts))
                metrics.OVERLAPPING.inc(found.overlapping)
                waiting = waiting[found.taken :]
                if waiting:
                    stored += await self._read_again(waiting[0], found.missing_from, found.missing_to)
        return stored

    async def _read_again(self, sample: TickBatch, first_index: int, next_index: int) -> int:
        """Store the prints [first_index, next_index) of the tape and contract of `sample`, or give them up."""
        _log.warning("recorder.ticks_missing", contract=sample.contract, first=first_index, last=next_index - 1)
        metrics.ASKED_AGAIN.inc()
        stored, position = 0, first_index
        subject = tick_subject(sample.tape, sample.venue, sample.contract)
        place = await place_before(self._bus, TICKS, subject, _last_index, first_index - 1)
        async with aclosing(self._bus.ordered(TICKS, subject, start="all" if place is None else place)) as messages:
            while position < next_index:
                try:
                    message = await asyncio.wait_for(anext(messages), self._idle_s)
                except TimeoutError:
                    break
                try:
                    batch = read_ticks(message.subject, message.payload)
                except RefusedMessage:
                    continue
                if batch.ticks.last_index < position:
                    continue
                if batch.ticks.first_index > position:
                    await self._give_up(batch, position, min(batch.ticks.first_index, next_index))
                    position = batch.ticks.first_index
                try:
                    found = await self._store.write_ticks([batch])
                except REFUSED_BY_CONTENT:
                    continue
                stored += sum(map(len, found.parts))
                position = found.last_index + 1
        if position < next_index:
            await self._give_up(sample, position, next_index)
        return stored

    async def _give_up(self, sample: TickBatch, first_index: int, next_index: int) -> None:
        _log.error("recorder.tick_gap", contract=sample.contract, first=first_index, last=next_index - 1)
        metrics.GAPS.inc(next_index - first_index)
        await self._store.skip_ticks(sample.tape, sample.contract, first_index, next_index)


def _last_index(subject: str, payload: bytes) -> int:
    return read_ticks(subject, payload).ticks.last_index


def _tape_and_contract(batch: TickBatch) -> tuple[RunId, ContractId]:
    return batch.tape, batch.contract
