"""Positions as first-in-first-out lots in integer ticks. Averages exist for display only."""

from dataclasses import replace
from decimal import Decimal

from leadline.model.ids import DecisionId, StrategyId
from leadline.model.orders import Fill, Lot, Position
from leadline.model.worth import booked, gain, worth


def flat(
    strategy: StrategyId,
    contract: str,
    tape_contract: str,
    tick_value: Decimal,
    decision: DecisionId,
    *,
    inverse: bool = False,
) -> Position:
    """No position yet: what the first fill of a decision's entry opens."""
    return Position(strategy, contract, tape_contract, 0, (), tick_value, decision, inverse=inverse)


def apply_fill(position: Position, fill: Fill) -> Position:
    """The position after a fill: it closes the oldest lots of the other side first, and opens with what is left.

    `realised` grows by (worth at the exit - worth at the entry) x direction x quantity, summed per lot; the sum of an
    inverse contract is rounded to the quantum of money, once per fill.
    """
    signed = fill.side.sign * fill.quantity
    left = fill.quantity
    lots = list(position.lots)
    realised = 0 * position.tick_value
    if position.quantity * signed < 0:
        direction = 1 if position.quantity > 0 else -1
        while left and lots:
            lot = lots[0]
            closed = min(left, lot.quantity)
            way = gain(lot.price, fill.price, position.tick_value, inverse=position.inverse)
            realised += direction * closed * way
            left -= closed
            lots[0:1] = [replace(lot, quantity=lot.quantity - closed)] if closed < lot.quantity else []
    if left:
        lots.append(Lot(fill.price, left, fill.fill_id))
    quantity = position.quantity + signed
    return replace(
        position,
        quantity=quantity,
        without_stop=min(position.without_stop, abs(quantity)) if quantity * position.quantity > 0 else 0,
        lots=tuple(lots),
        realised=position.realised + (booked(realised) if position.inverse else realised),
        commission=position.commission + fill.commission,
    )


def open_result(position: Position, price: int) -> Decimal:
    """Result of closing the whole position at `price` (ticks), before commission and not rounded."""
    if not position.inverse:
        return (price * position.quantity - position.cost) * position.tick_value
    return position.quantity * worth(price, position.tick_value, inverse=True) - money_paid(position)


def money_paid(position: Position) -> Decimal:
    """The cost of the lots: the sum of worth x signed quantity."""
    if not position.inverse:
        return position.cost * position.tick_value
    sign = 1 if position.quantity >= 0 else -1
    worths = (lot.quantity * worth(lot.price, position.tick_value, inverse=True) for lot in position.lots)
    return sign * sum(worths, Decimal(0))


def average_price(position: Position) -> Decimal:
    """Average entry price in ticks, for display only; 0 when flat."""
    return Decimal(position.cost) / position.quantity if position.quantity else Decimal(0)
