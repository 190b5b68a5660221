"""Targets that the account keeps itself, at a venue that ends no exit when another one fills.

There a stop and a target that both rest could both fill, and turn the position. So only the stop rests. Once the market
comes to the target, the stop is not wanted any more and is cancelled. When the venue has said that it is, the target
goes out as a limit order at which the market is, and stands in the place of its stop. What of it has not filled after
`TARGET_NS` leaves at the market. Where the stop was faster, there is nothing left to take.

Nothing of it has a row of its own: the target is the entry's, at its distance from the fill, and a stop that is not
wanted says that it was reached. So a process after this one goes on where this one ended.
"""

from collections.abc import Iterator
from dataclasses import replace

from leadline.execution.core.book import Book, Changes, UnitExit, put_order
from leadline.execution.core.exit_reasons import ExitReason
from leadline.execution.core.orders import CANCELLABLE, GIVEN_UP
from leadline.execution.core.trails import price_watch
from leadline.execution.core.unit_exits import is_whole_unit_leaving, leave
from leadline.model.ids import Leg, LegKind, client_order_id
from leadline.model.orders import Order, OrderState, OrderType, Watch


def kept_target(book: Book, stop: Order) -> int | None:
    """The price at which the account takes what a stop protects, ticks; None where it keeps no target for it."""
    entry = book.orders.get(stop.parent)
    if stop.leg.kind is not LegKind.STOP or entry is None or entry.bracket is None or stop.entry_price is None:
        return None
    return entry.bracket.target_at(stop.entry_price, entry.side)


def target_watches(book: Book) -> tuple[Watch, ...]:
    """The prices at which time has to stand still, because a target is reached there."""
    return tuple(
        price_watch(stop, target) for stop, target in _resting(book) if stop.tape_contract in book.feed_contracts
    )


def reach_targets(book: Book, changes: Changes) -> None:
    """Do not want the stops any more whose targets the last prints have reached.

    A stop that still works although the market has left its target is wanted again. A print no later than the fill
    that a stop protects reaches nothing.
    """
    for stop, target in _resting(book):
        last = book.last_prints.get(stop.tape_contract)
        if last is None or last.time_ns <= stop.decided_at_ns:
            continue
        reached = (last.price - target) * stop.side.sign <= 0
        if reached is not stop.unwanted:
            put_order(book, changes, replace(stop, unwanted=reached, version=stop.version + 1))


def take_targets(book: Book, changes: Changes) -> None:
    """Make the target of each stop that has gone for it, and let at the market what no target has taken.

    One that the venue is proven not to have is sent once more, under another id.
    """
    ended = [order for order in book.orders.values() if order.leg.is_exit and order.state.terminal]
    for order in ended:
        if order.leg.kind is LegKind.STOP and order.unwanted and not order.oco and order.state not in GIVEN_UP:
            _take(book, changes, order)
        elif order.leg.kind is LegKind.TARGET and not order.unwanted and _of_stop(book, order) and order.remaining:
            put_order(book, changes, replace(order, unwanted=True, version=order.version + 1))
            stop = book.orders[order.oco]
            if order.state in GIVEN_UP and order.leg.number == stop.leg.number and not _is_leaving(book, order):
                _put_target(book, changes, stop, _number_again(book, stop), replace(order, unwanted=False))
            else:
                _leave(book, order, order.remaining)


def _resting(book: Book) -> Iterator[tuple[Order, int]]:
    """The stops that work and protect something that is to stay, each with its target in ticks."""
    for stop in book.live_orders():
        if stop.state not in CANCELLABLE or stop.leg.kind is not LegKind.STOP or _is_leaving(book, stop):
            continue
        target = kept_target(book, stop)
        if target is not None:
            yield stop, target


def _is_leaving(book: Book, exit_: Order) -> bool:
    """Whether what an exit is of leaves anyway, or nobody looks after it."""
    owner = book.strategies.get(exit_.strategy)
    return owner is None or bool(owner.flatten or book.flatten) or is_whole_unit_leaving(owner, exit_.unit)


def _of_stop(book: Book, target: Order) -> bool:
    """Whether a target was made for a stop that has gone for it."""
    stop = book.orders.get(target.oco)
    return stop is not None and stop.unwanted and stop.oco == target.client_id


def _take(book: Book, changes: Changes, stop: Order) -> None:
    """Put a target in the place of a stop that has gone for it: of as much as it has left open.

    The stop names it from then on, also where there is nothing to take.
    """
    number, price = stop.leg.number, kept_target(book, stop)
    held = book.positions.get((stop.strategy, stop.contract))
    size = 0 if held is None or held.quantity * stop.side.sign >= 0 else min(stop.remaining, held.held_by(stop.unit))
    target = replace(
        stop,
        type=OrderType.LIMIT,
        quantity=size,
        decided_at_ns=book.instant_ns,
        limit_price=price,
        stop_price=None,
        trail=None,
        wanted_price=None,
        wanted_trail=None,
        moved_ns=None,
        unwanted=False,
    )
    if size and price is not None and not _is_leaving(book, stop):
        _put_target(book, changes, stop, number, target)
        return
    named = client_order_id(stop.decision, Leg.of(LegKind.TARGET, number))
    put_order(book, changes, replace(stop, oco=named, version=stop.version + 1))
    if size:
        _leave(book, stop, size)


def _put_target(book: Book, changes: Changes, stop: Order, number: int, like: Order) -> None:
    """Put a target like another order, as leg of that number, in the place of a stop."""
    leg = Leg.of(LegKind.TARGET, number)
    client_id = client_order_id(stop.decision, leg)
    fresh = replace(like, client_id=client_id, leg=leg, quantity=like.remaining, oco=stop.client_id, version=1)
    put_order(book, changes, replace(stop, oco=client_id, version=stop.version + 1))
    put_order(book, changes, replace(fresh, state=OrderState.PENDING, filled=0, reason=""))


def _number_again(book: Book, stop: Order) -> int:
    """The number of a target that is sent once more: beyond those of the entry's fills."""
    return stop.leg.number + max(order.quantity for order in (book.orders.get(stop.parent), stop) if order is not None)


def _leave(book: Book, exit_: Order, quantity: int) -> None:
    """Close at the market what a target was to take."""
    owner = book.strategies.get(exit_.strategy)
    if owner is not None and not _is_leaving(book, exit_):
        leave(book, owner, UnitExit(exit_.unit, quantity, ExitReason.TARGET))
