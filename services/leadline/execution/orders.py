"""The order state machine. State moves only along this table, and terminal states need the venue's evidence.

DEAD is what an order is taken for that every look-up says is absent. Should the venue come up with it all the same, the
venue is right.
"""

from dataclasses import replace
from typing import Final

from leadline.model.errors import LeadlineError
from leadline.model.orders import Order, OrderState

S = OrderState
TRANSITIONS: Final[dict[OrderState, frozenset[OrderState]]] = {
    S.PENDING: frozenset({S.SENDING, S.EXPIRED_LOCAL}),
    S.SENDING: frozenset({S.WORKING, S.PARTIAL, S.REJECTED, S.FILLED, S.CANCELLED, S.UNKNOWN, S.EXPIRED_LOCAL}),
    S.UNKNOWN: frozenset({S.WORKING, S.PARTIAL, S.FILLED, S.CANCELLED, S.REJECTED, S.DEAD}),
    S.WORKING: frozenset({S.PARTIAL, S.FILLED, S.CANCELLED, S.EXPIRED, S.PENDING_CANCEL}),
    S.PARTIAL: frozenset({S.FILLED, S.CANCELLED, S.EXPIRED, S.PENDING_CANCEL}),
    S.PENDING_CANCEL: frozenset({S.WORKING, S.PARTIAL, S.FILLED, S.CANCELLED, S.EXPIRED}),
    S.FILLED: frozenset(),
    S.CANCELLED: frozenset(),
    S.REJECTED: frozenset(),
    S.EXPIRED: frozenset(),
    S.DEAD: frozenset({S.WORKING, S.PARTIAL, S.FILLED, S.CANCELLED, S.REJECTED}),
    S.EXPIRED_LOCAL: frozenset(),
}
UNRESOLVED: Final = frozenset({S.PENDING, S.SENDING, S.UNKNOWN})
CANCELLABLE: Final = frozenset({S.WORKING, S.PARTIAL})


class IllegalTransition(LeadlineError):
    """An order was asked to move where the table has no way."""

    def __init__(self, order: Order, state: OrderState) -> None:
        super().__init__(f"order {order.client_id} cannot move from {order.state} to {state}")
        self.order = order
        self.state = state


def move(order: Order, state: OrderState, *, reason: str = "", quantity: int | None = None) -> Order:
    """The order in another state; the same order when nothing changes. Raises `IllegalTransition`.

    `quantity` is the venue's present size of a bracket leg, which shrinks when its pair fills in part.
    """
    size = order.quantity if quantity is None else quantity
    if state is order.state and size == order.quantity:
        return order
    if state is not order.state and state not in TRANSITIONS[order.state]:
        raise IllegalTransition(order, state)
    return replace(order, state=state, reason=reason or order.reason, quantity=size, version=order.version + 1)


def add_fill(order: Order, quantity: int) -> Order:
    """The order with more filled. The state is the venue's to say; a late fill never revives a terminal order."""
    return replace(order, filled=order.filled + quantity, version=order.version + 1)
