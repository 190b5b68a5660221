"""Execution's side of the paper venue's protocol: domain values in and out, one attempt per call."""

from collections.abc import Sequence
from typing import Final

import grpc

from leadline.execution.venues.both_ports import BothPorts
from leadline.execution.venues.connect import Reach
from leadline.execution.venues.connection import Connection
from leadline.execution.venues.paper.live import LiveOrders
from leadline.execution.venues.paper.venue import VENUE_SERVICE
from leadline.model.ids import ClientOrderId, ContractId
from leadline.model.orders import Advanced, OrderEvents, Replacement, VenueOrder, Watch
from leadline.runtime.rpc.failures import answered
from leadline.venue.convert import (
    advanced_from_proto,
    events_from_proto,
    order_as_reported,
    order_to_proto,
    positions_from_proto,
    replacement_to_proto,
    watch_to_proto,
)
from leadline.venue.v1 import venue_pb2 as pb
from leadline.venue.v1 import venue_pb2_grpc as rpc

CALL_DEADLINE_SECONDS: Final = 3.0
MS_PER_SECOND: Final = 1000
_PART: Final = "venue"


def connect(reach: Reach) -> Connection:
    """The paper venue of an account: one connection is both ports, where the tape is not live."""
    client = PaperVenueClient(reach.channel(VENUE_SERVICE))
    if reach.live is not None:
        orders = LiveOrders(client, reach.live)
        return Connection(reach.live, orders, orders.hear)
    both = BothPorts(client, reach.contracts)
    return Connection(both, both)


class PaperVenueClient:
    """The paper venue over its socket.

    Every method raises `Unavailable` when no answer was heard, `Refused` when the answer is no, and its child
    `NotAdmitted` when the venue does not know this process. What an answer says is not judged here.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = rpc.PaperVenueServiceStub(channel)
        self._turn: int | None = None

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        """Let the tape run up to an instant, inclusive; the venue may stop early.

        It does not move for a call that comes after a later one, of this process or of another.
        """
        request = pb.AdvanceToRequest(
            from_ns=from_ns,
            to_ns=to_ns,
            after_event=after_event,
            contracts=contracts,
            watches=[watch_to_proto(watch) for watch in watches],
            turn=self._turn,
        )
        reply = await answered(_PART, lambda: self._stub.AdvanceTo(request, timeout=CALL_DEADLINE_SECONDS))
        self._turn = reply.turn
        return advanced_from_proto(reply)

    async def events(self, after_event: int, wait_s: float, contracts: Sequence[ContractId]) -> tuple[OrderEvents, int]:
        """Events after one, on a live tape, and the number of the last; waits so long for the first, seconds."""
        request = pb.ListEventsRequest(
            after_event=after_event, wait_ms=round(wait_s * MS_PER_SECOND), contracts=contracts
        )
        reply = await answered(_PART, lambda: self._stub.ListEvents(request, timeout=CALL_DEADLINE_SECONDS))
        return events_from_proto(reply, after_event), reply.last_event

    async def working(self) -> list[VenueOrder]:
        """Every order of the account that works."""
        request = pb.ListOrdersRequest(working=True)
        reply = await answered(_PART, lambda: self._stub.ListOrders(request, timeout=CALL_DEADLINE_SECONDS))
        return [order_as_reported(order) for order in reply.orders]

    async def submit(self, order: VenueOrder) -> VenueOrder:
        """Hand an order in, once. An error leaves its fate unknown."""
        reply = await answered(
            _PART,
            lambda: self._stub.SubmitOrder(
                pb.SubmitOrderRequest(order=order_to_proto(order)), timeout=CALL_DEADLINE_SECONDS
            ),
        )
        return order_as_reported(reply.order)

    async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
        """Cancel an order; what became of it is told by the venue's events."""
        await answered(
            _PART,
            lambda: self._stub.CancelOrder(
                pb.CancelOrderRequest(client_id=client_id, reason=reason), timeout=CALL_DEADLINE_SECONDS
            ),
        )

    async def replace(self, wanted: Replacement) -> VenueOrder:
        """Give a working order other terms; the order as it stands. The same terms again change nothing."""
        request = replacement_to_proto(wanted)
        reply = await answered(_PART, lambda: self._stub.ReplaceOrder(request, timeout=CALL_DEADLINE_SECONDS))
        return order_as_reported(reply.order)

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        """The order with this id; None proves that the venue has none."""
        request = pb.ListOrdersRequest(client_ids=[client_id])
        reply = await answered(_PART, lambda: self._stub.ListOrders(request, timeout=CALL_DEADLINE_SECONDS))
        found = [order for order in reply.orders if order.client_id == client_id]
        return order_as_reported(found[0]) if found else None

    async def positions(self) -> dict[ContractId, int]:
        """Net signed position by contract, in size steps; flat ones absent."""
        reply = await answered(
            _PART, lambda: self._stub.ListPositions(pb.ListPositionsRequest(), timeout=CALL_DEADLINE_SECONDS)
        )
        return positions_from_proto(reply.positions)
