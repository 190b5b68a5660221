"""Who can reach whom, worked out from the policies as Kubernetes does."""

import functools
import ipaddress
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from leadline.model.services import processes, service_of, traders_services
from tests.chart.rendering import one, render, values_of

TRADERS = traders_services()
SERVED = tuple(name for name in processes() if name not in TRADERS)
PLATFORM = (*SERVED, "nats", "postgresql", "test", "guard")


@dataclass(frozen=True)
class End:
    """A Pod, or with an address somebody outside of the cluster."""

    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict, hash=False)
    address: str = ""


def platform(component: str) -> End:
    labels = {"app.kubernetes.io/name": "leadline", "app.kubernetes.io/instance": "leadline"}
    return End("leadline-system", {**labels, "app.kubernetes.io/component": component})


def trader(component: str, namespace: str = "default") -> End:
    """A Pod with the labels that the operator gives."""
    labels = {"app.kubernetes.io/name": "leadline", "app.kubernetes.io/managed-by": "leadline-operator"}
    return End(namespace, {**labels, "app.kubernetes.io/component": component})


DNS = End("kube-system", {"k8s-app": "kube-dns"})
STRANGER = End("default", {"app": "somebody"})
INTERNET = End(address="203.0.113.9")


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def is_peer(peer: dict[str, Any], end: End, own_namespace: str) -> bool:
    if "ipBlock" in peer:
        address = end.address or "10.0.0.1"
        return ipaddress.ip_address(address) in ipaddress.ip_network(peer["ipBlock"]["cidr"])
    if end.address:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": end.namespace}):
            return False
    elif end.namespace != own_namespace:
        return False
    return selects(peer.get("podSelector", {}), end.labels)


def passes(policies, side: str, end: End, other: End, port: int, protocol: str) -> bool:
    """Whether policies let `end` speak (Egress) or be spoken to (Ingress)."""
    if end.address:
        return True
    own = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == end.namespace and selects(policy["spec"]["podSelector"], end.labels)
    ]
    own = [policy for policy in own if side in policy["spec"]["policyTypes"]]
    if not own:
        return True
    key, peers = side.lower(), "from" if side == "Ingress" else "to"
    return any(
        is_peer(peer, other, end.namespace)
        for policy in own
        for rule in policy["spec"].get(key) or []
        for peer in rule[peers]
        if {"protocol": protocol, "port": port} in rule["ports"]
    )


@functools.cache
def policies_of(values: str) -> list[dict[str, Any]]:
    return [document for document in render(json.loads(values)) if document["kind"] == "NetworkPolicy"]


def reaches(values, source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    policies = policies_of(json.dumps(values))
    return passes(policies, "Egress", source, target, port, protocol) and passes(
        policies, "Ingress", target, source, port, protocol
    )


ENDS = {
    **{name: platform(name) for name in PLATFORM},
    **{name: trader(name) for name in TRADERS},
    "dns": DNS,
    "stranger": STRANGER,
    "internet": INTERNET,
}
# Everything that may speak, with the ports. What is not here may not.
ALLOWED = {
    **{(name, "nats"): {4222} for name in processes() if service_of(name).bus is not None},
    **{(name, "postgresql"): {5432} for name in processes() if service_of(name).connections is not None},
    **{(name, peer): {9090} for name in processes() for peer in service_of(name).peers},
    **{("test", name): {9091} for name in SERVED},
    # The operator calls in the supervisor's role.
    ("operator", "nats"): {8222},
    ("operator", "ingestion"): {9090},
    ("operator", "execution"): {9090},
    ("operator", "analysis"): {9090},
    ("operator", "internet"): {443, 6443},
    ("guard", "internet"): {443, 6443},
}
PORTS = (53, 443, 4222, 4317, 5432, 6443, 8222, 9090, 9091, 9100)


def test_nobody_reaches_more_than_it_needs():
    policies = policies_of("{}")
    found = {}
    for source in [*PLATFORM, *TRADERS, "stranger", "internet"]:
        for target in [*PLATFORM, *TRADERS, "internet"]:
            if source == target or {source, target} <= {"stranger", "internet"}:
                continue
            open_ports = {
                port
                for port in PORTS
                if passes(policies, "Egress", ENDS[source], ENDS[target], port, "TCP")
                and passes(policies, "Ingress", ENDS[target], ENDS[source], port, "TCP")
            }
            if open_ports:
                found[source, target] = open_ports
    assert found == ALLOWED


@pytest.mark.parametrize("name", [name for name in [*PLATFORM, *TRADERS] if name not in {"nats", "postgresql", "risk"}])
def test_whoever_calls_by_name_can_look_names_up(name):
    assert reaches({}, ENDS[name], DNS, 53, "UDP")
    assert reaches({}, ENDS[name], DNS, 53)


@pytest.mark.parametrize("name", ["nats", "postgresql", "risk"])
def test_whoever_only_answers_speaks_to_nobody(name):
    assert not reaches({}, ENDS[name], DNS, 53, "UDP")
    assert not reaches({}, ENDS[name], INTERNET, 443)


def test_a_strategy_reaches_dns_and_the_bus_and_nothing_else():
    for target in (INTERNET, platform("postgresql"), platform("risk"), trader("execution"), trader("venue")):
        assert not any(reaches(values_of("desks"), trader("analysis", "desk-a"), target, port) for port in PORTS)
    assert reaches(values_of("desks"), trader("analysis", "desk-a"), platform("nats"), 4222)


def test_an_account_reaches_its_broker_and_no_other_address():
    values = values_of("desks")
    execution = trader("execution", "desk-a")
    assert reaches(values, execution, End(address="198.51.100.7"), 443)
    assert not reaches(values, execution, End(address="198.51.100.7"), 80)
    assert not reaches(values, execution, INTERNET, 443)
    assert not reaches(values, trader("analysis", "desk-a"), End(address="198.51.100.7"), 443)


def test_desks_do_not_reach_each_other():
    values = values_of("desks")
    for source in TRADERS:
        for target in TRADERS:
            assert not reaches(values, trader(source, "desk-a"), trader(target, "desk-b"), 9090)
    assert reaches(values, trader("execution", "desk-a"), trader("venue", "desk-a"), 9090)


def test_the_collector_scrapes_and_takes_traces_and_nothing_more():
    values = values_of("desks")
    collector = End("monitoring", {"app": "prometheus"})
    for pod in (
        platform("ingestion"),
        platform("operator"),
        trader("execution", "desk-a"),
        trader("analysis", "desk-b"),
    ):
        assert reaches(values, collector, pod, 9100)
        assert not reaches(values, collector, pod, 9090)
    assert reaches(values, platform("risk"), collector, 4317)
    for service in ("analysis", "execution", "venue"):
        assert reaches(values, trader(service, "desk-a"), collector, 4317), service
        assert not reaches(values, trader(service, "desk-a"), collector, 443), service


def test_named_callers_reach_the_platforms_services():
    values = values_of("desks")
    dashboard = End("tools", {"app": "dashboard"})
    assert reaches(values, dashboard, platform("ingestion"), 9090)
    assert not reaches({}, dashboard, platform("ingestion"), 9090)
    assert not reaches(values, dashboard, platform("postgresql"), 5432)


def test_external_servers_are_reached_at_their_addresses():
    values = values_of("external")
    assert reaches(values, platform("recorder"), End(address="192.0.2.20"), 5432)
    assert reaches(values, trader("analysis", "desk-a"), End(address="192.0.2.10"), 4222)
    assert not reaches(values, trader("analysis", "desk-a"), End(address="192.0.2.20"), 5432)


def test_pods_of_others_in_a_trader_namespace_are_left_alone():
    assert reaches({}, STRANGER, INTERNET, 443)
    assert one(render(), "NetworkPolicy", "leadline-deny", "default")["spec"]["podSelector"] == {
        "matchLabels": {"app.kubernetes.io/managed-by": "leadline-operator"}
    }


def test_without_policies_there_are_none():
    assert not [each for each in render({"networkPolicies": {"enabled": False}}) if each["kind"] == "NetworkPolicy"]
