"""Metrics of the aggregation service. Series labels are bounded by the demand."""

from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from leadline.aggregation.demand import Series
from leadline.runtime.measurements import LATENCY_BUCKETS

_LABELS: Final = ("instrument", "session", "bars")

_TICKS: Final = Counter("leadline_aggregated_ticks_total", "Prints folded into bars", _LABELS)
_BARS: Final = Counter("leadline_bars_total", "Bars published", _LABELS)
_OVERLAPPING: Final = Counter("leadline_tick_overlaps_total", "Prints that came again and were dropped", _LABELS)
_GAPS: Final = Counter("leadline_tick_gaps_total", "Times that prints were missing and asked for again", _LABELS)
_FAILURES: Final = Counter("leadline_bar_builder_failures_total", "Times that a builder had to begin anew", _LABELS)
_CLOSE_DELAY: Final = Histogram(
    "leadline_bar_close_delay_seconds",
    "From taking the prints that made a bar known to its being stored on the bus",
    _LABELS,
    buckets=LATENCY_BUCKETS,
)
_PROGRESS: Final = Gauge("leadline_bar_progress_timestamp_seconds", "Tape time before which no bar follows", _LABELS)

BUILDERS: Final = Gauge("leadline_bar_builders", "Builders that run")
DEMAND_FAILURES: Final = Counter("leadline_demand_read_failures_total", "Times that the demand could not be read")
REFUSED_DEMAND: Final = Gauge("leadline_demand_refused", "Rows of the demand that name nothing that can be built")


@dataclass(frozen=True, slots=True)
class SeriesMetrics:
    """The metrics of one series, bound once: looking labels up costs more than counting."""

    ticks: Counter
    bars: Counter
    overlapping: Counter
    gaps: Counter
    failures: Counter
    close_delay: Histogram
    progress: Gauge


def series_metrics(series: Series) -> SeriesMetrics:
    """Bind the metrics of a series, each at 0 from now on."""
    labels = (series.contract, series.hours.id, series.spec)
    return SeriesMetrics(
        ticks=_TICKS.labels(*labels),
        bars=_BARS.labels(*labels),
        overlapping=_OVERLAPPING.labels(*labels),
        gaps=_GAPS.labels(*labels),
        failures=_FAILURES.labels(*labels),
        close_delay=_CLOSE_DELAY.labels(*labels),
        progress=_PROGRESS.labels(*labels),
    )
