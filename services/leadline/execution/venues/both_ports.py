"""A venue that matches the tape itself, as both ports of the loop: one answer tells the time and what it has filled."""

from collections.abc import Collection, Sequence
from typing import Protocol

from leadline.model.ids import ClientOrderId, ContractId
from leadline.model.orders import Advanced, OrderEvents, Passed, Replacement, VenueOrder, Watch


class OrderCalls(Protocol):
    """The calls of every venue on orders. Raises as `leadline.execution.loop.ports` says."""

    async def working(self) -> Sequence[VenueOrder]:
        """As `Orders.working`."""

    async def submit(self, order: VenueOrder) -> VenueOrder:
        """As `Orders.submit`."""

    async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
        """As `Orders.cancel`."""

    async def replace(self, wanted: Replacement) -> VenueOrder:
        """As `Orders.replace`."""

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        """As `Orders.find`."""

    async def positions(self) -> dict[ContractId, int]:
        """As `Orders.positions`."""


class MatchingVenue(OrderCalls, Protocol):
    """A venue whose clock is the tape that it matches."""

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        """Match the tape up to an instant, and tell of it; as `MarketTime.advance` and `Orders.events_since`."""


class BothPorts:
    """`MarketTime` and `Orders` over one venue, in one call for each step of the loop.

    What the venue told together with the time is kept for the question that follows. `contracts` are those that
    the feed has by now: events that are asked for without a step before are told where the venue stands.
    """

    def __init__(self, venue: MatchingVenue, contracts: Collection[ContractId]) -> None:
        self.venue = venue
        self.contracts = contracts
        self._told: tuple[int, Advanced] | None = None
        self.working, self.find, self.positions = venue.working, venue.find, venue.positions

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Passed:
        """As `MarketTime.advance`."""
        self._told = None
        advanced = await self.venue.advance(from_ns, to_ns, after_event, contracts, watches)
        self._told = (after_event, advanced)
        return Passed(advanced.instant_ns, advanced.last_prints, advanced.final)

    async def events_since(self, after_event: int, until_ns: int) -> OrderEvents:
        """As `Orders.events_since`."""
        told, self._told = self._told, None
        if told is not None and (told[0], told[1].instant_ns) == (after_event, until_ns):
            return OrderEvents(told[1].events, told[1].positions)
        advanced = await self.venue.advance(until_ns, until_ns, after_event, tuple(self.contracts), ())
        if advanced.instant_ns == until_ns:
            return OrderEvents(advanced.events, advanced.positions)
        return OrderEvents(tuple(event for event in advanced.events if event.instant_ns <= until_ns))

    async def submit(self, order: VenueOrder) -> VenueOrder:
        """As `Orders.submit`."""
        self._told = None
        return await self.venue.submit(order)

    async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
        """As `Orders.cancel`."""
        self._told = None
        await self.venue.cancel(client_id, reason)

    async def replace(self, wanted: Replacement) -> VenueOrder:
        """As `Orders.replace`."""
        self._told = None
        return await self.venue.replace(wanted)
