"""The last messages that this process knows to be stored. Each connection compares them with the stream first.

A server that comes back with an older store has lost messages that it had acknowledged. Whoever then says the next one
leaves a hole that no reader can see. So the publisher is told first.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import structlog

from leadline.model.errors import Unknown
from leadline.runtime import measurements
from leadline.runtime.bus._link import BusError, BusTrouble, Link
from leadline.runtime.bus._reader import Received, read_last, stream_info

_log = structlog.get_logger(__name__)


class TailLost(BusError):
    """The stream has lost messages of a subject that it had acknowledged. subject: whose. Say them again."""

    again_after_s: ClassVar[float | None] = 1.0
    grpc_status: ClassVar[str] = "UNAVAILABLE"

    def __init__(self, subject: str) -> None:
        super().__init__(subject)
        self.subject = subject

    def __str__(self) -> str:
        return f"the bus has lost acknowledged messages at the end of {self.subject}"


@dataclass(frozen=True, slots=True)
class _End:
    """The last message on a subject that is known to be stored. Its sequence holds for one server's store."""

    stream: str
    sequence: int
    message_id: str


class Tails:
    """The last stored message of every subject that a process publishes to: one entry a subject."""

    def __init__(self) -> None:
        self._ends: dict[str, _End] = {}
        self._under_way: defaultdict[str, set[str]] = defaultdict(set)
        self._lost: set[str] = set()
        # Of the lost ones those that nobody has heard of who waits for it.
        self._unheard: set[str] = set()
        self._checked: Link | None = None
        self._checking = asyncio.Lock()
        self._found_lost = asyncio.Condition()

    @contextmanager
    def under_way(self, messages: Iterable[tuple[str, str]]) -> Iterator[None]:
        """While (subject, message id) are being published: each may be stored before anybody says so."""
        sent = list(messages)
        for subject, message_id in sent:
            self._under_way[subject].add(message_id)
        try:
            yield
        finally:
            for subject, message_id in sent:
                self._under_way[subject].discard(message_id)
                if not self._under_way[subject]:
                    del self._under_way[subject]

    def stored(self, subject: str, message_id: str, stream: str, sequence: int) -> None:
        """A message was acknowledged. One that the stream had already is older than the end, and changes nothing."""
        end = self._ends.get(subject)
        if end is None or end.sequence < sequence:
            self._ends[subject] = _End(stream, sequence, message_id)

    async def require(self, link: Link, subjects: Collection[str]) -> None:
        """Raises TailLost when one of the subjects has lost its end, and BusTrouble when that cannot be seen."""
        await self.check(link)
        for subject in subjects:
            if subject in self._lost:
                raise TailLost(subject)

    async def check(self, link: Link) -> None:
        """Look at the end of every subject, once on each connection. Raises BusTrouble and BusDenied."""
        if link is self._checked:
            return
        async with self._checking:
            if link is self._checked:
                return
            try:
                for subject, end in list(self._ends.items()):
                    if not await self._is_there(link, subject, end):
                        _log.error("bus.tail_lost", stream=end.stream, subject=subject, last=end.message_id)
                        measurements.TAILS_LOST.labels(end.stream).inc()
                        self._lost.add(subject)
                        self._unheard.add(subject)
                        del self._ends[subject]
            except Unknown as unknown:
                raise BusTrouble(str(unknown)) from None
            self._checked = link
        async with self._found_lost:
            self._found_lost.notify_all()

    async def resume(self, link: Link, stream: str, subject: str) -> Received | None:
        """The last message on a subject of one's own, from where to go on. What was lost of it is forgiven."""
        async with self._checking:
            last = await read_last(link, stream, subject)
            self._lost.discard(subject)
            self._unheard.discard(subject)
            self._ends.pop(subject, None)
            if last is not None:
                self._ends[subject] = _End(stream, last.sequence, last.message_id)
        return last

    async def wait(self, subjects: Collection[str]) -> None:
        """Return when one of the subjects has lost its end, once for each time that it does."""
        async with self._found_lost:
            await self._found_lost.wait_for(lambda: not self._unheard.isdisjoint(subjects))
            self._unheard.difference_update(subjects)

    async def _is_there(self, link: Link, subject: str, end: _End) -> bool:
        last = await read_last(link, end.stream, subject)
        if last is None:
            # What is removed for its age or to make room goes from the front.
            state: dict[str, Any] = (await stream_info(link, end.stream))["state"]
            return bool(state["first_seq"] > end.sequence and state["last_seq"] >= end.sequence)
        if last.message_id == end.message_id:
            return True
        if last.message_id not in self._under_way.get(subject, ()):
            return False
        # Sent on an earlier connection, stored behind the end, and never acknowledged.
        self._ends[subject] = _End(end.stream, last.sequence, last.message_id)
        return True
