"""Logs as JSON lines on stderr, without secrets, and traces when a collector is named.

A span is for a decision or a batch, never for a single print: recording one costs more than a print's whole way.
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import orjson
import structlog
from opentelemetry import propagate, trace

from leadline.runtime.clock import monotonic_s

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider

REDACTED: Final = "[redacted]"

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_SECRET_KEY: Final = re.compile(
    r"pass(word|wd|phrase)?$|secret|tokens?$|credential|authorization|api[_-]?key|private|^keys?$|signing_?key|master",
    re.IGNORECASE,
)
# user:password@ in a URL; a secret's name and its value in a connection string, JSON, YAML or a header; a bearer
# token, basic credentials; a signed token wherever it stands.
_SECRET_TEXT: Final = re.compile(
    r"(?<=//)(?P<user>[^/\s:@]+):[^/\s@]+(?=@)"
    r"|(?P<scheme>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]+"
    r"|(?P<name>[\"']?\b[\w-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|signing[_-]?key|private[_-]?key)"
    r"[\"']?\s*[:=]\s*)(?!bearer\b|basic\b)(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s&,;}\]\"']+)"
    r"|eyJ[\w-]+\.[\w-]+\.[\w-]+",
    re.IGNORECASE,
)
_DEEPEST: Final = 8

LINES_PER_EVENT: Final = 50
WINDOW_SECONDS: Final = 10.0
MOST_EVENTS: Final = 1_000

tracer: Final = trace.get_tracer("leadline")


def configure_logging(service: str, workload: str, level: int = logging.INFO) -> structlog.stdlib.BoundLogger:
    """Log JSON lines to stderr from now on, also what libraries log. Returns the service's logger."""
    budget = LineBudget()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[budget, *shared, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(budget.filter)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=lambda *a, **k: _dumps(*a, **k).decode()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    structlog.contextvars.bind_contextvars(service=service, workload=workload)
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(service)
    return logger


def configure_tracing(service: str, workload: str, version: str) -> "TracerProvider | None":
    """Send traces to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names; without it nothing is recorded.

    A collector that is slow or gone costs spans, never time: the queue is bounded and has its own thread.
    """
    if not os.environ.get(_ENDPOINT) or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    # A tenth of a service's start, and only for those that have a collector.
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(
        resource=Resource.create(
            {"service.name": f"leadline-{service}", "service.instance.id": workload, "service.version": version}
        )
    )
    provider.add_span_processor(BatchSpanProcessor(span_exporter()))
    trace.set_tracer_provider(provider)
    return provider


def span_exporter() -> "OTLPSpanExporter":
    """The exporter of spans to the collector that the environment names.

    To another machine it follows the environment's proxy; the loopback interface is never behind one.
    """
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    from leadline.runtime.rpc.grpc_client import NO_PROXY  # noqa: PLC0415 - which imports this module

    endpoint = os.environ.get(_TRACES_ENDPOINT) or os.environ.get(_ENDPOINT) or ""
    options: Any = (NO_PROXY,) if _is_loopback(endpoint) else None
    return OTLPSpanExporter(channel_options=options)


def _is_loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def inject(carrier: MutableMapping[str, str]) -> None:
    """Add the current trace (W3C traceparent) to a message's headers; nothing when there is none."""
    if trace.get_current_span().get_span_context().is_valid:
        propagate.inject(carrier)


def extract(carrier: Mapping[str, str]) -> Any:
    """The trace that a message's headers or a call's metadata carry, as a context for a new span."""
    return propagate.extract(carrier)


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Log processor: hides values of keys that name a secret, and secrets inside texts, however deep they lie."""
    for key, value in event.items():
        event[key] = _hidden(key, value, _DEEPEST)
    return event


def _hidden(key: object, value: Any, deep: int) -> Any:
    if isinstance(key, str) and _SECRET_KEY.search(key):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, (bytes, bytearray)):
        return redact_text(value.decode(errors="replace"))
    if isinstance(value, (Mapping, list, tuple, set, frozenset)) and not deep:
        return "..."
    if isinstance(value, Mapping):
        return {name: _hidden(name, item, deep - 1) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hidden("", item, deep - 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return [_hidden("", item, deep - 1) for item in sorted(value, key=repr)]
    return value


def redact_text(text: str) -> str:
    """The text without the passwords and tokens that can be recognised in it."""
    return _SECRET_TEXT.sub(_hide, text)


def _hide(found: re.Match[str]) -> str:
    if found["user"]:
        return f"{found['user']}:{REDACTED}"
    return f"{found['scheme'] or found['name'] or ''}{REDACTED}"


class LineBudget:
    """Bounds the lines of each event, so that no one outside can push everything else out of the log.

    In a window of ten seconds an event gets so many lines; the first one after says how many were `suppressed`.
    """

    def __init__(self, clock: Callable[[], float] = monotonic_s) -> None:
        self._clock = clock
        self._since_s = clock()
        self._lines: dict[str, int] = {}
        self._suppressed: dict[str, int] = {}

    def take(self, event: str) -> int | None:
        """How many lines of this event were held back before this one; None when this one is, too."""
        now = self._clock()
        if now - self._since_s >= WINDOW_SECONDS:
            self._since_s = now
            self._suppressed = {name: n - LINES_PER_EVENT for name, n in self._lines.items() if n > LINES_PER_EVENT}
            self._lines.clear()
        if event not in self._lines and len(self._lines) >= MOST_EVENTS:
            event = ""
        self._lines[event] = self._lines.get(event, 0) + 1
        return self._suppressed.pop(event, 0) if self._lines[event] <= LINES_PER_EVENT else None

    def __call__(self, _: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Log processor."""
        suppressed = self.take(str(event.get("event", ""))[:100])
        if suppressed is None:
            raise structlog.DropEvent
        if suppressed:
            event["suppressed"] = suppressed
        return event

    def filter(self, record: logging.LogRecord) -> bool:
        """The same for what libraries log."""
        return self.take(f"{record.name} {str(record.msg)[:100]}") is not None


def _add_trace(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = format(span.trace_id, "032x")
    return event


def _add_logger_name(logger: logging.Logger, _: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    record = event.get("_record")
    event["logger"] = record.name if record is not None else logger.name
    return event


def _dumps(event: MutableMapping[str, Any], **_: object) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
