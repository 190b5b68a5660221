"""Namespaces that end, are gone or may not be entered: each is its own matter, and stops no other."""

from collections.abc import Iterator

import pytest

from tests.operator.api import LEADLINE
from tests.operator.harness import Leadline
from tests.operator.setup import account, allow_operator, strategy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.fixture
def other(idle: Leadline) -> Iterator[str]:
    """Another namespace of the same operator, in which it may do nothing yet."""
    name = f"{idle.namespace}-other"
    idle.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    idle.pods.do("serve", accounts=[f"{name}/paper"])
    idle.operator = idle.site.operator_of(idle.user, idle.namespace, [idle.namespace, name, f"{name}-gone"])
    idle.operators.append(idle.operator)
    yield name
    for plural in ("tradingstrategies", "tradingaccounts"):
        for item in idle.api.items(f"{LEADLINE}/namespaces/{name}/{plural}"):
            path = f"{LEADLINE}/namespaces/{name}/{plural}/{item['metadata']['name']}"
            idle.api.request("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
    idle.kube.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def ready_in(leadline: Leadline, namespace: str) -> dict[str, object]:
    found = leadline.api.get(f"{LEADLINE}/namespaces/{namespace}/tradingstrategies/flow") or {}
    return leadline.condition("Ready", found=found)


async def test_a_namespace_that_may_not_be_entered_stops_no_other_and_is_taken_up_when_it_may(
    idle: Leadline, other: str
):
    idle.kube.apply(account(other), strategy(other))
    idle.apply()
    idle.operator.start()
    idle.ready(seconds=60)
    idle.until(lambda: ready_in(idle, other).get("reason") == "Forbidden", "its strategy says why it does not run", 60)
    assert "`namespaces`" in str(ready_in(idle, other)["message"])
    allow_operator(idle.kube, idle.user, idle.namespace, [idle.namespace, other])
    idle.until(lambda: ready_in(idle, other).get("status") == "True", "it runs as soon as it may", 60)


async def test_a_namespace_that_is_deleted_while_it_trades_leaves_the_market_and_stops_no_other(
    idle: Leadline, other: str
):
    allow_operator(idle.kube, idle.user, idle.namespace, [idle.namespace, other])
    idle.kube.apply(account(other), strategy(other))
    idle.operator.start()
    idle.until(lambda: ready_in(idle, other).get("status") == "True", "it trades", 60)
    idle.kube.kubectl("delete", "namespace", other, "--wait=false")
    # What an operator that starts just now meets: the rights are gone, and the objects are not.
    idle.kube.kubectl("delete", "role", idle.user, "--namespace", other, "--ignore-not-found")
    idle.operator.stop()
    idle.operator.start()
    idle.apply()
    idle.ready(seconds=60)
    gone = f"/api/v1/namespaces/{other}"
    idle.until(lambda: idle.api.get(gone) is None, "the namespace is gone", 60)
