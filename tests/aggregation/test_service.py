"""The builders on a real bus: bars come out once and in order, whatever restarts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import pytest

from leadline.aggregation.builder import Gap
from leadline.aggregation.demand import Series
from leadline.aggregation.metrics import series_metrics
from leadline.aggregation.service import MAX_READINGS, SeriesBuilding, build_and_publish, keep_building
from leadline.local.local_nats import LocalNats
from leadline.model.bars import BarMessage
from leadline.model.durations import parse_bar_spec
from leadline.model.subjects import BARS, TICKS, bar_subject, tick_subject
from leadline.model.ticks import TickBatch
from leadline.model.wire.bars import decode_bar, encode_bar
from leadline.model.wire.ticks import encode_tick_batch
from leadline.runtime.bus.bus import Bus
from leadline.runtime.poison import Handling
from tests.aggregation.builders import BUY, CONTRACT, RTH, SELL, TAPE, VENUE, at, bars_of, batches, builder, plain, run
from tests.measured import total
from tests.stack import OlderStore, bus_as

pytestmark = pytest.mark.integration

PRINTS = tick_subject(TAPE, VENUE, CONTRACT)
ROWS = [(at(0.5 * n), 20_000 + n % 11, 1 + n % 5, BUY if n % 3 else SELL) for n in range(4000)]
END_NS = at(3000)


def series(bars="1m") -> Series:
    return Series(CONTRACT, VENUE, RTH, parse_bar_spec(bars), 1)


def subject(bars="1m") -> str:
    return bar_subject(TAPE, VENUE, CONTRACT, "rth", f"{parse_bar_spec(bars).token}-r1")


def tape(size=100) -> list[TickBatch]:
    return list(batches(ROWS, range(0, len(ROWS), size), end_ns=END_NS))


def expected(bars="1m") -> list[object]:
    return [plain(bar) for bar in bars_of(run(builder(bars), tape()))]


async def publish(bus: Bus, feed: Sequence[TickBatch]) -> None:
    await bus.publish_many(
        [
            (PRINTS, encode_tick_batch(one), f"{PRINTS}/{one.ticks.first_index}/{one.ticks.last_index}/{one.final}")
            for one in feed
        ]
    )


async def told(bus: Bus, bars="1m") -> list[BarMessage]:
    """Everything on the subject, up to the end of the tape; waits for it."""
    found = []
    async with aclosing(bus.ordered(BARS, subject(bars))) as messages:
        async for received in messages:
            found.append(decode_bar(received.payload))
            if found[-1].final:
                break
    return found


@asynccontextmanager
async def building(bus: Bus, bars="1m") -> AsyncIterator[asyncio.Task[None]]:
    """A builder that is killed at the end of the block."""
    task = asyncio.create_task(keep_building(bus, TAPE, series(bars), Handling(None)))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


async def test_bars_and_progress_come_out_to_the_end_of_the_tape(nats_server: LocalNats):
    async with (
        bus_as(nats_server, "ingestion") as source,
        bus_as(nats_server, "aggregation") as bus,
        bus_as(nats_server, "analysis") as reader,
        building(bus) as task,
    ):
        await publish(source, tape())
        messages = await told(reader)
        await asyncio.wait_for(task, 10)
    assert [plain(bar) for bar in bars_of(messages)] == expected()
    assert messages[-1].progress_ns == END_NS


async def test_a_builder_that_is_killed_anywhere_tells_each_bar_once_and_in_order(nats_server: LocalNats):
    feed = tape()
    async with (
        bus_as(nats_server, "ingestion") as source,
        bus_as(nats_server, "aggregation") as bus,
        bus_as(nats_server, "analysis") as reader,
    ):
        for start in range(0, len(feed), 9):
            async with building(bus):
                await publish(source, feed[start : start + 9])
                async with aclosing(reader.ordered(BARS, subject())) as messages:
                    await anext(messages)
        async with building(bus) as task:
            await asyncio.wait_for(task, 10)
        found = await told(reader)
    assert [plain(bar) for bar in bars_of(found)] == expected()


async def test_a_builder_that_begins_after_the_tape_has_ended_tells_all_of_it(nats_server: LocalNats):
    async with (
        bus_as(nats_server, "ingestion") as source,
        bus_as(nats_server, "aggregation") as bus,
        bus_as(nats_server, "analysis") as reader,
    ):
        await publish(source, tape(size=256))
        async with building(bus, "ticks:100") as task:
            await asyncio.wait_for(task, 10)
        found = await told(reader, "ticks:100")
        async with building(bus, "ticks:100") as again:
            await asyncio.wait_for(again, 10)
        assert [plain(bar) for bar in bars_of(found)] == expected("ticks:100")
        last = await reader.last(BARS, subject("ticks:100"))
    assert last is not None
    assert decode_bar(last.payload).final


async def test_builders_of_one_contract_do_not_wait_for_each_other(nats_server: LocalNats):
    async with (
        bus_as(nats_server, "ingestion") as source,
        bus_as(nats_server, "aggregation") as bus,
        bus_as(nats_server, "analysis") as reader,
        building(bus, "5m"),
    ):
        await publish(source, tape()[:20])
        async with aclosing(reader.ordered(BARS, subject("5m"))) as messages:
            await anext(messages)
        async with building(bus, "volume:50") as joined:
            await publish(source, tape()[20:])
            await asyncio.wait_for(joined, 10)
        assert [plain(bar) for bar in bars_of(await told(reader, "5m"))] == expected("5m")
        assert [plain(bar) for bar in bars_of(await told(reader, "volume:50"))] == expected("volume:50")


@pytest.mark.moves("leadline_tick_overlaps_total")
async def test_batches_that_were_published_twice_are_taken_once(nats_server: LocalNats):
    before = total("leadline_tick_overlaps_total")
    feed = tape()
    async with (
        bus_as(nats_server, "ingestion") as source,
        bus_as(nats_server, "aggregation") as bus,
        bus_as(nats_server, "analysis") as reader,
        building(bus),
    ):
        await publish(source, feed[:10])
        for one in [*feed[5:10], *feed[8:]]:
            again = f"{PRINTS}/again/{one.ticks.first_index}/{one.final}"
            await source.publish(PRINTS, encode_tick_batch(one), again)
        found = await told(reader)
    assert [plain(bar) for bar in bars_of(found)] == expected()
    assert total("leadline_tick_overlaps_total") > before


async def test_a_bar_told_before_the_kill_is_not_told_again(nats_server: LocalNats):
    everything = run(builder("1m"), tape())
    async with (
        bus_as(nats_server, "ingestion") as source,
        bus_as(nats_server, "aggregation") as bus,
        bus_as(nats_server, "analysis") as reader,
    ):
        await publish(source, tape())
        # The earlier life told nine messages under ids that the server does not know any more.
        await bus.publish_many([(subject(), encode_bar(one), f"earlier/{n}") for n, one in enumerate(everything[:9])])
        async with building(bus) as task:
            await asyncio.wait_for(task, 10)
        found = await told(reader)
    assert [plain(bar) for bar in bars_of(found)] == expected()


@pytest.mark.moves("leadline_tick_gaps_total")
async def test_prints_that_the_stream_has_lost_are_asked_for_and_then_an_error(nats_server: LocalNats):
    feed, measured = tape(), series_metrics(series("5m"))
    gaps = measured.gaps._value.get()
    async with bus_as(nats_server, "ingestion") as source, bus_as(nats_server, "aggregation") as bus:
        await publish(source, [*feed[:5], *feed[6:]])
        with pytest.raises(Gap, match="prints 500 to 599 are missing"):
            await SeriesBuilding(bus, TAPE, series("5m"), measured, Handling(None)).run()
    assert measured.gaps._value.get() - gaps == MAX_READINGS


async def test_bars_that_the_bus_has_lost_are_told_again(nats_server: LocalNats, tmp_path):
    """Also by a builder that has told its tape to the end, and has nothing left to say."""
    async with bus_as(nats_server, "ingestion") as feed, bus_as(nats_server, "aggregation") as bus:
        await publish(feed, tape()[:20])
        building = asyncio.create_task(build_and_publish(bus, TAPE, series(), Handling(None)))
        async with aclosing(bus.ordered(BARS, subject())) as messages:
            await anext(messages)
        older = OlderStore(nats_server, tmp_path)
        await publish(feed, tape()[20:])
        await told(bus)
        older.put_back()
        await feed.resume(TICKS, PRINTS)
        await publish(feed, tape()[20:])
        found = await told(bus)
        building.cancel()
        await asyncio.wait([building])
    assert building.cancelled()
    assert [plain(message.bar) for message in found if message.bar is not None] == expected()
