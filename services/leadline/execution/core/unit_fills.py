"""The units of a position after a fill: the size of each without a stop on purpose, and the size that still leaves."""

from dataclasses import replace

from leadline.execution.core.book import Book, StrategyBook, UnitExit, is_entry
from leadline.execution.core.positions import with_stopless
from leadline.execution.core.unit_parts import standing
from leadline.model.ids import Leg, LegKind
from leadline.model.market.contracts import sheet_of
from leadline.model.orders import DEFAULT_UNIT, Order, Position


def unit_at_venue(parent: Order | None, leg: Leg) -> str:
    """The unit of an order that the venue tells of: its entry's; what somebody else placed closes what is oldest."""
    if parent is not None:
        return parent.unit or DEFAULT_UNIT
    return "" if leg.kind is LegKind.FOREIGN else DEFAULT_UNIT


def counted_stops(book: Book, before: Position, after: Position, order: Order) -> Position:
    """The position after a fill of an order, with what of the order's unit has no stop on purpose.

    What an entry without a stop opens, where the account has declared its risk. A target that no stop goes with closes
    such a part, and an order that closes a part of the unit closes what of that part had no stop. Anything else is
    asked for its stops.
    """
    sheet, unit = sheet_of(after.contract), order.unit or DEFAULT_UNIT
    grown = after.held_by(unit) - (before.held_by(unit) if before.quantity * after.quantity > 0 else 0)
    was, left = before.without_stop_of(unit), after.without_stop_of(unit)
    if is_entry(order) and grown > 0 and (order.bracket is None or not order.bracket.has_stop):
        allowed = sheet is not None and sheet.root in book.manifest.spec.no_stop_risk_ticks
        return with_stopless(after, unit, left + grown if allowed else left)
    if grown >= 0:
        return with_stopless(after, unit, left)
    if order.unit and order.leg.kind is LegKind.FLATTEN:
        return with_stopless(after, unit, max(min(was - standing(book, before, unit).bare_of(-grown), left), 0))
    closes = order.leg.kind is LegKind.FLATTEN or (order.leg.kind is LegKind.TARGET and not order.oco)
    return with_stopless(after, unit, max(min(was + grown, left), 0) if closes else left)


def behind_stop(book: Book, position: Position, stop: Order) -> Position:
    """The position once the venue has a stop: of the stop's unit no more is without one than its stops leave.

    A part that has lost its stop in order to leave is not without one on purpose.
    Said again of the same stop it changes nothing: the venue may tell of one in a state without a word, and then again.
    """
    others = standing(book, position, stop.unit, but=stop.client_id)
    left = max(others.held - others.made_room - others.stops - stop.remaining, 0)
    return with_stopless(position, stop.unit, min(others.free, left))


def take_off(strategy: StrategyBook, order: Order, quantity: int, bare: int) -> None:
    """So much of a unit has left, by a fill of an order that closes a part of it; `bare` of it had no stop."""
    if order.leg.kind is LegKind.FLATTEN:
        strategy.exits = tuple(_less(wanted, order, quantity, bare) for wanted in strategy.exits)


def _less(wanted: UnitExit, order: Order, quantity: int, bare: int) -> UnitExit:
    if wanted.unit != order.unit or wanted.quantity is None:
        return wanted
    return replace(wanted, quantity=max(wanted.quantity - quantity, 0), bare=max(wanted.bare - bare, 0))
