"""Metrics of the analysis service. Labels are names of patterns, regimes and reasons: few and fixed."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from leadline.model.signals import SignalMessage
from leadline.model.ticks import NS_PER_SECOND

SIGNALS: Final = Counter(
    "leadline_signals_total", "Signals published, by pattern and by what the router said", ["pattern", "decision"]
)
BARS: Final = Counter("leadline_analysis_bars_total", "Bars about which something was published, by regime", ["regime"])
STEP_SECONDS: Final = Histogram(
    "leadline_analysis_step_seconds",
    "Folding one message of the bar stream, without reading and publishing it",
    buckets=(0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
)
PROGRESS: Final = Gauge(
    "leadline_analysis_progress_timestamp_seconds", "Tape time up to which signals are complete, seconds since 1970"
)


def count(message: SignalMessage) -> None:
    """Count a message that the bus has stored."""
    PROGRESS.set(message.progress_ns / NS_PER_SECOND)
    if message.bar is None:
        return
    BARS.labels(message.bar.regime_name or "none").inc()
    for signal in message.bar.signals:
        SIGNALS.labels(signal.pattern.value, signal.rejection or "approved").inc()
