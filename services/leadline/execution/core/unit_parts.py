"""How a unit of a position stands: what of it is to leave, what has a stop, and what was entered without one.

A part that leaves was asked for at one instant, and what of it had no stop then is written with it (`UnitExit.bare`).
What fills into the unit later, with a stop or without, is of the rest. So the stops that the rest needs do not change
while the part is on its way out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from leadline.execution.core.book import Book, StrategyBook
from leadline.execution.core.bracket_legs import are_pair
from leadline.execution.core.orders import GIVEN_UP, UNRESOLVED
from leadline.model.ids import ClientOrderId, LegKind
from leadline.model.orders import Order, Position

Exits = tuple[Order, ...]
"""A stop and the target that ends with it, or one of them alone."""


@dataclass(frozen=True, slots=True)
class Part:
    """Size steps of a unit in one contract that are to leave, and how many of them have no stop on purpose."""

    size: int = 0
    bare: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """A unit of a position in one contract, in size steps.

    `free` of what is `held` has no stop on purpose, and `part` is to leave. The venue has `stops`; `alone` are targets
    that no stop goes with, and `coming` are stops of which the venue has not said yet that it has them.
    """

    held: int
    free: int
    part: Part
    stops: int
    alone: int
    coming: int

    @property
    def needed(self) -> int:
        """Stops that the rest needs."""
        return max(self.held - self.part.size - (self.free - self.part.bare), 0)

    @property
    def made_room(self) -> int:
        """Size steps of the part that leaves whose stops have made room for its close already."""
        stopped = self.part.size - self.part.bare
        return stopped - min(max(self.stops - self.needed, 0), stopped)

    @property
    def without_exit(self) -> int:
        """Size steps without a stop on purpose that have no target either, and that no stop is on its way to."""
        return max(self.free - self.alone - self.coming, 0)

    def bare_of(self, quantity: int) -> int:
        """How much of a fill that closes a part had no stop: what has lost its stop for this close goes first."""
        return min(max(quantity - self.made_room, 0), self.part.bare)


def leaving(book: Book, strategy: StrategyBook) -> dict[tuple[str, str], Part]:
    """The parts that are to leave, by contract and unit; a close that is on its way is of such a part."""
    found: dict[tuple[str, str], Part] = {}
    for wanted in strategy.exits:
        left, bare = wanted.quantity, wanted.bare
        for position in book.open_positions(strategy.strategy):
            held, free = position.held_by(wanted.unit), position.without_stop_of(wanted.unit)
            size = held if left is None else min(left, held)
            if not size:
                continue
            part = Part(size, min(max(free if left is None else bare, size - (held - free)), size, free))
            found[position.contract, wanted.unit] = part
            left, bare = None if left is None else left - size, bare - part.bare
    return found


def part_of_unit(book: Book, position: Position, unit: str) -> Part:
    """The part of a unit that is to leave, or that is being closed though no goal says any more that it is to leave."""
    strategy = book.strategies.get(position.strategy)
    part = Part() if strategy is None else leaving(book, strategy).get((position.contract, unit), Part())
    own = (order for order in book.live_orders(position.strategy) if order.leg.kind is LegKind.FLATTEN)
    going = sum(order.remaining for order in own if (order.contract, order.unit) == (position.contract, unit))
    if going <= part.size:
        return part
    return Part(going, min(part.bare + going - part.size, position.without_stop_of(unit)))


def standing(book: Book, position: Position, unit: str, *, but: ClientOrderId | None = None) -> Standing:
    """How a unit of a position stands; `but` is a stop that is not counted."""
    own = [
        order
        for order in book.live_orders(position.strategy)
        if (order.contract, order.unit) == (position.contract, unit) and order.client_id != but
    ]
    exits = list(pairs(own))
    stops = [order for order in own if order.leg.kind is LegKind.STOP]
    return Standing(
        held=position.held_by(unit),
        free=position.without_stop_of(unit),
        part=part_of_unit(book, position, unit),
        stops=sum(order.remaining for order in stops if order.state not in UNRESOLVED),
        alone=sum(covers(pair) for pair in exits if not has_stop(pair)),
        coming=sum(order.remaining for order in stops if order.state in UNRESOLVED),
    )


def pairs(orders: Iterable[Order]) -> Iterator[Exits]:
    """Stops and targets, those together of which the venue ends one with the other."""
    exits = [order for order in orders if order.leg.is_exit]
    while exits:
        order = exits.pop(0)
        twin = next((other for other in exits if are_pair(order, other)), None)
        if twin is not None:
            exits.remove(twin)
        yield (order,) if twin is None else (order, twin)


def in_place_of_stop(book: Book, order: Order) -> bool:
    """Whether a target stands in the place of its stop, which has gone for it: the venue ends none with another."""
    stop = book.orders.get(order.oco) if order.leg.kind is LegKind.TARGET and not order.state.terminal else None
    return stop is not None and stop.unwanted and stop.state.terminal and stop.state not in GIVEN_UP


def covers(pair: Exits) -> int:
    """Size steps that a stop and a target close, one or the other."""
    return max(order.remaining for order in pair)


def has_stop(pair: Exits) -> bool:
    """Whether a stop is among exits that go together."""
    return any(order.leg.kind is LegKind.STOP for order in pair)
