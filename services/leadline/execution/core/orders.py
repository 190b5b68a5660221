"""The order state machine. This account moves an order only along the table; the venue moves it to where it is.

`move` is this account's own step and never leaves the table. `follow` takes the venue's word from any state, for the
venue is the truth about its orders: a word that the table does not foresee is followed, and a person has to look.

DEAD is what an order is taken for that every look-up says is absent.
"""

from typing import Final

from leadline.model.errors import LeadlineError
from leadline.model.frozen import replace
from leadline.model.orders import Order, OrderState

S = OrderState
TRANSITIONS: Final[dict[OrderState, frozenset[OrderState]]] = {
    S.PENDING: frozenset({S.SENDING, S.EXPIRED_LOCAL}),
    S.SENDING: frozenset(
        {S.WORKING, S.PARTIAL, S.REJECTED, S.FILLED, S.CANCELLED, S.EXPIRED, S.UNKNOWN, S.EXPIRED_LOCAL}
    ),
    S.UNKNOWN: frozenset({S.WORKING, S.PARTIAL, S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED, S.DEAD}),
    S.WORKING: frozenset({S.PARTIAL, S.FILLED, S.CANCELLED, S.EXPIRED, S.PENDING_CANCEL}),
    S.PARTIAL: frozenset({S.FILLED, S.CANCELLED, S.EXPIRED, S.PENDING_CANCEL}),
    S.PENDING_CANCEL: frozenset({S.WORKING, S.PARTIAL, S.FILLED, S.CANCELLED, S.EXPIRED}),
    S.FILLED: frozenset(),
    S.CANCELLED: frozenset(),
    S.REJECTED: frozenset(),
    S.EXPIRED: frozenset(),
    S.DEAD: frozenset({S.WORKING, S.PARTIAL, S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED}),
    S.EXPIRED_LOCAL: frozenset(),
}
UNRESOLVED: Final = frozenset({S.PENDING, S.SENDING, S.UNKNOWN})
GIVEN_UP: Final = frozenset({S.DEAD, S.EXPIRED_LOCAL})
"""States of an order that the venue does not have."""
CANCELLABLE: Final = frozenset({S.WORKING, S.PARTIAL})


class IllegalTransition(LeadlineError):
    """This account was about to move an order where the table has no way: a defect of its own."""

    def __init__(self, order: Order, state: OrderState) -> None:
        super().__init__(f"order {order.client_id} cannot move from {order.state} to {state}")
        self.order = order
        self.state = state


def move(order: Order, state: OrderState, *, reason: str = "") -> Order:
    """The order in another state; the same order when it is in it already. Raises `IllegalTransition`."""
    if not foreseen(order.state, state):
        raise IllegalTransition(order, state)
    return follow(order, state, reason=reason)


def foreseen(before: OrderState, after: OrderState) -> bool:
    """Whether the table has a way from one state to another, or they are the same."""
    return after is before or after in TRANSITIONS[before]


def follow(order: Order, state: OrderState, *, reason: str = "", quantity: int | None = None) -> Order:
    """The order as the venue says that it stands, from whatever state; the same order when nothing changes.

    `quantity` is the venue's present size of a bracket leg, which shrinks when its pair fills in part.
    """
    size = order.quantity if quantity is None else quantity
    if state is order.state and size == order.quantity:
        return order
    return replace(order, state=state, reason=reason or order.reason, quantity=size, version=order.version + 1)


def add_fill(order: Order, quantity: int) -> Order:
    """The order with more filled. The state is the venue's to say; a late fill never revives a terminal order."""
    return replace(order, filled=order.filled + quantity, version=order.version + 1)
