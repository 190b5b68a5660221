"""The objects of a strategy: its analysis as a Deployment of one, the ConfigMap it reads, and a revision of both."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from leadline.analysis.hashing import analysis_hash
from leadline.model.ids import derive
from leadline.model.manifest.specs import TradingStrategy, rollout_fields
from leadline.plan.plan import Workload
from leadline_operator.desired import workload as pods
from leadline_operator.desired.account import HASH_LENGTH
from leadline_operator.kinds import ANALYSIS_HASH, GENERATION, ROLLOUT_HASH, JsonObject, strategy_key
from leadline_operator.params import OperatorParams


@dataclass(frozen=True, slots=True)
class Revision:
    """A version of a strategy: `hash` of all that its start depends on, `analysis_hash` as its signals bear it.

    `config_map` and `deployment` are the objects as they are applied, with one replica; `generation` is the one of the
    manifest that made it, and no part of the hash.
    """

    hash: str
    analysis_hash: str
    generation: int
    image: str
    restart_nonce: int
    config_map: JsonObject
    deployment: JsonObject

    def made_by(self, generation: str) -> "Revision":
        """The same version, made by another generation of the manifest."""
        if not generation.isdigit():
            return self
        deployment = copy.deepcopy(self.deployment)
        deployment["metadata"]["annotations"][GENERATION] = generation
        return replace(self, generation=int(generation), deployment=deployment)

    def objects(self, replicas: int) -> tuple[JsonObject, JsonObject]:
        """ConfigMap and Deployment with this many Pods."""
        return self.config_map, {**self.deployment, "spec": {**self.deployment["spec"], "replicas": replicas}}


def strategy_revision(
    workload: Workload, strategy: TradingStrategy, owner: Mapping[str, Any], params: OperatorParams, code_version: str
) -> Revision:
    """The version that a manifest asks for. `code_version` is the platform's own."""
    key = strategy_key(strategy.full_name)
    image = strategy.spec.image
    # Signals of code that is not the platform's bear the name of its image.
    spoken = image or code_version
    named = analysis_hash(spoken, rollout_fields(strategy))
    settings = pods.service_settings(workload, params, key.namespace, image)
    bare = pods.pod_template(workload, params, key, {}, image=image)
    text = json.dumps([settings, bare, named], sort_keys=True, separators=(",", ":"))
    own = pods.own_digest()
    stamp = derive("rollout", text, *([own] if own else []))[:HASH_LENGTH]
    stamps = {ROLLOUT_HASH: stamp, ANALYSIS_HASH: named}
    reference = pods.owned_by(owner)
    config = pods.config_map(workload, key, reference, settings)
    config["metadata"]["annotations"] = dict(stamps)
    generation = int(owner["metadata"].get("generation", 0))
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": workload.id,
            "namespace": key.namespace,
            "labels": pods.labels_of(workload, key),
            "annotations": {**stamps, GENERATION: str(generation)},
            "ownerReferences": reference,
        },
        "spec": {
            "replicas": workload.replicas,
            "revisionHistoryLimit": 3,
            # A second Pod beside the first one is never asked for; which of two counts, execution decides.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": pods.selector_of(workload, key)},
            "template": {**bare, "metadata": {**bare["metadata"], "annotations": stamps}},
        },
    }
    return Revision(stamp, named, generation, image or "", strategy.spec.restart_nonce, config, deployment)


def revision_object(revision: Revision, owner: Mapping[str, Any], number: int) -> JsonObject:
    """The record of a version, from which it can be put back exactly as it was."""
    metadata = revision.deployment["metadata"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": record_name(metadata["name"], revision.hash),
            "namespace": metadata["namespace"],
            "labels": metadata["labels"],
            "annotations": {ROLLOUT_HASH: revision.hash},
            "ownerReferences": pods.owned_by(owner),
        },
        "revision": number,
        "data": {
            "hash": revision.hash,
            "analysisHash": revision.analysis_hash,
            "generation": revision.generation,
            "image": revision.image,
            "restartNonce": revision.restart_nonce,
            "configMap": revision.config_map,
            "deployment": revision.deployment,
        },
    }


def record_name(workload_id: str, stamp: str) -> str:
    """The name of the record of a version."""
    return f"{workload_id}-{stamp}"


def revision_of(record: Mapping[str, Any]) -> Revision:
    """The version that a record holds."""
    data = record["data"]
    return Revision(
        data["hash"],
        data["analysisHash"],
        data["generation"],
        data["image"],
        data["restartNonce"],
        data["configMap"],
        data["deployment"],
    )
