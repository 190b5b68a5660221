"""Alerts and scrapes name what there is."""

import re

import prometheus_client

import leadline_operator.metrics  # noqa: F401 - declares its metrics
from scripts import _reference_platform as platform
from tests.chart.rendering import one, pods, render, values_of


def metric_names() -> set[str]:
    """Every metric that the services declare, by the names under which it is scraped."""
    platform.metrics()  # imports all that declare one
    return {
        sample for family in prometheus_client.REGISTRY.collect() for sample in (family.name, f"{family.name}_total")
    }


def test_every_alert_asks_for_a_metric_that_a_service_has():
    rule = one(render(values_of("desks")), "PrometheusRule", "leadline")
    known = metric_names()
    for group in rule["spec"]["groups"]:
        for alert in group["rules"]:
            asked = set(re.findall(r"leadline_[a-z_]+", alert["expr"]))
            assert asked, alert["alert"]
            assert asked <= known, alert["alert"]
            assert alert["labels"]["severity"] in {"warning", "critical"}
            assert {"summary", "description"} <= set(alert["annotations"])


def test_the_monitors_find_the_services_and_their_port():
    documents = render(values_of("desks"))
    monitor = one(documents, "ServiceMonitor", "leadline")["spec"]
    labels = monitor["selector"]["matchLabels"].items()
    found = {
        document["metadata"]["name"]
        for document in documents
        if document["kind"] == "Service"
        and labels <= document["metadata"]["labels"].items()
        # The bus and the database have no such port, and are passed over.
        and monitor["endpoints"][0]["port"] in {port["name"] for port in document["spec"]["ports"]}
    }
    assert found == {f"leadline-{name}" for name in ("ingestion", "aggregation", "recorder", "risk", "operator")}
    traders = one(documents, "PodMonitor", "leadline", "desk-a")["spec"]["selector"]
    assert traders == {"matchLabels": {"app.kubernetes.io/managed-by": "leadline-operator"}}


def test_traces_go_where_the_values_say():
    for name, pod in pods(render(values_of("desks"))):
        for container in pod["spec"]["containers"]:
            names = {each["name"]: each["value"] for each in container.get("env", [])}
            wanted = container["args"][0] == "service"
            assert ("OTEL_EXPORTER_OTLP_ENDPOINT" in names) is wanted, name
