"""The bus of a schedule: a stream of messages by subject, which each reader gets in their order, later or sooner."""

import asyncio
import random
from collections.abc import AsyncGenerator

from leadline.runtime.bus.bus import Received, Start
from tests.simulation.faults import Plan
from tests.simulation.loop import VirtualLoop

LONGEST_DELAY_S = 0.05


class ModelBus:
    """The server's side, and what a service sees of it."""

    def __init__(self, loop: VirtualLoop, chance: random.Random, plan: Plan) -> None:
        self._loop = loop
        self._chance = chance
        self._plan = plan
        self._streams: dict[str, list[Received]] = {}
        self._grown: dict[str, asyncio.Event] = {}

    def publish(self, subject: str, payload: bytes, message_id: str) -> None:
        """Add a message; one that is said again is there twice, as after the server's window has passed."""
        stream = self._streams.setdefault(subject, [])
        stream.append(Received(subject, len(stream) + 1, payload, message_id))
        grown, self._grown[subject] = self._grown.get(subject), asyncio.Event()
        if grown is not None:
            grown.set()

    async def ordered(self, stream: str, subject: str, *, start: Start = "all") -> AsyncGenerator[Received, None]:
        """Every message of a subject, from the first on, without end."""
        assert start == "all", start
        heard = 0
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
