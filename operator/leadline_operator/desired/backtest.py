"""The objects of a backtest: the record of its manifests, the Job of its shards, and the Job that gathers them. Pure.

A shard writes its files into the place of the results and says nothing to anybody. When all are there, one more Pod
puts them together and says the summary in its termination message, which the operator reads. Any Pod may run twice.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import yaml

from leadline.model.ids import AccountId, derive
from leadline.model.manifest.backtest_spec import AccountSource, Backtest, Place, StrategySource
from leadline.model.manifest.own_markets import in_force
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.plan.plan import workload_id
from leadline_operator.desired import workload as pods
from leadline_operator.desired.account import HASH_LENGTH
from leadline_operator.desired.drift import quantity
from leadline_operator.kinds import BACKTEST, BACKTEST_LABEL, GROUP, JsonObject, Key
from leadline_operator.params import OperatorParams

MANIFESTS_KEY: Final = "manifests.yaml"
MOST_RECORD_BYTES: Final = 1 << 20
"""Of the values of a ConfigMap (k8s.io/kubernetes, MaxSecretSize)."""
RECORD_HASH: Final = f"{GROUP}/record-hash"
COMPONENT: Final = "backtest"
PRIORITY: Final = "backtest"
REFUSED_EXIT: Final = 2
"""The exit code of a Pod that cannot run on its input: another try would end the same way."""

CATALOG_DIR: Final = "/catalog"
RESULTS_DIR: Final = "/results"
_SECRETS_DIR: Final = "/etc/leadline-buckets"


@dataclass(frozen=True)
class Resolved:
    """A backtest with the strategy and the account that its references meant when they were looked up."""

    backtest: Backtest
    strategy: TradingStrategy
    account: TradingAccount

    @property
    def key(self) -> Key:
        """The key of the backtest's object."""
        return Key(BACKTEST.name, self.backtest.metadata.namespace, self.backtest.metadata.name)

    @cached_property
    def manifests(self) -> str:
        """The three manifests as text that `leadline backtest` takes; the backtest names the two others."""
        strategy, account = self.strategy.metadata, self.account.metadata
        named = self.backtest.spec.model_copy(
            update={
                "strategy": StrategySource(name=strategy.name),
                "account": AccountSource(name=account.name, namespace=account.namespace),
            }
        )
        backtest = self.backtest.model_copy(update={"spec": named})
        documents = [each.to_manifest() for each in (self.account, self.strategy, backtest)]
        text: str = yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, width=120)
        return text

    @property
    def hash(self) -> str:
        """Names everything that decides the result besides code and prints."""
        return derive("backtest", self.manifests, pods.own_digest())[:HASH_LENGTH]


def record_name(key: Key) -> str:
    """The name of the ConfigMap, and of the Job of the shards."""
    return workload_id(COMPONENT, AccountId(key.full_name))


def gathering_name(key: Key) -> str:
    """The name of the Job that puts the results together."""
    return f"{record_name(key)}-gather"


def record(resolved: Resolved, owner: Mapping[str, Any]) -> JsonObject:
    """The ConfigMap with the manifests as they were resolved. Nobody can change it."""
    metadata = _metadata(record_name(resolved.key), resolved, owner)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**metadata, "annotations": {RECORD_HASH: resolved.hash}},
        "immutable": True,
        "data": _recorded(resolved),
    }


def record_bytes(resolved: Resolved) -> int:
    """The bytes that a record has, of which the API server bounds the sum."""
    return sum(len(text.encode()) for text in _recorded(resolved).values())


def _recorded(resolved: Resolved) -> dict[str, str]:
    own = {pods.INSTRUMENTS_KEY: in_force().document()} if pods.own_digest() else {}
    return {MANIFESTS_KEY: resolved.manifests, **own}


def shards_job(resolved: Resolved, owner: Mapping[str, Any], params: OperatorParams) -> JsonObject:
    """The Job of the shards, one an index."""
    spec = resolved.backtest.spec
    found = _job(record_name(resolved.key), resolved, owner, _template(resolved, params, "run"))
    found["spec"] |= {
        "completionMode": "Indexed",
        "completions": spec.shards,
        "parallelism": min(spec.parallelism, spec.shards),
        "backoffLimitPerIndex": spec.backoff_limit,
        # Without one of them there is no result: the others need not go on.
        "maxFailedIndexes": 0,
    }
    return found


def gathering_job(resolved: Resolved, owner: Mapping[str, Any], params: OperatorParams) -> JsonObject:
    """The Job that puts the results of the shards together, and says their summary."""
    found = _job(gathering_name(resolved.key), resolved, owner, _template(resolved, params, "gather"))
    found["spec"] |= {"backoffLimit": resolved.backtest.spec.backoff_limit}
    return found


def place_in_words(place: Place, folder: str) -> str:
    """A folder of a place, for people."""
    path = "/".join(part for part in (place.path, folder) if part)
    if place.bucket is not None:
        return f"s3://{place.bucket.name}/{path}"
    return f"PersistentVolumeClaim {place.claim}: {path}"


def _metadata(name: str, resolved: Resolved, owner: Mapping[str, Any]) -> JsonObject:
    key = resolved.key
    return {
        "name": name,
        "namespace": key.namespace,
        "labels": pods.labels_for(COMPONENT, BACKTEST_LABEL, key),
        "ownerReferences": pods.owned_by(owner),
    }


def _job(name: str, resolved: Resolved, owner: Mapping[str, Any], template: JsonObject) -> JsonObject:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(name, resolved, owner),
        "spec": {
            "template": template,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {"containerName": COMPONENT, "operator": "In", "values": [REFUSED_EXIT]},
                    },
                    # A node that was lost or drained, a Pod that was evicted: not the Pod's fault.
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
        },
    }


def _template(resolved: Resolved, params: OperatorParams, task: str) -> JsonObject:
    spec = resolved.backtest.spec
    resources = spec.resources or params.backtest_resources
    files = [MANIFESTS_KEY, *([pods.INSTRUMENTS_KEY] if pods.own_digest() else [])]
    volumes: list[JsonObject] = [
        {
            "name": "config",
            "configMap": {"name": record_name(resolved.key), "items": [{"key": file, "path": file} for file in files]},
        },
        {"name": "tmp", "emptyDir": {}},
    ]
    mounts: list[JsonObject] = [
        {"name": "config", "mountPath": pods.CONFIG_DIR, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
    ]
    shared = spec.catalog.claim is not None and spec.catalog.claim == spec.results.claim
    for name, place, folder in (("catalog", spec.catalog, CATALOG_DIR), ("results", spec.results, RESULTS_DIR)):
        read_only = name == "catalog"
        if place.bucket is not None:
            volumes.append({"name": name, "secret": {"secretName": place.bucket.secret_name, "defaultMode": 0o440}})
            mounts.append({"name": name, "mountPath": f"{_SECRETS_DIR}/{name}", "readOnly": True})
            continue
        volume = "results" if shared else name
        if not (shared and read_only):
            claim: JsonObject = {"claimName": place.claim, **({"readOnly": True} if read_only else {})}
            volumes.append({"name": volume, "persistentVolumeClaim": claim})
        mounts.append(
            {
                "name": volume,
                "mountPath": folder,
                **({"subPath": place.path} if place.path else {}),
                **({"readOnly": True} if read_only else {}),
            }
        )
    container = {
        "name": COMPONENT,
        "image": resolved.strategy.spec.image or params.image,
        "imagePullPolicy": params.image_pull_policy,
        "args": [
            "shard",
            task,
            "--file",
            f"{pods.CONFIG_DIR}/{MANIFESTS_KEY}",
            "--workers",
            str(_whole_cores(resources)),
            *(["--instruments", f"{pods.CONFIG_DIR}/{pods.INSTRUMENTS_KEY}"] if pods.own_digest() else []),
        ],
        "securityContext": pods.CONFINED,
        "resources": resources,
        # What it says is what the operator reads: nothing else may stand there.
        "terminationMessagePolicy": "File",
        "volumeMounts": mounts,
    }
    pod = {**pods.pod_spec(container, volumes, params, PRIORITY), "restartPolicy": "Never"}
    return {"metadata": {"labels": pods.labels_for(COMPONENT, BACKTEST_LABEL, resolved.key)}, "spec": pod}


def _whole_cores(resources: Mapping[str, Any]) -> int:
    """The requested cores that are whole, one at the least."""
    asked = quantity((resources.get("requests") or {}).get("cpu", 1))
    return max(1, math.floor(asked)) if asked is not None else 1
