"""Positions as first-in-first-out lots in integer ticks. Averages exist for display only."""

from decimal import Decimal

from leadline.model.frozen import replace
from leadline.model.ids import ContractId, DecisionId, StrategyId
from leadline.model.orders import DEFAULT_UNIT, Fill, Lot, Position
from leadline.model.worth import booked, gain, worth


def flat(
    strategy: StrategyId,
    contract: ContractId,
    tape_contract: ContractId,
    tick_value: Decimal,
    decision: DecisionId,
    *,
    inverse: bool = False,
) -> Position:
    """No position yet: what the first fill of a decision's entry opens."""
    return Position(strategy, contract, tape_contract, 0, (), tick_value, decision, inverse=inverse)


def apply_fill(position: Position, fill: Fill, unit: str = "") -> Position:
    """The position after a fill of a unit: it closes the oldest lots of the other side, and opens with what is left.

    Lots of the unit are closed before all others, and what opens belongs to it; an empty unit closes the oldest of all.

    `realised` grows by (worth at the exit - worth at the entry) x direction x quantity, summed per lot; the sum of an
    inverse contract is rounded to the quantum of money, once per fill.
    """
    signed = fill.side.sign * fill.quantity
    left = fill.quantity
    lots = list(position.lots)
    realised = 0 * position.tick_value
    if position.quantity * signed < 0:
        direction = 1 if position.quantity > 0 else -1
        for place in sorted(range(len(lots)), key=lambda place: unit not in ("", lots[place].unit)):
            lot = lots[place]
            closed = min(left, lot.quantity)
            way = gain(lot.price, fill.price, position.tick_value, inverse=position.inverse)
            realised += direction * closed * way
            left -= closed
            lots[place] = replace(lot, quantity=lot.quantity - closed)
        lots = [lot for lot in lots if lot.quantity]
    if left:
        lots.append(Lot(fill.price, left, fill.fill_id, unit or DEFAULT_UNIT, fill.client_id))
    after = replace(
        position,
        quantity=position.quantity + signed,
        lots=tuple(lots),
        realised=position.realised + (booked(realised) if position.inverse else realised),
        commission=position.commission + fill.commission,
    )
    return replace(after, stopless=_still_stopless(position, after)) if position.stopless else after


def _still_stopless(before: Position, after: Position) -> tuple[tuple[str, int], ...]:
    """The size of each unit that has no stop, once a fill has closed some of it: never more than the unit holds."""
    if after.quantity * before.quantity <= 0:
        return ()
    left = ((unit, min(quantity, after.held_by(unit))) for unit, quantity in before.stopless)
    return tuple((unit, quantity) for unit, quantity in left if quantity)


def with_stopless(position: Position, unit: str, quantity: int) -> Position:
    """The position with so many size steps of a unit without a stop on purpose."""
    if quantity == position.without_stop_of(unit):
        return position
    others = {name: count for name, count in position.stopless if name != unit}
    sizes = {**others, unit: quantity} if quantity else others
    return replace(position, stopless=tuple(sorted(sizes.items())))


def part_of(position: Position, unit: str) -> Position:
    """One unit of a position as a position of its own, for display; what was realised is that of all."""
    lots = tuple(lot for lot in position.lots if lot.unit == unit)
    sign = 1 if position.quantity > 0 else -1
    return replace(position, lots=lots, quantity=sign * position.held_by(unit))


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
