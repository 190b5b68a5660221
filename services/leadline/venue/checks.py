"""What an order must say before the paper venue takes it."""

from typing import Final

from leadline.model.errors import InvalidInput
from leadline.model.orders import OrderType, VenueOrder

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
    "stop_ticks",
    "target_ticks",
    "reduce_only",
)
"""What an order is; its size, too, unless it is a bracket leg, which shrinks."""


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
    for name, kind in (("limit_price", OrderType.LIMIT), ("stop_price", OrderType.STOP)):
        if (getattr(order, name) is not None) != (order.type is kind):
            raise InvalidInput(f"order.{name}", getattr(order, name), f"a price on {kind} orders, none on others")
        if abs(getattr(order, name) or 0) > MOST_PRICE:
            raise InvalidInput(f"order.{name}", getattr(order, name), f"a price within {MOST_PRICE} ticks of 0")
    _check_bracket(order)


def _check_bracket(order: VenueOrder) -> None:
    if order.stop_ticks is None and order.target_ticks is None:
        return
    for name in ("stop_ticks", "target_ticks"):
        value = getattr(order, name)
        if value is None or not 1 <= value <= MOST_TICKS:
            raise InvalidInput(f"order.{name}", value, f"1 to {MOST_TICKS} ticks on both legs, or neither")
    if not order.decision:
        raise InvalidInput("order.decision", "", "the decision that a native bracket's ids derive from")
    if order.reduce_only:
        raise InvalidInput("order.reduce_only", True, "no native bracket on an order that closes")
