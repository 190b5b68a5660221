"""How columns of prints become messages: where they are cut, and what is said while nobody trades.

Cuts never change what the messages together hold. A message's watermark is the time of its last print; a message may
end inside one timestamp.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Final

import numpy as np

from leadline.model.calendars import Calendar
from leadline.model.ticks import NS_PER_MINUTE, SenderPosition, TickColumns

# How many prints a message holds on a live tape and at a set speed: enough that the cost of a message is shared, few
# enough that nobody waits for the last of them.
LIVE_TICKS: Final = 256
# Further on nothing is gained, and a reader that keeps messages ahead pays for them in memory.
MOST_TICKS: Final = 16_384


@dataclass(frozen=True, slots=True)
class Cuts:
    """Bounds of one message: at most `max_ticks` prints, which lie within `max_span_ns` and within one `boundary_ns`.

    `boundary_ns` is a divisor of bar lengths (bars that end with a minute then end with a message); None: no bound.
    """

    max_ticks: int
    max_span_ns: int | None = None
    boundary_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """The content of one message: prints, or none, and the promise that goes with them.

    sender: of a pushed feed, how far its sender is with it.
    """

    ticks: TickColumns
    watermark_ns: int
    final: bool = False
    sender: SenderPosition | None = None


def cut(ticks: TickColumns, cuts: Cuts) -> Iterator[Piece]:
    """The prints in pieces within the bounds, in order, none empty."""
    edges = [0]
    if cuts.boundary_ns is not None:
        edges += (np.flatnonzero(np.diff(ticks.time_ns // cuts.boundary_ns)) + 1).tolist()
    edges.append(len(ticks))
    for segment, stop in pairwise(edges):
        start = segment
        while start < stop:
            end = min(start + cuts.max_ticks, stop)
            if cuts.max_span_ns is not None:
                latest_ns = ticks.time_ns[start] + cuts.max_span_ns
                end = start + int(np.searchsorted(ticks.time_ns[start:end], latest_ns, side="right"))
            yield Piece(ticks.slice(start, end), int(ticks.time_ns[end - 1]))
            start = end


def silence(market: Calendar, after_ns: int, until_ns: int) -> Iterator[int]:
    """Watermarks for a contract in which nothing trades in (after_ns, until_ns), in order.

    One each minute while the market is open, one when it closes, and then one for the whole closure, at the next
    opening or at `until_ns`: what cannot trade need not be said minute by minute. Raises Unknown outside the
    calendar's validity.
    """
    now_ns = after_ns
    # Markets open and close on full minutes, so there is nothing to say inside one.
    while (until_ns - 1) // NS_PER_MINUTE > now_ns // NS_PER_MINUTE:
        now_ns = _next_word(market, now_ns)
        if now_ns >= until_ns:
            return
        yield now_ns


def with_silence(pieces: Iterable[Piece], market: Calendar, now_ns: int, next_index: int) -> Iterator[Piece]:
    """The pieces of one contract, and those of `silence` where there is a gap.

    `now_ns` is the watermark before the first piece and `next_index` the source index of its first print.
    """
    for piece in pieces:
        goes_on_ns = int(piece.ticks.time_ns[0]) if len(piece.ticks) else piece.watermark_ns
        for watermark_ns in silence(market, now_ns, goes_on_ns):
            yield Piece(TickColumns.empty(next_index), watermark_ns)
        yield piece
        now_ns, next_index = piece.watermark_ns, piece.ticks.last_index + 1


def _next_word(market: Calendar, now_ns: int) -> int:
    """The next instant after `now_ns` at which a silent contract says something."""
    day = market.trading_day(now_ns)
    while True:
        hours = market.market(day)
        if hours is not None and now_ns < hours[0]:
            return hours[0]
        if hours is not None and now_ns < hours[1]:
            return min((now_ns // NS_PER_MINUTE + 1) * NS_PER_MINUTE, hours[1])
        day += timedelta(days=1)
