"""The operator's metrics. `reason` labels take the words of `conditions.Reason` and no others."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

RECONCILES: Final = Counter(
    "leadline_operator_reconcile_operations_total", "Times that an object was reconciled", ["kind", "result"]
)
RECONCILE_ERRORS: Final = Counter(
    "leadline_operator_reconcile_errors_total", "Reconciliations that failed and come back", ["kind", "reason"]
)
RECONCILE_SECONDS: Final = Histogram(
    "leadline_operator_reconcile_duration_seconds", "Duration of a reconciliation", ["kind"], buckets=_SECONDS
)
QUEUE_DEPTH: Final = Gauge("leadline_operator_workqueue_depth", "Objects that are due and not taken up")
QUEUE_SECONDS: Final = Histogram(
    "leadline_operator_workqueue_latency_seconds", "From an object's being due to being taken up", buckets=_SECONDS
)
WATCH_EVENTS: Final = Counter("leadline_operator_watch_events_total", "Objects that the watches brought", ["kind"])
WATCH_AGE: Final = Gauge(
    "leadline_operator_watch_age_seconds", "Since the API server was last heard of, by a watch or an answer"
)
WATCH_ENDS: Final = Counter("leadline_operator_watch_ends_total", "Times that the watch of a namespace was begun again")
RELISTS: Final = Counter("leadline_operator_list_operations_total", "Complete listings of a kind", ["kind"])
RELIST_FAILURES: Final = Counter("leadline_operator_list_operations_failed_total", "Listings that failed", ["kind"])
API_REQUESTS: Final = Counter(
    "leadline_operator_api_requests_total", "Requests to the API server; code 0 is no answer", ["verb", "kind", "code"]
)
API_SECONDS: Final = Histogram(
    "leadline_operator_api_request_seconds",
    "Duration of requests to the API server",
    ["verb", "kind"],
    buckets=_SECONDS,
)
STATUS_WRITES: Final = Counter("leadline_operator_status_writes_total", "Statuses written", ["kind"])
DRIFT: Final = Counter(
    "leadline_operator_drift_corrections_total",
    "Objects that somebody had changed and that were put right",
    ["kind"],
)
EVENTS: Final = Counter("leadline_operator_events_total", "Events written", ["type", "reason"])
LEADER: Final = Gauge("leadline_operator_leader", "1 while this operator holds the lease")
RESOURCES: Final = Gauge("leadline_operator_managed_resources", "Objects that are looked after", ["kind"])
NOT_READY: Final = Gauge(
    "leadline_operator_not_ready", "Strategies and accounts that are not ready, by the reason", ["kind", "reason"]
)
