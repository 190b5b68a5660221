"""Metrics of ingestion."""

from typing import Final

from prometheus_client import Counter, Gauge

TICKS: Final = Counter("leadline_ticks_total", "Prints published", ["instrument"])
LAST_TICK: Final = Gauge(
    "leadline_feed_last_tick_timestamp_seconds", "Tape time of the last print published", ["instrument"]
)
CONNECTED: Final = Gauge("leadline_feed_connected", "1 while the feed gives prints, or has given all")
OVERLAPPING: Final = Counter(
    "leadline_ticks_overlapping_total", "Pushed prints dropped because they had been taken before", ["instrument"]
)
QUARANTINED: Final = Counter("leadline_ticks_quarantined_total", "Prints kept out", ["instrument", "reason"])
FULL_SECONDS: Final = Counter("leadline_feed_full_seconds_total", "Time spent waiting for room on the bus")
PURGED: Final = Counter("leadline_feed_purged_total", "Messages that nobody needs any more, removed from the bus")
SOURCE_STATE: Final = Gauge(
    "leadline_feed_source_state", "1 for the state that a live source is in", ["source", "state"]
)
RECONNECTS: Final = Counter("leadline_feed_reconnects_total", "Connections to a live source that were lost", ["source"])
GAPS: Final = Counter("leadline_feed_gaps_total", "Stretches in which live prints may be missing", ["instrument"])
LATE: Final = Counter("leadline_ticks_late_total", "Live prints older than a watermark that was given", ["instrument"])
