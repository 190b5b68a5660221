"""Metrics of the paper venue. One process is one account's venue."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from leadline.runtime.measurements import LATENCY_BUCKETS

ORDERS: Final = Counter("leadline_venue_orders_total", "Orders handed in, by what became of the call", ["outcome"])
FILLS: Final = Counter("leadline_venue_fills_total", "Fills")
MATCHED: Final = Counter("leadline_venue_matched_ticks_total", "Prints that were matched")
BUFFERED: Final = Gauge("leadline_venue_buffered_ticks", "Prints that wait to be matched", ["instrument"])
TAPE_READ_AGAIN: Final = Counter("leadline_venue_tape_reads_again_total", "Times that missing prints were asked for")
INSTANT: Final = Gauge("leadline_venue_instant_timestamp_seconds", "Tape time up to which prints are matched")
ADVANCE_SECONDS: Final = Histogram(
    "leadline_venue_advance_seconds", "Time of a call that lets the tape run", buckets=LATENCY_BUCKETS
)
LEDGER_SECONDS: Final = Histogram(
    "leadline_venue_ledger_write_seconds", "Time of a write to the ledger, on disk", buckets=LATENCY_BUCKETS
)
LEDGER_BYTES: Final = Gauge("leadline_venue_ledger_bytes", "Size of the ledger")
