"""The exits that the paper venue makes by itself: those of an entry's native bracket, for each of its fills."""

from collections.abc import Collection, Iterator
from itertools import count

from leadline.model.ids import NO_ORDER, ClientOrderId, Leg, LegKind, client_order_id
from leadline.model.orders import Bracket, Fill, OrderType, Side, Trailing, VenueOrder


def exits(entry: VenueOrder, fill: Fill, bracket: Bracket, taken: Collection[ClientOrderId]) -> Iterator[VenueOrder]:
    """The exits of one entry fill, a pair where the bracket has both; they match from the first print strictly later.

    Their ids are those of the first attempt of which none is `taken`: an order that is there already is never replaced.
    An exit whose price the fill has passed already goes out at the market.
    """
    side = entry.side
    prices = {LegKind.STOP: bracket.stop_at(fill.price, side), LegKind.TARGET: bracket.target_at(fill.price, side)}
    legs = {kind: Leg.of(kind, fill.k) for kind, price in prices.items() if price is not None}
    attempts = (
        {kind: client_order_id(entry.decision, leg, attempt) for kind, leg in legs.items()} for attempt in count(1)
    )
    ids = next(ids for ids in attempts if not any(client_id in taken for client_id in ids.values()))
    for kind, leg in legs.items():
        price = prices[kind]
        if price is None:
            continue
        target = kind is LegKind.TARGET
        beyond = side.sign * (price - fill.price) * (1 if target else -1) <= 0
        stop = not (beyond or target)
        yield VenueOrder(
            client_id=ids[kind],
            decision=entry.decision,
            leg=leg,
            contract=entry.contract,
            tape_contract=entry.tape_contract,
            side=side.opposite,
            type=OrderType.MARKET if beyond else OrderType.LIMIT if target else OrderType.STOP,
            quantity=fill.quantity,
            decided_at_ns=fill.time_ns,
            limit_price=price if target and not beyond else None,
            stop_price=price if stop else None,
            trail=_trailing(bracket, fill, side) if stop else None,
            parent=entry.client_id,
            oco=next((twin for other, twin in ids.items() if other is not kind), NO_ORDER),
            reason=f"beyond_{kind.name.lower()}" if beyond else "",
        )


def _trailing(bracket: Bracket, fill: Fill, side: Side) -> Trailing | None:
    """How the stop of an entry fill trails; None where it stays."""
    trail = bracket.trail
    return None if trail is None else Trailing(fill.price + side.sign * trail.trigger_ticks, trail.offset_ticks)
