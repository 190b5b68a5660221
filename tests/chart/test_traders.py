"""What the operator makes in a trader namespace finds there what the chart has put there."""

import json

import pytest

from leadline.model.manifest.specs import TradingStrategy, load_manifests
from leadline.plan.plan import plan
from leadline.schema.permissions import bus_permissions
from leadline_operator.desired.workload import labels_of, pod_template, service_settings
from leadline_operator.kinds import account_key, strategy_key
from leadline_operator.params import OperatorParams
from tests.chart.rendering import one, pods, render
from tests.chart.test_network import End, platform, reaches

NAMESPACE = "desk-a"
VALUES = {"namespaces": [{"name": NAMESPACE}], "tls": {"mode": "secret"}}
DOCUMENTS = render(VALUES)
MANIFEST = f"""
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {{name: first, namespace: {NAMESPACE}}}
spec: {{instrument: MES}}
"""


def operator_params() -> OperatorParams:
    settings = json.loads(one(DOCUMENTS, "ConfigMap", "leadline-operator")["data"]["settings.json"])
    return OperatorParams.model_validate(settings["params"])


def workload(service: str):
    """The plan's workload of a first strategy, and its owner."""
    (strategy,) = load_manifests(MANIFEST)
    assert isinstance(strategy, TradingStrategy)
    found = plan(operator_params().platform, (), (strategy,))
    if service == "analysis":
        return found.workload(service, strategy.full_name), strategy_key(strategy.full_name)
    return found.workload(service, strategy.account_name), account_key(strategy.account_name)


@pytest.mark.parametrize("service", ["analysis", "execution", "venue"])
def test_every_secret_that_is_mounted_is_there(service):
    item, owner = workload(service)
    pod = pod_template(item, operator_params(), owner, {})
    for volume in pod["spec"]["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            if "secret" not in source:
                continue
            keys = {each["key"] for each in source["secret"]["items"]}
            name = source["secret"]["name"]
            if name == "leadline-tls":
                continue  # made by whoever makes certificates
            assert keys <= set(one(DOCUMENTS, "Secret", name, NAMESPACE)["data"]), name


@pytest.mark.parametrize("service", ["analysis", "execution", "venue"])
def test_the_user_of_the_bus_is_one_that_the_server_has(service):
    item, _ = workload(service)
    settings = json.loads(service_settings(item, operator_params(), NAMESPACE))
    user = settings["nats"]["user"]
    assert user in one(DOCUMENTS, "Secret", "leadline-platform-nats")["data"]
    assert bus_permissions(user).subscribe == (f"_INBOX_{user}.>",)


def test_traces_of_every_service_go_to_the_collector():
    endpoint = "http://collector.monitoring.svc:4317"
    documents = render({"monitoring": {"otlpEndpoint": endpoint}, "risk": {"replicas": 2}})
    settings = json.loads(one(documents, "ConfigMap", "leadline-operator")["data"]["settings.json"])
    traced = OperatorParams.model_validate(settings["params"])
    made = [pod_template(item, traced, owner, {}) for item, owner in map(workload, ("analysis", "execution", "venue"))]
    containers = [
        container
        for pod in [*made, *(found for _, found in pods(documents))]
        for container in pod["spec"]["containers"]
        if container["args"][0] == "service"
    ]
    assert len(containers) == 8
    for container in containers:
        assert container["env"] == [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": endpoint}], container["name"]


def test_the_priorities_are_those_that_the_chart_makes():
    classes = {document["metadata"]["name"] for document in DOCUMENTS if document["kind"] == "PriorityClass"}
    for service in ("analysis", "execution", "venue"):
        item, owner = workload(service)
        assert pod_template(item, operator_params(), owner, {})["spec"]["priorityClassName"] in classes


def test_the_policies_know_the_pods_by_their_labels():
    pods = {name: End(NAMESPACE, labels_of(*workload(name))) for name in ("analysis", "execution", "venue")}
    for name, pod in pods.items():
        assert reaches(VALUES, pod, platform("nats"), 4222), name
        assert not reaches(VALUES, pod, End(address="203.0.113.9"), 443), name
    assert reaches(VALUES, pods["execution"], platform("postgresql"), 5432)
    assert reaches(VALUES, pods["execution"], platform("risk"), 9090)
    assert reaches(VALUES, pods["execution"], pods["venue"], 9090)
    assert reaches(VALUES, platform("operator"), pods["execution"], 9090)
    assert not reaches(VALUES, pods["analysis"], pods["execution"], 9090)


def test_an_account_calls_what_it_calls_at_the_addresses_of_services():
    item, _ = workload("execution")
    settings = json.loads(service_settings(item, operator_params(), NAMESPACE))
    risk = one(DOCUMENTS, "Service", "leadline-risk")["metadata"]
    assert settings["peers"]["risk"] == f"{risk['name']}.{risk['namespace']}.svc:9090"
    assert settings["database"]["url"].startswith("postgresql://leadline_execution@leadline-postgresql.")
