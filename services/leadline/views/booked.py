"""Results of the fills of an account, over a whole tape or on one trading day of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import accumulate

from leadline.model.ids import ClientOrderId, DecisionId, StrategyId
from leadline.model.market.calendars import Calendar
from leadline.model.orders import Fill, Order, Position
from leadline.views.trades import EquityPoint, Reasons, Trade, equity_curve, trades_of

Fills = Sequence[tuple[StrategyId, Fill]]


@dataclass(frozen=True, slots=True)
class Booked:
    """Cash equity before and after, the trades that were closed, what was open at the end, and equity after each fill.

    Money in the account's currency.
    """

    start: Decimal
    end: Decimal
    trades: tuple[Trade, ...]
    still_open: tuple[Position, ...]
    curve: tuple[EquityPoint, ...]


def booked(
    end: Decimal, fills: Fills, orders: Mapping[ClientOrderId, Order], reasons: Mapping[DecisionId, Reasons]
) -> Booked:
    """Of a whole tape, after which the account has `end`. `fills` in the order in which they were booked."""
    trades, still_open = trades_of(fills, orders, reasons)
    came_to = sum((trade.net for trade in trades), Decimal(0))
    came_to += sum((position.realised - position.commission for position in still_open), Decimal(0))
    start = end - came_to
    return Booked(start, end, tuple(trades), tuple(still_open), tuple(equity_curve(start, fills, orders)))


def on_day(
    whole: Booked,
    fills: Fills,
    orders: Mapping[ClientOrderId, Order],
    reasons: Mapping[DecisionId, Reasons],
    day: date,
    market: Calendar,
) -> Booked:
    """Of one trading day by the account's calendar, out of `whole` that these fills make.

    A trade belongs to the day on which it was closed, as its cash does. The cash of a fill that was told behind those
    of a later day is of that later day: the equity of a day that was over does not change.
    """
    days = list(accumulate((market.trading_day(fill.time_ns) for _, fill in fills), max))
    before = sum(each < day for each in days)
    until = sum(each <= day for each in days)
    curve = whole.curve[before:until]
    start = whole.curve[before - 1].equity if before else whole.start
    _, still_open = trades_of(fills[:until], orders, reasons)
    closed = tuple(trade for trade in whole.trades if market.trading_day(trade.exit_ns) == day)
    return Booked(start, curve[-1].equity if curve else start, closed, tuple(still_open), curve)
