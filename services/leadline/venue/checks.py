"""Checks of an order before the paper venue takes it."""

from typing import Final

from leadline.model.errors import InvalidInput
from leadline.model.ids import LegKind
from leadline.model.orders import Bracket, OrderType, Replacement, Trailing, VenueOrder

LONGEST_NAME: Final = 300
MOST_QUANTITY: Final = 10**9
MOST_TICKS: Final = 10**6
MOST_PRICE: Final = 2**52
MOST_NS: Final = 2**62
"""Bounds within which the market's arithmetic stays in 64 bits, whatever is added to a price or a time."""


_CONTENT: Final = (
    "decision",
    "leg",
    "contract",
    "tape_contract",
    "side",
    "type",
    "decided_at_ns",
    "limit_price",
    "stop_price",
    "bracket",
    "trail",
    "valid_until_ns",
    "reduce_only",
)
"""The terms that identify an order; its size, too, unless it is a bracket leg, which shrinks."""

_PRICED: Final = {
    "limit_price": (OrderType.LIMIT, OrderType.STOP_LIMIT),
    "stop_price": (OrderType.STOP, OrderType.STOP_LIMIT),
}


def check_same(known: VenueOrder, again: VenueOrder) -> None:
    """Refuse an id that is handed in again with another content: InvalidInput that names the first difference."""
    for name in (*_CONTENT, *([] if known.parent else ["quantity"])):
        if getattr(again, name) != (expected := getattr(known, name)):
            raise InvalidInput(f"order.{name}", getattr(again, name), f"{expected}: the id {known.client_id} is taken")


def check_order(order: VenueOrder) -> None:
    """Refuse an order that says too little, too much or nonsense: InvalidInput."""
    for name in ("client_id", "contract", "tape_contract", "leg"):
        if not 0 < len(getattr(order, name)) <= LONGEST_NAME:
            raise InvalidInput(f"order.{name}", getattr(order, name), f"a name of at most {LONGEST_NAME} characters")
    if not 1 <= order.quantity <= MOST_QUANTITY:
        raise InvalidInput("order.quantity", order.quantity, f"1 to {MOST_QUANTITY} size steps")
    if not 0 <= order.decided_at_ns <= MOST_NS:
        raise InvalidInput("order.decided_at_ns", order.decided_at_ns, "nanoseconds since 1970")
    for name, kinds in _PRICED.items():
        value = getattr(order, name)
        if (value is not None) != (order.type in kinds):
            raise InvalidInput(f"order.{name}", value, f"a price on {' and '.join(kinds)} orders, none on others")
        _check_price(f"order.{name}", value)
    if order.valid_until_ns is not None and not order.decided_at_ns < order.valid_until_ns <= MOST_NS:
        raise InvalidInput("order.valid_until_ns", order.valid_until_ns, f"later than {order.decided_at_ns}")
    if order.trail is not None:
        _check_trailing(order, order.trail)
    if order.bracket is not None:
        _check_bracket(order, order.bracket)


def check_replacement(order: VenueOrder, wanted: Replacement) -> None:
    """Refuse new terms that a working order cannot have: InvalidInput."""
    for name, kinds in _PRICED.items():
        if getattr(wanted, name) is not None and order.type not in kinds:
            raise InvalidInput(f"replacement.{name}", getattr(wanted, name), f"nothing for a {order.type} order")
    if wanted.quantity is not None and wanted.quantity < 1:
        raise InvalidInput("replacement.quantity", wanted.quantity, f"1 to {MOST_QUANTITY} size steps")
    if wanted.trail is not None and order.type is not OrderType.STOP:
        raise InvalidInput("replacement.trail", wanted.trail, f"nothing for a {order.type} order")
    if wanted.bracket is not None and (order.bracket is None or order.filled):
        raise InvalidInput("replacement.bracket", wanted.bracket, "nothing, where no bracket waits for a first fill")


def check_attached(order: VenueOrder, entry: VenueOrder | None, twin: VenueOrder | None, *, paired: bool) -> None:
    """Refuse an exit that cannot be one of what an entry has filled: InvalidInput.

    `twin` is the order that it is to be a pair with, None where there is none of its id yet; `paired` says that the
    twin has another pair.
    """
    if order.type is not (OrderType.STOP if order.leg.kind is LegKind.STOP else OrderType.LIMIT):
        raise InvalidInput("order.type", order.type, "STOP for a leg S, LIMIT for a leg T")
    if order.bracket is not None:
        raise InvalidInput("order.bracket", order.bracket, "no native bracket on an exit")
    there = (order.contract, order.side.opposite)
    if entry is None or entry.parent or not entry.filled or (entry.contract, entry.side) != there:
        raise InvalidInput("order.parent", order.parent, f"a filled order in {order.contract} on the other side")
    if twin is None:
        return
    same = (twin.parent, twin.contract, twin.side) == (order.parent, order.contract, order.side)
    if not same or twin.leg.kind is order.leg.kind or paired:
        raise InvalidInput("order.oco", order.oco, "the other exit of the same entry, and one without a pair")


def _check_price(field: str, price: int | None) -> None:
    if abs(price or 0) > MOST_PRICE:
        raise InvalidInput(field, price, f"a price within {MOST_PRICE} ticks of 0")


def _check_ticks(field: str, ticks: int, least: int) -> None:
    if not least <= ticks <= MOST_TICKS:
        raise InvalidInput(field, ticks, f"{least} to {MOST_TICKS} ticks")


def _check_trailing(order: VenueOrder, trail: Trailing) -> None:
    if order.type is not OrderType.STOP:
        raise InvalidInput("order.trail", trail, "a trail on STOP orders, none on others")
    _check_price("order.trail.from_price", trail.from_price)
    _check_ticks("order.trail.offset_ticks", trail.offset_ticks, 1)


def _check_bracket(order: VenueOrder, bracket: Bracket) -> None:
    for leg in ("stop", "target"):
        ticks, price = getattr(bracket, f"{leg}_ticks"), getattr(bracket, f"{leg}_price")
        if ticks is not None and price is not None:
            raise InvalidInput(f"order.bracket.{leg}_price", price, f"no price beside a distance of {ticks} ticks")
        if ticks is not None:
            _check_ticks(f"order.bracket.{leg}_ticks", ticks, 1)
        _check_price(f"order.bracket.{leg}_price", price)
    trail = bracket.trail
    if trail is not None:
        if bracket.stop_ticks is None and bracket.stop_price is None:
            raise InvalidInput("order.bracket.trail", trail, "a trail of a bracket with a stop")
        _check_ticks("order.bracket.trail.trigger_ticks", trail.trigger_ticks, 0)
        _check_ticks("order.bracket.trail.offset_ticks", trail.offset_ticks, 1)
    if not order.decision:
        raise InvalidInput("order.decision", "", "the decision that a native bracket's ids derive from")
    if order.reduce_only:
        raise InvalidInput("order.reduce_only", True, "no native bracket on an order that closes")
