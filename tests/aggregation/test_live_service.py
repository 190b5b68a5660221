"""Builders of the tape `live` on a real bus: they begin where they left off, and say what they cannot have."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
from prometheus_client import Counter

from leadline.aggregation.demand import Series
from leadline.aggregation.metrics import series_metrics
from leadline.aggregation.service import MAX_READINGS, Told, keep_building
from leadline.local.local_nats import LocalNats
from leadline.model.bars import BarMessage
from leadline.model.durations import parse_bar_spec
from leadline.model.subjects import BARS, TICKS, bar_subject, tick_subject
from leadline.model.ticks import TickBatch
from leadline.model.wire.bars import decode_bar
from leadline.model.wire.ticks import encode_tick_batch
from leadline.runtime.bus.bus import Bus
from leadline.runtime.bus.intake import place_before, read_ticks
from leadline.runtime.poison import Handling
from leadline.runtime.runs import LIVE_TAPE
from leadline.schema.permissions import MIGRATE_USER
from tests.aggregation.builders import BUY, CONTRACT, RTH, SELL, VENUE, Print, at, bars_of, batch
from tests.recorder.test_service import until
from tests.stack import bus_as

pytestmark = pytest.mark.integration

SERIES = Series(CONTRACT, VENUE, RTH, parse_bar_spec("1m"), 1)
PRINTS = tick_subject(LIVE_TAPE, VENUE, CONTRACT)
SUBJECT = bar_subject(LIVE_TAPE, VENUE, CONTRACT, "rth", "1m-r1")
DAY = 86_400
# A second instead of two days.
SHORT = {"max_age": 1_000_000_000, "duplicate_window": 1_000_000_000, "discard": "old"}


def live(rows: Sequence[Print], first: int, watermark: int | None = None, *, late: bool = False) -> TickBatch:
    return replace(batch(rows, first=first, watermark=watermark), tape=LIVE_TAPE, late=late)


def minutes(first: int, *numbers: int) -> list[TickBatch]:
    """A print in each of these minutes of the session, each by itself; the market waited from a minute before on."""
    opening = [] if first else [live([], 0, at(-60))]
    rows = [(at(60 * n + 7), 100 + n, 1, (BUY, SELL)[n % 2]) for n in numbers]
    return opening + [live([row], first + n) for n, row in enumerate(rows)]


async def publish(bus: Bus, feed: Sequence[TickBatch]) -> None:
    await bus.publish_many(
        [
            (PRINTS, encode_tick_batch(one), f"{PRINTS}/{one.ticks.first_index}/{len(one.ticks)}/{one.watermark_ns}")
            for one in feed
        ]
    )


@asynccontextmanager
async def building(nats: LocalNats, series: Series = SERIES, before: Told | None = None) -> AsyncIterator[None]:
    async with bus_as(nats, "aggregation") as bus:
        task = asyncio.create_task(keep_building(bus, LIVE_TAPE, series, Handling(None), before))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


async def told(bus: Bus, reached_ns: int, subject: str = SUBJECT) -> list[BarMessage]:
    """Everything on the subject up to a message that promises as much; waits for it."""
    found: list[BarMessage] = []
    async with asyncio.timeout(20), aclosing(bus.ordered(BARS, subject)) as messages:
        async for received in messages:
            found.append(decode_bar(received.payload))
            if found[-1].progress_ns >= reached_ns:
                return found
    raise AssertionError


def said(messages: Sequence[BarMessage]) -> list[tuple[int, int, bool]]:
    """Ordinal, revision and gap of the bars in the order in which they were told."""
    return [(bar.key.ordinal, bar.revision, bar.gap) for bar in bars_of(messages)]


async def test_a_restarted_builder_begins_with_its_session_and_not_with_the_stream(nats_server: LocalNats):
    yesterday = [live([(at(60 * n - DAY), 100, 1, BUY)], n) for n in range(300)]
    async with bus_as(nats_server, "ingestion") as source, bus_as(nats_server, "analysis") as reader:
        await publish(source, [*yesterday, live([], 300, at(-60)), *minutes(300, 0, 1, 2)])
        async with building(nats_server):
            before = await told(reader, at(62))
        place = await place_before(
            source, TICKS, PRINTS, lambda *one: read_ticks(*one).watermark_ns, SERIES.begins_ns(at(70))
        )
        assert place == 301
        # What came before the session is gone: a builder that wanted it would say that it has a gap.
        async with bus_as(nats_server, MIGRATE_USER) as manager:
            await manager.purge(TICKS, PRINTS, before=place)
        await publish(source, [*minutes(303, 3, 4), live([], 305, at(302))])
        async with building(nats_server):
            after = await told(reader, at(302))
    assert said(before)[-1] == (0, 0, False)
    today = [bar for bar in bars_of(after) if bar.start_ns >= at(0)]
    assert [(bar.key.ordinal, bar.revision, bar.gap) for bar in today] == [(n, 0, False) for n in range(5)]
    assert [bar.cumulative_delta for bar in today] == [1, 0, 1, 0, 1]


async def test_between_two_sessions_nothing_is_read_again(nats_server: LocalNats):
    # At a quarter past the close, and within the grace of the last bar.
    assert SERIES.begins_ns(at(6.75 * 3600)) == at(6.75 * 3600)
    assert SERIES.begins_ns(at(6.5 * 3600 + 1)) == at(0)


async def _has_counted(counter: Counter, most: float) -> bool:
    return bool(counter._value.get() == most)


@pytest.mark.moves("leadline_late_ticks_total", "leadline_too_late_ticks_total", "leadline_bar_revisions_total")
async def test_a_late_print_is_a_revision_once_whatever_restarts(nats_server: LocalNats):
    measured = series_metrics(SERIES)
    late, too_late, revisions = (each._value.get() for each in (measured.late, measured.too_late, measured.revisions))
    yesterday = live([(at(9 - DAY), 150, 3, BUY)], 3, at(130), late=True)
    today = live([(at(9), 150, 3, BUY)], 4, at(130), late=True)
    async with bus_as(nats_server, "ingestion") as source, bus_as(nats_server, "analysis") as reader:
        await publish(source, [*minutes(0, 0, 1, 2), yesterday, today])
        async with building(nats_server), asyncio.timeout(20), aclosing(reader.ordered(BARS, SUBJECT)) as messages:
            async for received in messages:
                bar = decode_bar(received.payload).bar
                if bar is not None and (bar.key.ordinal, bar.revision) == (1, 1):
                    break
            await until(partial(_has_counted, measured.revisions, revisions + 2))
        assert (measured.late._value.get() - late, measured.too_late._value.get() - too_late) == (1, 1)
        await publish(source, [*minutes(5, 3), live([], 6, at(300))])
        async with building(nats_server):
            found = await told(reader, at(300))
    # A message that is told again has the key that readers know.
    assert list(dict.fromkeys(said(found))) == [
        (0, 0, False),
        (1, 0, False),
        (0, 1, False),
        (1, 1, False),
        (2, 0, False),
        (3, 0, False),
    ]
    revised = {bar.key.ordinal: bar for bar in bars_of(found) if bar.revision}
    assert (revised[0].volume, revised[0].high, revised[1].cumulative_delta) == (4, 150, 3)


@pytest.mark.moves("leadline_bar_ticks_given_up_total", "leadline_bars_with_gap_total")
async def test_prints_that_the_stream_has_lost_leave_a_counted_gap_and_never_a_silent_hole(nats_server: LocalNats):
    measured = series_metrics(SERIES)
    asked, given_up, with_gap = (each._value.get() for each in (measured.gaps, measured.given_up, measured.with_gap))
    feed = [*minutes(0, 0, 1, 2, 3, 4, 5), live([], 6, at(400))]
    async with bus_as(nats_server, "ingestion") as source, bus_as(nats_server, "analysis") as reader:
        await publish(source, [*feed[:3], *feed[5:]])
        async with building(nats_server):
            found = await told(reader, at(400))
            await until(partial(_has_counted, measured.with_gap, with_gap + 2))  # behind the word on the bus
    assert said(found) == [(0, 0, False), (1, 0, True), (4, 0, True), (5, 0, False)]
    assert measured.gaps._value.get() - asked == MAX_READINGS
    assert measured.given_up._value.get() - given_up == 2


async def _is_empty(bus: Bus) -> bool:
    return not (await bus.state(TICKS)).messages


async def test_old_prints_go_by_age_and_their_readers_survive_it(nats_server: LocalNats):
    async with (
        bus_as(nats_server, "ingestion") as source,
        bus_as(nats_server, "analysis") as reader,
        bus_as(nats_server, MIGRATE_USER) as manager,
    ):
        config = (await manager.api(f"STREAM.INFO.{TICKS}"))["config"]
        await manager.api(f"STREAM.UPDATE.{TICKS}", {**config, **SHORT})
        async with building(nats_server):
            await publish(source, minutes(0, 0, 1))
            await told(reader, at(62))
            await until(partial(_is_empty, source))
            # The builder that has read them goes on as if nothing had happened.
            await publish(source, [*minutes(2, 2, 3), live([], 4, at(242))])
            found = await told(reader, at(242))
        assert said(found) == [(n, 0, False) for n in range(4)]
        await until(partial(_is_empty, source))
        # One that starts now has not seen the beginning of the bar that is open, and says so.
        async with building(nats_server):
            await publish(source, [live([(at(270), 100, 1, BUY)], 4), *minutes(5, 5), live([], 6, at(400))])
            found = await told(reader, at(400))
    assert said(found)[4:] == [(4, 0, True), (5, 0, False)]


async def test_a_tape_that_begins_inside_its_session_has_no_gap_after_a_restart(nats_server: LocalNats):
    series = Series(CONTRACT, VENUE, RTH, parse_bar_spec("ticks:2"), 1)
    subject = bar_subject(LIVE_TAPE, VENUE, CONTRACT, "rth", series.spec)
    async with bus_as(nats_server, "ingestion") as source, bus_as(nats_server, "analysis") as reader:
        await publish(source, [*minutes(0, *range(10, 17))[1:], live([], 7, at(1000))])
        async with building(nats_server, series):
            before = await told(reader, at(967), subject)
        await publish(source, [*minutes(7, 17, 18, 19), live([], 10, at(1300))])
        async with building(nats_server, series):
            found = bars_of(await told(reader, at(1300), subject))
    assert [(bar.key.ordinal, bar.first_index, bar.last_index) for bar in found] == [
        (n, 2 * n, 2 * n + 1) for n in range(5)
    ]
    # What was before the tape's first print is not known, and that is in its first bar.
    assert [bar.gap for bar in found] == [True, False, False, False, False]
    assert said(before) == [(0, 0, True), (1, 0, False), (2, 0, False)]


async def test_tick_bars_go_on_with_their_number_where_the_stream_has_lost_their_session(nats_server: LocalNats):
    series = Series(CONTRACT, VENUE, RTH, parse_bar_spec("ticks:2"), 1)
    subject = bar_subject(LIVE_TAPE, VENUE, CONTRACT, "rth", series.spec)
    async with (
        bus_as(nats_server, "ingestion") as source,
        bus_as(nats_server, "analysis") as reader,
        bus_as(nats_server, MIGRATE_USER) as manager,
    ):
        await publish(source, [*minutes(0, *range(7)), live([], 7, at(400))])
        async with building(nats_server, series):
            await told(reader, at(367), subject)
        # Of the bar that is open the stream has its print, of the bar before it the last one.
        await manager.purge(TICKS, PRINTS, before=7)
        await publish(source, [*minutes(7, 7, 8, 9), live([], 10, at(700))])
        async with building(nats_server, series):
            found = await told(reader, at(700), subject)
    bars = bars_of(found)
    assert [(bar.key.ordinal, bar.first_index, bar.last_index) for bar in bars] == [
        (n, 2 * n, 2 * n + 1) for n in range(5)
    ]
    assert [bar.gap for bar in bars] == [False, False, False, True, False]


async def test_tick_bars_go_on_with_their_number_where_the_bus_has_lost_everything(nats_server: LocalNats):
    series = Series(CONTRACT, VENUE, RTH, parse_bar_spec("ticks:2"), 1)
    subject, before = bar_subject(LIVE_TAPE, VENUE, CONTRACT, "rth", series.spec), Told()
    async with (
        bus_as(nats_server, "ingestion") as source,
        bus_as(nats_server, "analysis") as reader,
        bus_as(nats_server, MIGRATE_USER) as manager,
    ):
        await publish(source, [*minutes(0, *range(6)), live([], 6, at(400))])
        async with building(nats_server, series, before):
            await told(reader, at(307), subject)
            async with asyncio.timeout(5):
                while before.bar is None or before.bar.key.ordinal < 2:  # noqa: ASYNC110 - the builder tells nobody
                    await asyncio.sleep(0.01)
        await manager.purge(TICKS, PRINTS)
        await manager.purge(BARS, subject)
        await publish(source, [*minutes(7, 7, 8, 9, 10), live([], 11, at(700))])
        async with building(nats_server, series, before):
            found = await told(reader, at(607), subject)
    bars = bars_of(found)
    assert [(bar.key.ordinal, bar.first_index, bar.last_index) for bar in bars] == [(3, 7, 8), (4, 9, 10)]
    assert [bar.gap for bar in bars] == [True, False]
