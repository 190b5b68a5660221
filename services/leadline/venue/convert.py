"""The paper venue's protocol as domain values, and back."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Final

from leadline.model.errors import InvalidInput
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, FillId, Leg
from leadline.model.orders import (
    Advanced,
    Fill,
    LastPrint,
    OrderEvents,
    OrderState,
    OrderType,
    Replacement,
    Side,
    Trailing,
    VenueEvent,
    VenueOrder,
    Watch,
    WatchedPosition,
)
from leadline.model.wire.proposals import bracket_from_proto, bracket_to_proto
from leadline.venue.v1 import venue_pb2 as pb

_SIDES: Final = {Side.BUY: pb.SIDE_BUY, Side.SELL: pb.SIDE_SELL}
_SIDES_BACK: Final = {value: key for key, value in _SIDES.items()}
_TYPES: Final = {
    OrderType.MARKET: pb.ORDER_TYPE_MARKET,
    OrderType.LIMIT: pb.ORDER_TYPE_LIMIT,
    OrderType.STOP: pb.ORDER_TYPE_STOP,
    OrderType.STOP_LIMIT: pb.ORDER_TYPE_STOP_LIMIT,
}
_TYPES_BACK: Final = {value: key for key, value in _TYPES.items()}
_STATES: Final = {
    OrderState.WORKING: pb.ORDER_STATE_WORKING,
    OrderState.PARTIAL: pb.ORDER_STATE_PARTIAL,
    OrderState.FILLED: pb.ORDER_STATE_FILLED,
    OrderState.CANCELLED: pb.ORDER_STATE_CANCELLED,
    OrderState.REJECTED: pb.ORDER_STATE_REJECTED,
    OrderState.EXPIRED: pb.ORDER_STATE_EXPIRED,
}
_STATES_BACK: Final = {value: key for key, value in _STATES.items()} | {pb.ORDER_STATE_UNSPECIFIED: OrderState.WORKING}


def order_to_proto(order: VenueOrder) -> pb.VenueOrder:
    """An order as it stands at the venue."""
    return pb.VenueOrder(
        client_id=order.client_id,
        contract=order.contract,
        tape_contract=order.tape_contract,
        side=_SIDES[order.side],
        type=_TYPES[order.type],
        quantity=order.quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        decided_at_ns=order.decided_at_ns,
        bracket=None if order.bracket is None else bracket_to_proto(order.bracket),
        trail=None if order.trail is None else pb.Trailing(**asdict(order.trail)),
        valid_until_ns=order.valid_until_ns,
        decision_id=order.decision,
        reduce_only=order.reduce_only,
        state=_STATES[order.state],
        filled=order.filled,
        reason=order.reason,
        leg=order.leg,
        parent=order.parent,
        oco=order.oco,
        triggered=order.triggered,
    )


def order_from_proto(message: pb.VenueOrder) -> VenueOrder:
    """An order as somebody hands it in; one without a state is working. InvalidInput without a side or a type.

    A state that this release does not know is UNKNOWN, never guessed.
    """
    order = order_as_reported(message)
    if message.side not in _SIDES_BACK:
        raise InvalidInput("order.side", message.side, "buy or sell")
    if message.type not in _TYPES_BACK:
        raise InvalidInput("order.type", message.type, "market, limit, stop or stop-limit")
    return order


def order_as_reported(message: pb.VenueOrder) -> VenueOrder:
    """An order as the venue tells of it, whatever it says. What this release has no word for is `unread`."""
    unread = [("side", str(message.side))] if message.side not in _SIDES_BACK else []
    unread += [("type", str(message.type))] if message.type not in _TYPES_BACK else []
    return VenueOrder(
        client_id=ClientOrderId(message.client_id),
        decision=DecisionId(message.decision_id),
        leg=Leg(message.leg),
        contract=ContractId(message.contract),
        tape_contract=ContractId(message.tape_contract),
        side=_SIDES_BACK.get(message.side, Side.BUY),
        type=_TYPES_BACK.get(message.type, OrderType.MARKET),
        quantity=message.quantity,
        decided_at_ns=message.decided_at_ns,
        limit_price=message.limit_price if message.HasField("limit_price") else None,
        stop_price=message.stop_price if message.HasField("stop_price") else None,
        bracket=bracket_from_proto(message.bracket) if message.HasField("bracket") else None,
        trail=_trailing(message),
        valid_until_ns=message.valid_until_ns if message.HasField("valid_until_ns") else None,
        reduce_only=message.reduce_only,
        parent=ClientOrderId(message.parent),
        oco=ClientOrderId(message.oco),
        state=_STATES_BACK.get(message.state, OrderState.UNKNOWN),
        filled=message.filled,
        reason=message.reason,
        unread=tuple(unread),
        triggered=message.triggered,
    )


def replacement_to_proto(wanted: Replacement) -> pb.ReplaceOrderRequest:
    """New terms of an order."""
    return pb.ReplaceOrderRequest(
        client_id=wanted.client_id,
        quantity=wanted.quantity,
        limit_price=wanted.limit_price,
        stop_price=wanted.stop_price,
        bracket=None if wanted.bracket is None else bracket_to_proto(wanted.bracket),
        valid_until_ns=wanted.valid_until_ns,
        trail=None if wanted.trail is None else pb.Trailing(**asdict(wanted.trail)),
    )


def replacement_from_proto(message: pb.ReplaceOrderRequest) -> Replacement:
    """New terms of an order."""
    return Replacement(
        client_id=ClientOrderId(message.client_id),
        quantity=message.quantity if message.HasField("quantity") else None,
        limit_price=message.limit_price if message.HasField("limit_price") else None,
        stop_price=message.stop_price if message.HasField("stop_price") else None,
        bracket=bracket_from_proto(message.bracket) if message.HasField("bracket") else None,
        valid_until_ns=message.valid_until_ns if message.HasField("valid_until_ns") else None,
        trail=_trailing(message),
    )


def _trailing(message: pb.VenueOrder | pb.ReplaceOrderRequest) -> Trailing | None:
    if not message.HasField("trail"):
        return None
    return Trailing(message.trail.from_price, message.trail.offset_ticks)


def fill_to_proto(fill: Fill) -> pb.VenueFill:
    """A fill; commission is the account's matter."""
    return pb.VenueFill(
        fill_id=fill.fill_id,
        client_id=fill.client_id,
        contract=fill.contract,
        side=_SIDES[fill.side],
        quantity=fill.quantity,
        price=fill.price,
        time_ns=fill.time_ns,
        source_index=fill.source_index,
        k=fill.k,
    )


def fill_from_proto(message: pb.VenueFill) -> Fill:
    """A fill without commission. A side that this release has no word for is `unread`."""
    return Fill(
        fill_id=FillId(message.fill_id),
        client_id=ClientOrderId(message.client_id),
        contract=ContractId(message.contract),
        side=_SIDES_BACK.get(message.side, Side.BUY),
        quantity=message.quantity,
        price=message.price,
        time_ns=message.time_ns,
        source_index=message.source_index,
        k=message.k,
        unread=() if message.side in _SIDES_BACK else (("side", str(message.side)),),
    )


def event_to_proto(event: VenueEvent) -> pb.VenueEvent:
    """One entry of the ledger."""
    return pb.VenueEvent(
        event=event.event,
        order=order_to_proto(event.order),
        fill=None if event.fill is None else fill_to_proto(event.fill),
        instant_ns=event.instant_ns,
    )


def event_from_proto(message: pb.VenueEvent) -> VenueEvent:
    """One entry of the ledger, whatever it says."""
    fill = fill_from_proto(message.fill) if message.HasField("fill") else None
    return VenueEvent(message.event, message.instant_ns, order_as_reported(message.order), fill)


def watch_to_proto(watch: Watch) -> pb.Watch:
    """A watch."""
    return pb.Watch(
        base=str(watch.base),
        positions=[
            pb.WatchedPosition(
                tape_contract=position.tape_contract,
                quantity=position.quantity,
                cost=str(position.cost),
                tick_value=str(position.tick_value),
                inverse=position.inverse,
            )
            for position in watch.positions
        ],
        at_or_below=None if watch.at_or_below is None else str(watch.at_or_below),
        at_or_above=None if watch.at_or_above is None else str(watch.at_or_above),
    )


def watch_from_proto(message: pb.Watch) -> Watch:
    """A watch; InvalidInput for what is no decimal."""
    return Watch(
        _decimal("watch.base", message.base),
        tuple(
            WatchedPosition(
                ContractId(position.tape_contract),
                position.quantity,
                _decimal("watch.positions.cost", position.cost),
                _decimal("watch.positions.tick_value", position.tick_value),
                position.inverse,
            )
            for position in message.positions
        ),
        _decimal("watch.at_or_below", message.at_or_below) if message.HasField("at_or_below") else None,
        _decimal("watch.at_or_above", message.at_or_above) if message.HasField("at_or_above") else None,
    )


def _decimal(field: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InvalidInput(field, text, "a decimal") from None


def advanced_to_proto(advanced: Advanced) -> pb.AdvanceToResponse:
    """How far the tape ran."""
    return pb.AdvanceToResponse(
        instant_ns=advanced.instant_ns,
        events=[event_to_proto(event) for event in advanced.events],
        last_prints=[
            pb.LastPrint(contract=contract, price=last.price, time_ns=last.time_ns, source_index=last.source_index)
            for contract, last in sorted(advanced.last_prints.items())
        ],
        final=advanced.final,
        positions=positions_to_proto(advanced.positions or {}),
    )


def advanced_from_proto(message: pb.AdvanceToResponse) -> Advanced:
    """How far the tape ran."""
    return Advanced(
        message.instant_ns,
        tuple(event_from_proto(event) for event in message.events),
        {
            ContractId(last.contract): LastPrint(last.price, last.time_ns, last.source_index)
            for last in message.last_prints
        },
        message.final,
        positions_from_proto(message.positions),
    )


def events_to_proto(found: OrderEvents, last_event: int) -> pb.ListEventsResponse:
    """Events, and the number of the last one that there is."""
    return pb.ListEventsResponse(
        events=[event_to_proto(event) for event in found.events],
        last_event=last_event,
        positions=positions_to_proto(found.positions or {}),
        lost=found.lost,
    )


def events_from_proto(message: pb.ListEventsResponse, after_event: int) -> OrderEvents:
    """Events that follow one; the positions belong to the last event that there is, and are left out before it."""
    events = tuple(event_from_proto(event) for event in message.events)
    told = events[-1].event if events else after_event
    positions = positions_from_proto(message.positions) if told >= message.last_event else None
    return OrderEvents(events, positions, message.lost)


def positions_to_proto(positions: Mapping[ContractId, int]) -> list[pb.VenuePosition]:
    """Net positions by contract."""
    return [pb.VenuePosition(contract=contract, quantity=quantity) for contract, quantity in sorted(positions.items())]


def positions_from_proto(messages: Iterable[pb.VenuePosition]) -> dict[ContractId, int]:
    """Net signed positions by contract, flat ones left out."""
    return {ContractId(position.contract): position.quantity for position in messages if position.quantity}
