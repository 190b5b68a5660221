"""The chart on a real API server: accepted, installed, upgraded, rolled back, and not uninstalled too early."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from helm_python import HelmError

from tests.chart.rendering import CHART, cases, pods, render, values_of
from tests.kube.cluster.control_plane import ControlPlane, KubectlFailed

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

# A guard's Pod is a command that is loaded anew each time, which a busy machine takes its time for.
GUARD_SECONDS: Final = 300

# What belongs to the whole cluster is made by one release only.
ALONE: dict[str, Any] = {"priorityClasses": {"create": False}, "rbac": {"aggregate": False}}
STRATEGY = {
    "apiVersion": "leadline.dev/v1alpha1",
    "kind": "TradingStrategy",
    "metadata": {"name": "first"},
    "spec": {"instrument": "MES"},
}


def values_for(place: str, **more: Any) -> dict[str, Any]:
    """Platform and traders in one namespace, under a name of its own."""
    # Nobody runs the guard's Pod here, but in the tests that play it.
    unguarded = {"upgradeGuard": {"enabled": False}}
    return {**ALONE, **unguarded, "fullnameOverride": place, "namespaces": [{"name": place}], **more}


def secrets(api: ControlPlane, namespace: str) -> dict[str, dict[str, str]]:
    """The content of the release's Secrets, without Helm's own."""
    return {
        found["metadata"]["name"]: {key: base64.b64decode(value).decode() for key, value in found["data"].items()}
        for found in api.json("get", "secrets", "--namespace", namespace)["items"]
        if found["type"] == "Opaque"
    }


def kubeconfig_of_operator(api: ControlPlane, place: str, directory: Path) -> Path:
    """What the operator's Pod would have: the API server with its ServiceAccount's token."""
    token = api.kubectl("create", "token", f"{place}-operator", "--namespace", place).strip()
    config = json.loads(api.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = directory / "operator.kubeconfig"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize("case", cases())
def test_the_api_server_accepts_every_object(api, case):
    documents = render(values_of(case))
    spaces = {document["metadata"].get("namespace", "default") for document in documents}
    for name in sorted(spaces):
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    # A Pod is only accepted where its account and its priority are.
    api.apply(*(document for document in documents if document["kind"] in {"ServiceAccount", "PriorityClass"}))
    bundle = {"apiVersion": "v1", "kind": "List", "items": documents}
    told = api.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-", input=json.dumps(bundle)
    )
    assert len(told.splitlines()) == len(documents)


def test_every_pod_is_accepted_where_only_restricted_ones_are(api, helm, place):
    values = values_for(place)
    helm.install(CHART, place, values)
    for name, pod in pods(render(values, namespace=place)):
        pod["metadata"]["name"] = "restricted"
        pod["metadata"]["namespace"] = place
        told = api.kubectl("create", "--dry-run=server", "--filename=-", input=json.dumps(pod))
        assert "created (server dry run)" in told, name
    loose = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "loose", "namespace": place},
        "spec": {"containers": [{"name": "loose", "image": "x"}]},
    }
    with pytest.raises(KubectlFailed, match="violates PodSecurity"):
        api.kubectl("create", "--dry-run=server", "--filename=-", input=json.dumps(loose))


def test_an_install_makes_everything_and_its_pods_come(api, helm, place):
    release = helm.install(CHART, place, values_for(place))
    assert release["status"] == "deployed"
    api.wait_until(lambda: len(api.json("get", "pods", "--namespace", place)["items"]) == 7, "there are seven Pods")
    names = {found["metadata"]["name"] for found in api.json("get", "statefulsets", "--namespace", place)["items"]}
    assert names == {f"{place}-{service}" for service in ("ingestion", "nats", "postgresql")}
    # Nothing asked for more than it may have.
    events = api.json("get", "events", "--namespace", place)["items"]
    assert [event["message"] for event in events if event["reason"] == "FailedCreate"] == []


def test_credentials_are_drawn_once_and_kept(api, helm, place):
    helm.install(CHART, place, values_for(place))
    first = secrets(api, place)
    assert set(first) == {
        *(f"{place}-platform-{kind}" for kind in ("nats", "database", "token")),
        *(f"leadline-{kind}" for kind in ("nats", "database", "token")),
    }
    helm.upgrade(CHART, place, values_for(place, feed={"speed": 1}))
    assert secrets(api, place) == first
    helm.rollback(place, version=1)
    assert secrets(api, place) == first


def test_a_new_namespace_gets_credentials_and_changes_nobody_elses(api, helm, place):
    helm.install(CHART, place, values_for(place))
    first = secrets(api, place)
    desk = f"{place}-desk"
    helm.upgrade(CHART, place, values_for(place, namespaces=[{"name": place}, {"name": desk, "create": True}]))
    after = secrets(api, place)
    users = after.pop(f"{place}-platform-nats")
    assert {**users, **first.pop(f"{place}-platform-nats")} == users
    assert after == first
    assert secrets(api, desk)["leadline-nats"] == {
        user: users[f"{user}-{desk}"] for user in ("analysis", "execution", "venue")
    }


def test_a_given_password_wins_and_the_others_stay(api, helm, place):
    helm.install(CHART, place, values_for(place))
    first = secrets(api, place)[f"{place}-platform-database"]
    helm.upgrade(CHART, place, values_for(place, postgresql={"passwords": {"reader": "given-password"}}))
    assert secrets(api, place)[f"{place}-platform-database"] == {**first, "reader": "given-password"}


def test_traders_secrets_come_from_a_secret_that_somebody_else_makes(api, helm, place):
    own = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "vault", "namespace": place}}
    keys = ("master", "ingestion", "aggregation", "recorder", "risk")
    api.apply({**own, "stringData": {key: f"{key}-" + "x" * 40 for key in keys}})
    helm.install(CHART, place, values_for(place, token={"existingSecret": "vault"}))
    found = secrets(api, place)
    assert f"{place}-platform-token" not in found
    assert set(found["leadline-token"]) == {"analysis", "execution", "venue", "risk"}
    api.apply({**own, "stringData": {"ingestion": "x" * 40}})
    api.kubectl("delete", "secret", "vault", "--namespace", place)
    api.apply({**own, "stringData": {"ingestion": "x" * 40}})
    with pytest.raises(HelmError, match=r"the Secret vault in .* has no key master"):
        helm.upgrade(CHART, place, values_for(place, token={"existingSecret": "vault"}))


def test_the_life_of_a_release(api, helm, place):
    helm.install(CHART, place, values_for(place))
    helm.upgrade(CHART, place, values_for(place, risk={"replicas": 2}))
    risk = ("get", "deployment", f"{place}-risk", "--namespace", place)
    assert api.json(*risk)["spec"]["replicas"] == 2
    assert len(api.json("get", "poddisruptionbudgets", "--namespace", place)["items"]) == 1
    helm.rollback(place)
    assert api.json(*risk)["spec"]["replicas"] == 1
    assert api.json("get", "poddisruptionbudgets", "--namespace", place)["items"] == []
    with pytest.raises(HelmError, match="additional properties 'replica' not allowed"):
        helm.upgrade(CHART, place, values_for(place, risk={"replica": 2}))
    assert [each["status"] for each in helm.history(place)] == ["superseded", "superseded", "deployed"]


def test_accounts_of_the_values_are_checked_by_the_api_server(api, helm, place):
    accounts = [{"name": "paper", "spec": {"startingBalance": "5000"}}]
    helm.install(CHART, place, values_for(place, namespaces=[{"name": place, "accounts": accounts}]))
    assert api.json("get", "tacct", "paper", "--namespace", place)["spec"]["startingBalance"] == "5000"
    wrong = [{"name": "paper", "spec": {"startingBalanse": "5000"}}]
    with pytest.raises(HelmError, match="startingBalanse"):
        helm.upgrade(CHART, place, values_for(place, namespaces=[{"name": place, "accounts": wrong}]))


@contextmanager
def guard_pods_played(api: ControlPlane, place: str, directory: Path) -> Iterator[list[str]]:
    """Runs the guard's Pod, as a node would, with the arguments of the chart and the rights of the operator's account.

    Yields what it said.
    """
    said: list[str] = []
    over = threading.Event()
    config = kubeconfig_of_operator(api, place, directory)
    selector = ("--namespace", place, "--selector", "app.kubernetes.io/component=guard")

    def play() -> None:
        while not over.wait(0.1):
            for pod in api.json("get", "pods", *selector)["items"]:
                if pod["status"].get("phase") != "Pending":
                    continue
                arguments = pod["spec"]["containers"][0]["args"]
                done = subprocess.run(
                    [sys.executable, "-m", "leadline.cli.main", *arguments],
                    env={**os.environ, "KUBECONFIG": str(config)},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                said.append(done.stdout + done.stderr)
                status = {"status": {"phase": "Succeeded" if done.returncode == 0 else "Failed"}}
                name = pod["metadata"]["name"]
                api.kubectl("patch", "pod", name, "-n", place, "--subresource=status", "-p", json.dumps(status))

    player = threading.Thread(target=play)
    player.start()
    try:
        yield said
    finally:
        over.set()
        player.join()


@pytest.mark.timeout(900)
def test_an_uninstall_is_refused_while_a_strategy_is_left(api, helm, place, tmp_path):
    helm.install(CHART, place, values_for(place))
    api.apply({**STRATEGY, "metadata": {"name": "first", "namespace": place}})
    with guard_pods_played(api, place, tmp_path) as said:
        with pytest.raises(HelmError):
            helm.uninstall(place, timeout=GUARD_SECONDS)
        assert f"these are left: TradingStrategy {place}/first" in said[-1]
        # Also in a namespace that the values do not name: whatever an operator has taken up cannot go without one.
        elsewhere = {"name": "first", "namespace": "default", "finalizers": ["leadline.dev/drain"]}
        api.apply({**STRATEGY, "metadata": elsewhere})
        assert "kubectl delete tstrat,tacct --all" in said[-1]
        # All of it is there, and works on. Helm takes the release for one that is going until it is rolled back.
        assert len(api.json("get", "deployments", "--namespace", place)["items"]) == 4
        helm.rollback(place, version=1)
        assert helm.status(place)["status"] == "deployed"

        api.kubectl("delete", "tstrat", "first", "--namespace", place)
        with pytest.raises(HelmError):
            helm.uninstall(place, timeout=GUARD_SECONDS)
        assert "these are left: TradingStrategy default/first" in said[-1]
        helm.rollback(place, version=1)
        api.kubectl("delete", "tstrat", "first", "--namespace", "default", "--wait=false")
        api.kubectl(
            "patch", "tstrat", "first", "-n", "default", "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
        )
        helm.uninstall(place, timeout=GUARD_SECONDS)
        assert said[-1] == "nothing is left that needs the operator\n"
    left = api.json("get", "deployments,statefulsets,configmaps,services", "--namespace", place)["items"]
    assert [each["metadata"]["name"] for each in left if each["metadata"]["name"] != "kube-root-ca.crt"] == []
    # The data's volume stays, and with it the only key to it.
    assert set(secrets(api, place)) == {f"{place}-platform-database"}


@pytest.mark.timeout(900)
def test_an_upgrade_is_refused_that_leaves_strategies_without_their_operator(api, helm, place, tmp_path):
    desk = f"{place}-desk"
    guarded = {"upgradeGuard": {"enabled": True}}
    helm.install(CHART, place, values_for(place, namespaces=[{"name": place}, {"name": desk, "create": True}]))
    kept = secrets(api, desk)
    metadata = {"name": "first", "namespace": desk, "finalizers": ["leadline.dev/drain"]}
    api.apply({**STRATEGY, "metadata": metadata})
    # Nobody has ever taken this one up: nothing is taken from it.
    api.apply({**STRATEGY, "metadata": {"name": "stray", "namespace": "default"}})
    with guard_pods_played(api, place, tmp_path) as said:
        with pytest.raises(HelmError):
            helm.upgrade(CHART, place, values_for(place, **guarded), timeout=GUARD_SECONDS)
        assert f"value `namespaces`: TradingStrategy {desk}/first. They" in said[-1]
        assert secrets(api, desk) == kept
        api.kubectl("patch", "tstrat", "first", "-n", desk, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        api.kubectl("delete", "tstrat", "first", "--namespace", desk)
        helm.upgrade(CHART, place, values_for(place, **guarded), timeout=GUARD_SECONDS)
        assert said[-1] == "nothing is left out that needs the operator\n"
        # Other instruments of one's own are other prices to a strategy that trades.
        api.apply({**STRATEGY, "metadata": {**metadata, "namespace": place}})
        others = values_for(place, **guarded, ownInstruments={"existingConfigMap": "ours"})
        with pytest.raises(HelmError):
            helm.upgrade(CHART, place, others, timeout=GUARD_SECONDS)
        assert f"may enter, or hold a position or an order: TradingStrategy {place}/first." in said[-1]
        helm.upgrade(CHART, place, values_for(place, **guarded, risk={"replicas": 2}), timeout=GUARD_SECONDS)
        api.kubectl("patch", "tstrat", "first", "-n", place, "--type=merge", "-p", '{"spec":{"state":"ReduceOnly"}}')
        helm.upgrade(CHART, place, others, timeout=GUARD_SECONDS)
        api.kubectl("patch", "tstrat", "first", "-n", place, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        api.kubectl("delete", "tstrat", "first", "--namespace", place)
    api.kubectl("delete", "tstrat", "stray", "--namespace", "default")
    assert secrets(api, desk) == {}


def test_a_reinstall_finds_the_database_with_its_password(api, helm, place):
    values = values_for(place, uninstallGuard={"enabled": False})
    helm.install(CHART, place, values)
    first = secrets(api, place)[f"{place}-platform-database"]
    helm.uninstall(place)
    helm.install(CHART, place, values)
    assert secrets(api, place)[f"{place}-platform-database"] == first


def may(api: ControlPlane, user: str, verb: str, resource: str, namespace: str) -> bool:
    resource, _, inside = resource.partition(":")
    more = [f"--subresource={inside}"] if inside else []
    try:
        return api.kubectl("auth", "can-i", verb, resource, *more, f"--as={user}", "-n", namespace).strip() == "yes"
    except KubectlFailed:
        return False


def test_the_operator_may_do_its_work_in_its_namespaces_and_reads_no_secret(api, helm, place):
    helm.install(CHART, place, values_for(place))
    operator = f"system:serviceaccount:{place}:{place}-operator"
    for verb, resource in [("create", "tradingaccounts"), ("create", "deployments"), ("patch", "configmaps")]:
        assert may(api, operator, verb, resource, place)
        assert not may(api, operator, verb, resource, "default")
    # What it takes to let a strategy go must outlive the roles of a namespace that is deleted.
    for verb, resource in [("patch", "tradingstrategies"), ("list", "pods")]:
        assert may(api, operator, verb, resource, "default")
    for verb in ("get", "list", "watch", "create", "patch", "delete"):
        assert not may(api, operator, verb, "secrets", place)
    for verb, resource in [("create", "pods:exec"), ("get", "pods:log"), ("delete", "statefulsets")]:
        assert not may(api, operator, verb, resource, place)
    services = f"system:serviceaccount:{place}:{place}"
    for resource in ("pods", "secrets", "tradingstrategies", "configmaps"):
        assert not may(api, services, "get", resource, place)


def test_people_get_the_rights_of_their_role_and_only_admins_write_accounts(api, helm, place):
    callers = [{"kind": "User", "name": "ann"}]
    values = values_for(place, rbac={"aggregate": True}, namespaces=[{"name": place, "callers": callers}])
    helm.install(CHART, place, values)
    for role in ("view", "edit", "admin"):
        api.kubectl("create", "rolebinding", f"{role}er", f"--clusterrole={role}", f"--user={role}er", "-n", place)
    api.wait_until(lambda: may(api, "viewer", "get", "tradingstrategies", place), "the roles are aggregated")
    rights = {
        (user, verb, resource): may(api, user, verb, resource, place)
        for user in ("viewer", "editer", "adminer")
        for verb in ("get", "update")
        for resource in ("tradingstrategies", "tradingaccounts")
    }
    refused = {key for key, allowed in rights.items() if not allowed}
    assert refused == {
        ("viewer", "update", "tradingstrategies"),
        ("viewer", "update", "tradingaccounts"),
        ("editer", "update", "tradingaccounts"),
    }
    assert may(api, "ann", "get", "secrets/leadline-token", place)
    assert not may(api, "ann", "get", f"secrets/{place}-platform-token", place)
    assert not may(api, "ann", "list", "secrets", place)
    assert may(api, "ann", "create", "pods:portforward", place)


def test_a_live_strategy_that_is_not_flat_is_not_deleted_where_the_cluster_forbids_it(api, helm, place):
    helm.install(CHART, place, values_for(place, admission={"denyDeleteOfLive": True}))
    digest = "registry.example/leadline@sha256:" + "a" * 64
    spec = {
        "instrument": "MES",
        "mode": "Live",
        "state": "Suspended",
        "acknowledgeLive": True,
        "account": {"name": "prop"},
        "image": digest,
        "risk": {"dayLoss": "200", "maxPosition": 1},
    }

    def make(name: str, **status: Any) -> None:
        api.apply({**STRATEGY, "metadata": {"name": name, "namespace": place}, "spec": spec})
        patch = json.dumps({"status": status})
        api.kubectl("patch", "tstrat", name, "-n", place, "--subresource=status", "--type=merge", "-p", patch)

    def delete(name: str, *options: str) -> str:
        told: str = api.kubectl("delete", "tstrat", name, "--namespace", place, "--wait=false", *options)
        return told

    def is_refused() -> bool:
        try:
            delete("probe", "--dry-run=server")
        except KubectlFailed as failed:
            return "the live strategy probe holds a position or a working order" in failed.output
        return False

    make("probe", openPositions=1, workingOrders=0)
    # The API server takes a moment to take a policy up.
    api.wait_until(is_refused, "the policy is in force")
    make("probe", openPositions=0, workingOrders=2)
    assert is_refused()
    make("probe", openPositions=0, workingOrders=0)
    assert not is_refused()
    make("probe", openPositions=1, workingOrders=0)
    api.kubectl("annotate", "tstrat", "probe", "leadline.dev/force-delete=probe", "--namespace", place)
    delete("probe")
