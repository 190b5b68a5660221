"""How much room a tape needs on the bus, and which of its messages nobody needs any more."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Final

from leadline.ingestion.batching import BatchBounds
from leadline.model.market.calendars import Calendar
from leadline.model.ticks import TickBatch

# Time, price and size of 8 bytes, aggressor of 1.
BYTES_PER_PRINT: Final = 25
# Names, indices, watermark and message id of a message, and what the server writes around it; generous.
BYTES_PER_MESSAGE: Final = 512
# A message in each minute of a day in which nobody trades.
SILENT_MESSAGES: Final = 24 * 60


def session_bytes(prints: int, bounds: BatchBounds) -> int:
    """At most so many bytes of the stream does a session of one contract take.

    A bound on the time that a message spans can make every print a message of its own.
    """
    messages = prints if bounds.max_span_ns is not None else prints // bounds.max_ticks + 1
    return prints * BYTES_PER_PRINT + (messages + SILENT_MESSAGES) * BYTES_PER_MESSAGE


def needed_bytes(prints: Iterable[Mapping[date, int]], bounds: BatchBounds) -> int:
    """The largest session of all contracts together, and a message of each. `prints` by trading day, per contract."""
    per_day: dict[date, int] = {}
    batch = 0
    for counts in prints:
        batch += bounds.max_ticks * BYTES_PER_PRINT + BYTES_PER_MESSAGE
        for day, count in counts.items():
            per_day[day] = per_day.get(day, 0) + session_bytes(count, bounds)
    return max(per_day.values(), default=0) + batch


def last_close_before(market: Calendar, time_ns: int) -> int | None:
    """The latest close of the market before an instant: whole sessions up to there are over. None: not one yet.

    Raises Unknown when the instant's trading day is outside the calendar's validity.
    """
    day = market.trading_day(time_ns)
    while market.knows(day):
        hours = market.market(day)
        if hours is not None and hours[1] < time_ns:
            return hours[1]
        day -= timedelta(days=1)
    return None


def is_disposable(batch: TickBatch, close_ns: int, stored_index: int) -> bool:
    """Whether a message may go: it belongs to sessions up to a close that every reader has passed, and it is stored.

    `stored_index` is the last print that the recorder has committed.
    """
    return batch.watermark_ns <= close_ns and batch.ticks.last_index <= stored_index
