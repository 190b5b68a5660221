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
_GIVEN_UP: Final = Counter(
    "leadline_bar_ticks_given_up_total",
    "Prints of the tape live that the stream has lost: bars over them have a gap",
    _LABELS,
)
_LATE: Final = Counter("leadline_late_ticks_total", "Prints that came after a promise, and changed a bar", _LABELS)
_TOO_LATE: Final = Counter(
    "leadline_too_late_ticks_total", "Late prints of a session before the last one, which are in no bar", _LABELS
)
_REVISIONS: Final = Counter("leadline_bar_revisions_total", "Bars published again because of late prints", _LABELS)
_WITH_GAP: Final = Counter("leadline_bars_with_gap_total", "Bars published of which prints may be missing", _LABELS)
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
    given_up: Counter
    late: Counter
    too_late: Counter
    revisions: Counter
    with_gap: Counter
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
        given_up=_GIVEN_UP.labels(*labels),
        late=_LATE.labels(*labels),
        too_late=_TOO_LATE.labels(*labels),
        revisions=_REVISIONS.labels(*labels),
        with_gap=_WITH_GAP.labels(*labels),
        failures=_FAILURES.labels(*labels),
        close_delay=_CLOSE_DELAY.labels(*labels),
        progress=_PROGRESS.labels(*labels),
    )
