"""A strategy's session of the trading day, and how far from its ends it stays that day."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from leadline.execution.core.book import Book, StrategyBook
from leadline.execution.core.contracts import session_of
from leadline.model.durations import NS_PER_MINUTE
from leadline.model.errors import Unknown
from leadline.model.manifest.specs import Distances, distances_of
from leadline.model.market.calendars import Session
from leadline.model.market.contracts import no_entry_from

LAST_FLATTEN_NS: Final = 5 * NS_PER_MINUTE
"""How long before the close of its contract's last session a strategy is flat that else holds over the close."""

_LONGEST_BREAK_DAYS: Final = 10
"""No market of the sheet is shut for longer."""


def session_today(book: Book, strategy: StrategyBook) -> Session | None:
    """The strategy's session of the book's trading day."""
    if book.trading_day is None:
        raise AssertionError("the account has no trading day yet")
    days, hours = session_of(strategy.manifest)
    return days.session(book.trading_day, hours)


def distances_today(book: Book, strategy: StrategyBook) -> Distances:
    """The distances in force on the book's trading day.

    Those of the manifest. A strategy that holds over the close is flat before that of the last session in which its
    contract may be entered, and enters nothing after that: what expires is not carried.
    """
    spec = strategy.manifest.spec
    distances = distances_of(spec)
    if distances.before_close_ns is None or not spec.holds_overnight or not _last_session(book, strategy):
        return distances
    before_close_ns = max(distances.before_close_ns, LAST_FLATTEN_NS)
    return replace(distances, before_close_ns=before_close_ns, flatten_before_close_ns=LAST_FLATTEN_NS)


def _last_session(book: Book, strategy: StrategyBook) -> bool:
    """Whether the strategy's contract has no session after today's in which it may be entered, or nobody knows one."""
    ends, today = no_entry_from(strategy.contract), book.trading_day
    if ends is None or today is None:
        return False
    days, hours = session_of(strategy.manifest)
    following = (today + timedelta(days=ahead) for ahead in range(1, _LONGEST_BREAK_DAYS + 1))
    try:
        return not any(day < ends and days.session(day, hours) is not None for day in following)
    except Unknown:  # past the calendar's years
        return True
