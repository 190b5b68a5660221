"""Pods of a strategy: those that run, those that may yet come, and those that have lost their owner."""

import contextlib

from leadline.plan.plan import workload_id
from leadline_operator.cache import uid_of
from leadline_operator.clients.kube import Missing
from leadline_operator.conditions import Reason
from leadline_operator.kinds import (
    ACCOUNT_LABEL,
    DEPLOYMENT,
    POD,
    REPLICA_SET,
    STATEFUL_SET,
    STRATEGY_LABEL,
    JsonObject,
    Key,
    Kind,
)
from leadline_operator.reconcile.context import ReconcileContext, StatusT
from leadline_operator.reconcile.deps import Deps, deleting


async def remaining(context: ReconcileContext[StatusT], deployment: str) -> list[str]:
    """Objects that a strategy waits for whose Deployment is to have no Pods; empty when none runs and none can come.

    A listing without Pods is not enough: the cluster's controllers act on what they saw last, and may make a Pod after
    it. The Deployment's says in the status which generation it has seen, and makes no ReplicaSet of an older one after
    that; a ReplicaSet's says the same, and makes no Pod then. So the order of the three questions matters. All are put
    to the API server: nothing is let go of on the word of a watch.
    """
    live = await _live(context, deployment)
    waits = [] if live is None or _observed(live) else [f"Deployment {deployment} to be seen by its controller"]
    await end_stray_pods(context, deployment)
    replica_sets, pods = await _listed(context, REPLICA_SET), await _listed(context, POD)
    unsettled = [item for item in replica_sets if item["spec"].get("replicas") or not _observed(item)]
    waits += [f"ReplicaSet {item['metadata']['name']} to be scaled down" for item in unsettled]
    return waits + [f"Pod {pod['metadata']['name']} to end" for pod in pods]


async def end_stray_pods(context: ReconcileContext[StatusT], deployment: str) -> None:
    """End the Pods of ReplicaSets that are not the Deployment's: those of one that had its name and is gone.

    They go with their owner, as a rule. But a garbage collector that was not watching when an object went, and finds
    another of that name when it watches again, takes the one for the other, and lets its Pods run for good.
    """
    # Owners after what they own: what is made meanwhile is then missing among what is owned, and no stray.
    pods = await _listed(context, POD)
    replica_sets = await _listed(context, REPLICA_SET)
    live = await _live(context, deployment)
    deps, namespace = context.deps, context.key.namespace
    if deps.ending(namespace):
        return
    for found in replica_sets:
        if deleting(found) or (live is not None and _owner(found, DEPLOYMENT) == uid_of(live)):
            continue
        name = found["metadata"]["name"]
        if found["spec"].get("replicas"):
            # Deleted at once, it could still make a Pod that nobody owns.
            with contextlib.suppress(Missing):
                await deps.kube.merge(REPLICA_SET, namespace, name, {"spec": {"replicas": 0}})
            text = f"ReplicaSet {name}: belonged to a Deployment that is gone; its Pods are ended"
            await context.record_event(Reason.DRIFT_CORRECTED, text)
        elif _observed(found):
            await deps.kube.delete(found)
    known = {uid_of(found) for found in replica_sets}
    for pod in pods:
        owner = _owner(pod, REPLICA_SET)
        if owner is not None and owner not in known and not deleting(pod):
            await deps.kube.delete(pod)
            await context.record_event(
                Reason.DRIFT_CORRECTED, f"Pod {pod['metadata']['name']}: its ReplicaSet is gone; ended"
            )


async def execution_is_gone(deps: Deps, account: Key) -> bool:
    """Whether an account's execution is not there, and no Pod of one in its namespace."""
    workload, labels = workload_id("execution", account.account), f"{ACCOUNT_LABEL}={account.name}"
    if await deps.kube.get(STATEFUL_SET, account.namespace, workload) is not None:
        return False
    pods, _ = await deps.kube.every(POD, account.namespace, f"app.kubernetes.io/component=execution,{labels}")
    return not pods


async def _live(context: ReconcileContext[StatusT], deployment: str) -> JsonObject | None:
    return await context.deps.kube.get(DEPLOYMENT, context.key.namespace, deployment)


async def _listed(context: ReconcileContext[StatusT], kind: Kind) -> list[JsonObject]:
    found, _ = await context.deps.kube.every(kind, context.key.namespace, f"{STRATEGY_LABEL}={context.key.name}")
    return found


def _observed(found: JsonObject) -> bool:
    """Whether its controller has acted on this generation of it."""
    return int((found.get("status") or {}).get("observedGeneration", 0)) >= int(found["metadata"]["generation"])


def _owner(document: JsonObject, kind: Kind) -> str | None:
    """The uid of the controller of a kind that an object belongs to, None when it belongs to none."""
    references: list[JsonObject] = document["metadata"].get("ownerReferences") or []
    return next((each["uid"] for each in references if each.get("controller") and each["kind"] == kind.name), None)
