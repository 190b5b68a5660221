"""Whether each position has the protection that it needs: a function of the book, asked after every change of it.

A position of a strategy rests behind stops of exactly its size, or it is being closed; what was entered without a stop,
where the account allows that, needs none. The check does not ask how the
position came about: a fill of an order that was lost, or that somebody else placed, counts like any other.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from leadline.execution.core.book import Book
from leadline.model.ids import Leg, StrategyId
from leadline.model.orders import Order

UNPROTECTED = "unprotected"
"""The reason under which a position without the right protection is closed."""


@dataclass(frozen=True, slots=True)
class Unprotected:
    """A place whose exits do not fit its position in one contract, and that nothing closes yet; `why` in a sentence."""

    strategy: StrategyId
    contract: str
    why: str


def unprotected(book: Book) -> Iterator[Unprotected]:
    """Strategies whose stops are not those of their position: fewer than it needs, more, or some without a position.

    A strategy that is being flattened is left out, and so is one that waits for the end of an order that closes.
    """
    if book.flatten:
        return
    for name, strategy in sorted(book.strategies.items()):
        if strategy.flatten:
            continue
        held = {position.contract: position for position in book.open_positions(name)}
        live = book.live_orders(name)
        exits = [order for order in live if order.leg.startswith((Leg.STOP, Leg.TARGET))]
        closing = {order.contract for order in live if order.leg.startswith(Leg.FLATTEN)}
        for contract in sorted({*held, *(order.contract for order in exits)} - closing):
            quantity, free = (held[contract].quantity, held[contract].without_stop) if contract in held else (0, 0)
            stops, targets = (_covering(exits, contract, quantity, leg) for leg in (Leg.STOP, Leg.TARGET))
            idle = any(order.contract == contract and order.side.sign * quantity >= 0 for order in exits)
            if not abs(quantity) - free <= stops <= abs(quantity) or targets > stops + free or idle:
                why = f"{name} holds {quantity} {contract} behind stops for {stops} and targets for {targets}"
                why += f", and {free} without a stop" if free else ""
                yield Unprotected(name, contract, why)


def _covering(exits: list[Order], contract: str, quantity: int, leg: Leg) -> int:
    """Size of the exits of that leg that close the position."""
    return sum(
        order.remaining
        for order in exits
        if order.contract == contract and order.leg.startswith(leg) and order.side.sign * quantity < 0
    )
