"""An order and what the venue reports of it: how the order stands then, and what of that was not foreseen."""

from collections.abc import Iterator

from leadline.execution.core.orders import follow, foreseen
from leadline.execution.core.venue_reports import check_order
from leadline.model.frozen import replace
from leadline.model.orders import (
    Order,
    OrderState,
    VenueOrder,
)


def apply_report(order: Order, reported: VenueOrder) -> tuple[Order, list[str]]:
    """The order as the venue says that it stands, and in what the book had not foreseen that, a sentence each.

    An order of which nothing is left is filled, in whatever word the venue says so.
    """
    surprises = list(_differences(order, reported))
    state, before = reported.state, order.price
    if state is OrderState.UNKNOWN and order.filled >= reported.quantity:
        state = OrderState.FILLED
    if order.state is OrderState.DEAD and reported.state is not OrderState.DEAD:
        surprises.append(f"order {order.client_id}, given up as absent, has come up at the venue")
    elif reported.state is OrderState.UNKNOWN:
        surprises.append(f"order {order.client_id} is in a state at the venue that this release does not know")
    elif order.version and not foreseen(order.state, reported.state):
        surprises.append(
            f"order {order.client_id} is {reported.state} at the venue, which does not follow {order.state}"
        )
    if surprises:
        order = replace(
            order,
            contract=reported.contract,
            tape_contract=reported.tape_contract,
            side=reported.side,
            type=reported.type,
            limit_price=reported.limit_price,
            stop_price=reported.stop_price,
            version=order.version + 1,
        )
    elif not order.version:
        order = replace(order, version=1)
    elif (order.stop_price, order.limit_price) != (reported.stop_price, reported.limit_price):
        order = replace(
            order, stop_price=reported.stop_price, limit_price=reported.limit_price, version=order.version + 1
        )
    # One that has not moved since is no further than it was: the report is older than what is wanted.
    if is_where_wanted(order) and (order.price == order.wanted_price or order.price != before):
        order = replace(order, wanted_price=None, version=order.version + 1)
    if order.wanted_trail is not None and reported.trail == order.wanted_trail:
        order = replace(order, trail=reported.trail, wanted_trail=None, version=order.version + 1)
    return follow(order, state, reason=reported.reason, quantity=reported.quantity), surprises


def _differences(order: Order, reported: VenueOrder) -> Iterator[str]:
    """The fields in which the venue's order of an id differs from the book's.

    The size of a bracket leg is the venue's to say, and so is a better stop of an order that trails. A price at which
    the order is wanted is one that this account has asked for.
    """
    names = ["contract", "side", "type", "limit_price", *([] if order.parent else ["quantity"])]
    if order.trail is None or not _better(order, reported):
        names.append("stop_price")
    for name in names:
        ours, theirs = getattr(order, name), getattr(reported, name)
        if ours != theirs and (theirs is None or theirs != order.wanted_price):
            yield f"order {order.client_id} has the {name.replace('_', ' ')} {theirs} at the venue, not {ours}"


def was_faster(order: Order, found: VenueOrder) -> bool:
    """Whether an order is further at the venue than the book has heard: nothing is wrong with that.

    It has ended or filled, or it is a leg that has become smaller, because its pair has filled. `found` is the venue's
    word on it. Only its events are booked: they tell of the fills.
    """
    there = check_order(order, found).order
    if there is None:
        return False
    return (
        there.state.terminal or there.filled > order.filled or (bool(order.parent) and there.quantity < order.quantity)
    )


def is_where_wanted(order: Order) -> bool:
    """Whether an order has come to where its strategy wants it; a stop that trails may be beyond."""
    wanted, there = order.wanted_price, order.price
    if wanted is None or there is None:
        return False
    return there == wanted or (order.trail is not None and order.side.sign * (there - wanted) < 0)


def _better(order: Order, reported: VenueOrder) -> bool:
    """Whether the venue's stop of an order lies where less is lost than at the book's."""
    ours, theirs = order.stop_price, reported.stop_price
    return ours is not None and theirs is not None and order.side.sign * (theirs - ours) < 0
