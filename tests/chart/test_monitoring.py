"""Scrapes name what there is."""

from tests.chart.rendering import one, pods, render, values_of


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
