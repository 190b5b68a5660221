"""The effects of time on an account: the trading day's roll, the day's loss and target, and being flat by the close."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from leadline.execution.core.account import open_money
from leadline.execution.core.book import Book, HeldLimits, StrategyBook
from leadline.execution.core.closes import distances_today, session_today
from leadline.execution.core.exit_reasons import ExitReason
from leadline.execution.core.limits import limits_in_force, own_limits
from leadline.execution.core.positions import money_paid
from leadline.model.blocks import Block
from leadline.model.durations import NS_PER_DAY
from leadline.model.ids import StrategyId
from leadline.model.manifest.specs import calendar_of_spec
from leadline.model.market.calendars import Calendar, Session, calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.market.hours import instant_ns
from leadline.model.market.settlement import settles_at_ns
from leadline.model.orders import Position, VenueEvent, Watch, WatchedPosition
from leadline.model.remembered import once_for_value
from leadline.risk.limits import stricter_day_loss, target_of
from leadline.risk.tiers import tier_index
from leadline.risk.view import AccountLimits, tier_at

_LONGEST_DAY_NS: Final = 8 * NS_PER_DAY
"""Longer than any trading day lasts, weekends and holidays included."""


@dataclass(frozen=True, slots=True)
class Flatten:
    """A strategy has to be out of the market."""

    strategy: StrategyId
    reason: ExitReason


def venue_calendar(book: Book) -> Calendar:
    """The calendar that rolls the account's trading day: that of its first strategy, before there is one the feed's."""
    if book.calendar:
        return calendar(book.calendar)
    traded = [calendar_of_spec(book.strategies[name].manifest.spec) for name in sorted(book.strategies)]
    return traded[0] if traded else calendar(instrument_of(book.feed_contracts[0]).calendar)


def day_at(book: Book, instant_ns: int) -> date:
    """The trading day of an instant. Raises Unknown past the calendar's validity."""
    today, bounds = book.trading_day, _bounds(book)
    if today is not None and bounds is not None and bounds[0] <= instant_ns < bounds[1]:
        return today
    return venue_calendar(book).trading_day(instant_ns)


def roll(book: Book) -> bool:
    """Begin the trading day of the book's instant, where it is another one; says whether it did.

    The day's counters start again, the block and the limits set or held within the day end. What is held over the roll
    is worth what it is at its last print: the equity of the roll has its open result, and the day's result begins less
    by it, so that each day has its own gain and loss of it. When the account is flat the table of tiers is the
    settings' and the tier follows the cash equity. A strategy on a root that is flat and has nothing working goes on in
    the day's lead month. Raises Unknown past the calendar's validity.
    """
    today = day_at(book, book.instant_ns)
    if today == book.trading_day:
        return False
    book.trading_day = today
    carried = open_money(book, book.open_positions())
    book.equity_at_roll += book.realised + carried
    book.realised = -carried
    book.trades = book.streak = 0
    book.block = Block.NONE
    book.day_limits = AccountLimits()
    book.margin_limits = {}
    for strategy in book.strategies.values():
        strategy.realised = -open_money(book, book.open_positions(strategy.strategy))
        strategy.trades = 0
        strategy.block = Block.NONE
        if not book.exposed(strategy.strategy):
            strategy.contract = book.front(strategy.manifest) or strategy.contract
    if not book.open_positions() and not book.live_orders():
        book.tiers = None
        book.tier_index = tier_index(book.tiers_in_force, book.equity_at_roll)
    return True


def around_the_roll(
    book: Book, events: tuple[VenueEvent, ...]
) -> tuple[tuple[VenueEvent, ...], tuple[VenueEvent, ...]]:
    """The venue's events in their order: those of the book's trading day, and those of a later one.

    An instant that begins a trading day belongs to it. Before there is a day, all belong to the one to come. Raises
    Unknown past the calendar's validity.
    """
    today = book.trading_day
    count = next((n for n, event in enumerate(events) if day_at(book, event.instant_ns) != today), len(events))
    return events[:count], events[count:]


def next_timer(book: Book) -> int | None:
    """The next instant after the book's at which something is due by time alone; None when nothing is."""
    timers: list[int | None] = [rolls := _next_roll(book)]
    if rolls is not None and book.open_positions():
        timers.append(rolls - 1)  # what is held over the roll is valued at the last print of the day that ends
    timers += [settles_at_ns(position.contract) for position in book.open_positions()]
    for strategy in book.strategies.values():
        session = session_today(book, strategy) if book.exposed(strategy.strategy) else None
        if session is not None:
            timers.append(_flat_by(book, strategy, session))
            if strategy.held is not None:
                timers.append(session.open_ns)
    later = [timer for timer in timers if timer is not None and timer > book.instant_ns]
    return min(later, default=None)


def close_of_session(book: Book) -> Iterator[Flatten]:
    """Strategies that are exposed at or past their flat-by time."""
    for name, strategy in sorted(book.strategies.items()):
        session = session_today(book, strategy) if book.exposed(name) else None
        if session is None:
            continue
        flat_by = _flat_by(book, strategy, session)
        if flat_by is not None and book.instant_ns >= flat_by:
            yield Flatten(name, ExitReason.FLAT_BY)


def apply_limits(book: Book) -> None:
    """Block the day at its loss or target, and flatten what has to go; a strategy's own loss flattens it alone.

    Then limits that a strategy held are dropped, where it is flat or its session has opened since.
    """
    most, target = _day_bounds(book)
    result = book.realised + open_money(book, book.open_positions())
    if book.block != Block.DAY_LOSS and result <= -most:
        book.block, book.flatten = Block.DAY_LOSS, book.flatten or ExitReason.DAY_LOSS
    elif not book.block and result >= target:
        book.block = Block.DAY_TARGET
    strategies = sorted(book.strategies.items())
    for name, strategy in strategies:
        loss = own_limits(strategy).day_loss
        if loss is None or strategy.block:
            continue
        if strategy.realised + open_money(book, book.open_positions(name)) <= -loss:
            strategy.block = Block.DAY_LOSS
            strategy.flatten = strategy.flatten or ExitReason.DAY_LOSS
    for flatten in close_of_session(book):
        found = book.strategies[flatten.strategy]
        found.flatten = found.flatten or flatten.reason
    for name, strategy in strategies:
        if strategy.held is not None and (not book.exposed(name) or _opened_since(book, strategy, strategy.held)):
            strategy.held = None


def watches(book: Book) -> tuple[Watch, ...]:
    """The results at which the venue has to stop the tape: the day's loss and target, account and strategies."""
    positions = book.open_positions()
    if not positions:
        return ()
    found = []
    if book.block != Block.DAY_LOSS:
        most, target = _day_bounds(book)
        found.append(Watch(book.realised, _watched(book, positions), -most, None if book.block else target))
    for name, strategy in sorted(book.strategies.items()):
        loss = own_limits(strategy).day_loss
        held = book.open_positions(name)
        if loss is not None and held and not strategy.block:
            found.append(Watch(strategy.realised, _watched(book, held), -loss))
    return tuple(found)


def _day_bounds(book: Book) -> tuple[Decimal, Decimal]:
    """Loss and profit of the trading day that block the account, both > 0."""
    limits = limits_in_force(book)
    return stricter_day_loss(tier_at(book.tiers_in_force, book.tier_index), limits.day_loss), target_of(limits)


def _watched(book: Book, positions: Sequence[Position]) -> tuple[WatchedPosition, ...]:
    """The positions that the venue can watch; without prints in the feed a contract has no price to watch."""
    return tuple(
        WatchedPosition(
            position.tape_contract, position.quantity, money_paid(position), position.tick_value, position.inverse
        )
        for position in positions
        if position.tape_contract in book.feed_contracts
    )


def _opened_since(book: Book, strategy: StrategyBook, held: HeldLimits) -> bool:
    """Whether the strategy's session has opened after its limits were held."""
    session = session_today(book, strategy)
    return session is not None and held.since_ns < session.open_ns <= book.instant_ns


def _flat_by(book: Book, strategy: StrategyBook, session: Session) -> int | None:
    """When the strategy has to be flat; None where its session has no close, or it holds over it."""
    before_close_ns = distances_today(book, strategy).flatten_before_close_ns
    return None if before_close_ns is None else session.close_ns - before_close_ns


def _next_roll(book: Book) -> int | None:
    """The first instant of the next trading day; None where the calendar ends too soon to know."""
    bounds = _bounds(book)
    return None if bounds is None else bounds[1]


def _bounds(book: Book) -> tuple[int, int] | None:
    """The book's trading day, from an instant of it to the first of the next; None where no calendar knows that."""
    if book.trading_day is None:
        return None
    return _bounds_of_day((book.calendar or venue_calendar(book).name, book.trading_day))


@once_for_value
def _bounds_of_day(day_of: tuple[str, date]) -> tuple[int, int] | None:
    """The first instant of a trading day of a calendar, and the first that belongs to a later one.

    At the beginning of the calendar, noon stands for the first. None where the calendar ends too soon to know.
    """
    name, day = day_of
    days = calendar(name)
    before, after = (days.knows(date.fromordinal(day.toordinal() + away)) for away in (-8, 8))
    if not after:
        return None
    noon = instant_ns(day, "12:00", days.hours.zone)
    begins = _turn(days, day, noon - _LONGEST_DAY_NS, noon) if before else noon
    return begins, _turn(days, date.fromordinal(day.toordinal() + 1), noon, noon + _LONGEST_DAY_NS)


def _turn(days: Calendar, day: date, low: int, high: int) -> int:
    """The first instant in (low, high] of a trading day or a later one, found by halving: trading days only grow."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if days.trading_day(middle) >= day else (middle, high)
    return high
