"""Getting out, as a function of the book: what has to be cancelled or closed now. Asked again until nothing is left."""

from dataclasses import dataclass

from leadline.execution.book import Book, is_entry
from leadline.execution.orders import CANCELLABLE
from leadline.model.ids import Leg, client_order_id
from leadline.model.orders import Order, OrderType, Position, Side


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take this order out of the market."""

    order: Order
    reason: str


@dataclass(frozen=True, slots=True)
class Close:
    """Send this market order, which closes a position and never turns it round."""

    order: Order


def wanted(book: Book, *, halted: bool) -> list[Cancel | Close]:
    """What has to go now: entries of a halt and of a drain that cancels them, and what flattening asks for.

    Flattening first cancels every working order, then closes each position with one order.
    """
    actions: list[Cancel | Close] = []
    for name, strategy in sorted(book.strategies.items()):
        reason = strategy.flatten or book.flatten
        if not reason:
            drained = strategy.drain is not None and strategy.drain.working_orders == "Cancel"
            if halted or drained:
                entries = [order for order in book.live_orders(name) if is_entry(order)]
                why = "halt" if halted else "drain"
                actions += [Cancel(order, why) for order in entries if order.state in CANCELLABLE]
            continue
        live = [order for order in book.live_orders(name) if not order.leg.startswith(Leg.FLATTEN)]
        actions += [Cancel(order, reason) for order in live if order.state in CANCELLABLE]
        if not live and not book.live_orders(name):
            actions += [Close(_closing(book, position, reason)) for position in book.open_positions(name)]
    return actions


def settled(book: Book) -> bool:
    """Drop the flatten reasons that are fulfilled; says whether it changed anything."""
    changed = False
    for name, strategy in sorted(book.strategies.items()):
        if strategy.flatten and not book.exposed(name):
            strategy.flatten = ""
            changed = True
    if book.flatten and not any(book.exposed(name) for name in book.strategies):
        book.flatten = ""
        changed = True
    return changed


def _closing(book: Book, position: Position, reason: str) -> Order:
    number = 1 + sum(
        order.decision == position.decision and order.leg.startswith(Leg.FLATTEN) for order in book.orders.values()
    )
    leg = f"{Leg.FLATTEN}{number}"
    return Order(
        client_id=client_order_id(position.decision, leg),
        decision=position.decision,
        leg=leg,
        strategy=position.strategy,
        contract=position.contract,
        tape_contract=position.tape_contract,
        side=Side.SELL if position.quantity > 0 else Side.BUY,
        type=OrderType.MARKET,
        quantity=abs(position.quantity),
        decided_at_ns=book.instant_ns,
        reason=reason,
    )
