"""The objects of a backtest: pure, without a cluster."""

from typing import Any

import pytest
import yaml

from leadline.model.manifest.backtest_spec import MOST_SHARDS, Backtest, Place
from leadline.model.manifest.specs import load_manifests, parse_manifest
from leadline_operator.desired.backtest import (
    RECORD_HASH,
    Resolved,
    gathering_job,
    gathering_name,
    place_in_words,
    record,
    record_name,
    shards_job,
)
from leadline_operator.kinds import BACKTEST, Key
from tests.operator.test_desired import owner, params
from tests.plan.builders import account, strategy

CLAIMS: dict[str, Any] = {"catalog": {"claim": "ticks"}, "results": {"claim": "results", "path": "backtests"}}
BUCKET = {"name": "desk", "endpoint": "https://minio.storage.svc:9000", "secretName": "s3"}


def resolved(name: str = "autumn", **spec: Any) -> Resolved:
    document = {
        "apiVersion": "leadline.dev/v1alpha1",
        "kind": "Backtest",
        "metadata": {"name": name},
        "spec": {"strategy": {"name": "flow"}, "from": "2025-10-06", "to": "2025-10-10", **CLAIMS, **spec},
    }
    found = parse_manifest(document)
    assert isinstance(found, Backtest), found
    return Resolved(found, strategy(), account())


def job(found: Resolved, **changes: Any) -> dict[str, Any]:
    return shards_job(found, owner("Backtest", "autumn"), params(**changes))


def pod(found: Resolved, **changes: Any) -> dict[str, Any]:
    spec: dict[str, Any] = job(found, **changes)["spec"]["template"]["spec"]
    return spec


def mounts(found: Resolved) -> dict[str, dict[str, Any]]:
    return {each["mountPath"]: each for each in pod(found)["containers"][0]["volumeMounts"]}


def volumes(found: Resolved) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in pod(found)["volumes"]}


def test_a_pod_is_confined_has_no_token_and_says_only_what_the_operator_reads():
    found = pod(resolved())
    (container,) = found["containers"]
    assert (found["automountServiceAccountToken"], found["restartPolicy"]) == (False, "Never")
    assert found["priorityClassName"] == "leadline-backtest"
    assert found["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["terminationMessagePolicy"] == "File"
    assert set(container["resources"]) == {"requests", "limits"}
    # What comes from a bucket lies on the node's disk.
    assert all("ephemeral-storage" in each for each in container["resources"].values())


def test_the_catalog_is_read_only_and_of_the_results_only_the_folder_is_there():
    found = resolved(catalog={"claim": "ticks", "path": "kept/catalog"})
    assert mounts(found)["/catalog"] == {
        "name": "catalog",
        "mountPath": "/catalog",
        "subPath": "kept/catalog",
        "readOnly": True,
    }
    assert mounts(found)["/results"] == {"name": "results", "mountPath": "/results", "subPath": "backtests"}
    assert volumes(found)["catalog"]["persistentVolumeClaim"] == {"claimName": "ticks", "readOnly": True}
    assert volumes(found)["results"]["persistentVolumeClaim"] == {"claimName": "results"}


def test_a_claim_for_both_is_one_volume_and_the_catalog_on_it_is_read_only_all_the_same():
    found = resolved(catalog={"claim": "desk", "path": "catalog"}, results={"claim": "desk", "path": "backtests"})
    assert {name for name in volumes(found) if name in {"catalog", "results"}} == {"results"}
    assert mounts(found)["/catalog"]["readOnly"] is True
    assert {mounts(found)[place]["name"] for place in ("/catalog", "/results")} == {"results"}


def test_of_a_bucket_only_its_keys_are_mounted():
    found = resolved(catalog={"bucket": BUCKET, "path": "ticks"}, results={"bucket": BUCKET})
    assert {place for place in mounts(found) if place.startswith("/etc/leadline-buckets")} == {
        "/etc/leadline-buckets/catalog",
        "/etc/leadline-buckets/results",
    }
    assert not {"/catalog", "/results"} & set(mounts(found))
    assert volumes(found)["catalog"]["secret"]["secretName"] == "s3"


def test_lost_pods_are_replaced_refused_input_ends_it_and_no_more_shards_run_than_there_are():
    sweep = {"fields": [{"field": "strategy.spec.bracket.stopTicks", "values": [8, 12, 16]}]}
    spec = job(resolved(sweep=sweep, shards=3, parallelism=8, backoffLimit=2))["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == (2, 0)
    refused, lost = spec["podFailurePolicy"]["rules"]
    assert (refused["action"], refused["onExitCodes"]["values"]) == ("FailJob", [2])
    assert (lost["action"], lost["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    gathering = gathering_job(resolved(backoffLimit=2), owner("Backtest", "autumn"), params())["spec"]
    assert gathering["backoffLimit"] == 2
    assert gathering["template"]["spec"]["containers"][0]["args"][:2] == ["shard", "gather"]


@pytest.mark.parametrize(
    ("resources", "workers"),
    [({}, "1"), ({"requests": {"cpu": "500m"}}, "1"), ({"requests": {"cpu": "3500m"}}, "3"), ({"limits": {}}, "1")],
)
def test_it_has_as_many_processes_as_whole_cores_are_asked_for(resources: dict[str, Any], workers: str):
    words = pod(resolved(resources=resources))["containers"][0]["args"]
    assert words[words.index("--workers") + 1] == workers


def test_a_record_cannot_be_changed_and_says_what_was_resolved():
    found = resolved()
    made = record(found, owner("Backtest", "autumn"))
    assert made["immutable"] is True
    assert made["metadata"]["ownerReferences"][0]["uid"] == "u-1"
    text = made["data"]["manifests.yaml"]
    assert [each.kind for each in load_manifests(text)] == ["TradingAccount", "TradingStrategy", "Backtest"]
    assert "*id" not in text, "no reference, which no manifest may have"
    (written,) = [each for each in yaml.safe_load_all(text) if each["kind"] == "Backtest"]
    assert written["spec"]["account"] == {"name": account().metadata.name, "namespace": "default"}
    assert made["metadata"]["annotations"][RECORD_HASH] == found.hash == resolved().hash
    assert found.hash != resolved(to="2025-10-09").hash


def test_names_leave_room_for_the_labels_of_pods():
    key = Key(BACKTEST.name, "a-namespace-of-traders", "x" * 52)
    # A label of a Pod has the name of its Job, and its host that of its shard as well.
    assert len(f"{record_name(key)}-{MOST_SHARDS - 1}") <= 63
    assert len(gathering_name(key)) <= 63


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (Place(claim="results", path="a/b"), "PersistentVolumeClaim results: a/b/3kq7"),
        (Place(claim="results"), "PersistentVolumeClaim results: 3kq7"),
        (Place.from_manifest({"bucket": BUCKET, "path": "a"}), "s3://desk/a/3kq7"),
    ],
)
def test_the_place_of_the_files_is_told_in_words(place: Place, words: str):
    assert place_in_words(place, "3kq7") == words
