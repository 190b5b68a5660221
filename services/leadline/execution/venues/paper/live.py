"""The paper venue on a live tape: it matches by itself, and tells of what has happened when it is asked."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from leadline.execution.loop.ports import PartFailed
from leadline.execution.venues.both_ports import OrderCalls
from leadline.execution.venues.live_time import LiveTime
from leadline.model.ids import ContractId
from leadline.model.orders import OrderEvents

WAIT_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 0.25


class NumberingVenue(OrderCalls, Protocol):
    """A venue that numbers its events and lets them be waited for."""

    async def events(self, after_event: int, wait_s: float, contracts: Sequence[ContractId]) -> tuple[OrderEvents, int]:
        """Events after one, as they are known now, and the number of the last; waits so long for the first, seconds."""


class LiveOrders:
    """`Orders` of the paper venue. `hear` wakes the account's time as soon as the venue has an event."""

    def __init__(self, client: NumberingVenue, time: LiveTime) -> None:
        self._client = client
        self._time = time
        self._lost = ""
        self.working, self.find, self.positions = client.working, client.find, client.positions
        self.submit, self.cancel, self.replace = client.submit, client.cancel, client.replace

    async def events_since(self, after_event: int, until_ns: int) -> OrderEvents:  # noqa: ARG002 - they have happened
        """As `Orders.events_since`. What the venue has lost for ever is told once."""
        found, _ = await self._client.events(after_event, 0, self._time.contracts)
        lost, self._lost = ("" if found.lost == self._lost else found.lost), found.lost
        return OrderEvents(found.events, found.positions, lost)

    async def hear(self) -> None:
        """Wait for events of the venue as long as the process lives."""
        heard = 0
        while True:
            try:
                _, last_event = await self._client.events(heard, WAIT_SECONDS, self._time.contracts)
            except PartFailed:
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if last_event != heard:
                heard = last_event
                self._time.wake()
