"""Stops and targets that a position does not have and its strategy wants: orders of this account, as legs of its entry.

Each is a pair with the exit that is there, or with the other new one, so that the venue ends the one when the other
fills. It is in the book before it is sent, as any order. One that the venue is proven not to have is wanted still: it
goes out again, under another id.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from leadline.execution.core.book import Book, Changes, is_entry, put_order
from leadline.execution.core.booking import is_foreign, trailing
from leadline.execution.core.positions import part_of
from leadline.model.ids import NO_ORDER, ClientOrderId, DecisionId, Leg, client_order_id
from leadline.model.orders import Bracket, Order, OrderState, OrderType, Position, Side

_GIVEN_UP = frozenset({OrderState.DEAD, OrderState.EXPIRED_LOCAL})
"""States of an order that the venue does not have."""


def new_exits(
    book: Book, position: Position, bracket: Bracket, decision: DecisionId, unit: str = "", first: int = 1
) -> list[Order]:
    """The exits at the prices of a bracket that parts of a position do not have; `first` is the number of their legs.

    Those of one unit, with an empty name of all. Nothing of what leaves.
    """
    owner = book.strategies.get(position.strategy)
    if owner is None or owner.flatten or book.flatten:
        return []
    going, numbers = {goal.unit for goal in owner.exits}, count(first)
    return [
        order
        for name in position.units
        if unit in ("", name) and name not in going
        for order in _of_unit(book, part_of(position, name), bracket, decision, name, numbers)
    ]


def _of_unit(
    book: Book, position: Position, bracket: Bracket, decision: DecisionId, unit: str, numbers: Iterator[int]
) -> list[Order]:
    """The exits that parts of a unit do not have; `position` is the unit's own."""
    live = [order for order in _exits(book, position, unit) if not order.state.terminal]
    alone = [order for order in live if not any(_are_pair(order, other) for other in live)]
    stops = [order for order in live if order.leg.startswith(Leg.STOP)]
    found = list[Order]()
    for twin in alone:
        if twin.type is OrderType.LIMIT and bracket.stop_price is not None:
            found.append(_exit(book, position, Leg.STOP, bracket, decision, numbers, twin, twin.parent))
        elif twin.type is OrderType.STOP and bracket.target_price is not None:
            found.append(_exit(book, position, Leg.TARGET, bracket, decision, numbers, twin, twin.parent))
    flattens = (order for order in book.live_orders(position.strategy) if order.leg.startswith(Leg.FLATTEN))
    closing = [order for order in flattens if order.unit in ("", unit)]
    covered = [*stops, *(order for order in alone if order.leg.startswith(Leg.TARGET)), *closing]
    free = abs(position.quantity) - sum(order.remaining for order in covered if order.contract == position.contract)
    entry = _entry_of(book, position, unit)
    if free > 0 and entry:
        found += _both(book, position, bracket, decision, numbers, free, entry)
    return [replace(order, unit=unit) for order in found]


def _entry_of(book: Book, position: Position, unit: str) -> ClientOrderId:
    """The id of an entry that a unit is of: the one that opened the position, or else its first; empty without one."""
    opened = book.orders.get(client_order_id(position.decision, Leg.ENTRY))
    if opened is not None and opened.unit == unit:
        return opened.client_id
    mine = (position.strategy, position.contract, unit)
    found = [
        order
        for order in book.orders.values()
        if is_entry(order) and order.filled and (order.strategy, order.contract, order.unit) == mine
    ]
    return min(found, key=lambda order: (order.decided_at_ns, order.client_id)).client_id if found else NO_ORDER


def _both(
    book: Book,
    position: Position,
    bracket: Bracket,
    decision: DecisionId,
    numbers: Iterator[int],
    quantity: int,
    entry: ClientOrderId,
) -> list[Order]:
    """The exits of a part of a position that has none: a pair where the bracket has both."""
    wanted, first = {Leg.STOP: bracket.stop_price, Leg.TARGET: bracket.target_price}, next(numbers)
    both = [
        replace(_exit(book, position, leg, bracket, decision, count(first), None, entry), quantity=quantity)
        for leg, price in wanted.items()
        if price is not None
    ]
    if len(both) == 2:
        stop, target = both
        return [replace(stop, oco=target.client_id), replace(target, oco=stop.client_id)]
    return both


def _exit(
    book: Book,
    position: Position,
    leg: Leg,
    bracket: Bracket,
    decision: DecisionId,
    numbers: Iterator[int],
    twin: Order | None,
    parent: ClientOrderId,
) -> Order:
    """One exit of what the entry `parent` has filled, of the size of the one that is its pair."""
    side = Side.SELL if position.quantity > 0 else Side.BUY
    names = (f"{leg}{number}" for number in numbers)
    name = next(name for name in names if client_order_id(decision, name) not in book.orders)
    farthest = max if side is Side.SELL else min
    order = Order(
        client_id=client_order_id(decision, name),
        decision=decision,
        leg=name,
        strategy=position.strategy,
        contract=position.contract,
        tape_contract=position.tape_contract,
        side=side,
        type=OrderType.STOP if leg is Leg.STOP else OrderType.LIMIT,
        quantity=1 if twin is None else twin.remaining,
        decided_at_ns=book.instant_ns,
        limit_price=None if leg is Leg.STOP else bracket.target_price,
        stop_price=bracket.stop_price if leg is Leg.STOP else None,
        parent=parent,
        oco=NO_ORDER if twin is None else twin.client_id,
        entry_price=farthest(lot.price for lot in position.lots) if twin is None else twin.entry_price,
    )
    if leg is Leg.STOP and bracket.trail is not None:
        order = replace(order, trail=trailing(order, bracket.trail))
    return order


def exits_of_later_fills(book: Book, changes: Changes) -> None:
    """Make the exits that a strategy wants of what an entry has filled in this transaction, and that it does not have.

    Their legs have numbers beyond those that the venue gives to the entry's own.
    """
    for fill, _, _ in list(changes.fills):
        entry = book.orders.get(fill.client_id)
        if entry is None or not is_entry(entry) or entry.protection is None:
            continue
        position, first = book.positions[entry.strategy, entry.contract], entry.quantity + fill.k
        for order in new_exits(book, position, entry.protection, entry.decision, entry.unit, first):
            put_order(book, changes, order)


def sent_again(book: Book) -> Iterator[tuple[Order, Order]]:
    """Exits that the venue does not have and that are wanted still: each as it is let go of, and the one in its place.

    It is wanted while its pair works, or while a part of the position has no exit.
    """
    for gone in list(book.orders.values()):
        position = book.positions.get((gone.strategy, gone.contract))
        if gone.state not in _GIVEN_UP or not gone.parent or gone.unwanted or position is None:
            continue
        if position.quantity * gone.side.sign >= 0:
            continue
        bracket = Bracket(stop_price=gone.stop_price, target_price=gone.limit_price)
        for order in new_exits(book, position, bracket, gone.decision, gone.unit):
            if order.parent == gone.parent and order.quantity <= gone.quantity:
                yield replace(gone, unwanted=True, version=gone.version + 1), replace(order, trail=gone.trail)
                break


def _exits(book: Book, position: Position, unit: str) -> Iterator[Order]:
    """The stops and targets of a unit of a strategy in its contract, in the order of their ids."""
    for _, order in sorted(book.orders.items()):
        mine = (order.strategy, order.contract, order.unit) == (position.strategy, position.contract, unit)
        if mine and order.leg.startswith((Leg.STOP, Leg.TARGET)) and not is_foreign(order):
            yield order


def _are_pair(one: Order, other: Order) -> bool:
    """Whether the venue ends the one exit when the other fills: one names the other, or they are of the same fill."""
    if one.leg[:1] == other.leg[:1]:
        return False
    same = (one.decision, one.parent, one.leg[1:]) == (other.decision, other.parent, other.leg[1:])
    return same or one.oco == other.client_id or other.oco == one.client_id
