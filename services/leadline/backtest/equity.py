"""Equity over time: after each fill, and at each close of a bar with what is open marked at it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from leadline.backtest.figures import Interval
from leadline.backtest.market import Close
from leadline.execution.core.positions import apply_fill, open_result
from leadline.model.ids import StrategyId
from leadline.model.orders import Fill, Order, Position
from leadline.model.worth import booked
from leadline.views.trades import EquityPoint, unopened


@dataclass(frozen=True, slots=True)
class EquityLine:
    """Equity of an account, marked: `points` in order of time, after each fill and at each close that moves it.

    `ends` is the equity at the last fill or close of each trading day that has one. `held` are the stretches of time
    with a position, ns UTC; one that is open at the end lasts until the last fill or close. `cash` is the equity at the
    end without what is open.
    """

    points: tuple[EquityPoint, ...]
    ends: dict[date, Decimal]
    held: tuple[Interval, ...]
    cash: Decimal


def equity_line(
    start: Decimal,
    fills: Iterable[tuple[StrategyId, Fill, Order]],
    closes: Iterable[Close],
    day_of: Callable[[int], date],
) -> EquityLine:
    """The equity of an account from its first day on.

    `fills` in the order in which they were booked, each with its strategy and order; `day_of` is the trading day of an
    instant. A position is marked at the newest of two prices of the contract whose prints value it: a close of its bars
    and its own last fill. A close at the instant of a fill comes before it.
    """
    line = _Line(start)
    events: list[tuple[int, int, int, Close | tuple[StrategyId, Fill, Order]]] = []
    events += [(each.time_ns, 0, number, each) for number, each in enumerate(closes)]
    events += [(each[1].time_ns, 1, number, each) for number, each in enumerate(fills)]
    for time_ns, _, _, event in sorted(events, key=lambda each: each[:3]):
        if isinstance(event, Close):
            line.mark(event)
        else:
            line.book(*event, day_of(time_ns))
    return line.finished()


class _Line:
    def __init__(self, start: Decimal) -> None:
        self._cash = start
        self._open: dict[tuple[StrategyId, str], Position] = {}
        self._marks: dict[str, int] = {}
        self._points: list[EquityPoint] = []
        self._ends: dict[date, Decimal] = {}
        self._held: list[Interval] = []
        self._since = self._last = 0

    def mark(self, close: Close) -> None:
        self._last = close.time_ns
        self._marks[close.contract] = close.price
        equity = self._equity()
        self._ends[close.day] = equity
        if any(position.tape_contract == close.contract for position in self._open.values()):
            self._points.append(EquityPoint(close.time_ns, equity))

    def book(self, strategy: StrategyId, fill: Fill, order: Order, day: date) -> None:
        self._last = fill.time_ns
        if not self._open:
            self._since = fill.time_ns
        key = (strategy, fill.contract)
        before = self._open.pop(key, None) or unopened(strategy, fill, order.tape_contract, order.decision)
        after = apply_fill(before, fill, order.unit)
        self._cash += after.realised - before.realised - fill.commission
        self._marks[before.tape_contract] = fill.price
        if after.quantity:
            self._open[key] = after
        elif not self._open:
            self._held.append((self._since, fill.time_ns))
        equity = self._equity()
        self._ends[day] = equity
        self._points.append(EquityPoint(fill.time_ns, equity))

    def finished(self) -> EquityLine:
        if self._open:
            self._held.append((self._since, self._last))
        return EquityLine(tuple(self._points), self._ends, tuple(self._held), self._cash)

    def _equity(self) -> Decimal:
        return self._cash + sum((self._open_result(each) for each in self._open.values()), Decimal(0))

    def _open_result(self, position: Position) -> Decimal:
        result = open_result(position, self._marks[position.tape_contract])
        return booked(result) if position.inverse else result
