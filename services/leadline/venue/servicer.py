"""The paper venue's calls, and the faults that a test may arm."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import grpc

from leadline.model.errors import InvalidInput, LeadlineError
from leadline.venue.convert import (
    advanced_to_proto,
    fill_to_proto,
    order_from_proto,
    order_to_proto,
    positions_to_proto,
    replacement_from_proto,
    watch_from_proto,
)
from leadline.venue.v1 import venue_pb2 as pb
from leadline.venue.v1 import venue_pb2_grpc as rpc

if TYPE_CHECKING:
    from leadline.venue.service import PaperVenue

FAULTS: Final = (
    "drop_reply",
    "reject",
    "drop_before_accept",
    "fail_before_accept",
    "fail_after_accept",
    "delay",
    "duplicate_events",
)
MOST_FAULTS: Final = 1_000
MOST_DELAY_MS: Final = 60_000
REPEATED_EVENTS: Final = 5
MOST_ORDERS: Final = 100
MOST_EVENTS: Final = 500
"""What an answer looks at: the process that answers it takes orders as well."""

ServicerContext = grpc.aio.ServicerContext[Any, Any]


class FaultsNotAllowed(LeadlineError):
    """This venue does not misbehave on request."""


class PaperVenueServicer(rpc.PaperVenueServiceServicer):
    """Speaks for one account's paper venue."""

    def __init__(self, venue: "PaperVenue", *, allow_faults: bool) -> None:
        self._venue = venue
        self._allow_faults = allow_faults
        self._armed: dict[str, int] = {}
        self._delay_ms = 0

    async def SubmitOrder(self, request: pb.SubmitOrderRequest, context: ServicerContext) -> pb.SubmitOrderResponse:
        if self._strikes("drop_before_accept"):
            await _hang_up(context)
        if self._strikes("fail_before_accept"):
            await _fail(context)
        if self._strikes("delay"):
            await asyncio.sleep(self._delay_ms / 1000)
        refusal = "refused by request of a test" if self._strikes("reject") else ""
        order, duplicate = self._venue.submit(order_from_proto(request.order), refusal)
        if self._strikes("drop_reply"):
            await _hang_up(context)
        if self._strikes("fail_after_accept"):
            await _fail(context)
        return pb.SubmitOrderResponse(order=order_to_proto(order), duplicate=duplicate, event=self._venue.last_event)

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: ServicerContext) -> pb.CancelOrderResponse:
        order = self._venue.cancel(request.client_id, request.reason)
        return pb.CancelOrderResponse(order=order_to_proto(order), event=self._venue.last_event)

    async def ReplaceOrder(self, request: pb.ReplaceOrderRequest, context: ServicerContext) -> pb.ReplaceOrderResponse:
        order = self._venue.replace(replacement_from_proto(request))
        return pb.ReplaceOrderResponse(order=order_to_proto(order), event=self._venue.last_event)

    async def AdvanceTo(self, request: pb.AdvanceToRequest, context: ServicerContext) -> pb.AdvanceToResponse:
        advanced = await self._venue.advance(
            request.to_ns,
            request.after_event,
            list(request.contracts),
            [watch_from_proto(watch) for watch in request.watches],
            request.from_ns if request.HasField("from_ns") else None,
        )
        if self._strikes("duplicate_events"):
            first = max(0, request.after_event - REPEATED_EVENTS)
            advanced = replace(advanced, events=self._venue.market.events_after(first))
        return advanced_to_proto(advanced)

    async def ListOrders(self, request: pb.ListOrdersRequest, context: ServicerContext) -> pb.ListOrdersResponse:
        if len(request.client_ids) > MOST_ORDERS:
            raise InvalidInput("client_ids", f"{len(request.client_ids)} ids", f"at most {MOST_ORDERS}")
        market = self._venue.market
        orders = market.known(request.client_ids) if request.client_ids else market.newest(MOST_ORDERS)
        return pb.ListOrdersResponse(orders=[order_to_proto(order) for order in orders], event=self._venue.last_event)

    async def ListFills(self, request: pb.ListFillsRequest, context: ServicerContext) -> pb.ListFillsResponse:
        events = self._venue.market.events_after(request.after_event)[:MOST_EVENTS]
        fills = [fill_to_proto(found.fill) for found in events if found.fill is not None]
        return pb.ListFillsResponse(fills=fills, event=request.after_event + len(events))

    async def ListPositions(
        self, request: pb.ListPositionsRequest, context: ServicerContext
    ) -> pb.ListPositionsResponse:
        return pb.ListPositionsResponse(positions=positions_to_proto(self._venue.market.positions()))

    async def Misbehave(self, request: pb.MisbehaveRequest, context: ServicerContext) -> pb.MisbehaveResponse:
        if not self._allow_faults:
            raise FaultsNotAllowed("this venue's settings do not allow faults")
        if request.fault not in FAULTS:
            raise InvalidInput("fault", request.fault, "one of " + ", ".join(FAULTS))
        if not 0 <= request.times <= MOST_FAULTS:
            raise InvalidInput("times", request.times, f"0 to {MOST_FAULTS}")
        if not 0 <= request.delay_ms <= MOST_DELAY_MS:
            raise InvalidInput("delay_ms", request.delay_ms, f"0 to {MOST_DELAY_MS}")
        self._armed[request.fault] = request.times
        self._delay_ms = request.delay_ms
        return pb.MisbehaveResponse()

    def _strikes(self, fault: str) -> bool:
        """Whether the fault happens to this call; it is used up by that."""
        left = self._armed.get(fault, 0)
        self._armed[fault] = max(0, left - 1)
        return left > 0


async def _fail(context: ServicerContext) -> None:
    """What a caller sees of an error that nobody expected: nothing of what was done."""
    await context.abort(grpc.StatusCode.INTERNAL, "an error by request of a test")


async def _hang_up(context: ServicerContext) -> None:
    """What a caller sees of a connection that breaks: nothing of what was done."""
    await context.abort(grpc.StatusCode.UNAVAILABLE, "the connection was lost")
