"""Positions as first-in-first-out lots in integer ticks. Averages exist for display only."""

from dataclasses import replace
from decimal import Decimal

from leadline.model.orders import Fill, Lot, Position


def flat(strategy: str, contract: str, tape_contract: str, tick_value: Decimal, decision: str) -> Position:
    """No position yet: what the first fill of a decision's entry opens."""
    return Position(strategy, contract, tape_contract, 0, (), tick_value, decision)


def apply_fill(position: Position, fill: Fill) -> Position:
    """The position after a fill: it closes the oldest lots of the other side first, and opens with what is left.

    `realised` grows by (exit - entry) x direction x quantity in ticks, times the tick value, summed per lot.
    """
    signed = fill.side.sign * fill.quantity
    left = fill.quantity
    lots = list(position.lots)
    realised_ticks = 0
    if position.quantity * signed < 0:
        direction = 1 if position.quantity > 0 else -1
        while left and lots:
            lot = lots[0]
            closed = min(left, lot.quantity)
            realised_ticks += direction * (fill.price - lot.price) * closed
            left -= closed
            lots[0:1] = [replace(lot, quantity=lot.quantity - closed)] if closed < lot.quantity else []
    if left:
        lots.append(Lot(fill.price, left, fill.fill_id))
    return replace(
        position,
        quantity=position.quantity + signed,
        lots=tuple(lots),
        realised=position.realised + realised_ticks * position.tick_value,
        commission=position.commission + fill.commission,
    )


def open_result(position: Position, price: int) -> Decimal:
    """Result of closing the whole position at `price` (ticks), before commission."""
    return (price * position.quantity - position.cost) * position.tick_value


def average_price(position: Position) -> Decimal:
    """Average entry price in ticks, for display only; 0 when flat."""
    return Decimal(position.cost) / position.quantity if position.quantity else Decimal(0)
