"""Getting out, as a function of the book: what has to be cancelled, closed or moved now, until nothing is left."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from leadline.execution.core.book import Book, StrategyBook, is_entry
from leadline.execution.core.booking import is_foreign
from leadline.execution.core.exit_reasons import ExitReason
from leadline.execution.core.orders import CANCELLABLE, GIVEN_UP
from leadline.execution.core.unit_exits import (
    drop_done,
    is_whole_unit_leaving,
    may_close,
    of_unit,
    shrinking,
)
from leadline.execution.core.unit_parts import in_place_of_stop, leaving, standing
from leadline.execution.core.waiting import gate_closes, standing_reason, taken_out
from leadline.model.ids import ClientOrderId, Leg, LegKind, StrategyId, client_order_id, foreign_order, is_adopted
from leadline.model.orders import Order, OrderState, OrderType, Position, Replacement, Side
from leadline.model.ticks import NS_PER_SECOND

QUICK_TRIES: Final = 3
"""A closing order that is refused so often is tried again at once; from then on it waits, each time twice as long."""

LONGEST_WAIT_NS: Final = 60 * NS_PER_SECOND

TARGET_NS: Final = 2 * NS_PER_SECOND
"""How long a target works in the place of its stop; what has not filled then leaves at the market."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take this order out of the market."""

    order: Order
    reason: str


@dataclass(frozen=True, slots=True)
class Close:
    """Send this market order, which closes a position and never turns it round."""

    order: Order


@dataclass(frozen=True, slots=True)
class Move:
    """Have this stop or target at the price at which its strategy wants it, and trail as it wants that."""

    order: Order

    @property
    def replacement(self) -> Replacement:
        """The order's new terms. Said again they change nothing: a price is where it is, and not by how much."""
        order = self.order
        if order.limit_price is None:
            return Replacement(order.client_id, stop_price=order.wanted_price, trail=order.wanted_trail)
        return Replacement(order.client_id, limit_price=order.wanted_price)


@dataclass(frozen=True, slots=True)
class Shrink:
    """Have this stop or target close no more than `left` size steps, 1 or more: the rest of its position leaves."""

    order: Order
    left: int

    @property
    def replacement(self) -> Replacement:
        """The order's new size, with what has filled of it. Said again it changes nothing."""
        return Replacement(self.order.client_id, quantity=self.order.filled + self.left)


OrderChange = Cancel | Close | Move | Shrink


def wanted(book: Book, *, halted: bool, spent: Collection[ClientOrderId] = frozenset()) -> list[OrderChange]:
    """Orders and positions that have to go now: entries of a halt or of a drain that cancels them, all of a flattening.

    Entries go that their strategy has taken back, the exits that it wants elsewhere are moved, and what is to leave of
    a unit is closed (`leadline.execution.core.unit_exits`).

    Flattening goes contract by contract: what works is cancelled first, the stops of a position last, and then it is
    closed with one order. `spent` are client ids that may have left before, whatever the book knows of them: a closing
    order never takes one.
    """
    actions: list[OrderChange] = []
    for name in book.places():
        strategy = book.strategies.get(name)
        if strategy is None:
            actions += _unassigned(book, name, spent)
        elif flatten := strategy.flatten or book.flatten:
            for orders, positions in _by_contract(book, name):
                actions += _leaving(book, _to_cancel(book, orders), positions, flatten, spent)
        else:
            why = ExitReason.HALT if halted else standing_reason(book, strategy)
            gone = {} if why else taken_out(book, strategy)
            for order in book.live_orders(name):
                outdone = ExitReason.FIRST_FILL if order.taken_out_by else None
                reason = why or outdone or gone.get(order.client_id) or _own_reason(book, order)
                if order.state not in CANCELLABLE:
                    continue
                if reason and is_entry(order):
                    actions.append(Cancel(order, reason))
                elif _gives_way(book, order):
                    actions.append(Cancel(order, ExitReason.TARGET))
                elif order.wanted_price is None and order.wanted_trail is None:
                    continue
                elif not is_whole_unit_leaving(strategy, order.unit):
                    actions.append(Move(order))
            going = {action.order.client_id for action in actions if isinstance(action, Cancel)}
            parts = _leaving_units(book, strategy, spent)
            actions += [action for action in parts if action.order.client_id not in going]
    return actions


def _gives_way(book: Book, order: Order) -> bool:
    """Whether a stop goes for its target, or a target in the place of its stop has worked for long enough."""
    if order.leg.kind is LegKind.STOP:
        return order.unwanted
    return in_place_of_stop(book, order) and book.instant_ns >= _taken_until(book, order)


def _taken_until(book: Book, target: Order) -> int:
    return target.decided_at_ns + TARGET_NS * book.clock_rate


def at_rest(book: Book) -> bool:
    """Whether nothing is wanted of the venue, whatever the time, until an order, a position or a strategy changes.

    Only exits work then, each as its strategy wants it, and none has to be sent again.
    """
    owners = book.strategies
    if book.flatten or any(owner.flatten or owner.exits for owner in owners.values()):
        return False
    if any(position.strategy not in owners for position in book.open_positions()):
        return False
    return all(_is_at_rest(book, order) and order.strategy in owners for order in book.orders.values())


def _is_at_rest(book: Book, order: Order) -> bool:
    if order.state.terminal:
        return order.state not in GIVEN_UP or not order.parent
    as_wanted = order.wanted_price is None and order.wanted_trail is None and not order.unwanted
    return order.leg.is_exit and order.state in CANCELLABLE and as_wanted and not in_place_of_stop(book, order)


def _leaving_units(
    book: Book, strategy: StrategyBook, spent: Collection[ClientOrderId]
) -> Iterator[Cancel | Close | Shrink]:
    """Orders of units that leave, whole or in part, in the order in which they go: targets, stops, then the close.

    What is to leave beside a part that is being closed keeps its exits until that has ended; where nothing is left of
    them, it is closed beside it.
    """
    if not strategy.exits:
        return
    going, taken = leaving(book, strategy), set(spent)
    for position in book.open_positions(strategy.strategy):
        for goal in strategy.exits:
            part = going.get((position.contract, goal.unit))
            if part is None:
                continue
            own, stands = of_unit(book, position, goal.unit), standing(book, position, goal.unit)
            closing = sum(order.remaining for order in own if order.leg.kind is LegKind.FLATTEN)
            steps = () if closing else shrinking(own, stands)
            yield from (Shrink(order, left) if left else Cancel(order, goal.reason) for order, left in steps)
            if may_close(book, position, goal, stands) and book.instant_ns >= _next_try_ns(book, position):
                order = _closing(book, position, goal.reason, taken, unit=goal.unit, quantity=part.size - closing)
                taken.add(order.client_id)
                yield Close(order)


def _own_reason(book: Book, order: Order) -> ExitReason | None:
    """Why an entry goes that may be in the market; None when it stays."""
    if order.unwanted:
        return ExitReason.TAKEN_BACK
    return ExitReason.PARTLY_FILLED if _left_over(book, order) else None


def _left_over(book: Book, order: Order) -> bool:
    """Whether an entry has been filled in part for so long that the rest of it goes."""
    until_ns = _works_until(book, order)
    return until_ns is not None and book.instant_ns >= until_ns


def _works_until(book: Book, order: Order) -> int | None:
    """From when on the rest of an entry goes that was filled in part, ns; None where there is no such rest."""
    owner = book.strategies.get(order.strategy)
    if order.first_fill_ns is None or owner is None or not is_entry(order):
        return None
    return order.first_fill_ns + owner.manifest.spec.entries.partial_for_ns


def _unassigned(book: Book, name: StrategyId, spent: Collection[ClientOrderId]) -> Iterator[Cancel | Close]:
    """Of what no strategy looks after goes, contract by contract, what this account placed itself."""
    for orders, positions in _by_contract(book, name):
        going = _to_cancel(book, orders)
        ours = (
            held
            for held in positions
            if not is_adopted(held.decision) and foreign_order(held.decision) not in book.orders
        )
        if book.flatten or going or any(ours):
            yield from _leaving(book, going, positions, book.flatten or ExitReason.NO_STRATEGY, spent)


def _by_contract(book: Book, name: StrategyId) -> Iterator[tuple[list[Order], list[Position]]]:
    """The live orders and open positions of a place, contract by contract."""
    live, held = book.live_orders(name), book.open_positions(name)
    for contract in sorted({*(order.contract for order in live), *(position.contract for position in held)}):
        yield (
            [order for order in live if order.contract == contract],
            [position for position in held if position.contract == contract],
        )


def _to_cancel(book: Book, orders: Sequence[Order]) -> list[Order]:
    """Those of the orders that go with what is flattened.

    What somebody else placed stays until a person flattens the whole account: no limit of this account cancels it, and
    no close waits for it.
    """
    by_a_person = book.flatten not in ("", ExitReason.DAY_LOSS)
    return [order for order in orders if by_a_person or not is_foreign(order)]


def _leaving(
    book: Book, orders: list[Order], positions: list[Position], reason: str, spent: Collection[ClientOrderId]
) -> Iterator[Cancel | Close]:
    """Orders of one contract that have to go. A position keeps its stops until they are all that the close waits for.

    The end of another order may not come: its state may be one that this release has no word for. It may be an order
    that closes a part alone: the rest keeps its stops until that has ended. Where nothing is left but exits of which
    nobody knows whether they are there, they are not waited for: like the close they can only reduce. Where nothing is
    left but orders that close a part, the rest has no stop any more and is closed beside them.
    """
    closing = [order for order in orders if order.leg.kind is LegKind.FLATTEN]
    working = [order for order in orders if order not in closing]
    kept = [order for order in working if _protects(order, positions)]
    waits = any(order not in kept or order.state not in CANCELLABLE for order in working)
    if not waits and not (closing and _fit(positions, [*closing, *kept])):
        kept = []
    yield from (Cancel(order, reason) for order in working if order.state in CANCELLABLE and order not in kept)
    if all(order.state is OrderState.UNKNOWN and order.parent for order in orders):
        for position in positions:
            if book.instant_ns >= _next_try_ns(book, position):
                yield Close(_closing(book, position, reason, spent))
    elif not working:
        for position in positions:
            rest = abs(position.quantity) - sum(order.remaining for order in closing)
            if rest > 0 and book.instant_ns >= _next_try_ns(book, position):
                yield Close(_closing(book, position, reason, spent, quantity=rest))


def _protects(order: Order, positions: list[Position]) -> bool:
    """Whether an order is a stop that would reduce a position."""
    return order.leg.kind is LegKind.STOP and any(order.side.sign * held.quantity < 0 for held in positions)


def _fit(positions: list[Position], orders: list[Order]) -> bool:
    """Whether orders that close positions of one contract close no more than all of them."""
    return sum(order.remaining for order in orders) <= sum(abs(held.quantity) for held in positions)


def next_try(book: Book) -> int | None:
    """The next instant after the book's at which something leaves by time alone; None when there is none.

    A refused closing order is tried again, what is left of an entry goes that was filled in part, or the hours end in
    which an entry may wait.
    """
    tries = [_next_try_ns(book, position) for position in book.open_positions()]
    if live := book.live_orders():
        tries += [at for order in live if (at := _works_until(book, order)) is not None]
        tries += [_taken_until(book, order) for order in live if in_place_of_stop(book, order)]
        closes = (gate_closes(book, strategy) for strategy in book.strategies.values())
        tries += [at for at in closes if at is not None]
    return min((at for at in tries if at > book.instant_ns), default=None)


def _next_try_ns(book: Book, position: Position) -> int:
    """From when on a position may be closed by a further order: at once, unless many were refused before."""
    refused = [
        order
        for order in book.orders.values()
        if order.decision == position.decision
        and order.leg.kind is LegKind.FLATTEN
        and order.state.terminal
        and not order.filled
    ]
    if len(refused) < QUICK_TRIES:
        return book.instant_ns
    wait_ns = min(NS_PER_SECOND << min(len(refused) - QUICK_TRIES, 6), LONGEST_WAIT_NS)
    return max(order.decided_at_ns for order in refused) + wait_ns


def settled(book: Book) -> bool:
    """Drop the flatten reasons that are fulfilled; says whether it changed anything."""
    changed = False
    for name, strategy in sorted(book.strategies.items()):
        changed = drop_done(book, strategy) or changed
        if strategy.flatten and not book.open_positions(name) and not _to_cancel(book, book.live_orders(name)):
            strategy.flatten = ""
            changed = True
    if book.flatten and not (book.open_positions() or _to_cancel(book, book.live_orders())):
        book.flatten = ""
        changed = True
    return changed


def _closing(
    book: Book,
    position: Position,
    reason: str,
    spent: Collection[ClientOrderId],
    *,
    unit: str = "",
    quantity: int | None = None,
) -> Order:
    """The next order that closes a position, or so much of a unit of it: the first whose id was never used."""
    legs = (Leg.of(LegKind.FLATTEN, number) for number in count(1))
    named = ((client_order_id(position.decision, leg), leg) for leg in legs)
    client_id, leg = next(name for name in named if name[0] not in book.orders and name[0] not in spent)
    return Order(
        client_id=client_id,
        decision=position.decision,
        leg=leg,
        strategy=position.strategy,
        contract=position.contract,
        tape_contract=position.tape_contract,
        side=Side.SELL if position.quantity > 0 else Side.BUY,
        type=OrderType.MARKET,
        quantity=abs(position.quantity) if quantity is None else quantity,
        decided_at_ns=book.instant_ns,
        reason=reason,
        unit=unit,
    )
