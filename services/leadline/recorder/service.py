"""The recorder: what the bus carries, in PostgreSQL, once, for as long as it is kept; acknowledged after the commit."""

import asyncio
from typing import Final

from leadline.model.bars import BarMessage
from leadline.model.services import RECORDER
from leadline.model.signals import SignalMessage
from leadline.model.subjects import BARS, SIGNALS, TICKS
from leadline.model.ticks import TickBatch
from leadline.recorder.keeping import TapeClock, keep_tables
from leadline.recorder.partition_store import Partitions, date_of
from leadline.recorder.store import Store
from leadline.recorder.stream_sink import SinkSpec, StreamSink
from leadline.recorder.ticks import TickSink
from leadline.runtime.bus.bus import Bus
from leadline.runtime.bus.intake import read_bar, read_signal, read_ticks
from leadline.runtime.context import Context

TICK_BUFFER_ROWS: Final = 50_000
"""Prints are numbers in columns: many cost little memory, and each commit waits for the disk."""


def tick_sink(store: Store, bus: Bus) -> SinkSpec[TickBatch]:
    """Prints, without a hole as long as the stream has them."""
    return SinkSpec(
        stream=TICKS,
        decode=read_ticks,
        rows=lambda batch: len(batch.ticks),
        reached_ns=lambda batch: batch.watermark_ns,
        write=TickSink(store, bus).write,
        buffer_rows=TICK_BUFFER_ROWS,
    )


def bar_sink(store: Store) -> SinkSpec[BarMessage]:
    """Candles with their footprints."""
    return SinkSpec(
        stream=BARS,
        decode=read_bar,
        rows=lambda message: 0 if message.bar is None else 1 + len(message.bar.rows),
        reached_ns=lambda message: message.progress_ns,
        write=store.write_bars,
    )


def signal_sink(store: Store) -> SinkSpec[SignalMessage]:
    """The sink of signals and proposals."""
    return SinkSpec(
        stream=SIGNALS,
        decode=read_signal,
        rows=lambda message: 0 if message.bar is None else 1,
        reached_ns=lambda message: message.progress_ns,
        write=store.write_signals,
    )


async def run(context: Context) -> None:
    """Store until the process is told to stop; what was fetched by then is stored and acknowledged.

    Raises Unknown when the bus has no consumer for the recorder.
    """
    clock = TapeClock()
    partitions = Partitions(context.pool, lambda: date_of(clock.now_ns()))
    store, stopping, handling = Store(context.pool, partitions), context.stopping, context.handling
    ticks, bars, signals = [await context.bus.durable(stream, RECORDER) for stream in (TICKS, BARS, SIGNALS)]
    tasks = [
        context.spawn(
            StreamSink(tick_sink(store, context.bus), store, stopping, handling).run(ticks), "recorder ticks"
        ),
        context.spawn(StreamSink(bar_sink(store), store, stopping, handling).run(bars), "recorder bars"),
        context.spawn(StreamSink(signal_sink(store), store, stopping, handling).run(signals), "recorder signals"),
        context.spawn(keep_tables(partitions, stopping), "recorder tables"),
    ]
    context.spawn(clock.follow(context.bus), "recorder clock")
    await context.serve()
    context.set_ready(True)
    await asyncio.gather(*tasks)
