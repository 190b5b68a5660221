"""Getting out of a unit, or of a part of what is held: what shrinks, what is closed, and in which order.

What is to leave is a goal of the strategy (`UnitExit`), written with the decision that asks for it. What follows from
it is a function of the book, asked again until it is done: targets shrink to what stays, then stops, and when the venue
has said so of both, an order at the market closes as much as leaves. So stops and that order together never exceed the
position, and what stays keeps stops of its size all the while. What leaves has no stop until it has left: the limits
count it down to the farthest stop that it had.

A size that is asked of an exit is a bound. Said again it changes nothing, and where a fill was faster it does no harm.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from leadline.execution.core.book import Book, StrategyBook, UnitExit, is_entry
from leadline.execution.core.booking import is_foreign
from leadline.execution.core.orders import CANCELLABLE
from leadline.execution.core.unit_parts import Exits, Part, Standing, covers, has_stop, leaving, pairs
from leadline.model.ids import LegKind
from leadline.model.orders import Order, OrderState, Position


def leave(book: Book, strategy: StrategyBook, wanted: UnitExit) -> None:
    """Let a unit or a part leave: a second part of a unit adds to the first, and a whole unit stands for its parts.

    What has no stop on purpose is of the part before all else.
    """
    known = {each.unit: each for each in strategy.exits}
    before = known.get(wanted.unit)
    wanted = replace(wanted, stop=_farthest_stop(book, strategy, wanted.unit, before))
    if wanted.quantity is not None:
        free = sum(held.without_stop_of(wanted.unit) for held in book.open_positions(strategy.strategy))
        gone = _bare_of(book, strategy, wanted.unit)
        wanted = replace(wanted, bare=gone + min(wanted.quantity, max(free - gone, 0)))
    if before is not None and wanted.quantity is not None:
        more = None if before.quantity is None else before.quantity + wanted.quantity
        wanted = replace(before, quantity=more, stop=wanted.stop, bare=wanted.bare)
    known[wanted.unit] = wanted
    strategy.exits = tuple(each for _, each in sorted(known.items()))


def _bare_of(book: Book, strategy: StrategyBook, unit: str) -> int:
    """Size steps of a unit that are to leave and have no stop on purpose, in all contracts."""
    return sum(part.bare for (_, name), part in leaving(book, strategy).items() if name == unit)


def _farthest_stop(book: Book, strategy: StrategyBook, unit: str, before: UnitExit | None) -> int | None:
    """The stop of a unit with which most is lost, ticks: of those that work, and of those that have made room."""
    found = [] if before is None or before.stop is None else [before.stop]
    farthest = min
    for position in book.open_positions(strategy.strategy):
        if position.held_by(unit):
            farthest = min if position.quantity > 0 else max
            stops = [order for order in of_unit(book, position, unit) if order.leg.kind is LegKind.STOP]
            prices = (price for order in stops for price in (order.stop_price, order.wanted_price))
            found += [price for price in prices if price is not None]
    return farthest(found, default=None)


def oldest_first(book: Book, strategy: StrategyBook, unit: str, quantity: int) -> tuple[dict[str, int], int]:
    """How much of each unit leaves where `quantity` is to leave, of one unit or of all; and how much there is not.

    What is leaving already cannot leave again.
    """
    gone, left = leaving(book, strategy), quantity
    parts: dict[str, int] = {}
    for position in book.open_positions(strategy.strategy):
        taken = {name: gone.get((position.contract, name), Part()).size for name in position.units}
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
    if not strategy.exits:
        return False
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
            kept.append(replace(wanted, quantity=part, bare=_bare_of(book, strategy, wanted.unit)))
    changed = tuple(kept) != strategy.exits
    strategy.exits = tuple(kept)
    return changed


def shrunk(orders: Iterable[Order], unit: Standing) -> list[tuple[Order, int]]:
    """Each exit with what is to be left of it, maybe none, so that together they close no more than the rest.

    A stop and the target that ends with it shrink alike: what stays has both, or what it had. A target alone closes
    what has no stop on purpose, and shrinks by as much as leaves of that; then the oldest, as lots do. One that is
    being cancelled is on its way out; where nobody knows how one stands, its turn comes last.
    """
    exits = sorted(pairs(orders), key=_turn)
    alone, behind = (sum(covers(pair) for pair in exits if has_stop(pair) is stop) for stop in (False, True))
    nothing = min(unit.part.bare, unit.without_exit)  # has no exit to shrink
    excess = max(alone + behind + unit.without_exit - (unit.held - unit.part.size) - nothing, 0)
    targets = min(max(min(unit.part.bare - nothing, excess), excess - behind), alone)
    left = {False: targets, True: excess - targets}
    found: list[tuple[Order, int]] = []
    for pair in exits:
        size, stop = covers(pair), has_stop(pair)
        part = min(left[stop], size)
        left[stop] -= part
        found += [(order, min(order.remaining, size - part)) for order in pair]
    return found


def shrinking(orders: Iterable[Order], unit: Standing) -> Iterator[tuple[Order, int]]:
    """The exits that have to change now, each with what is left of it: targets, and once they have, stops.

    One of which nobody knows how it stands is left alone and waited for.
    """
    changing = [(order, left) for order, left in shrunk(orders, unit) if left < order.remaining]
    targets = [each for each in changing if each[0].leg.kind is LegKind.TARGET]
    yield from (each for each in targets or changing if each[0].state in CANCELLABLE)


def _turn(pair: Exits) -> tuple[int, int, int, str, str]:
    """Where a pair stands in the order in which exits make room: the same when one of the two has gone already."""
    states = {order.state for order in pair}
    on_its_way = OrderState.PENDING_CANCEL in states
    known = 0 if on_its_way else 1 if states <= CANCELLABLE else 2
    return (known, *min((order.decided_at_ns, order.leg.number, order.parent, order.leg) for order in pair))


def may_close(book: Book, position: Position, wanted: UnitExit, stands: Standing) -> bool:
    """Whether nothing is in the way of closing what leaves: its exits have shrunk, and no other order may close it.

    Beside an order that closes some of it, the rest is closed where no exit of the unit is left.
    """
    own = [order for order in book.live_orders(position.strategy) if order.contract == position.contract]
    closing = [order for order in own if order.leg.kind is LegKind.FLATTEN and order.unit in ("", wanted.unit)]
    unit = of_unit(book, position, wanted.unit)
    if closing and (
        not all(order.unit for order in closing)
        or any(order.leg.is_exit for order in unit)
        or sum(order.remaining for order in closing) >= stands.part.size
    ):
        return False
    if wanted.quantity is None and any(is_entry(order) for order in unit):
        return False
    return all(left == order.remaining for order, left in shrunk(unit, stands))


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
