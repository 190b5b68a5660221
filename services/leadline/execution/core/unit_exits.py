"""Getting out of a unit, or of a part of what is held: what shrinks, what is closed, and in which order.

What is to leave is a goal of the strategy (`UnitExit`), written with the decision that asks for it. What follows from
it is a function of the book, asked again until it is done: targets shrink to what stays, then stops, and when the venue
has said so of both, an order at the market closes as much as leaves. So stops and that order together never exceed the
position, and what stays keeps stops of its size all the while. What leaves has no stop until it has left: the limits
count it down to the farthest stop, as before.

A size that is asked of an exit is a bound. Said again it changes nothing, and where a fill was faster it does no harm.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from leadline.execution.core.book import Book, StrategyBook, UnitExit, is_entry
from leadline.execution.core.booking import is_foreign
from leadline.execution.core.orders import CANCELLABLE
from leadline.model.ids import Leg
from leadline.model.orders import Order, OrderState, Position


def leaving(book: Book, strategy: StrategyBook) -> dict[tuple[str, str], int]:
    """Size steps that are to leave, by contract and unit: those whose close is on its way are among them."""
    found: dict[tuple[str, str], int] = {}
    for wanted in strategy.exits:
        left = wanted.quantity
        for position in book.open_positions(strategy.strategy):
            held = position.held_by(wanted.unit)
            part = held if left is None else min(left, held)
            if part:
                found[position.contract, wanted.unit] = part
            left = None if left is None else left - part
    return found


def with_exit(exits: Iterable[UnitExit], wanted: UnitExit) -> tuple[UnitExit, ...]:
    """The goals with one more: a second part of a unit adds to the first, and a whole unit stands for its parts."""
    known = {each.unit: each for each in exits}
    before = known.get(wanted.unit)
    if before is not None and wanted.quantity is not None:
        more = None if before.quantity is None else before.quantity + wanted.quantity
        wanted = replace(before, quantity=more)
    known[wanted.unit] = wanted
    return tuple(each for _, each in sorted(known.items()))


def oldest_first(book: Book, strategy: StrategyBook, unit: str, quantity: int) -> tuple[dict[str, int], int]:
    """How much of each unit leaves where `quantity` is to leave, of one unit or of all; and how much there is not.

    What is leaving already cannot leave again.
    """
    gone, left = leaving(book, strategy), quantity
    parts: dict[str, int] = {}
    for position in book.open_positions(strategy.strategy):
        taken = {name: gone.get((position.contract, name), 0) for name in position.units}
        for lot in position.lots:
            if unit not in ("", lot.unit):
                continue
            already = min(taken[lot.unit], lot.quantity)
            taken[lot.unit] -= already
            part = min(lot.quantity - already, left)
            left -= part
            if part:
                parts[lot.unit] = parts.get(lot.unit, 0) + part
    return parts, left


def drop_done(book: Book, strategy: StrategyBook) -> bool:
    """Drop the exits that are done; says whether it changed anything.

    Nothing is left of a part that its own stop has closed, and a unit is done when nothing of it works either.
    """
    kept: list[UnitExit] = []
    held = book.open_positions(strategy.strategy)
    for wanted in strategy.exits:
        there = sum(position.held_by(wanted.unit) for position in held)
        if wanted.quantity is None:
            if there or any(
                order.unit == wanted.unit and not is_foreign(order) for order in book.live_orders(strategy.strategy)
            ):
                kept.append(wanted)
        elif part := min(wanted.quantity, there):
            kept.append(wanted if part == wanted.quantity else replace(wanted, quantity=part))
    changed = tuple(kept) != strategy.exits
    strategy.exits = tuple(kept)
    return changed


def shrinking(orders: Iterable[Order], keep: int) -> Iterator[tuple[Order, int]]:
    """The exits that have to change so that they close no more than `keep`, each with what is left of it, maybe none.

    The oldest first, as lots are. One that is being cancelled is on its way out; where nobody knows how one stands, it
    is left alone and waited for.
    """
    turns = sorted(orders, key=lambda order: (_turn(order), order.decided_at_ns, len(order.leg), order.leg))
    excess = sum(order.remaining for order in turns) - keep
    for order in turns:
        part = min(excess, order.remaining)
        if part <= 0:
            return
        excess -= part
        if order.state in CANCELLABLE:
            yield order, order.remaining - part


def _turn(order: Order) -> int:
    return 0 if order.state is OrderState.PENDING_CANCEL else 1 if order.state in CANCELLABLE else 2


def may_close(book: Book, position: Position, wanted: UnitExit, keep: int) -> bool:
    """Whether nothing is in the way of closing what leaves: its exits have shrunk, and no other order may close it."""
    own = [order for order in book.live_orders(position.strategy) if order.contract == position.contract]
    if any(order.leg.startswith(Leg.FLATTEN) and order.unit in ("", wanted.unit) for order in own):
        return False
    unit = of_unit(book, position, wanted.unit)
    if wanted.quantity is None and any(is_entry(order) for order in unit):
        return False
    return all(sum(order.remaining for order in exits_of(unit, leg)) <= keep for leg in (Leg.STOP, Leg.TARGET))


def exits_of(orders: Iterable[Order], leg: Leg) -> list[Order]:
    """The stops, or the targets, among orders."""
    return [order for order in orders if order.leg.startswith(leg)]


def of_unit(book: Book, position: Position, unit: str) -> list[Order]:
    """The live orders of a unit in a position's contract, entries and closing orders among them."""
    return [
        order
        for order in book.live_orders(position.strategy)
        if order.unit == unit and order.contract == position.contract and not is_foreign(order)
    ]


def is_whole_unit_leaving(strategy: StrategyBook, unit: str) -> bool:
    """Whether all of a unit is on its way out: what entered it now would be closed with it."""
    return any(each.unit == unit and each.quantity is None for each in strategy.exits)
