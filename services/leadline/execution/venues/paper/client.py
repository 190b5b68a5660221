"""Execution's side of the paper venue's protocol: domain values in and out, one attempt per call."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import grpc

from leadline.execution.ports import Unavailable
from leadline.model.orders import (
    Advanced,
    Fill,
    LastPrint,
    OrderState,
    OrderType,
    Side,
    VenueEvent,
    VenueOrder,
    Watch,
)
from leadline.venue.v1 import venue_pb2 as pb
from leadline.venue.v1 import venue_pb2_grpc as rpc

CALL_DEADLINE_SECONDS: Final = 5.0
_NO_ANSWER: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.ABORTED,
    }
)
_SIDE: Final = {Side.BUY: pb.SIDE_BUY, Side.SELL: pb.SIDE_SELL}
_SIDE_BACK: Final = {value: key for key, value in _SIDE.items()}
_TYPE: Final = {
    OrderType.MARKET: pb.ORDER_TYPE_MARKET,
    OrderType.LIMIT: pb.ORDER_TYPE_LIMIT,
    OrderType.STOP: pb.ORDER_TYPE_STOP,
}
_TYPE_BACK: Final = {value: key for key, value in _TYPE.items()}
_STATE_BACK: Final = {
    pb.ORDER_STATE_WORKING: OrderState.WORKING,
    pb.ORDER_STATE_PARTIAL: OrderState.PARTIAL,
    pb.ORDER_STATE_FILLED: OrderState.FILLED,
    pb.ORDER_STATE_CANCELLED: OrderState.CANCELLED,
    pb.ORDER_STATE_REJECTED: OrderState.REJECTED,
}


class PaperVenueClient:
    """The paper venue over its socket. Every method raises `Unavailable` when no answer was heard."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = rpc.PaperVenueServiceStub(channel)

    async def advance(
        self, to_ns: int, after_event: int, contracts: Sequence[str], watches: Sequence[Watch]
    ) -> Advanced:
        """Let the tape run up to an instant, inclusive; the venue may stop early."""
        request = pb.AdvanceToRequest(
            to_ns=to_ns, after_event=after_event, contracts=contracts, watches=[_watch(watch) for watch in watches]
        )
        try:
            reply = await self._stub.AdvanceTo(request, timeout=CALL_DEADLINE_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error
        return Advanced(
            reply.instant_ns,
            tuple(_event(event) for event in reply.events),
            {p.contract: LastPrint(p.price, p.time_ns, p.source_index) for p in reply.last_prints},
            reply.final,
        )

    async def submit(self, order: VenueOrder) -> VenueOrder:
        """Hand an order in, once. `Unavailable` leaves its fate unknown."""
        try:
            reply = await self._stub.SubmitOrder(
                pb.SubmitOrderRequest(order=_order_to_proto(order)), timeout=CALL_DEADLINE_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error
        return _order(reply.order)

    async def cancel(self, client_id: str, reason: str) -> None:
        """Cancel an order; what became of it is told by the venue's events."""
        try:
            await self._stub.CancelOrder(
                pb.CancelOrderRequest(client_id=client_id, reason=reason), timeout=CALL_DEADLINE_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error

    async def find(self, client_id: str) -> VenueOrder | None:
        """The order with this id; None proves that the venue has none."""
        try:
            reply = await self._stub.ListOrders(
                pb.ListOrdersRequest(client_ids=[client_id]), timeout=CALL_DEADLINE_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error
        found = [order for order in reply.orders if order.client_id == client_id]
        return _order(found[0]) if found else None

    async def positions(self) -> dict[str, int]:
        """Net signed position by contract, in size steps; flat ones absent."""
        try:
            reply = await self._stub.ListPositions(pb.ListPositionsRequest(), timeout=CALL_DEADLINE_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error
        return {position.contract: position.quantity for position in reply.positions if position.quantity}


def _unavailable(error: grpc.aio.AioRpcError) -> Exception:
    """No answer is `Unavailable`; an answer that refuses the call itself is a defect and stays what it is."""
    if error.code() in _NO_ANSWER:
        return Unavailable(f"the paper venue does not answer: {error.code().name} {error.details()}")
    return error


def _watch(watch: Watch) -> pb.Watch:
    return pb.Watch(
        base=str(watch.base),
        positions=[
            pb.WatchedPosition(
                tape_contract=p.tape_contract, quantity=p.quantity, cost=p.cost, tick_value=str(p.tick_value)
            )
            for p in watch.positions
        ],
        at_or_below=None if watch.at_or_below is None else str(watch.at_or_below),
        at_or_above=None if watch.at_or_above is None else str(watch.at_or_above),
    )


def _order_to_proto(order: VenueOrder) -> pb.VenueOrder:
    return pb.VenueOrder(
        client_id=order.client_id,
        contract=order.contract,
        tape_contract=order.tape_contract,
        side=_SIDE[order.side],
        type=_TYPE[order.type],
        quantity=order.quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        decided_at_ns=order.decided_at_ns,
        stop_ticks=order.stop_ticks,
        target_ticks=order.target_ticks,
        decision_id=order.decision,
        reduce_only=order.reduce_only,
        leg=order.leg,
        parent=order.parent,
        oco=order.oco,
    )


def _order(message: pb.VenueOrder) -> VenueOrder:
    return VenueOrder(
        client_id=message.client_id,
        decision=message.decision_id,
        leg=message.leg,
        contract=message.contract,
        tape_contract=message.tape_contract,
        side=_SIDE_BACK[message.side],
        type=_TYPE_BACK[message.type],
        quantity=message.quantity,
        decided_at_ns=message.decided_at_ns,
        limit_price=message.limit_price if message.HasField("limit_price") else None,
        stop_price=message.stop_price if message.HasField("stop_price") else None,
        stop_ticks=message.stop_ticks if message.HasField("stop_ticks") else None,
        target_ticks=message.target_ticks if message.HasField("target_ticks") else None,
        reduce_only=message.reduce_only,
        parent=message.parent,
        oco=message.oco,
        state=_STATE_BACK[message.state],
        filled=message.filled,
        reason=message.reason,
    )


def _event(message: pb.VenueEvent) -> VenueEvent:
    fill = message.fill
    return VenueEvent(
        message.event,
        message.instant_ns,
        _order(message.order),
        Fill(
            fill.fill_id,
            fill.client_id,
            fill.contract,
            _SIDE_BACK[fill.side],
            fill.quantity,
            fill.price,
            fill.time_ns,
            fill.source_index,
            fill.k,
            Decimal(0),
        )
        if message.HasField("fill")
        else None,
    )
