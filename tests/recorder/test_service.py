"""The recorder on a real bus and a real database: everything is stored once, and acknowledged when it is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from leadline.local.local_nats import LocalNats
from leadline.model.ids import AccountId, StrategyId
from leadline.model.services import RECORDER
from leadline.model.subjects import BARS, SIGNALS, TICKS, bar_subject, signal_subject, tick_subject
from leadline.model.ticks import TickBatch
from leadline.model.wire.bars import encode_bar
from leadline.model.wire.signals import encode_signal
from leadline.model.wire.ticks import encode_tick_batch
from leadline.recorder import metrics, service, stream_sink
from leadline.recorder.service import bar_sink, signal_sink, tick_sink
from leadline.recorder.store import Store
from leadline.recorder.stream_sink import SinkSpec, StreamSink
from leadline.recorder.ticks import TickSink
from leadline.runtime.bus.bus import Bus
from leadline.runtime.context import open_context
from leadline.runtime.poison import Handling
from leadline.runtime.settings import ServiceSettings
from tests.measured import total, value
from tests.recorder.builders import CONTRACT, TAPE, VENUE, bar_message, progress_message, signal_message, tick_batch
from tests.recorder.test_store import position, stored_indices
from tests.stack import Database, bus_as

pytestmark = pytest.mark.integration

PRINTS = tick_subject(TAPE, VENUE, CONTRACT)
BAR_SUBJECT = bar_subject(TAPE, VENUE, CONTRACT, "rth", "5m-r1")
SIGNAL_SUBJECT = signal_subject(TAPE, AccountId("default/paper"), StrategyId("default/mes-orderflow"))


async def publish_ticks(nats: LocalNats, batches: Sequence[TickBatch], attempt: str = "") -> None:
    async with bus_as(nats, "ingestion") as bus:
        await bus.publish_many(
            [(PRINTS, encode_tick_batch(one), f"{PRINTS}/{attempt}{one.ticks.first_index}") for one in batches]
        )


@asynccontextmanager
async def recording(bus: Bus, spec: SinkSpec[Any], store: Store) -> AsyncIterator[asyncio.Event]:
    """A carrier at work; it is told to stop at the end of the block, and must do so without an error."""
    stopping = asyncio.Event()
    durable = await bus.durable(spec.stream, RECORDER)
    task = asyncio.create_task(StreamSink(spec, store, stopping, Handling(None)).run(durable))
    try:
        yield stopping
    finally:
        stopping.set()
        await asyncio.wait_for(task, 10)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what another process does and tells nobody."""
    async with asyncio.timeout(20):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.01)


async def all_acknowledged(bus: Bus, stream: str) -> None:
    """Wait until the recorder has acknowledged all that the stream holds."""

    async def done() -> bool:
        return await bus.acknowledged(stream, RECORDER) == (await bus.state(stream)).last_sequence

    await until(done)


async def has_reached(pool, index: int) -> bool:
    return (await position(pool) or 0) >= index


async def cut_waiting_connections(pool) -> bool:
    cut = await pool.fetchval("""
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
    """)
    return bool(cut)


async def record_ticks(bus: Bus, store: Store) -> None:
    async with recording(bus, tick_sink(store, bus), store):
        await all_acknowledged(bus, TICKS)


async def test_prints_bars_and_signals_are_stored_and_acknowledged(nats_server: LocalNats, pool):
    await publish_ticks(nats_server, [tick_batch(first, first + 99) for first in range(0, 6000, 100)])
    async with bus_as(nats_server, "aggregation") as bus:
        bars = [bar_message(0), progress_message(), bar_message(2)]
        await bus.publish_many([(BAR_SUBJECT, encode_bar(one), f"{BAR_SUBJECT}/{n}") for n, one in enumerate(bars)])
    async with bus_as(nats_server, "analysis") as bus:
        await bus.publish(SIGNAL_SUBJECT, encode_signal(signal_message(2)), f"{SIGNAL_SUBJECT}/2")
    store = Store(pool)
    async with (
        bus_as(nats_server, "recorder") as bus,
        recording(bus, tick_sink(store, bus), store),
        recording(bus, bar_sink(store), store),
        recording(bus, signal_sink(store), store),
    ):
        for stream in (TICKS, BARS, SIGNALS):
            await all_acknowledged(bus, stream)
    assert await stored_indices(pool) == list(range(6000))
    assert [row[0] for row in await pool.fetch("SELECT ordinal FROM candle ORDER BY 1")] == [0, 2]
    assert await pool.fetchval("SELECT ordinal FROM signal") == 2


async def test_the_service_stores_until_it_is_told_to_stop(
    nats_server: LocalNats, database: Database, pool, tmp_path: Path
):
    key = tmp_path / "key"
    key.write_text("a key that is long enough to sign tokens with")
    settings = ServiceSettings(
        service="recorder",
        workload="recorder",
        listen="127.0.0.1:0",
        metrics_listen="127.0.0.1:0",
        nats=nats_server.settings("recorder"),
        database=database.settings("recorder"),
        data_dir=tmp_path,
        token_key_file=key,
    )
    context = await open_context(settings, structlog.stdlib.get_logger())
    task = asyncio.create_task(service.run(context))
    await publish_ticks(nats_server, [tick_batch(0, 99)])
    async with bus_as(nats_server, "analysis") as bus:
        await bus.publish(SIGNAL_SUBJECT, encode_signal(signal_message(2)), f"{SIGNAL_SUBJECT}/2")
    await until(partial(has_reached, pool, 99))
    context.stopping.set()
    await asyncio.wait_for(task, 10)
    for stream in (TICKS, SIGNALS):
        await all_acknowledged(context.bus, stream)
    await context.close()
    assert not context.crashed.done()
    assert await pool.fetchval("SELECT count(*) FROM signal") == 1


async def test_the_last_prints_of_a_tape_wait_for_nothing(
    nats_server: LocalNats, pool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream_sink, "BUFFER_SECONDS", 3600.0)
    store = Store(pool)
    async with bus_as(nats_server, "recorder") as bus, recording(bus, tick_sink(store, bus), store) as stopping:
        await publish_ticks(nats_server, [tick_batch(0, 9), replace(tick_batch(10, 19), final=True)])
        await until(partial(has_reached, pool, 19))
        # It waits for the next print, and is told to stop before this comes.
        stopping.set()
        await publish_ticks(nats_server, [tick_batch(20, 20)])
    assert await stored_indices(pool) == list(range(21))


@pytest.mark.moves("leadline_recorder_overlapping_ticks_total")
async def test_what_was_committed_but_not_acknowledged_is_stored_once(nats_server: LocalNats, pool):
    before = total("leadline_recorder_overlapping_ticks_total")
    batches = [tick_batch(first, first + 9) for first in range(0, 100, 10)]
    await publish_ticks(nats_server, batches)
    store = Store(pool)
    await store.write_ticks(batches[:4])
    async with bus_as(nats_server, "recorder") as bus:
        await record_ticks(bus, store)
    assert await stored_indices(pool) == list(range(100))
    assert total("leadline_recorder_overlapping_ticks_total") > before


async def test_a_recorder_that_is_killed_leaves_the_rest_to_the_next(nats_server: LocalNats, pool):
    store = Store(pool)
    for start in range(0, 300, 100):
        await publish_ticks(nats_server, [tick_batch(first, first + 9) for first in range(start, start + 100, 10)])
        async with bus_as(nats_server, "recorder") as bus:
            durable = await bus.durable(TICKS, RECORDER)
            task = asyncio.create_task(
                StreamSink(tick_sink(store, bus), store, asyncio.Event(), Handling(None)).run(durable)
            )
            await until(partial(has_reached, pool, start + 20))
            task.cancel()
            await asyncio.wait([task])
    async with bus_as(nats_server, "recorder") as bus:
        await record_ticks(bus, store)
    assert await stored_indices(pool) == list(range(300))


async def test_a_source_that_publishes_again_what_the_bus_has_makes_no_double_print(nats_server: LocalNats, pool):
    await publish_ticks(nats_server, [tick_batch(0, 9), tick_batch(10, 19)])
    await publish_ticks(nats_server, [tick_batch(5, 14), tick_batch(15, 24)], attempt="again-")
    async with bus_as(nats_server, "recorder") as bus:
        await record_ticks(bus, Store(pool))
    assert await stored_indices(pool) == list(range(25))


@pytest.mark.moves("leadline_recorder_tick_reads_again_total")
async def test_prints_that_the_database_has_lost_are_read_again_from_the_stream(nats_server: LocalNats, pool):
    before = total("leadline_recorder_tick_reads_again_total")
    await publish_ticks(nats_server, [tick_batch(first, first + 9) for first in range(0, 100, 10)])
    store = Store(pool)
    async with bus_as(nats_server, "recorder") as bus:
        await record_ticks(bus, store)
        columns = ", ".join(f"{name} = {name}[:34]" for name in ("ts_ns", "price", "size", "aggressor"))
        await pool.execute(f"UPDATE tick_block SET last_index = 33, last_ns = ts_ns[34], {columns}")
        await pool.execute("UPDATE tick_position SET last_index = 33")
        await publish_ticks(nats_server, [tick_batch(100, 109)])
        await record_ticks(bus, store)
    assert await stored_indices(pool) == list(range(110))
    assert await pool.fetchval("SELECT count(*) FROM tick_gap") == 0
    assert total("leadline_recorder_tick_reads_again_total") > before


async def test_prints_that_nobody_has_become_a_gap(nats_server: LocalNats, pool):
    await publish_ticks(nats_server, [tick_batch(0, 9), tick_batch(20, 29)])
    async with bus_as(nats_server, "recorder") as bus:
        await record_ticks(bus, Store(pool))
    assert await stored_indices(pool) == [*range(10), *range(20, 30)]
    assert [tuple(row)[2:4] for row in await pool.fetch("SELECT * FROM tick_gap")] == [(10, 19)]


@pytest.mark.moves("leadline_recorder_tick_gaps_total")
async def test_a_stream_that_no_longer_has_anything_is_not_waited_for(nats_server: LocalNats, pool):
    store, lost = Store(pool), value("leadline_recorder_tick_gaps_total")
    async with bus_as(nats_server, "recorder") as bus:
        sink = TickSink(store, bus, idle_s=0.2)
        assert await sink.write([tick_batch(5, 9)]) == 5
    assert await stored_indices(pool) == [5, 6, 7, 8, 9]
    assert [tuple(row)[2:4] for row in await pool.fetch("SELECT * FROM tick_gap")] == [(0, 4)]
    assert value("leadline_recorder_tick_gaps_total") == lost + 5


@pytest.mark.moves("leadline_recorder_dead_letters_total")
async def test_a_message_that_cannot_be_read_is_kept_aside_and_holds_nobody_up(nats_server: LocalNats, pool):
    buried = value("leadline_recorder_dead_letters_total", stream=TICKS)
    await publish_ticks(nats_server, [tick_batch(0, 9)])
    async with bus_as(nats_server, "ingestion") as bus:
        await bus.publish(PRINTS, b"\xff\xff\xff", f"{PRINTS}/bad")
    await publish_ticks(nats_server, [tick_batch(10, 19)])
    async with bus_as(nats_server, "recorder") as bus:
        await record_ticks(bus, Store(pool))
    assert await stored_indices(pool) == list(range(20))
    row = await pool.fetchrow("SELECT * FROM dead_letter")
    assert (row["subject"], row["message_id"], row["payload"]) == (PRINTS, f"{PRINTS}/bad", b"\xff\xff\xff")
    assert value("leadline_recorder_dead_letters_total", stream=TICKS) == buried + 1


async def test_prints_that_cannot_be_are_kept_aside_and_the_others_are_stored(nats_server: LocalNats, pool):
    broken = tick_batch(10, 19)
    broken.ticks.size[3] = 0
    await publish_ticks(nats_server, [tick_batch(0, 9), broken, tick_batch(20, 29)])
    async with bus_as(nats_server, "recorder") as bus:
        await record_ticks(bus, Store(pool))
    assert await stored_indices(pool) == [*range(10), *range(20, 30)]
    assert (await pool.fetchval("SELECT detail FROM dead_letter")).startswith("sizes from 0")
    assert [tuple(row)[2:4] for row in await pool.fetch("SELECT * FROM tick_gap")] == [(10, 19)]


@pytest.mark.moves("leadline_recorder_retries_total")
async def test_lost_connections_to_the_database_delay_and_lose_nothing(nats_server: LocalNats, pool):
    before = total("leadline_recorder_retries_total")
    retries = metrics.RETRIES[TICKS]._value.get()
    store = Store(pool)
    async with bus_as(nats_server, "recorder") as bus, recording(bus, tick_sink(store, bus), store):
        await publish_ticks(nats_server, [tick_batch(0, 9)])
        await all_acknowledged(bus, TICKS)
        async with pool.acquire() as holder, holder.transaction():
            # The next write waits for this lock, and its connection is cut.
            await holder.execute("LOCK TABLE tick_position IN ACCESS EXCLUSIVE MODE")
            await publish_ticks(nats_server, [tick_batch(10, 19)])
            await until(lambda: cut_waiting_connections(pool))
        await all_acknowledged(bus, TICKS)
    assert await stored_indices(pool) == list(range(20))
    assert metrics.RETRIES[TICKS]._value.get() > retries
    assert total("leadline_recorder_retries_total") > before
