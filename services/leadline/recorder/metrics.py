"""Metrics of the recorder."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from leadline.model.subjects import BARS, SIGNALS, TICKS
from leadline.runtime.measurements import LATENCY_BUCKETS

STREAMS: Final = (TICKS, BARS, SIGNALS)
TABLES: Final = ("candle", "footprint", "signal", "tick_block")
"""Those of which old partitions are dropped."""

_STORED: Final = Counter("leadline_recorder_rows_total", "Prints, bars and signal messages stored", ["stream"])
_OVERLAPPING: Final = Counter("leadline_recorder_overlapping_ticks_total", "Prints that came again and were dropped")
_ASKED_AGAIN: Final = Counter("leadline_recorder_tick_reads_again_total", "Times that missing prints were asked for")
_GAPS: Final = Counter("leadline_recorder_tick_gaps_total", "Prints that were given up, because they could not be had")
_DEAD_LETTERS: Final = Counter("leadline_recorder_dead_letters_total", "Messages that could not be stored", ["stream"])
_RETRIES: Final = Counter("leadline_recorder_retries_total", "Writes that the database failed", ["stream"])
_WRITE_SECONDS: Final = Histogram(
    "leadline_recorder_write_seconds",
    "From a full buffer to its commit, retries included",
    ["stream"],
    buckets=LATENCY_BUCKETS,
)
_REACHED: Final = Gauge(
    "leadline_recorder_stored_timestamp_seconds", "Tape time up to which a stream is stored, as last seen", ["stream"]
)
_DROPPED: Final = Counter("leadline_recorder_partitions_dropped_total", "Partitions dropped because of age", ["table"])

# Bound once: every label exists from the start, and a lookup per batch is saved.
STORED: Final = {stream: _STORED.labels(stream) for stream in STREAMS}
DEAD_LETTERS: Final = {stream: _DEAD_LETTERS.labels(stream) for stream in STREAMS}
RETRIES: Final = {stream: _RETRIES.labels(stream) for stream in STREAMS}
WRITE_SECONDS: Final = {stream: _WRITE_SECONDS.labels(stream) for stream in STREAMS}
REACHED: Final = {stream: _REACHED.labels(stream) for stream in STREAMS}
OVERLAPPING: Final = _OVERLAPPING
ASKED_AGAIN: Final = _ASKED_AGAIN
GAPS: Final = _GAPS
DROPPED: Final = {table: _DROPPED.labels(table) for table in TABLES}
