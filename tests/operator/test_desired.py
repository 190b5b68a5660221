"""What a cluster shall hold, and whether it does: pure, without a cluster."""

import ast
import copy
import inspect
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from leadline.model.manifest.own_markets import OwnMarkets, put_in_force, read_own
from leadline.model.manifest.specs import TradingStrategy, hot_fields, rollout_fields
from leadline.model.manifest.status_spec import ConditionType
from leadline.plan.plan import plan
from leadline.plan.platform import PlatformSettings
from leadline.runtime.settings import ServiceSettings
from leadline_operator.cache import Cache
from leadline_operator.conditions import Reason, no, updated, yes
from leadline_operator.desired.account import account_objects
from leadline_operator.desired.drift import differences, quantity, who_wrote
from leadline_operator.desired.strategy import Revision, revision_object, revision_of, strategy_revision
from leadline_operator.kinds import CONFIG_MAP, ROLLOUT_HASH
from leadline_operator.params import OperatorParams
from leadline_operator.registry import OWNERS
from tests.own_markets import BITCOIN, file_of
from tests.plan.builders import account, strategy

PARAMS: dict[str, Any] = {
    "namespace": "leadline-system",
    "image": "registry.example/leadline:1",
    "peers": {
        "risk": "leadline-risk.leadline-system.svc:9090",
        "ingestion": "leadline-ingestion.leadline-system.svc:9090",
    },
    "nats": {"servers": ["nats://leadline-nats.leadline-system.svc:4222"]},
    "database_url": "postgresql://leadline_execution@leadline-postgresql.leadline-system.svc:5432/leadline",
}


def params(**changes: Any) -> OperatorParams:
    return OperatorParams.model_validate({**PARAMS, **changes})


def owner(kind: str = "TradingStrategy", name: str = "flow", generation: int = 1) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "uid": "u-1", "generation": generation}
    return {"apiVersion": "leadline.dev/v1alpha1", "kind": kind, "metadata": metadata}


def revision(manifest: TradingStrategy, *, code: str = "code-1", own: OperatorParams | None = None) -> Revision:
    found = plan(PlatformSettings(), [account()], [manifest])
    workload = found.workload("analysis", manifest.full_name)
    return strategy_revision(workload, manifest, owner(), own or params(), code)


def test_a_strategys_pod_is_confined_and_has_no_token_of_the_api():
    _, deployment = revision(strategy()).objects(1)
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["args"] == ["service", "analysis", "--settings", "/etc/leadline/settings.json"]


def test_a_pod_mounts_only_the_secrets_that_it_uses():
    def secrets(template: dict[str, Any]) -> dict[str, list[str]]:
        volume = next(item for item in template["spec"]["volumes"] if item["name"] == "config")
        found = [source["secret"] for source in volume["projected"]["sources"] if "secret" in source]
        return {secret["name"]: [item["key"] for item in secret["items"]] for secret in found}

    _, deployment = revision(strategy()).objects(1)
    assert secrets(deployment["spec"]["template"]) == {"leadline-token": ["analysis"], "leadline-nats": ["analysis"]}
    sets = {item["spec"]["serviceName"].split("-")[0]: item for item in objects() if item["kind"] == "StatefulSet"}
    assert secrets(sets["venue"]["spec"]["template"]) == {"leadline-token": ["venue"], "leadline-nats": ["venue"]}
    assert secrets(sets["execution"]["spec"]["template"]) == {
        "leadline-token": ["execution", "risk", "venue"],
        "leadline-nats": ["execution"],
        "leadline-database": ["execution"],
    }


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnMarkets]:
    found = read_own([file_of(tmp_path, {"BTCUSD": BITCOIN})])
    put_in_force(found)
    yield found
    put_in_force(OwnMarkets())


def test_every_pod_is_given_the_operators_own_instruments_and_a_change_makes_a_new_one(own: OwnMarkets):
    rows = {name: row.model_copy(update={"multiplier": Decimal(10)}) for name, row in own.instruments.items()}
    other = own.model_copy(update={"instruments": rows})
    found = {}
    for known in (own, other, OwnMarkets()):
        put_in_force(known)
        made = revision(strategy())
        configs = [made.config_map, *(item for item in objects() if item["kind"] == "ConfigMap")]
        pods = [made.deployment, *(item for item in objects() if item["kind"] == "StatefulSet")]
        for config, pod in zip(configs, pods, strict=True):
            told = ServiceSettings.model_validate_json(config["data"]["settings.json"])
            (source, *_) = pod["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"]
            mounted = [f"/etc/leadline/{item['path']}" for item in source["configMap"]["items"]]
            if not known.digest():
                assert told.instruments_file is None
                assert mounted == ["/etc/leadline/settings.json"]
                continue
            assert mounted == ["/etc/leadline/settings.json", str(told.instruments_file)]
            assert OwnMarkets.model_validate_json(config["data"]["instruments.json"]) == known
        found[known.digest()] = [pod["metadata"]["annotations"][ROLLOUT_HASH] for pod in pods]
    assert all(len(set(stamps)) == 3 for stamps in zip(*found.values(), strict=True))


def objects(**spec: Any) -> list[dict[str, Any]]:
    manifest = account(**spec)
    found = plan(PlatformSettings(), [manifest], [])
    return account_objects(found.workloads, manifest, owner("TradingAccount", "paper"), params(), {})


def test_the_settings_are_those_of_the_plan_with_the_clusters_addresses():
    config = next(item for item in objects() if item["metadata"]["name"] == "execution-default-paper")
    settings = ServiceSettings.model_validate_json(config["data"]["settings.json"])
    assert settings.peers == {
        "risk": "leadline-risk.leadline-system.svc:9090",
        "venue": "venue-default-paper.default.svc:9090",
    }
    assert settings.nats is not None
    assert settings.nats.user == "execution-default"
    assert str(settings.token_key_file) == "/etc/leadline/secrets/token/execution"
    assert {name: str(file) for name, file in settings.peer_key_files.items()} == {
        "risk": "/etc/leadline/secrets/token/risk",
        "venue": "/etc/leadline/secrets/token/venue",
    }
    assert settings.params["account"] == "default/paper"


def test_no_order_meets_a_connection_that_is_given_up_for_its_age():
    ages = {
        settings.service: settings.connection_age
        for item in objects()
        if item["kind"] == "ConfigMap"
        for settings in [ServiceSettings.model_validate_json(item["data"]["settings.json"])]
    }
    assert ages["venue"] is None
    assert ages["execution"] is not None


def test_execution_and_venue_are_sets_of_one_with_a_volume_of_their_own():
    sets = [item for item in objects() if item["kind"] == "StatefulSet"]
    assert [item["metadata"]["name"] for item in sets] == ["venue-default-paper", "execution-default-paper"]
    for item in sets:
        assert item["spec"]["replicas"] == 1
        (claim,) = item["spec"]["volumeClaimTemplates"]
        mounts = item["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
        assert {"name": claim["metadata"]["name"], "mountPath": "/var/lib/leadline"} in mounts


def test_what_an_account_takes_over_while_it_runs_makes_no_new_pod():
    def stamps(**spec: Any) -> list[str]:
        sets = [item for item in objects(**spec) if item["kind"] == "StatefulSet"]
        return [item["spec"]["template"]["metadata"]["annotations"][ROLLOUT_HASH] for item in sets]

    before = stamps()
    assert stamps(limits={"maxPosition": 1}, halt=True) == before
    assert stamps(startingBalance="9000")[1] != before[1]
    assert stamps(paper={"slippageTicks": 3})[0] != before[0]


ROLLOUT_CHANGES: list[dict[str, Any]] = [
    {"bars": "1m"},
    {"instrument": "MESZ2025"},
    {"ticksPerRow": 2},
    {"history": 6},
    {"session": {"name": "globex"}},
    {"image": "registry.example/own:2"},
    {"resources": {"requests": {"cpu": "1"}}},
    {"restartNonce": 1},
    {"strategy": {"name": "OrderFlow", "router": {"minStrength": "0.6"}}},
]
OTHER_CHANGES: list[dict[str, Any]] = [
    {"state": "ReduceOnly"},
    {"risk": {"maxPosition": 1}},
    {"entries": {"afterOpen": "10m"}},
    {"bracket": {"stopTicks": 9, "targetTicks": 9}},
    {"updatePolicy": "Auto"},
    {"deletionPolicy": {"timeoutSeconds": 60}},
    {"acknowledgeLive": True},
]


@pytest.mark.parametrize("change", ROLLOUT_CHANGES, ids=lambda change: next(iter(change)))
def test_what_analysis_reads_makes_another_version(change):
    before, after = revision(strategy()), revision(strategy(**change))
    assert before.hash != after.hash
    assert rollout_fields(strategy(**change)) != rollout_fields(strategy())


@pytest.mark.parametrize("change", OTHER_CHANGES, ids=lambda change: next(iter(change)))
def test_what_execution_reads_or_nobody_yet_makes_no_other_version(change):
    assert revision(strategy()).hash == revision(strategy(**change)).hash
    assert rollout_fields(strategy(**change)) == rollout_fields(strategy())
    assert set(change) & set(hot_fields(strategy())) or next(iter(change)) in {
        "updatePolicy",
        "deletionPolicy",
        "acknowledgeLive",
        "bracket",
    }


def test_another_platform_is_another_version_and_another_code_speaks_under_another_name():
    before = revision(strategy())
    assert revision(strategy(), own=params(image="registry.example/leadline:2")).hash != before.hash
    assert revision(strategy(), own=params(image="registry.example/leadline:2")).analysis_hash == before.analysis_hash
    assert revision(strategy(), code="code-2").analysis_hash != before.analysis_hash
    image = {"image": "registry.example/own@sha256:1"}
    assert revision(strategy(**image)).analysis_hash == revision(strategy(**image), code="code-2").analysis_hash


def test_a_version_can_be_put_back_from_its_record():
    made = revision(strategy())
    record = json.loads(json.dumps(revision_object(made, owner(), 4)))
    assert revision_of(record) == made
    assert record["revision"] == 4


def test_an_object_says_whose_it_is():
    config, deployment = revision(strategy()).objects(1)
    for item in (config, deployment):
        found = OWNERS.owner_of(item)
        assert found is not None
        assert found.full_name == "default/flow"
        assert item["metadata"]["ownerReferences"][0]["uid"] == "u-1"


def test_an_object_as_it_was_asked_for_has_no_differences():
    _, wanted = revision(strategy()).objects(1)
    live = copy.deepcopy(wanted)
    live["spec"]["progressDeadlineSeconds"] = 600
    live["spec"]["template"]["spec"]["containers"].append({"name": "added by somebody"})
    live["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "0.1"
    live["metadata"]["labels"]["team"] = "flow"
    assert list(differences(wanted, live)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "replicas"), 0),
        (("metadata", "labels", "app.kubernetes.io/name"), "other"),
        (("spec", "template", "spec", "automountServiceAccountToken"), True),
        (("spec", "strategy", "type"), "RollingUpdate"),
        (("metadata", "ownerReferences"), []),
    ],
)
def test_a_difference_is_found_and_named(path, value):
    _, wanted = revision(strategy()).objects(1)
    live = copy.deepcopy(wanted)
    inner = live
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    (found,) = differences(wanted, live)
    assert found.startswith(".".join(path))


def test_an_amount_may_be_written_in_more_than_one_way():
    assert quantity("500m") == quantity("0.5")
    assert quantity("1Gi") == quantity("1024Mi")
    assert quantity("1k") == quantity(1000)
    assert quantity("much") is None


def test_who_wrote_a_field_is_read_off_the_managed_fields():
    def entry(manager: str, fields: dict[str, Any], time: str, **more: str) -> dict[str, Any]:
        return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields, **more}

    live = {
        "metadata": {
            "managedFields": [
                entry("leadline-operator", {"f:spec": {"f:replicas": {}}}, "2025-01-03T00:00:00Z"),
                entry("kubectl-edit", {"f:spec": {"f:replicas": {}}}, "2025-01-01T00:00:00Z"),
                entry("label-robot", {"f:metadata": {"f:labels": {"f:team": {}}}}, "2025-01-02T00:00:00Z"),
                entry("kube-controller-manager", {"f:status": {}}, "2025-01-04T00:00:00Z", subresource="status"),
            ]
        }
    }
    assert who_wrote(live, "spec.replicas") == "kubectl-edit"
    assert who_wrote(live, "metadata.labels.team") == "label-robot"


def test_a_condition_keeps_the_time_of_its_last_change_of_status():
    first, second, third = (datetime(2025, 1, day, tzinfo=UTC) for day in (1, 2, 3))
    found = updated((), {ConditionType.READY: no(Reason.CREATING, "wait")}, 1, first)
    found = updated(found, {ConditionType.READY: no(Reason.WORKLOAD_NOT_READY, "wait more")}, 2, second)
    assert (found[0].last_transition_time, found[0].reason, found[0].observed_generation) == (
        first,
        "WorkloadNotReady",
        2,
    )
    found = updated(found, {ConditionType.READY: yes(Reason.AS_ASKED)}, 2, third)
    assert found[0].last_transition_time == third
    assert updated(found, {}, 2, third) == found


def test_the_store_keeps_the_newest_and_forgets_what_a_listing_lacks():
    def item(name: str, version: int) -> dict[str, Any]:
        return {"metadata": {"name": name, "namespace": "a", "uid": name, "resourceVersion": str(version)}}

    cache = Cache(OWNERS)
    assert cache.put(CONFIG_MAP, item("one", 5))
    assert not cache.put(CONFIG_MAP, item("one", 4))
    cache.put(CONFIG_MAP, item("two", 6))
    cache.put(CONFIG_MAP, item("young", 12))
    gone = cache.relist(CONFIG_MAP, [item("one", 9)], 10, None)
    assert [found["metadata"]["name"] for found in gone] == ["two"]
    assert [found["metadata"]["name"] for found in cache.all(CONFIG_MAP)] == ["one", "young"]


def test_every_setting_says_what_it_means():
    [definition] = ast.parse(inspect.getsource(OperatorParams)).body
    assert isinstance(definition, ast.ClassDef)
    explained = {
        field.target.id
        for field, text in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }
    assert explained == set(OperatorParams.model_fields)
