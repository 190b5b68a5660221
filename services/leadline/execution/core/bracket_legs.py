"""A leg of a bracket as its entry asks for it, and as its strategy wants it since."""

from leadline.execution.core.book import (
    Book,
    Changes,
)
from leadline.execution.core.order_reports import is_where_wanted
from leadline.model.frozen import replace
from leadline.model.orders import (
    Bracket,
    Order,
    OrderType,
    Trail,
    Trailing,
)


def of_entry(book: Book, changes: Changes, leg: Order, entry: Order) -> Order:
    """A leg as its entry asks for it, and as its strategy wants it since: protection reaches later fills, too.

    A venue that does not trail says nothing of the trail that an entry asks for.
    """
    if leg.entry_price is None:
        leg = replace(leg, entry_price=_entered_at(book, changes, leg, entry))
    asked = None if entry.bracket is None else entry.bracket.trail
    if leg.trail is None and asked is not None and leg.type is OrderType.STOP:
        leg = replace(leg, trail=trailing(leg, asked))
    return leg if entry.protection is None else protected(leg, entry.protection)


def protected(leg: Order, protection: Bracket) -> Order:
    """A stop or a target as a strategy wants it; one that is there already, or goes out at the market, stays."""
    price = {OrderType.STOP: protection.stop_price, OrderType.LIMIT: protection.target_price}.get(leg.type)
    if price is not None:
        leg = replace(leg, wanted_price=price)
        leg = replace(leg, wanted_price=None) if is_where_wanted(leg) else leg
    if protection.trail is None or leg.type is not OrderType.STOP:
        return leg
    trail = trailing(leg, protection.trail)
    return replace(leg, wanted_trail=None if trail == leg.trail else trail)


def trailing(leg: Order, trail: Trail) -> Trailing | None:
    """The trail of a stop, from the fill that it closes; None where nobody knows that."""
    if leg.entry_price is None:
        return None
    return Trailing(leg.entry_price - leg.side.sign * trail.trigger_ticks, trail.offset_ticks)


def _entered_at(book: Book, changes: Changes, leg: Order, entry: Order) -> int | None:
    """Price of the entry's fill that a leg closes, ticks: the venue tells of the leg together with it.

    Of a leg whose fill was told before, its distance from it tells, or the newest price that is held; None without.
    """
    told = [fill.price for fill, _, _ in changes.fills if fill.client_id == entry.client_id]
    if told:
        return told[-1]
    distance = None if entry.bracket is None else entry.bracket.stop_ticks
    if distance is not None and leg.stop_price is not None:
        return leg.stop_price + entry.side.sign * distance
    held = book.positions.get((entry.strategy, entry.contract))
    lots = () if held is None else held.lots
    return next((lot.price for lot in reversed(lots) if lot.unit == entry.unit), None)


def are_pair(one: Order, other: Order) -> bool:
    """Whether the venue ends the one exit when the other fills: one names the other, or they are of the same fill."""
    if one.leg.kind is other.leg.kind:
        return False
    same = (one.decision, one.parent, one.leg.number) == (other.decision, other.parent, other.leg.number)
    return same or one.oco == other.client_id or other.oco == one.client_id
