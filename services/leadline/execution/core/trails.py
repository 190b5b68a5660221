"""The trail of a stop at a venue that moves none by itself: the loop moves it, as far as it sees the prints.

The loop sees the last print of an instant at which it stands. It has time stand still at the first one that moves a
stop, and looks again a while after each move, so that where else it stops changes nothing and a process after it comes
to the same moves: the best print is not kept, for the stop stays behind it. Each move is wanted in the transaction of
its instant and carried out after it, as one that a strategy asks for.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Final

from leadline.execution.core.book import Book, Changes, put_order
from leadline.execution.core.orders import CANCELLABLE
from leadline.model.orders import Order, Trailing, Watch, WatchedPosition
from leadline.model.ticks import NS_PER_SECOND

PAUSE_NS: Final = NS_PER_SECOND
"""How long a stop stays where it was moved, whatever prints: a venue is asked no more often. It moves a whole tick."""


def move_stops(book: Book, changes: Changes) -> None:
    """Want the stops behind the last prints of the book's instant that are to follow them.

    A print no later than the entry's fill, or than the one that moved the stop before, moves nothing.
    """
    for order, trail, stop in _trailing(book):
        last = book.last_prints.get(order.tape_contract)
        if last is None or last.time_ns <= _since_ns(order) or book.instant_ns < _free_ns(order):
            continue
        if not _reaches(order, last.price, trail.level(stop, order.side)):
            continue
        wanted = trail.behind(last.price, order.side)
        put_order(
            book, changes, replace(order, wanted_price=wanted, moved_ns=book.instant_ns, version=order.version + 1)
        )


def trail_watches(book: Book) -> tuple[Watch, ...]:
    """The prices at which time has to stand still, because a stop is to follow them."""
    return tuple(
        price_watch(order, trail.level(stop, order.side))
        for order, trail, stop in _trailing(book)
        if book.instant_ns >= _free_ns(order) and order.tape_contract in book.feed_contracts
    )


def next_look(book: Book) -> int | None:
    """The next instant after the book's at which a stop that was moved may move again; None when there is none."""
    found = (_free_ns(order) for order, _, _ in _trailing(book))
    return min((at for at in found if at > book.instant_ns), default=None)


def _trailing(book: Book) -> Iterator[tuple[Order, Trailing, int]]:
    """The stops that follow the price: those that work, and that nothing else moves or takes out."""
    if book.flatten:
        return
    for order in book.live_orders():
        owner = book.strategies.get(order.strategy)
        if owner is None or owner.flatten or order.trail is None or order.stop_price is None:
            continue
        if order.state in CANCELLABLE and order.wanted_price is None and order.wanted_trail is None:
            yield order, order.trail, order.stop_price


def _since_ns(order: Order) -> int:
    return order.decided_at_ns if order.moved_ns is None else max(order.decided_at_ns, order.moved_ns)


def _free_ns(order: Order) -> int:
    """From when on a stop may be moved."""
    return order.decided_at_ns if order.moved_ns is None else order.moved_ns + PAUSE_NS


def _reaches(order: Order, price: int, level: int) -> bool:
    return (price - level) * order.side.sign <= 0


def price_watch(order: Order, level: int) -> Watch:
    """A price is watched as a position of one size step that has cost nothing, at a tick value of 1."""
    below, above = (None, Decimal(level)) if order.side.sign < 0 else (Decimal(level), None)
    price = WatchedPosition(order.tape_contract, 1, Decimal(0), Decimal(1))
    return Watch(Decimal(0), (price,), below, above)
