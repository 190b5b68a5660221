import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from leadline.runtime.telemetry import (
    LINES_PER_EVENT,
    REDACTED,
    WINDOW_SECONDS,
    LineBudget,
    _is_loopback,
    configure_tracing,
    extract,
    inject,
    redact,
    redact_text,
    span_exporter,
)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgresql://ada:hunter2@db/leadline", "postgresql://ada:[redacted]@db/leadline"),
        ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
        ("host=db password=hunter2 user=ada", "host=db password=[redacted] user=ada"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]"),
        ("got eyJhbGciOiJ.eyJzdWIi.c2lnbmF0dXJl here", "got [redacted] here"),
        ("MESZ6 at 5000.25", "MESZ6 at 5000.25"),
    ],
)
def test_secrets_in_texts_are_hidden_and_the_rest_stays(text, hidden):
    assert redact_text(text) == hidden


@pytest.mark.parametrize("key", ["password", "nats_password", "token", "api_key", "client_secret", "Authorization"])
def test_values_of_keys_that_name_a_secret_are_hidden_at_every_depth(key):
    event = redact(None, "", {"event": "x", key: "hunter2", "deep": {key: "hunter2", "user": "ada"}})
    assert "hunter2" not in json.dumps(event)
    assert event["deep"]["user"] == "ada"


@pytest.mark.parametrize("key", ["token_key_file", "passed", "tokens_read"])
def test_keys_that_only_sound_like_a_secret_are_shown(key):
    assert redact(None, "", {key: "value"})[key] == "value"


LOGGING = """
import logging
import structlog
from leadline.runtime.telemetry import configure_logging
log = configure_logging("risk", "risk-1")
log.info("decided", password="hunter2", url="nats://a:hunter2@b")
structlog.get_logger("elsewhere").warning("other")
logging.getLogger("library").warning("it says %s", "password=hunter2")
try:
    raise ValueError("password=hunter2")
except ValueError:
    log.exception("failed")
"""


def test_everything_is_logged_as_json_lines_on_stderr_without_secrets():
    done = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.stdout == ""
    assert [line["event"] for line in lines] == ["decided", "other", "it says password=[redacted]", "failed"]
    assert {(line["service"], line["workload"]) for line in lines} == {("risk", "risk-1")}
    assert [line["level"] for line in lines] == ["info", "warning", "warning", "error"]
    assert "hunter2" not in done.stderr
    assert "ValueError" in lines[3]["exception"]


def test_no_collector_means_no_tracing(monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert configure_tracing("risk", "risk", "0") is None
    carrier: dict[str, str] = {}
    inject(carrier)
    assert carrier == {}


class Collector(TraceServiceServicer):
    """Takes what it is sent."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def Export(self, request, context):  # noqa: N802 - the contract's name
        self.names += [span.name for one in request.resource_spans for two in one.scope_spans for span in two.spans]
        return ExportTraceServiceResponse()


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "grpc_proxy"])
@pytest.mark.parametrize("written", ["http://127.0.0.1:{}", "http://localhost:{}", "localhost:{}"])
def test_no_proxy_of_the_environment_comes_before_a_collector_on_this_machine(monkeypatch, name: str, written: str):
    for other in ("http_proxy", "https_proxy", "grpc_proxy", "no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:9")  # the port of `discard`, where nobody listens
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", written.format(port))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_INSECURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "5")
    try:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(span_exporter()))
        provider.get_tracer("test").start_span("decided").end()
        provider.shutdown()
    finally:
        server.stop(None)
    assert collector.names == ["decided"]


@pytest.mark.parametrize(
    ("endpoint", "here"),
    [
        ("http://127.0.0.2:4317", True),
        ("http://[::1]:4317", True),
        ("https://otel.localhost:4317", True),
        ("http://collector.monitoring:4317", False),
        ("http://10.0.0.1:4317", False),
        ("collector:4317", False),
    ],
)
def test_a_collector_elsewhere_may_be_behind_a_proxy(endpoint: str, here: bool):
    assert _is_loopback(endpoint) is here


def test_a_trace_goes_with_a_message_and_comes_out_at_the_other_end():
    tracer = TracerProvider().get_tracer("test")
    carrier: dict[str, str] = {}
    with tracer.start_as_current_span("decide") as span:
        inject(carrier)
    assert carrier["traceparent"].split("-")[1] == format(span.get_span_context().trace_id, "032x")
    found = trace.get_current_span(extract(carrier)).get_span_context()
    assert found.span_id == span.get_span_context().span_id


@pytest.mark.parametrize(
    "text",
    [
        '{"password": "hunter2", "user": "ann"}',
        "{'password': 'hunter2'}",
        "password: hunter2",
        "PASSWORD=hunter2",
        "db_password=hunter2&x=1",
        "token=hunter2",
        "api-key=hunter2",
        "api_key: hunter2",
        "X-Api-Key: hunter2",
        "signing_key=hunter2",
        "client_secret = hunter2",
        "Authorization: Basic hunter2",
        "authorization: bearer hunter2",
        "postgresql://ann:hunter2@db/leadline",
        'refused: {"a": [{"access_token": "hun\\"hunter2"}]}',
    ],
)
def test_a_secret_inside_a_text_is_not_logged(text: str):
    assert "hunter2" not in redact_text(text)
    assert REDACTED in redact_text(text)


@pytest.mark.parametrize(
    "event",
    [
        {"values": ["token=hunter2"]},
        {"values": [{"password": "hunter2"}]},
        {"values": ("x", {"deep": [b"password: hunter2"]})},
        {"body": b'{"password": "hunter2"}'},
        {"key": "hunter2"},
        {"keys": ["hunter2"]},
        {"signing_key": "hunter2"},
        {"tokens": ["hunter2"]},
        {"api-key": "hunter2"},
        {"master": "hunter2"},
    ],
)
def test_a_secret_is_not_logged_however_deep_it_lies(event: dict[str, object]):
    assert "hunter2" not in repr(redact(None, "", event))


@pytest.mark.parametrize("text", ["the key of the bar", "tokens are short", "password_file /run/x", "a: b"])
def test_a_text_without_a_secret_stays_as_it_is(text: str):
    assert redact_text(text) == text


def test_an_event_has_so_many_lines_and_then_says_how_many_were_left_out():
    now = [0.0]
    budget = LineBudget(lambda: now[0])
    told = [budget.take("grpc.refused") for _ in range(5_000)]
    assert told.count(None) == 5_000 - LINES_PER_EVENT
    assert budget.take("another event") == 0
    now[0] += WINDOW_SECONDS
    assert budget.take("grpc.refused") == 5_000 - LINES_PER_EVENT
    assert budget.take("grpc.refused") == 0
