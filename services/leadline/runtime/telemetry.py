"""Logs as JSON lines on stderr, without secrets, and traces when a collector is named.

A span is for a decision or a batch, never for a single print: recording one costs more than a print's whole way.
"""

import logging
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import orjson
import structlog
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

REDACTED: Final = "[redacted]"

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_SECRET_KEY: Final = re.compile(
    r"pass(word|wd|phrase)?$|secret|token$|credential|authorization|api_?key|private", re.IGNORECASE
)
# user:password@ in a URL, password=... in a connection string, a bearer token, a signed token.
_SECRET_TEXT: Final = re.compile(
    r"(?<=//)([^/\s:@]+):[^/\s@]+(?=@)|(password=)[^\s&]+|(bearer )\S+|()eyJ[\w-]+\.[\w-]+\.[\w-]+", re.IGNORECASE
)

tracer: Final = trace.get_tracer("leadline")


def configure_logging(service: str, workload: str, level: int = logging.INFO) -> structlog.stdlib.BoundLogger:
    """Log JSON lines to stderr from now on, also what libraries log. Returns the service's logger."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
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


def configure_tracing(service: str, workload: str, version: str) -> TracerProvider | None:
    """Send traces to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names; without it nothing is recorded.

    A collector that is slow or gone costs spans, never time: the queue is bounded and has its own thread.
    """
    if not os.environ.get(_ENDPOINT) or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    provider = TracerProvider(
        resource=Resource.create(
            {"service.name": f"leadline-{service}", "service.instance.id": workload, "service.version": version}
        )
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


def inject(carrier: MutableMapping[str, str]) -> None:
    """Add the current trace (W3C traceparent) to a message's headers; nothing when there is none."""
    if trace.get_current_span().get_span_context().is_valid:
        propagate.inject(carrier)


def extract(carrier: Mapping[str, str]) -> Any:
    """The trace that a message's headers or a call's metadata carry, as a context for a new span."""
    return propagate.extract(carrier)


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Log processor: hides values of keys that name a secret, and secrets inside texts."""
    for key, value in event.items():
        if _SECRET_KEY.search(key):
            event[key] = REDACTED
        elif isinstance(value, str):
            event[key] = redact_text(value)
        elif isinstance(value, Mapping):
            event[key] = redact(None, "", dict(value))
    return event


def redact_text(text: str) -> str:
    """The text without the passwords and tokens that can be recognised in it."""
    return _SECRET_TEXT.sub(lambda m: f"{m[1] + ':' if m[1] else m[2] or m[3] or ''}{REDACTED}", text)


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
