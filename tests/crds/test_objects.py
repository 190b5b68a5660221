"""Objects on a real API server: applied, completed, read back, explained, listed."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from leadline.model.manifest.specs import Manifest, TradingAccount, TradingStrategy, load_manifests, parse_manifest
from leadline.model.manifest.status_spec import StrategyPhase, StrategyStatus
from tests.crds.refusals import ACCEPTED, JsonObject, KindName, good, merged
from tests.kube.cluster.control_plane import ControlPlane, KubectlFailed

pytestmark = pytest.mark.integration

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.yaml"))

STATUS = {
    "observedGeneration": 1,
    "phase": "RollingOut",
    "podName": "analysis-default-s-7c9",
    "desiredHash": "9f3c",
    "runningHash": "8b1d",
    "lastStable": {"generation": 1, "hash": "8b1d", "image": ""},
    "rollout": {
        "id": "1-9f3c",
        "targetHash": "9f3c",
        "step": "WaitNoPods",
        "startedAt": "2025-01-10T13:30:00Z",
        "reason": "SpecChanged",
    },
    "lastBarAt": "2025-01-10T14:35:00Z",
    "workingOrders": 2,
    "openPositions": 1,
    "conditions": [
        {
            "type": "Ready",
            "status": "False",
            "reason": "RollingOut",
            "message": "waiting for the old Pod to go",
            "lastTransitionTime": "2025-01-10T13:30:00Z",
            "observedGeneration": 1,
        }
    ],
}


TIER = {"from": "0", "execute": "MES", "maxSize": 1}
HOURS = {"open": "09:30", "close": "16:00", "zone": "America/New_York"}


def patterns(*names: str) -> JsonObject:
    return {"strategy": {"name": "OrderFlow", "router": {"regimes": {"RANGING": {"patterns": list(names)}}}}}


def modifiers(*names: str) -> JsonObject:
    return {"sizing": {"modifiers": list(names)}}


def create(kube: ControlPlane, namespace: str, document: JsonObject) -> None:
    kube.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(document))


def write_status(kube: ControlPlane, namespace: str, name: str, status: dict[str, Any]) -> None:
    patch = json.dumps({"status": status})
    kube.kubectl("patch", "tstrat", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_apply_unchanged_in_both_ways(kube: ControlPlane, namespace: str, example: Path):
    assert "created" in kube.kubectl("apply", "-n", namespace, "-f", str(example))
    again = kube.kubectl("apply", "-n", namespace, "-f", str(example))
    assert {line.rpartition(" ")[2] for line in again.splitlines()} == {"unchanged"}
    by_server = kube.kubectl("apply", "--server-side", "--force-conflicts", "-n", namespace, "-f", str(example))
    assert {line.rpartition(" ")[2] for line in by_server.splitlines()} == {"serverside-applied"}
    generations = kube.json("get", "tstrat,tacct,bt", "-n", namespace)["items"]
    assert {found["metadata"]["generation"] for found in generations} == {1}


def test_defaults_stand_in_the_object(kube: ControlPlane, namespace: str):
    create(kube, namespace, good("TradingStrategy"))
    spec = yaml.safe_load(kube.kubectl("get", "tstrat", "s", "-n", namespace, "-o", "yaml"))["spec"]
    wanted = parse_manifest(good("TradingStrategy"))
    assert isinstance(wanted, TradingStrategy)
    # Left to the reader: free forms, which are empty, and choices, whose other arm a later apply may bring.
    assert spec == {
        name: value
        for name, value in wanted.spec.to_manifest().items()
        if name not in {"resources", "session", "strategy"}
    }


def test_an_account_without_a_spec_gets_the_whole_of_it(kube: ControlPlane, namespace: str):
    document = {key: value for key, value in good("TradingAccount").items() if key != "spec"}
    create(kube, namespace, document)
    found = kube.json("get", "tacct", "a", "-n", namespace)
    wanted = parse_manifest(document)
    assert isinstance(wanted, TradingAccount)
    assert found["spec"] == wanted.spec.to_manifest()


@pytest.mark.parametrize(("kind", "change"), [pytest.param(kind, change, id=what) for what, kind, change in ACCEPTED])
def test_what_the_api_server_returns_means_what_was_applied(
    kube: ControlPlane, namespace: str, kind: KindName, change: JsonObject
):
    document = merged(merged(good(kind), change), {"metadata": {"namespace": namespace}})
    kube.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(document))
    found = kube.json("get", kind, document["metadata"]["name"], "-n", namespace, "--show-managed-fields")
    assert found["metadata"]["managedFields"]
    assert parse_manifest(found) == parse_manifest(document)


def test_what_kubectl_prints_is_a_manifest_again(kube: ControlPlane, namespace: str):
    for example in EXAMPLES:
        kube.kubectl("apply", "-n", namespace, "-f", str(example))
    write_status(kube, namespace, "mes-orderflow", STATUS)
    printed = kube.kubectl("get", "tstrat,tacct,bt", "-n", namespace, "-o", "yaml", "--show-managed-fields")
    written = [found for example in EXAMPLES for found in load_manifests(example)]
    assert specs(load_manifests(printed)) == specs(written)


def test_what_kubectl_prints_is_applied_again_without_a_change(kube: ControlPlane, namespace: str):
    create(kube, namespace, good("TradingStrategy"))
    printed = kube.kubectl("get", "tstrat", "s", "-n", namespace, "-o", "yaml")
    kube.kubectl("replace", "-f", "-", input=printed)
    assert kube.json("get", "tstrat", "s", "-n", namespace)["metadata"]["generation"] == 1


def test_the_status_is_written_by_its_own_way_only(kube: ControlPlane, namespace: str):
    create(kube, namespace, merged(good("TradingStrategy"), {"status": STATUS}))
    assert "status" not in kube.json("get", "tstrat", "s", "-n", namespace)
    write_status(kube, namespace, "s", {**STATUS, "invented": 1})
    found = kube.json("get", "tstrat", "s", "-n", namespace)
    assert found["status"] == STATUS
    assert found["metadata"]["generation"] == 1
    status = StrategyStatus.from_manifest(found["status"])
    assert status.phase == StrategyPhase.ROLLING_OUT
    assert status.to_manifest() == STATUS


def test_each_condition_stands_once(kube: ControlPlane, namespace: str):
    create(kube, namespace, good("TradingStrategy"))
    with pytest.raises(KubectlFailed, match="Duplicate value"):
        write_status(kube, namespace, "s", {"conditions": STATUS["conditions"] * 2})  # type: ignore[operator]


def test_kubectl_get_tells_how_it_stands(kube: ControlPlane, namespace: str):
    create(kube, namespace, good("TradingStrategy"))
    create(kube, namespace, good("TradingAccount"))
    write_status(kube, namespace, "s", STATUS)
    # The halt that is in force, and not the field that may have asked for one.
    halted = json.dumps({"status": {"halted": True, "halt": "PERSON: news (ann)"}})
    kube.kubectl("patch", "tacct", "a", "-n", namespace, "--subresource=status", "--type=merge", "-p", halted)
    heads, row = kube.kubectl("get", "tstrat", "-n", namespace).splitlines()
    assert heads.split() == [
        *("NAME", "STATE", "MODE", "PHASE", "READY", "REASON", "ACCOUNT", "ORDERS", "POS", "LAST", "BAR", "AGE"),
    ]
    bar = "2025-01-10T14:35:00Z"
    assert row.split()[:-1] == ["s", "Running", "Paper", "RollingOut", "False", "RollingOut", "paper", "2", "1", bar]
    heads, row = kube.kubectl("get", "tstrat", "-n", namespace, "-o", "wide").splitlines()
    assert heads.split()[-3:] == ["IMAGE", "MESSAGE", "AGE"]
    assert "waiting for the old Pod to go" in row
    heads, row = kube.kubectl("get", "tacct", "-n", namespace).splitlines()
    assert heads.split() == ["NAME", "ENVIRONMENT", "VENUE", "HALT", "PHASE", "READY", "REASON", "STRATEGIES", "AGE"]
    assert row.startswith("a ")
    assert "PERSON: news (ann)" in row
    assert kube.kubectl("get", "leadline", "-n", namespace, "-o", "name").split() == [
        "tradingaccount.leadline.dev/a",
        "tradingstrategy.leadline.dev/s",
    ]


def test_strategies_are_selected_by_mode_and_account(kube: ControlPlane, namespace: str):
    for name, account in (("one", "paper"), ("two", "other")):
        change = {"metadata": {"name": name}, "spec": {"account": {"name": account}}}
        create(kube, namespace, merged(good("TradingStrategy"), change))
    chosen = ("get", "tstrat", "-n", namespace, "-o", "name", "--field-selector")
    assert kube.kubectl(*chosen, "spec.account.name=other").split() == ["tradingstrategy.leadline.dev/two"]
    assert len(kube.kubectl(*chosen, "spec.mode=Paper").split()) == 2
    assert kube.kubectl(*chosen, "spec.mode=Live") == ""


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("tstrat", "what it trades, on which account, by which signals and under which limits"),
        ("tstrat.spec.risk", "Loss of a trading day at which the strategy stops and is flattened."),
        ("tstrat.spec.mode", "taken only while state is Suspended"),
        ("tstrat.spec.strategy.detectors.exhaustion", "Fewest rows that fall in a row."),
        ("tstrat.status.drain", "When the policy's `onTimeout` decides."),
        ("tacct.spec.tiers", "Root of the execution instrument"),
        ("tacct.spec.currency", "It never changes: another value is another"),
    ],
)
def test_kubectl_explain_teaches(kube: ControlPlane, path: str, words: str):
    assert words in " ".join(kube.kubectl("explain", path).split())


def test_two_appliers_share_a_list_that_has_keys(kube: ControlPlane, namespace: str):
    create(kube, namespace, good("TradingStrategy"))
    for manager, block in (("ann", {"from": "12:00", "to": "13:00"}), ("bob", {"from": "15:00", "to": "15:30"})):
        way = ("--server-side", f"--field-manager={manager}")
        apply(kube, namespace, "TradingStrategy", {"entries": {"blocks": [block]}}, *way)
    blocks = kube.json("get", "tstrat", "s", "-n", namespace)["spec"]["entries"]["blocks"]
    assert [block["from"] for block in blocks] == ["12:00", "15:00"]


@pytest.mark.parametrize("way", [("--server-side",), ()], ids=["server-side", "client-side"])
@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        pytest.param("TradingAccount", [{"tiers": [TIER]}, {"tiers": []}], id="tiers taken away"),
        pytest.param("TradingAccount", [{}, {"tiers": []}, {"tiers": [TIER]}, {}], id="tiers given and left"),
        pytest.param("TradingAccount", [{"allowedNamespaces": ["x"]}, {"allowedNamespaces": []}], id="nobody allowed"),
        pytest.param("TradingStrategy", [{}, modifiers("Trending")], id="one modifier of the four"),
        pytest.param("TradingStrategy", [modifiers("Trending"), modifiers(), {}], id="no modifier"),
        pytest.param("TradingStrategy", [patterns("BUY_IMBALANCE"), patterns()], id="no pattern in a regime"),
        pytest.param("TradingStrategy", [{}, {"session": HOURS}, {"session": {"name": "globex"}}], id="other hours"),
        pytest.param("TradingStrategy", [{}, {"strategy": {"entryPoint": "acme:Gap"}}, {}], id="a class of the image"),
        pytest.param("TradingStrategy", [{}, {"sizing": {"mode": "Fixed", "size": 1}}, {}], id="a fixed size"),
    ],
)
def test_an_object_means_what_was_applied_last(
    kube: ControlPlane, namespace: str, way: tuple[str, ...], kind: KindName, steps: list[JsonObject]
):
    for spec in steps:
        apply(kube, namespace, kind, spec, *way)
        found = parse_manifest(kube.json("get", kind, good(kind)["metadata"]["name"], "-n", namespace))
        wanted = parse_manifest(merged(good(kind), {"metadata": {"namespace": namespace}, "spec": spec}))
        assert not isinstance(found, list)
        assert not isinstance(wanted, list)
        assert found.spec == wanted.spec


def apply(kube: ControlPlane, namespace: str, kind: KindName, spec: JsonObject, *options: str) -> None:
    document = merged(good(kind), {"spec": spec})
    kube.kubectl("apply", *options, "-n", namespace, "-f", "-", input=json.dumps(document))


def specs(manifests: list[Manifest]) -> dict[tuple[str, str], object]:
    return {(found.kind, found.metadata.name): found.spec for found in manifests}
