"""Metrics of the runtime itself. Declared once here, served by every service."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)

HEARTBEAT: Final = Gauge(
    "leadline_heartbeat_timestamp_seconds", "Wall time at which the service's event loop last ran freely", ["service"]
)
LOOP_LAG: Final = Histogram(
    "leadline_event_loop_lag_seconds", "How late the event loop woke a timer", buckets=LATENCY_BUCKETS
)
SERVICE_INFO: Final = Gauge(
    "leadline_service_info", "1, labelled with what is running", ["service", "workload", "version", "code"]
)
READY: Final = Gauge("leadline_ready", "1 while the service does its work and has what it needs for it", ["service"])
NEEDS: Final = Gauge(
    "leadline_need_met", "1 while what the service needs of another is there: bus, database, peer", ["need"]
)

RETRIES: Final = Counter(
    "leadline_retries_total", "Trials that failed and are made again, by what did not answer", ["part"]
)

PUBLISHED: Final = Counter("leadline_bus_published_total", "Messages that the bus has stored", ["kind"])
PUBLISH_SECONDS: Final = Histogram(
    "leadline_bus_publish_seconds",
    "From handing over a message or batch to the bus's acknowledgement",
    buckets=LATENCY_BUCKETS,
)
DUPLICATES: Final = Counter(
    "leadline_bus_duplicates_total", "Messages of which the bus said that it has their id already", ["kind"]
)
IDS_TAKEN: Final = Counter(
    "leadline_bus_ids_taken_total",
    "Messages that went out under another id, because what the bus had under theirs was not the same",
    ["kind"],
)
TAILS_LOST: Final = Counter(
    "leadline_bus_tails_lost_total",
    "Subjects of which the bus had lost what it had acknowledged, so that it was published again",
    ["stream"],
)
LINKS: Final = Counter("leadline_bus_connections_total", "Connections to the bus that were opened")
READER_RESTARTS: Final = Counter(
    "leadline_bus_reader_restarts_total", "Readers that had to be opened again", ["stream"]
)
REFUSED_MESSAGES: Final = Counter(
    "leadline_bus_refused_messages_total",
    "Messages that a reader passed over because it cannot use them",
    ["stream", "reason"],
)

CALL_SECONDS: Final = Histogram(
    "leadline_grpc_call_seconds", "Duration of calls that were answered", ["method"], buckets=LATENCY_BUCKETS
)
CALLS_OPEN: Final = Gauge("leadline_grpc_calls_open", "Calls that are being answered now", ["method"])
CALLS_HELD: Final = Gauge("leadline_grpc_calls_held", "Calls that wait to be refused", ["method"])
CALLS: Final = Counter("leadline_grpc_calls_total", "Calls by how they were answered", ["method", "code"])
