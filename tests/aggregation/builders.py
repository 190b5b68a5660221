"""Tapes and builders for the tests of aggregation."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import UTC, date, datetime
from itertools import pairwise

from leadline.aggregation.builder import BarBuilder
from leadline.aggregation.live import LiveBuilder
from leadline.model.bars import Bar, BarMessage
from leadline.model.durations import parse_bar_spec
from leadline.model.ids import ContractId, RunId
from leadline.model.market.calendars import Session, calendar
from leadline.model.market.hours import SessionHours
from leadline.model.ticks import TickBatch, TickColumns

TAPE = RunId("run-1")
VENUE = "cme"
CONTRACT = ContractId("MESZ2025")
DAY = date(2025, 11, 20)
CALENDAR = calendar("cme")
RTH = SessionHours("09:30", "16:00", "America/New_York", id="rth")
GLOBEX = SessionHours("18:00", "17:00", "America/New_York", id="globex")

SELL, UNKNOWN, BUY = -1, 0, 1

Print = tuple[int, int, int, int]


def ns(text: str) -> int:
    """An ISO time in UTC, up to microseconds, as nanoseconds."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    seconds = int(moment.replace(microsecond=0).timestamp())
    return seconds * 1_000_000_000 + moment.microsecond * 1_000


def session_of(day: date, hours: SessionHours = RTH) -> Session:
    found = CALENDAR.session(day, hours)
    assert found is not None
    return found


OPEN_NS = session_of(DAY).open_ns
CLOSE_NS = session_of(DAY).close_ns
SECOND = 1_000_000_000
MINUTE = 60 * SECOND


def at(seconds: float) -> int:
    """Seconds after the open of the regular session of `DAY`."""
    return OPEN_NS + round(seconds * 1000) * 1_000_000


def builder(bars: str = "5m", *, hours: SessionHours = RTH, ticks_per_row: int = 1) -> BarBuilder:
    return BarBuilder(
        tape=TAPE,
        venue=VENUE,
        contract=CONTRACT,
        calendar=CALENDAR,
        hours=hours,
        spec=parse_bar_spec(bars),
        ticks_per_row=ticks_per_row,
    )


def batch(
    rows: Iterable[Print] = (), *, first: int = 0, watermark: int | None = None, final: bool = False
) -> TickBatch:
    """A batch whose watermark is its last print's time unless told."""
    ticks = TickColumns.of(rows, first)
    if watermark is None:
        watermark = int(ticks.time_ns[-1])
    return TickBatch(TAPE, VENUE, CONTRACT, ticks, watermark, final)


def batches(rows: Sequence[Print], cuts: Iterable[int], *, end_ns: int | None = None) -> Iterator[TickBatch]:
    """A whole tape cut before each of `cuts`; it ends at `end_ns` (default: the last print's time)."""
    edges = sorted({0, len(rows), *(cut for cut in cuts if 0 < cut < len(rows))})
    for start, stop in pairwise(edges):
        yield batch(rows[start:stop], first=start)
    yield batch(first=len(rows), watermark=rows[-1][0] if end_ns is None else end_ns, final=True)


def bars_of(messages: Iterable[BarMessage]) -> list[Bar]:
    return [message.bar for message in messages if message.bar is not None]


def run(bar_builder: BarBuilder | LiveBuilder, feed: Iterable[TickBatch]) -> list[BarMessage]:
    return [message for one in feed for message in bar_builder.feed(one)]


def plain(value: object) -> object:
    """A bar or footprint as plain Python values, so that == compares columns too."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    if hasattr(value, "__dataclass_fields__"):
        return {part.name: plain(getattr(value, part.name)) for part in fields(value)}  # type: ignore[arg-type]
    return value
