"""What an order must say before the paper venue takes it."""

from leadline.model.errors import InvalidInput
from leadline.model.orders import OrderType, VenueOrder


def check_order(order: VenueOrder) -> None:
    """Refuse an order that says too little, too much or nonsense: InvalidInput."""
    for name in ("client_id", "contract", "tape_contract", "leg"):
        if not getattr(order, name):
            raise InvalidInput(f"order.{name}", "", "a name")
    if order.quantity < 1:
        raise InvalidInput("order.quantity", order.quantity, "at least 1 size step")
    for name, kind in (("limit_price", OrderType.LIMIT), ("stop_price", OrderType.STOP)):
        if (getattr(order, name) is not None) != (order.type is kind):
            raise InvalidInput(f"order.{name}", getattr(order, name), f"a price on {kind} orders, none on others")
    if order.stop_ticks is None and order.target_ticks is None:
        return
    for name in ("stop_ticks", "target_ticks"):
        value = getattr(order, name)
        if value is None or value < 1:
            raise InvalidInput(f"order.{name}", value, "at least 1 tick on both legs, or neither")
    if not order.decision:
        raise InvalidInput("order.decision", "", "the decision that a native bracket's ids derive from")
    if order.reduce_only:
        raise InvalidInput("order.reduce_only", True, "no native bracket on an order that closes")
