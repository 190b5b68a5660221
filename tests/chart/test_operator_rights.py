"""The operator may do in the chart what it says that it needs, and nothing else."""

from typing import Any

import yaml

from tests.chart.rendering import ROOT, one, render

NEEDED: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (ROOT / "operator" / "leadline_operator" / "rbac.yaml").read_text()
)


def test_the_chart_grants_what_the_operator_needs_and_no_more():
    documents = render({"namespaces": [{"name": "desk-a"}, {"name": "desk-b"}]})
    for namespace in ("desk-a", "desk-b"):
        assert one(documents, "Role", "leadline-operator", namespace)["rules"] == NEEDED["namespace"]
    assert one(documents, "ClusterRole", "leadline-operator")["rules"] == NEEDED["cluster"]
    assert one(documents, "Role", "leadline-operator-lease", "leadline-system")["rules"] == NEEDED["release"]


def test_every_role_of_the_operator_is_bound_to_it_alone():
    documents = render()
    account = {"kind": "ServiceAccount", "name": "leadline-operator", "namespace": "leadline-system"}
    bound = [
        (document["roleRef"]["kind"], document["roleRef"]["name"], document["metadata"].get("namespace"))
        for document in documents
        if document["kind"] in {"RoleBinding", "ClusterRoleBinding"} and account in document["subjects"]
    ]
    assert sorted(bound, key=str) == [
        ("ClusterRole", "leadline-operator", None),
        ("Role", "leadline-operator", "default"),
        ("Role", "leadline-operator-lease", "leadline-system"),
    ]
    assert all(
        document["subjects"] == [account]
        for document in documents
        if document["kind"] in {"RoleBinding", "ClusterRoleBinding"}
    )
