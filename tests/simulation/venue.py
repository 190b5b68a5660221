"""The venue of a schedule: the paper market, which outlives every process, over a wire that misbehaves."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from leadline.execution.venues.paper.direct import DirectVenue
from leadline.model.ids import ClientOrderId, ContractId
from leadline.model.orders import Advanced, Replacement, VenueOrder, Watch
from tests.simulation.store import now
from tests.simulation.wire import Caller, Wire

Result = TypeVar("Result")


class ModelVenue:
    """The venue as one process reaches it.

    `leaves` is told of an order when its first byte leaves the process, and `lands` when it comes to the venue.
    """

    def __init__(
        self,
        wire: Wire,
        caller: Caller,
        direct: DirectVenue,
        leaves: Callable[[VenueOrder], None],
        lands: Callable[[VenueOrder], None],
    ) -> None:
        self._wire = wire
        self._caller = caller
        self._direct = direct
        self._leaves = leaves
        self._lands = lands

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        return await self._call(
            "advance", lambda: self._direct.advance(from_ns, to_ns, after_event, contracts, watches)
        )

    async def working(self) -> Sequence[VenueOrder]:
        return await self._call("working", self._direct.working)

    async def submit(self, order: VenueOrder) -> VenueOrder:
        self._leaves(order)

        def land() -> Coroutine[Any, Any, VenueOrder]:
            self._lands(order)
            return self._direct.submit(order)

        return await self._call("submit", land)

    async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
        await self._call("cancel", lambda: self._direct.cancel(client_id, reason))

    async def replace(self, wanted: Replacement) -> VenueOrder:
        return await self._call("replace", lambda: self._direct.replace(wanted))

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        return await self._call("find", lambda: self._direct.find(client_id))

    async def positions(self) -> dict[ContractId, int]:
        return await self._call("positions", self._direct.positions)

    async def _call(self, name: str, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        return await self._wire.call(self._caller, "venue", f"venue.{name}", lambda: now(work()))
