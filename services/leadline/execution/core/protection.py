"""Whether each position has the protection that it needs: a function of the book, asked after every change of it.

A position of a strategy rests behind stops of exactly its size, or it is being closed; what was entered without a stop,
where the account allows that, needs none. The check does not ask how the
position came about: a fill of an order that was lost, or that somebody else placed, counts like any other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from leadline.execution.core.book import Book
from leadline.execution.core.orders import UNRESOLVED
from leadline.execution.core.unit_parts import Part, in_place_of_stop, part_of_unit
from leadline.model.ids import ContractId, Leg, LegKind, StrategyId
from leadline.model.orders import DEFAULT_UNIT, Order, OrderState, Position


@dataclass(frozen=True, slots=True)
class Unprotected:
    """A place whose exits do not fit its position in one contract, and that nothing closes yet; `why` in a sentence."""

    strategy: StrategyId
    contract: ContractId
    why: str


def unprotected(book: Book) -> Iterator[Unprotected]:
    """Strategies whose stops are not those of their position: fewer than it needs, more, or some without a position.

    Each unit of a position has stops of its own size; what leaves of it may have lost them, and with what closes that
    they are never more than is held. A strategy that is being flattened is left out, and so is one that waits for the
    end of an order that closes all.
    """
    if book.flatten or not (book.open_positions() or any(order.leg.is_exit for order in book.live_orders())):
        return
    for name, strategy in sorted(book.strategies.items()):
        if strategy.flatten:
            continue
        held = {position.contract: position for position in book.open_positions(name)}
        live = book.live_orders(name)
        exits = [order for order in live if order.leg.is_exit and not is_outdone(book, order)]
        if not (held or exits):
            continue
        flattens = [order for order in live if order.leg.kind is LegKind.FLATTEN]
        closing = {order.contract for order in flattens if not order.unit}
        for contract in sorted({*held, *(order.contract for order in exits)} - closing):
            position = held.get(contract)
            here = [order for order in (*exits, *flattens) if order.contract == contract]
            units = {*(() if position is None else position.units), *(order.unit for order in here)}
            for unit in sorted(units):
                own = [order for order in here if order.unit == unit]
                part = Part() if position is None else part_of_unit(book, position, unit)
                why = _fault(name, contract, position, unit, [_as_protects(book, order) for order in own], part)
                if why:
                    yield Unprotected(name, contract, why)


def is_outdone(book: Book, order: Order) -> bool:
    """Whether an exit has not left, or its fate is open, and its pair has filled: the venue ends it if it comes."""
    pair = book.orders.get(order.oco)
    return order.state in UNRESOLVED and pair is not None and pair.state is OrderState.FILLED


def _as_protects(book: Book, order: Order) -> Order:
    """An exit as it counts: a target in the place of its stop is the protection for as long as it works."""
    return replace(order, leg=Leg.of(LegKind.STOP, order.leg.number)) if in_place_of_stop(book, order) else order


def _fault(name: str, contract: ContractId, position: Position | None, unit: str, own: list[Order], part: Part) -> str:
    """The error about the exits of a unit of which a part is to leave; empty when they fit."""
    sign = 0 if position is None else 1 if position.quantity > 0 else -1
    quantity, free = (0, 0) if position is None else (position.held_by(unit), position.without_stop_of(unit))
    stops, targets, going = (_covering(own, sign, kind) for kind in (LegKind.STOP, LegKind.TARGET, LegKind.FLATTEN))
    needed = quantity - part.size - (free - part.bare)
    idle = any(order.side.sign * sign >= 0 for order in own)
    if needed <= stops <= quantity - going and targets <= min(stops + free, quantity - going) and not idle:
        return ""
    where = "" if unit == DEFAULT_UNIT else f" in its unit {unit}"
    why = f"{name} holds {sign * quantity} {contract}{where} behind stops for {stops} and targets for {targets}"
    why += f", and {free} without a stop" if free else ""
    return why + (f", while {going} are being closed" if going else "")


def _covering(orders: list[Order], sign: int, kind: LegKind) -> int:
    """Size of the orders of that kind that close a position with that sign."""
    return sum(order.remaining for order in orders if order.leg.kind is kind and order.side.sign * sign < 0)
