"""Entries that wait in one group: the first of them that fills takes the others out.

A group is made of entries of one bar. As soon as one has a fill, be it a part, the others leave the market. A fill of a
second one may be on its way while its cancel is: then there is more in the market than was meant, perhaps a long and a
short with a bracket each. All that the strategy has is closed then, and no person has to look: nothing was wrong.

Until a cancel is known each member may fill, so that limits count all of them, and not the largest. But they are one
trade, and one may wait on either side.
"""

from typing import Final

from leadline.execution.core.book import Book, is_entry
from leadline.model.orders import Order, Side

GROUP: Final = "group"
"""The reason under which an entry goes whose alternative has filled, and a position that a second one has made."""


def is_outdone(book: Book, order: Order) -> bool:
    """Whether another entry of an entry's group has a fill."""
    if not order.group or not is_entry(order):
        return False
    return any(
        other.group == order.group and other.strategy == order.strategy and is_entry(other) and other.filled
        for other in book.orders.values()
        if other.client_id != order.client_id
    )


def waiting_groups(book: Book, strategy: str) -> tuple[tuple[str, int, int], ...]:
    """The groups of a strategy none of whose entries has a fill, by name: each with what waits to buy and to sell."""
    sizes: dict[str, dict[Side, int]] = {}
    for order in book.live_orders(strategy):
        if order.group and is_entry(order) and not order.filled and not is_outdone(book, order):
            sides = sizes.setdefault(order.group, {Side.BUY: 0, Side.SELL: 0})
            sides[order.side] += order.remaining
    return tuple((name, sides[Side.BUY], sides[Side.SELL]) for name, sides in sorted(sizes.items()))
