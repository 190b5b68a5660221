"""The bus of a schedule: a stream of messages by subject, which each reader gets in their order, later or sooner."""

import asyncio
import random
from bisect import bisect_left
from collections.abc import AsyncGenerator, Collection
from datetime import datetime

from leadline.model.durations import NS_PER_SECOND
from leadline.runtime.bus.bus import Received, Start
from tests.simulation.faults import Plan
from tests.simulation.loop import VirtualLoop
from tests.simulation.tape_clock import WALL_NS

LONGEST_DELAY_S = 0.05


class ModelBus:
    """The server's side, and what a service sees of it."""

    def __init__(self, loop: VirtualLoop, chance: random.Random, plan: Plan) -> None:
        self._loop = loop
        self._chance = chance
        self._plan = plan
        self._streams: dict[str, list[Received]] = {}
        self._stored_s: dict[str, list[float]] = {}
        self.rolled_back = asyncio.Event()
        self.passed_over_s: dict[str, float] = {}
        """Before when a reader of a subject has left messages out because they were too old to it."""
        self._grown: dict[str, asyncio.Event] = {}

    def publish(self, subject: str, payload: bytes, message_id: str) -> Received:
        """Add a message; one that is said again is there twice, as after the server's window has passed."""
        stream = self._streams.setdefault(subject, [])
        self._stored_s.setdefault(subject, []).append(self._loop.time())
        stream.append(stored := Received(subject, len(stream) + 1, payload, message_id))
        grown, self._grown[subject] = self._grown.get(subject), asyncio.Event()
        if grown is not None:
            grown.set()
        return stored

    def messages(self, subject: str) -> list[Received]:
        """All that the stream has of a subject."""
        return self._streams.get(subject, [])

    def last(self, subject: str) -> Received | None:
        """The last message of a subject."""
        messages = self.messages(subject)
        return messages[-1] if messages else None

    def has(self, stored: Received) -> bool:
        """Whether a message that was stored is still there."""
        messages = self.messages(stored.subject)
        return len(messages) >= stored.sequence and messages[stored.sequence - 1] is stored

    def roll_back(self, subjects: Collection[str], seconds: float) -> None:
        """The stream has forgotten what it has stored of these subjects in the last seconds."""
        for subject in subjects:
            stored_s = self._stored_s.get(subject, [])
            kept = bisect_left(stored_s, self._loop.time() - seconds)
            del stored_s[kept:], self._streams.get(subject, [])[kept:]
        rolled_back, self.rolled_back = self.rolled_back, asyncio.Event()
        rolled_back.set()

    async def ordered(self, stream: str, subject: str, *, start: Start = "all") -> AsyncGenerator[Received, None]:
        """Every message of a subject without end: from the first, the last or the first of a wall time on."""
        stored_s = self._stored_s.setdefault(subject, [])
        if isinstance(start, datetime):
            start_s = start.timestamp() - WALL_NS / NS_PER_SECOND
            self.passed_over_s[subject] = max(self.passed_over_s.get(subject, 0.0), start_s)
            heard = bisect_left(stored_s, start_s)
        else:
            heard = 0 if start == "all" else max(0, len(stored_s) - 1)
        while True:
            messages = self._streams.setdefault(subject, [])
            if heard >= len(messages) or self._plan.outage("bus", self._loop.time()):
                grown = self._grown.setdefault(subject, asyncio.Event())
                if heard >= len(messages):
                    await grown.wait()
                else:
                    await asyncio.sleep(0.2)
                continue
            await asyncio.sleep(LONGEST_DELAY_S * self._chance.random())
            yield messages[heard]
            heard += 1
