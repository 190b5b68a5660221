"""How columns of prints become messages: where they are split, and which watermarks an idle contract gives.

Bounds never change what the messages together hold. A message's watermark is the time of its last print; a message
may end inside one timestamp.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Final

import numpy as np

from leadline.model.market.calendars import Calendar
from leadline.model.ticks import NS_PER_MINUTE, SenderPosition, TickColumns

# How many prints a message holds on a live tape and at a set speed: enough that the cost of a message is shared, few
# enough that nobody waits for the last of them.
LIVE_TICKS: Final = 256
# Further on nothing is gained, and a reader that keeps messages ahead pays for them in memory.
MOST_TICKS: Final = 16_384


@dataclass(frozen=True, slots=True)
class BatchBounds:
    """Bounds of one message: at most `max_ticks` prints, which lie within `max_span_ns` and within one `boundary_ns`.

    `boundary_ns` is a divisor of bar lengths (bars that end with a minute then end with a message); None: no bound.
    """

    max_ticks: int
    max_span_ns: int | None = None
    boundary_ns: int | None = None


@dataclass(frozen=True, slots=True)
class BatchDraft:
    """The content of one message: prints, or none, and the promise that goes with them.

    sender: of a pushed feed, how far its sender is with it. late, gap_from_ns: see `TickBatch`.
    """

    ticks: TickColumns
    watermark_ns: int
    final: bool = False
    sender: SenderPosition | None = None
    late: bool = False
    gap_from_ns: int = 0


def split(ticks: TickColumns, bounds: BatchBounds) -> Iterator[BatchDraft]:
    """Drafts of the prints within the bounds, in order, none empty."""
    edges = [0]
    if bounds.boundary_ns is not None:
        edges += (np.flatnonzero(np.diff(ticks.time_ns // bounds.boundary_ns)) + 1).tolist()
    edges.append(len(ticks))
    for segment, stop in pairwise(edges):
        start = segment
        while start < stop:
            end = min(start + bounds.max_ticks, stop)
            if bounds.max_span_ns is not None:
                latest_ns = ticks.time_ns[start] + bounds.max_span_ns
                end = start + int(np.searchsorted(ticks.time_ns[start:end], latest_ns, side="right"))
            yield BatchDraft(ticks.slice(start, end), int(ticks.time_ns[end - 1]))
            start = end


def idle_watermarks(market: Calendar, after_ns: int, until_ns: int) -> Iterator[int]:
    """Watermarks for a contract in which nothing trades in (after_ns, until_ns), in order.

    One each minute while the market is open, one when it closes, and then one for the whole closure, at the next
    opening or at `until_ns`: what cannot trade need not be said minute by minute. Raises Unknown outside the
    calendar's validity.
    """
    now_ns = after_ns
    # Markets open and close on full minutes, so there is nothing to say inside one.
    while (until_ns - 1) // NS_PER_MINUTE > now_ns // NS_PER_MINUTE:
        now_ns = _next_idle_watermark(market, now_ns)
        if now_ns >= until_ns:
            return
        yield now_ns


def with_idle_watermarks(
    drafts: Iterable[BatchDraft], market: Calendar, now_ns: int, next_index: int
) -> Iterator[BatchDraft]:
    """The drafts of one contract, and those of `idle_watermarks` where there is a gap.

    `now_ns` is the watermark before the first draft and `next_index` the source index of its first print.
    """
    for draft in drafts:
        goes_on_ns = int(draft.ticks.time_ns[0]) if len(draft.ticks) else draft.watermark_ns
        for watermark_ns in idle_watermarks(market, now_ns, goes_on_ns):
            yield BatchDraft(TickColumns.empty(next_index), watermark_ns)
        yield draft
        now_ns, next_index = draft.watermark_ns, draft.ticks.last_index + 1


def _next_idle_watermark(market: Calendar, now_ns: int) -> int:
    """The watermark that follows `now_ns` for a contract in which nothing trades."""
    day = market.trading_day(now_ns)
    while True:
        hours = market.market(day)
        if hours is not None and now_ns < hours[0]:
            return hours[0]
        if hours is not None and now_ns < hours[1]:
            return min((now_ns // NS_PER_MINUTE + 1) * NS_PER_MINUTE, hours[1])
        day += timedelta(days=1)
