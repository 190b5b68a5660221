"""The outbox of a schedule: which events are marked as published, and the bus as one process publishes to it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

from leadline.execution.core.records import AccountRecords, WrittenEvent
from leadline.model.ids import AccountId, RunId
from leadline.runtime.bus.bus import Received, Start, TailLost
from tests.simulation.bus import ModelBus
from tests.simulation.wire import Caller, Wire

BATCH: Final = 50
Message = tuple[str, bytes, str]
Result = TypeVar("Result")


class ModelOutboxRows:
    """`OutboxRows` over a wire. `marked` is what the database has marked: events by their numbers."""

    def __init__(
        self,
        wire: Wire,
        caller: Caller,
        scope: tuple[RunId, AccountId],
        records: Callable[[], AccountRecords],
        marked: dict[int, WrittenEvent],
    ) -> None:
        self.tape, self.account = scope
        self._wire = wire
        self._caller = caller
        self._records = records
        self._marked = marked

    async def again_after(self, kind: str, event: int) -> int:
        """As `OutboxRows.again_after`."""

        def work() -> int:
            again = [number for number, each in self._marked.items() if each.kind == kind and number > event]
            for number in again:
                del self._marked[number]
            return len(again)

        return await self._call("again_after", work)

    async def unpublished(self) -> list[dict[str, Any]]:
        """As `OutboxRows.unpublished`."""

        def work() -> list[dict[str, Any]]:
            found = unpublished(self._records().events, self._marked)
            return [{**each._asdict(), "unpublished": len(found)} for each in found[:BATCH]]

        return await self._call("unpublished", work)

    async def published(self, events: Sequence[int]) -> None:
        """As `OutboxRows.published`."""

        def work() -> None:
            rows = self._records().events
            self._marked.update({number: rows[number] for number in events if number in rows})

        await self._call("published", work)

    async def _call(self, name: str, work: Callable[[], Result]) -> Result:
        return await self._wire.call(self._caller, "database", f"outbox.{name}", work)


def unpublished(rows: Mapping[int, WrittenEvent], marked: Mapping[int, WrittenEvent]) -> list[WrittenEvent]:
    """The events that are not marked, or that have come in the place of one that is, in their order."""
    return [rows[number] for number in sorted(rows) if marked.get(number) is not rows[number]]


class ProcessBus:
    """The bus as one process has it: it knows what it has published, and sees when the stream has lost some of it."""

    def __init__(self, wire: Wire, caller: Caller, bus: ModelBus) -> None:
        self._wire = wire
        self._caller = caller
        self._bus = bus
        self._ends: dict[str, Received] = {}

    def ordered(self, stream: str, subject: str, *, start: Start = "all") -> AsyncGenerator[Received, None]:
        """As `Bus.ordered`."""
        return self._bus.ordered(stream, subject, start=start)

    async def resume(self, _stream: str, subject: str) -> Received | None:
        """As `Bus.resume`."""
        last = await self._wire.call(self._caller, "bus", "bus.resume", lambda: self._bus.last(subject))
        self._ends.pop(subject, None)
        if last is not None:
            self._ends[subject] = last
        return last

    async def publish_many(self, messages: Sequence[Message]) -> None:
        """As `Bus.publish_many`: all of them, or an error after some, or none, or all."""

        def work() -> list[Received]:
            for subject in dict.fromkeys(subject for subject, _, _ in messages):
                if self._is_lost(subject):
                    raise TailLost(subject)
            return [self._bus.publish(*message) for message in messages]

        for stored in await self._wire.call(self._caller, "bus", "bus.publish", work):
            self._ends[stored.subject] = stored

    async def tail_lost(self, subjects: Collection[str]) -> None:
        """As `Bus.tail_lost`."""
        while not any(self._is_lost(subject) for subject in subjects):
            await self._bus.rolled_back.wait()
            await asyncio.sleep(0)

    def _is_lost(self, subject: str) -> bool:
        end = self._ends.get(subject)
        return end is not None and not self._bus.has(end)
