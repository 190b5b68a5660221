"""What the paper venue keeps of an order, and what it tells of it."""

from dataclasses import dataclass

from leadline.model.errors import InvalidInput
from leadline.model.orders import Fill, OrderState, OrderType, Side


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """One order at the venue.

    `contract` is the one whose position changes, `tape_contract` the one whose prints match it. `quantity` in size
    steps; `limit_price`, `stop_price` in ticks; `decided_at_ns` ns UTC. `stop_ticks` and `target_ticks` are the native
    bracket's distances from each entry fill, and `decision_id` derives its legs' ids. On a leg `parent` is the entry
    and `oco` the other leg. A `reduce_only` order never takes more than the net position of its contract.
    The venue fills in the rest: `eligible_after_ns` (matches prints strictly later), `state` (WORKING, PARTIAL,
    FILLED, CANCELLED or REJECTED), `filled` size steps, `fills` (how many), `reason` of a refusal or cancel.
    """

    client_id: str
    contract: str
    tape_contract: str
    side: Side
    type: OrderType
    quantity: int
    decided_at_ns: int
    leg: str
    decision_id: str = ""
    limit_price: int | None = None
    stop_price: int | None = None
    stop_ticks: int | None = None
    target_ticks: int | None = None
    reduce_only: bool = False
    parent: str = ""
    oco: str = ""
    eligible_after_ns: int = 0
    state: OrderState = OrderState.WORKING
    filled: int = 0
    fills: int = 0
    reason: str = ""

    @property
    def remaining(self) -> int:
        """Size steps that can still fill."""
        return self.quantity - self.filled

    @property
    def trigger(self) -> int:
        """The price that decides a limit or a stop order, in ticks."""
        price = self.limit_price if self.type is OrderType.LIMIT else self.stop_price
        if price is None:
            raise AssertionError(f"{self.type} order {self.client_id} without a price")
        return price


@dataclass(frozen=True, slots=True)
class VenueEvent:
    """One line of the venue's history: the order after it, and the fill when it is one.

    `number` counts from 1 without gaps; `instant_ns` is the instant of the tape.
    """

    number: int
    instant_ns: int
    order: VenueOrder
    fill: Fill | None = None


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
    distances = (order.stop_ticks, order.target_ticks)
    if distances == (None, None):
        return
    for name in ("stop_ticks", "target_ticks"):
        value = getattr(order, name)
        if value is None or value < 1:
            raise InvalidInput(f"order.{name}", value, "at least 1 tick on both legs, or neither")
    if not order.decision_id:
        raise InvalidInput("order.decision_id", "", "the decision that a native bracket's ids derive from")
    if order.reduce_only:
        raise InvalidInput("order.reduce_only", True, "no native bracket on an order that closes")
