"""The objects of an account: execution, and the paper venue, each a StatefulSet of one with a volume of its own."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from leadline.model.ids import derive
from leadline.model.manifest.specs import Change, TradingAccount, change_class
from leadline.plan.plan import Workload
from leadline_operator.desired import workload as pods
from leadline_operator.kinds import ROLLOUT_HASH, JsonObject, account_key
from leadline_operator.params import OperatorParams

HASH_LENGTH: Final = 12


def account_objects(
    workloads: Sequence[Workload],
    account: TradingAccount,
    owner: Mapping[str, Any],
    params: OperatorParams,
    claims: Mapping[str, list[JsonObject]],
) -> list[JsonObject]:
    """ConfigMap, Service and StatefulSet of each workload of the account, the venue's before execution's.

    `claims`: the volume claims of the StatefulSets that exist already, by name. They cannot be changed any more.
    """
    key, reference = account_key(account.full_name), pods.owned_by(owner)
    found: list[JsonObject] = []
    for item in workloads:
        if item.owner != "account" or item.owner_name != account.full_name:
            continue
        settings = pods.service_settings(item, params, key.namespace)
        credentials = account.spec.credentials.secret_name if item.service == "execution" else None
        found += [
            pods.config_map(item, key, reference, settings),
            pods.service(item, key, reference),
            _stateful_set(item, account, reference, params, claims.get(item.id), credentials),
        ]
    return found


def rollout_hash(item: Workload, settings: Mapping[str, Any], template: Mapping[str, Any]) -> str:
    """The hash that changes when a new Pod is needed: of settings that only a start reads, own instruments, the Pod."""
    text = json.dumps([item.id, settings, template], sort_keys=True, separators=(",", ":"))
    own = pods.own_digest()
    return derive("rollout", text, *([own] if own else []))[:HASH_LENGTH]


def _stateful_set(
    item: Workload,
    account: TradingAccount,
    reference: list[JsonObject],
    params: OperatorParams,
    claims: list[JsonObject] | None,
    credentials: str | None,
) -> JsonObject:
    key = account_key(account.full_name)
    (volume,) = item.volumes
    bare = pods.pod_template(item, params, key, {}, volume=volume, credentials=credentials)
    stamp = rollout_hash(item, _start_settings(item, account, params), bare)
    template = {**bare, "metadata": {**bare["metadata"], "annotations": {ROLLOUT_HASH: stamp}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": item.id,
            "namespace": key.namespace,
            "labels": pods.labels_of(item, key),
            "annotations": {ROLLOUT_HASH: stamp},
            "ownerReferences": reference,
        },
        "spec": {
            "serviceName": item.id,
            "replicas": item.replicas,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": pods.selector_of(item, key)},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": template,
            "volumeClaimTemplates": claims if claims is not None else [_claim(volume, params)],
        },
    }


def _start_settings(item: Workload, account: TradingAccount, params: OperatorParams) -> JsonObject:
    """The settings without what execution takes over while it runs."""
    settings: JsonObject = json.loads(pods.service_settings(item, params, account.metadata.namespace))
    if "manifest" in settings["params"]:
        settings["params"]["manifest"] = start_fields(account)
    return settings


def start_fields(account: TradingAccount) -> JsonObject:
    """The account's fields that only a start of its workloads reads."""
    whole = account.spec.to_manifest()
    return {name: value for name, value in whole.items() if change_class(name, "TradingAccount") is not Change.HOT}


def _claim(volume: str, params: OperatorParams) -> JsonObject:
    storage = params.storage
    spec: JsonObject = {"accessModes": [storage.access_mode], "resources": {"requests": {"storage": storage.size}}}
    if storage.storage_class:
        spec["storageClassName"] = storage.storage_class
    # The API server fills both in, and would see a difference without them.
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": volume}, "spec": spec}
