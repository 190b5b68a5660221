"""The paper venue's calls."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import grpc

from leadline.model.errors import InvalidInput
from leadline.model.ids import ClientOrderId, ContractId
from leadline.model.orders import Advanced, OrderEvents, Replacement, VenueOrder, Watch
from leadline.venue.convert import (
    advanced_to_proto,
    events_to_proto,
    fill_to_proto,
    order_from_proto,
    order_to_proto,
    positions_to_proto,
    replacement_from_proto,
    watch_from_proto,
)
from leadline.venue.matching import PaperMarket
from leadline.venue.v1 import venue_pb2 as pb
from leadline.venue.v1 import venue_pb2_grpc as rpc

MOST_ORDERS: Final = 100
MOST_EVENTS: Final = 500
"""The most orders and events in one answer: the process that answers takes orders as well."""

MS_PER_SECOND: Final = 1000

ServicerContext = grpc.aio.ServicerContext[Any, Any]


class Matched(Protocol):
    """A paper market that something moves: what the calls speak for."""

    @property
    def market(self) -> PaperMarket:
        """The market itself."""

    @property
    def last_event(self) -> int:
        """Number of the last event."""

    def submit(self, order: VenueOrder) -> tuple[VenueOrder, bool]:
        """Take an order; with True, the one that has had its id for longer."""

    def cancel(self, client_id: ClientOrderId, reason: str) -> VenueOrder:
        """Cancel an order; the order as it stands."""

    def replace(self, wanted: Replacement) -> VenueOrder:
        """Give a working order other terms; the order as it stands."""

    async def advance(
        self,
        to_ns: int,
        after_event: int,
        contracts: Sequence[ContractId],
        watches: Sequence[Watch],
        from_ns: int | None,
        may_move: Callable[[], bool],
    ) -> Advanced:
        """Let the tape run up to `to_ns`, or as far as it comes while it may move."""

    async def events(self, after_event: int, wait_s: float, contracts: Sequence[ContractId]) -> OrderEvents:
        """Events after one on a live tape, waiting for the first so many seconds at most."""


class PaperVenueServicer(rpc.PaperVenueServiceServicer):
    """Speaks for one account's paper venue."""

    def __init__(self, venue: Matched) -> None:
        self._venue = venue
        self._turn = 0

    async def SubmitOrder(self, request: pb.SubmitOrderRequest, context: ServicerContext) -> pb.SubmitOrderResponse:
        order, duplicate = self._venue.submit(order_from_proto(request.order))
        return pb.SubmitOrderResponse(order=order_to_proto(order), duplicate=duplicate, event=self._venue.last_event)

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: ServicerContext) -> pb.CancelOrderResponse:
        order = self._venue.cancel(ClientOrderId(request.client_id), request.reason)
        return pb.CancelOrderResponse(order=order_to_proto(order), event=self._venue.last_event)

    async def ReplaceOrder(self, request: pb.ReplaceOrderRequest, context: ServicerContext) -> pb.ReplaceOrderResponse:
        order = self._venue.replace(replacement_from_proto(request))
        return pb.ReplaceOrderResponse(order=order_to_proto(order), event=self._venue.last_event)

    async def AdvanceTo(self, request: pb.AdvanceToRequest, context: ServicerContext) -> pb.AdvanceToResponse:
        overtaken = request.HasField("turn") and request.turn != self._turn
        self._turn += 1
        turn = self._turn
        advanced = await self._venue.advance(
            request.to_ns,
            request.after_event,
            list(map(ContractId, request.contracts)),
            [watch_from_proto(watch) for watch in request.watches],
            request.from_ns if request.HasField("from_ns") else None,
            lambda: not overtaken and turn == self._turn,
        )
        answer = advanced_to_proto(advanced)
        answer.turn = turn
        return answer

    async def ListEvents(self, request: pb.ListEventsRequest, context: ServicerContext) -> pb.ListEventsResponse:
        contracts = list(map(ContractId, request.contracts))
        found = await self._venue.events(request.after_event, request.wait_ms / MS_PER_SECOND, contracts)
        return events_to_proto(found, self._venue.last_event)

    async def ListOrders(self, request: pb.ListOrdersRequest, context: ServicerContext) -> pb.ListOrdersResponse:
        if len(request.client_ids) > MOST_ORDERS:
            raise InvalidInput("client_ids", f"{len(request.client_ids)} ids", f"at most {MOST_ORDERS}")
        if request.client_ids and request.working:
            raise InvalidInput("client_ids", f"{len(request.client_ids)} ids", "none with working")
        market = self._venue.market
        if request.working:
            orders = market.live_orders()
        else:
            orders = (
                market.known(map(ClientOrderId, request.client_ids))
                if request.client_ids
                else market.newest(MOST_ORDERS)
            )
        return pb.ListOrdersResponse(orders=[order_to_proto(order) for order in orders], event=self._venue.last_event)

    async def ListFills(self, request: pb.ListFillsRequest, context: ServicerContext) -> pb.ListFillsResponse:
        market, after = self._venue.market, request.after_event
        if 0 <= after < market.forgotten_event:  # a tape without an end: who reads on begins with what is left
            after = market.forgotten_event
        events = market.events_after(after)[:MOST_EVENTS]
        fills = [fill_to_proto(found.fill) for found in events if found.fill is not None]
        return pb.ListFillsResponse(fills=fills, event=after + len(events))

    async def ListPositions(
        self, request: pb.ListPositionsRequest, context: ServicerContext
    ) -> pb.ListPositionsResponse:
        return pb.ListPositionsResponse(positions=positions_to_proto(self._venue.market.positions()))
