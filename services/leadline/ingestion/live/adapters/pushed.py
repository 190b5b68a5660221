"""Prints that a client pushes as they happen, over gRPC: a live source like any other, whose connection is the call."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from leadline.ingestion.convert import pushed_answer, pushed_batch
from leadline.ingestion.live.contract import AHEAD_NS, LiveContract
from leadline.ingestion.live.port import Arrival, NotPushed, SourceLost, Wanted
from leadline.ingestion.quotes import QuotedSides
from leadline.ingestion.raw import RawColumns, nano, to_nano
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import TickBatch


@dataclass(frozen=True, slots=True)
class _SoFar:
    """See `PushedTo`."""

    contract: ContractId
    next_index: int
    overlapping: int
    final: bool = False


class PushSource:
    """See `LiveSource` and `Pushed`. One client at a time pushes.

    The client numbers its prints. It goes on from `next_index`; where it has lost some, a higher number says so, and
    the tape has a gap. contracts_now: the contracts as the tape has them. now_ns: the tape's clock.
    """

    name = "push"
    repeats = True
    promises = False
    heartbeat_s = 10.0
    patience_s = 5.0

    def __init__(
        self, contracts_now: Callable[[], Mapping[ContractId, LiveContract]], now_ns: Callable[[], int]
    ) -> None:
        self.connected = False
        self._contracts_now = contracts_now
        self._now_ns = now_ns
        self._queue: asyncio.Queue[tuple[TickBatch, int]] = asyncio.Queue(1)
        self._came, self._left = asyncio.Event(), asyncio.Event()
        self._generation = 0
        self._given = False
        self._sides: defaultdict[ContractId, QuotedSides] = defaultdict(QuotedSides)

    @property
    def contracts(self) -> Mapping[ContractId, _SoFar]:
        """See `Pushed`."""
        return {
            name: _SoFar(name, each.sender.next_index, each.sender.overlapping)
            for name, each in self._contracts_now().items()
            if each.sender is not None
        }

    async def take(self, requests: AsyncIterator[Any]) -> Any:
        """Take a client's stream in; returns when all of it is published. See `PushFeed.take` for what it raises."""
        if self.connected:
            raise NotPushed("another client is pushing prints")
        generation, before = self._generation, self._counts()
        self.connected = True
        self._left.clear()
        self._came.set()
        try:
            async for request in requests:
                await self._queue.put(self._checked(request))
                self._require_same(generation)
            await self._queue.join()
            self._require_same(generation)
        finally:
            self.connected = False
            self._came.clear()
            self._left.set()
        after = self._counts()
        after.subtract(before)
        accepted, overlapping = after.pop("accepted"), after.pop("overlapping")
        return pushed_answer(accepted, {reason: count for reason, count in after.items() if count}, overlapping)

    async def connect(self, contracts: Mapping[ContractId, Wanted]) -> None:
        """See `LiveSource`: returns when a client pushes. Each of its batches names its contract."""
        del contracts
        await self._came.wait()

    async def receive(self) -> Arrival:
        """See `LiveSource`."""
        self._settle()
        batch, first_index = await self._next()
        self._given = True
        sheet = instrument_of(batch.contract)
        ticks = batch.ticks
        raw = RawColumns(
            batch.contract,
            ticks.time_ns,
            to_nano(ticks.price, nano(sheet.tick, "tick")),
            to_nano(ticks.size, nano(sheet.size_step, "size_step")),
            ticks.aggressor.astype(np.int64),
            np.arange(first_index, first_index + len(ticks)),
            "pushed",
        )
        return Arrival([raw], {batch.contract: batch.watermark_ns} if batch.watermark_ns else {})

    async def close(self) -> None:
        """See `LiveSource`. A client whose prints were taken and are not published has to push them again."""
        if self._given or not self._queue.empty():
            self._generation += 1
        while not self._queue.empty():
            self._queue.get_nowait()
            self._queue.task_done()
        self._settle()

    async def _next(self) -> tuple[TickBatch, int]:
        """The next batch. Raises SourceLost when the client has left, and all that it gave is taken."""
        pushed, left = asyncio.ensure_future(self._queue.get()), asyncio.ensure_future(self._left.wait())
        try:
            await asyncio.wait({pushed, left}, return_when=asyncio.FIRST_COMPLETED)
            if not pushed.done():
                raise SourceLost("nobody pushes prints")
            return pushed.result()
        finally:
            pushed.cancel()
            left.cancel()

    def _settle(self) -> None:
        if self._given:
            self._given = False
            self._queue.task_done()

    def _require_same(self, generation: int) -> None:
        if generation != self._generation:
            raise NotPushed("the bus has lost prints that were pushed: go on from each contract's next_index")

    def _checked(self, request: Any) -> tuple[TickBatch, int]:
        batch = pushed_batch(request, self.contracts)
        if request.end:
            raise InvalidInput("end", "true", "no end: a live tape has none")
        if request.first_index < 0:
            raise InvalidInput(f"first_index of {batch.contract}", request.first_index, "a number from 0 on")
        latest_ns = self._now_ns() + AHEAD_NS
        if batch.watermark_ns > latest_ns:
            expected = f"a time that has come, at most {latest_ns}"
            raise InvalidInput(f"batch.watermark_ns of {batch.contract}", batch.watermark_ns, expected)
        if request.bid or request.ask:
            bid, ask = (np.array(column, dtype=np.int64) for column in (request.bid, request.ask))
            sides = self._sides[batch.contract].of(batch.ticks, bid, ask)
            batch = replace(batch, ticks=replace(batch.ticks, aggressor=sides))
        return batch, request.first_index

    def _counts(self) -> Counter[str]:
        total: Counter[str] = Counter(accepted=0, overlapping=0)
        for each in self._contracts_now().values():
            if each.sender is not None:
                total.update(each.tally.quarantined())
                total["accepted"] += each.next_index
                total["overlapping"] += each.sender.overlapping
        return total
