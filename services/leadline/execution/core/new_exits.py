"""Stops and targets that a position does not have and its strategy wants: orders of this account, as legs of its entry.

Each is a pair with the exit that is there, or with the other new one, so that the venue ends the one when the other
fills. It is in the book before it is sent, as any order. One that the venue is proven not to have is wanted still: it
goes out again, under another id.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from typing import Final

from leadline.execution.core.book import Book, Changes, UnitExit, is_entry, put_order
from leadline.execution.core.booking import is_foreign
from leadline.execution.core.bracket_legs import are_pair, of_entry, trailing
from leadline.execution.core.exit_reasons import ExitReason
from leadline.execution.core.orders import GIVEN_UP
from leadline.execution.core.positions import part_of
from leadline.execution.core.unit_exits import is_whole_unit_leaving, leave
from leadline.execution.core.unit_parts import in_place_of_stop, standing
from leadline.model.ids import ENTRY, NO_ORDER, ClientOrderId, DecisionId, Leg, LegKind, StrategyId, client_order_id
from leadline.model.orders import Bracket, Fill, Order, OrderState, OrderType, Position, Side

MOST_LOST: Final = 4
"""So many stops, or targets, of an entry are sent again that the venue has not had; without a stop it is closed."""


def new_exits(
    book: Book, position: Position, bracket: Bracket, decision: DecisionId, unit: str = "", *, first: int = 1
) -> list[Order]:
    """The exits at the prices of a bracket that parts of a position do not have, numbered from `first` on.

    Those of one unit, with an empty name of all. Nothing of what leaves: of a unit of which a part does, the rest.
    """
    numbers = count(first)
    return [
        order
        for name in position.units
        if unit in ("", name) and not _is_leaving(book, position.strategy, name)
        for order in _of_unit(book, part_of(position, name), bracket, decision, name, numbers)
    ]


def _is_leaving(book: Book, strategy: StrategyId, unit: str) -> bool:
    """Whether all of a unit is on its way out, by itself or with all; and where nobody looks after it."""
    owner = book.strategies.get(strategy)
    return owner is None or bool(owner.flatten or book.flatten) or is_whole_unit_leaving(owner, unit)


def _of_unit(
    book: Book, position: Position, bracket: Bracket, decision: DecisionId, unit: str, numbers: Iterator[int]
) -> list[Order]:
    """The exits that parts of a unit do not have; `position` is the unit's own."""
    found = [
        _exit(book, position, kind, bracket, decision, numbers, twin, twin.parent)
        for twin, kind in _half_done(book, position, bracket, unit)
    ]
    free, entry = _without_exit(book, position, unit), _entry_of(book, position, unit)
    if free > 0 and entry:
        found += _both(book, position, bracket, decision, numbers, free, entry)
    return [replace(order, unit=unit) for order in found]


def _half_done(book: Book, position: Position, bracket: Bracket, unit: str) -> Iterator[tuple[Order, LegKind]]:
    """The exits of a unit whose pair is not there and that a bracket asks for, each with the kind of that pair."""
    live = [order for order in _exits(book, position, unit) if not order.state.terminal]
    for twin in live:
        if twin.state is OrderState.PENDING_CANCEL or in_place_of_stop(book, twin):
            continue
        if any(are_pair(twin, other) for other in live):
            continue
        if twin.type is OrderType.LIMIT and bracket.stop_price is not None:
            yield twin, LegKind.STOP
        elif twin.type is OrderType.STOP and bracket.target_price is not None:
            yield twin, LegKind.TARGET


def out_of_reach(book: Book, position: Position, bracket: Bracket, unit: str = "", *, attaches: bool) -> bool:
    """Whether parts of a position have no exit at the prices of a bracket, and cannot have one.

    The venue takes none that a position does not have, or no entry is known that the part has come from. Of a unit
    that leaves none is asked for. `unit` and `attaches` as in `new_exits` and in `adjustment`.
    """
    if bracket.stop_price is None and bracket.target_price is None:
        return False
    for name in position.units:
        if unit not in ("", name) or _is_leaving(book, position.strategy, name):
            continue
        part = part_of(position, name)
        if not attaches and any(_half_done(book, part, bracket, name)):
            return True
        if _without_exit(book, part, name) > 0 and not (attaches and _entry_of(book, part, name)):
            return True
    return False


def _without_exit(book: Book, position: Position, unit: str) -> int:
    """Size steps of a unit that no exit stands for and that do not leave; `position` is the unit's own."""
    live = [order for order in _exits(book, position, unit) if not order.state.terminal]
    alone = [order for order in live if not any(are_pair(order, other) for other in live)]
    flattens = (order for order in book.live_orders(position.strategy) if order.leg.kind is LegKind.FLATTEN)
    covered = [order for order in live if order.leg.kind is LegKind.STOP]
    covered += [order for order in alone if order.leg.kind is LegKind.TARGET]
    own = [order for order in flattens if order.unit in ("", unit) and order.contract == position.contract]
    stands = standing(book, position, unit)
    leaves = stands.made_room + min(stands.part.bare, stands.without_exit)
    closing = max(leaves, sum(order.remaining for order in own))
    return abs(position.quantity) - sum(order.remaining for order in covered) - closing


def _entry_of(book: Book, position: Position, unit: str) -> ClientOrderId:
    """The id of the entry from which the oldest of a unit's lots has come whose entry is known; empty without one.

    A lot that was taken over from the venue may be of the entry that opened the position: of it fills were lost.
    """
    side = Side.BUY if position.quantity > 0 else Side.SELL
    for name in (*(lot.client_id for lot in position.lots), client_order_id(position.decision, ENTRY)):
        order = book.orders.get(name)
        if order is None or not is_entry(order) or not order.filled:
            continue
        if (order.contract, order.side, order.unit) == (position.contract, side, unit):
            return order.client_id
    return NO_ORDER


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
    wanted, first = {LegKind.STOP: bracket.stop_price, LegKind.TARGET: bracket.target_price}, next(numbers)
    both = [
        replace(_exit(book, position, kind, bracket, decision, count(first), None, entry), quantity=quantity)
        for kind, price in wanted.items()
        if price is not None
    ]
    if len(both) == 2:
        stop, target = both
        return [replace(stop, oco=target.client_id), replace(target, oco=stop.client_id)]
    return both


def _exit(
    book: Book,
    position: Position,
    kind: LegKind,
    bracket: Bracket,
    decision: DecisionId,
    numbers: Iterator[int],
    twin: Order | None,
    parent: ClientOrderId,
) -> Order:
    """One exit of what the entry `parent` has filled, of the size of the one that is its pair."""
    side = Side.SELL if position.quantity > 0 else Side.BUY
    legs = (Leg.of(kind, number) for number in numbers)
    leg = next(leg for leg in legs if client_order_id(decision, leg) not in book.orders)
    farthest = max if side is Side.SELL else min
    order = Order(
        client_id=client_order_id(decision, leg),
        decision=decision,
        leg=leg,
        strategy=position.strategy,
        contract=position.contract,
        tape_contract=position.tape_contract,
        side=side,
        type=OrderType.STOP if kind is LegKind.STOP else OrderType.LIMIT,
        quantity=1 if twin is None else twin.remaining,
        decided_at_ns=book.instant_ns,
        limit_price=None if kind is LegKind.STOP else bracket.target_price,
        stop_price=bracket.stop_price if kind is LegKind.STOP else None,
        parent=parent,
        oco=NO_ORDER if twin is None else twin.client_id,
        entry_price=farthest(lot.price for lot in position.lots) if twin is None else twin.entry_price,
    )
    if kind is LegKind.STOP and bracket.trail is not None:
        order = replace(order, trail=trailing(order, bracket.trail))
    return order


def exits_of_fills(book: Book, changes: Changes, *, pairs: bool) -> None:
    """Make the stop and the target of what entries have filled in this transaction, where no venue makes them.

    They are the legs that such a venue would make, as a pair. Where the venue takes none (`pairs`) only the stop is
    made, and the account keeps the target itself. Where the market is at one, or has passed it, the entry's unit
    leaves. A leg that the venue has told of is there already.
    """
    for fill, _, _ in list(changes.fills):
        entry = book.orders.get(fill.client_id)
        if entry is None or not is_entry(entry) or is_foreign(entry) or entry.bracket is None:
            continue
        if _is_leaving(book, entry.strategy, entry.unit):
            continue
        found = [of_entry(book, changes, order, entry) for order in _legs_of(book, entry, entry.bracket, fill)]
        if reason := beyond(book, found):
            _leave(book, changes, entry, reason)
            continue
        if len(found) == 2 and not pairs:
            found = [replace(found[0], oco=NO_ORDER)]
        for order in found:
            if order.client_id not in book.orders:
                put_order(book, changes, order)


def _legs_of(book: Book, entry: Order, bracket: Bracket, fill: Fill) -> Iterator[Order]:
    """The exits that a bracket asks for of a fill, of as much of it as is held."""
    held = book.positions.get((entry.strategy, entry.contract))
    size = 0 if held is None else sum(lot.quantity for lot in held.lots if lot.fill_id == fill.fill_id)
    prices = {
        LegKind.STOP: bracket.stop_at(fill.price, entry.side),
        LegKind.TARGET: bracket.target_at(fill.price, entry.side),
    }
    legs = {kind: Leg.of(kind, fill.k) for kind, price in prices.items() if price is not None}
    ids = {kind: client_order_id(entry.decision, leg) for kind, leg in legs.items()}
    for kind, leg in legs.items() if size else ():
        stop = kind is LegKind.STOP
        yield Order(
            client_id=ids[kind],
            decision=entry.decision,
            leg=leg,
            strategy=entry.strategy,
            contract=entry.contract,
            tape_contract=entry.tape_contract,
            side=entry.side.opposite,
            type=OrderType.STOP if stop else OrderType.LIMIT,
            quantity=size,
            decided_at_ns=book.instant_ns,
            limit_price=None if stop else prices[kind],
            stop_price=prices[kind] if stop else None,
            parent=entry.client_id,
            oco=next((other for twin, other in ids.items() if twin is not kind), NO_ORDER),
            entry_price=fill.price,
            unit=entry.unit,
        )


def exits_of_later_fills(book: Book, changes: Changes, *, attaches: bool) -> None:
    """Make the exits that a strategy wants of what an entry has filled in this transaction, and that it does not have.

    Of no other part of the position: nobody has asked for that. Where the market is at one that is wanted, or has
    passed it, the entry's unit leaves, as when its strategy says so only now. `attaches` as in `adjustment`.
    """
    for fill, _, _ in list(changes.fills):
        entry = book.orders.get(fill.client_id)
        if entry is None or not is_entry(entry) or entry.protection is None:
            continue
        if _is_leaving(book, entry.strategy, entry.unit):
            continue
        legs = [order for order in book.live_orders(entry.strategy) if _is_of_fill(order, entry, fill)]
        found = _of_fill(book, entry, entry.protection, fill, legs) if attaches else []
        moved = [order for order in legs if order.wanted_price is not None]
        if reason := beyond(book, (*moved, *found)):
            _leave(book, changes, entry, reason)
            continue
        for order in found:
            put_order(book, changes, order)


def _is_of_fill(leg: Order, entry: Order, fill: Fill) -> bool:
    """Whether an exit is one that the venue has made for a fill of an entry."""
    return (leg.parent, leg.decision, leg.leg.number) == (entry.client_id, entry.decision, fill.k)


def _of_fill(book: Book, entry: Order, wanted: Bracket, fill: Fill, legs: list[Order]) -> list[Order]:
    """The exits of a fill that its entry does not ask for and that are wanted; `legs` are those that it has.

    Their legs have numbers beyond those that the venue gives to the entry's own.
    """
    unit = part_of(book.positions[entry.strategy, entry.contract], entry.unit)
    lots = tuple(lot for lot in unit.lots if lot.fill_id == fill.fill_id)
    own, numbers = entry.bracket or Bracket(), count(entry.quantity + fill.k)
    wanted = replace(
        wanted,
        stop_price=None if own.has_stop else wanted.stop_price,
        target_price=None if own.has_target else wanted.target_price,
    )
    if not lots:
        return []
    of_fill = replace(unit, lots=lots)
    if own.has_stop or own.has_target:
        kind, price = (LegKind.TARGET, wanted.target_price) if own.has_stop else (LegKind.STOP, wanted.stop_price)
        twins = legs if price is not None else []
        found = [_exit(book, of_fill, kind, wanted, entry.decision, numbers, twin, entry.client_id) for twin in twins]
    else:
        size = min(sum(lot.quantity for lot in lots), _without_exit(book, unit, entry.unit))
        found = _both(book, of_fill, wanted, entry.decision, numbers, size, entry.client_id) if size > 0 else []
    return [replace(order, unit=entry.unit) for order in found]


def _leave(book: Book, changes: Changes, entry: Order, reason: ExitReason) -> None:
    """Leave an entry's unit, and take what still enters it back."""
    owner = book.strategies[entry.strategy]
    leave(book, owner, UnitExit(entry.unit, None, reason))
    for order in book.live_orders(entry.strategy):
        if is_entry(order) and order.unit == entry.unit and not is_foreign(order) and not order.unwanted:
            put_order(book, changes, replace(order, unwanted=True, version=order.version + 1))


def beyond(book: Book, exits: Iterable[Order]) -> ExitReason | None:
    """The reason to leave where the last print is at the price at which an exit is wanted, or beyond; None without."""
    for order in exits:
        last = book.last_prints.get(order.tape_contract)
        wanted = order.price if order.wanted_price is None else order.wanted_price
        if last is None or wanted is None:
            continue
        away = (last.price - wanted) * order.side.sign
        if order.leg.kind is LegKind.STOP and away >= 0:
            return ExitReason.BEYOND_STOP
        if order.leg.kind is not LegKind.STOP and away <= 0:
            return ExitReason.BEYOND_TARGET
    return None


def renew_exits(book: Book, changes: Changes) -> None:
    """Put another exit in the place of each that the venue does not have and that is wanted still."""
    while (found := next(sent_again(book), None)) is not None:
        for order in found:
            put_order(book, changes, order)


def sent_again(book: Book) -> Iterator[tuple[Order, Order]]:
    """Exits that the venue does not have and that are wanted still: each as it is let go of, and the one in its place.

    It is wanted while its pair works, or while a part of the position has no exit, if it was of this position: of one
    that has ended since, nothing is wanted any more.
    """
    for gone in [order for order in book.orders.values() if order.state in GIVEN_UP]:
        position = book.positions.get((gone.strategy, gone.contract))
        if not gone.parent or gone.unwanted or position is None:
            continue
        if position.quantity * gone.side.sign >= 0 or _is_of_earlier(book, position, gone):
            continue
        if _times_lost(book, gone) > MOST_LOST or in_place_of_stop(book, replace(gone, state=OrderState.PENDING)):
            continue
        bracket = Bracket(stop_price=gone.stop_price, target_price=gone.limit_price)
        pair = book.orders.get(gone.oco)
        bare = not gone.oco or (pair is not None and pair.state in GIVEN_UP)
        for order in new_exits(book, position, bracket, gone.decision, gone.unit, first=_first_number(book, gone)):
            again = replace(order, trail=gone.trail)
            if bare and not order.oco:  # of the part that it was for, though others may have no exit either
                size = min(order.quantity, gone.quantity)
                again = replace(again, entry_price=gone.entry_price, quantity=size)
                if any(lot.client_id == gone.parent for lot in position.lots):
                    again = replace(again, parent=gone.parent)
            elif order.parent != gone.parent or order.quantity > gone.quantity or not order.oco:
                continue
            yield replace(gone, unwanted=True, version=gone.version + 1), again
            break


def _first_number(book: Book, exit_: Order) -> int:
    """The first number of an exit in the place of one that was lost: fills to come have those of the entry's size."""
    entry = book.orders.get(exit_.parent)
    return 1 if entry is None or entry.decision != exit_.decision else entry.quantity + 1


def _times_lost(book: Book, exit_: Order) -> int:
    """How many exits of that kind of an entry the venue has not had."""
    kin = (exit_.parent, exit_.leg.kind)
    return sum((order.parent, order.leg.kind) == kin and order.state in GIVEN_UP for order in book.orders.values())


def _is_of_earlier(book: Book, position: Position, exit_: Order) -> bool:
    """Whether an exit was decided before the first fill of a position: it was of one that has ended."""
    opened = book.orders.get(client_order_id(position.decision, ENTRY))
    return opened is not None and opened.first_fill_ns is not None and exit_.decided_at_ns < opened.first_fill_ns


def _exits(book: Book, position: Position, unit: str) -> Iterator[Order]:
    """The stops and targets of a unit of a strategy in its contract, in the order of their ids."""
    for _, order in sorted(book.orders.items()):
        mine = (order.strategy, order.contract, order.unit) == (position.strategy, position.contract, unit)
        if mine and order.leg.is_exit and not is_foreign(order):
            yield order
