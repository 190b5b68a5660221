"""A real control plane for the charts, with the definitions of strategies and accounts installed.

It is not the one that other rooms' tests share: the chart makes roles, priorities and policies of the whole cluster.
"""

import itertools
from collections.abc import Iterator

import pytest
from helm_python import Config

from tests.chart.rendering import CRDS_CHART
from tests.kube.cluster.binaries import control_plane_binaries
from tests.kube.cluster.control_plane import ControlPlane

_numbers = itertools.count(1)
# Definitions of others that the chart makes objects of when it is asked to. Their own schemas are not ours to keep.
_FOREIGN = [
    ("monitoring.coreos.com", "ServiceMonitor", "servicemonitors"),
    ("monitoring.coreos.com", "PodMonitor", "podmonitors"),
    ("monitoring.coreos.com", "PrometheusRule", "prometheusrules"),
    ("cert-manager.io", "Certificate", "certificates"),
]


def pytest_collection_finish(session: pytest.Session) -> None:
    # Building the servers takes minutes the first time: a test's timeout would cut it off.
    wanted = any("api" in getattr(each, "fixturenames", ()) for each in session.items)
    if wanted and not session.config.option.collectonly:
        capture = session.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            control_plane_binaries()


@pytest.fixture(scope="session")
def api() -> Iterator[ControlPlane]:
    """An API server that knows strategies, accounts, and the kinds of cert-manager and of the Prometheus operator."""
    with ControlPlane() as running:
        with Config(kubeconfig_path=running.kubeconfig, namespace="default") as helm:
            helm.install(CRDS_CHART, "leadline-crds")
        running.apply(*(_definition(*each) for each in _FOREIGN))
        running.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        yield running


@pytest.fixture
def place(api: ControlPlane) -> str:
    """A new namespace that takes only restricted Pods, for a release and its traders."""
    name = f"leadline-{next(_numbers)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    api.wait_until(lambda: api.get(account)[0] == 200, "the namespace has its ServiceAccount")
    return name


def _definition(group: str, kind: str, plural: str) -> dict[str, object]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": kind, "plural": plural, "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


@pytest.fixture
def helm(api: ControlPlane, place: str) -> Iterator[Config]:
    """Helm in this namespace."""
    with Config(kubeconfig_path=api.kubeconfig, namespace=place) as config:
        yield config
