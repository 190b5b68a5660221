"""A strategy's Pods, and those among them that nobody looks after any more."""

from leadline_operator.conditions import Reason
from leadline_operator.kinds import DEPLOYMENT, POD, REPLICA_SET, STRATEGY_LABEL, JsonObject
from leadline_operator.reconcile.visit import StatusT, Visit
from leadline_operator.reconcile.world import deleting
from leadline_operator.seen import uid_of


async def live_pods(visit: Visit[StatusT]) -> list[str]:
    """The names of a strategy's Pods as the API server has them now: nothing is let go of on the word of a watch."""
    return [str(pod["metadata"]["name"]) for pod in await _listed(visit)]


async def end_strays(visit: Visit[StatusT], deployment: str) -> None:
    """End the Pods of ReplicaSets that are not the Deployment's: those of one that had its name and is gone.

    They go with their owner, as a rule. But a garbage collector that was not watching when an object went, and finds
    another of that name when it watches again, takes the one for the other, and lets its Pods run for good.
    """
    world, namespace = visit.world, visit.key.namespace
    if world.ending(namespace):
        return
    live = await world.kube.get(DEPLOYMENT, namespace, deployment)
    for pod in await _listed(visit):
        owner = _controller(pod)
        if deleting(pod) or owner is None or owner["kind"] != REPLICA_SET.name:
            continue
        replica_set = await world.kube.get(REPLICA_SET, namespace, owner["name"])
        if replica_set is None or uid_of(replica_set) != owner["uid"]:
            await world.kube.delete(pod)
        elif live is None or (_controller(replica_set) or {}).get("uid") != uid_of(live):
            # What it had a Pod for, it would make another one for.
            await world.kube.delete(replica_set)
        else:
            continue
        text = f"Pod {pod['metadata']['name']}: belonged to a Deployment that is gone; ended"
        await visit.say(Reason.DRIFT_CORRECTED, text)


async def _listed(visit: Visit[StatusT]) -> list[JsonObject]:
    found, _ = await visit.world.kube.every(POD, visit.key.namespace, f"{STRATEGY_LABEL}={visit.key.name}")
    return found


def _controller(document: JsonObject) -> JsonObject | None:
    references: list[JsonObject] = document["metadata"].get("ownerReferences") or []
    return next((each for each in references if each.get("controller")), None)
