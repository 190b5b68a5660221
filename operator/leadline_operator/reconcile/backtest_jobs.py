"""Objects that are made once for a backtest, and what its Jobs and their Pods say."""

from enum import Enum, auto
from typing import Any

from pydantic import ValidationError

from leadline.model.errors import LeadlineError
from leadline.model.manifest.backtest_status import BacktestStatus, Summary
from leadline_operator.cache import place_of
from leadline_operator.clients.kube import Conflict
from leadline_operator.conditions import Reason
from leadline_operator.desired.backtest import REFUSED_EXIT
from leadline_operator.kinds import CONFIG_MAP, JOB, POD, JsonObject, Kind, kind_of
from leadline_operator.reconcile.admission import Refused
from leadline_operator.reconcile.context import ReconcileContext
from leadline_operator.reconcile.deps import deleting

BacktestContext = ReconcileContext[BacktestStatus]

JOB_LABEL = "batch.kubernetes.io/job-name"
_SHOWN = 1_000
_BY_NAME = {kind.name: kind for kind in (CONFIG_MAP, JOB)}


class NameTaken(LeadlineError):
    """An object of the name that is needed is there already, and not this backtest's; or it is on its way out."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(kind, name)

    def __str__(self) -> str:
        return "the {} {} is there already, and belongs to something else: delete it, or wait until it is gone".format(
            *self.args
        )


class JobEnd(Enum):
    """How far a Job is."""

    RUNNING = auto()
    COMPLETE = auto()
    FAILED = auto()


async def find_owned(context: BacktestContext, kind_name: str, name: str) -> JsonObject | None:
    """An object that was made for the backtest, None where there is none. Raises NameTaken."""
    kind, deps = _BY_NAME[kind_name], context.deps
    found = deps.cache.get(kind, context.key.namespace, name) or await deps.refresh(kind, context.key.namespace, name)
    return None if found is None else _own(context, kind, found)


async def find_or_make(context: BacktestContext, document: JsonObject) -> JsonObject:
    """The object as it was last seen; made where there is none. One that is there is never changed. Raises NameTaken.

    What is made for a backtest cannot be changed as the API server has it, and need not be.
    """
    kind, deps = kind_of(document), context.deps
    known = deps.cache.get(kind, *place_of(document))
    if known is None:
        try:
            known = await deps.kube.create(document)
        except Conflict:
            known = await deps.refresh(kind, *place_of(document))
            if known is None:
                raise
        deps.cache.put(kind, known)
    return _own(context, kind, known)


def end_of(job: JsonObject) -> JobEnd:
    """How far a Job is, by its conditions."""
    holding = {item["type"] for item in _conditions(job) if item["status"] == "True"}
    if "Failed" in holding:
        return JobEnd.FAILED
    return JobEnd.COMPLETE if "Complete" in holding else JobEnd.RUNNING


async def why_failed(context: BacktestContext, job: JsonObject) -> tuple[Reason, str]:
    """Why a Job has failed: what the Pod said that ended it, where it is still there, else what the Job says."""
    failed = next((item for item in _conditions(job) if item["type"] == "Failed"), {})
    ended = [
        (container, pod)
        for pod in await _pods(context, job)
        if (container := _terminated(pod)) is not None and container["exitCode"] != 0
    ]
    refused = [each for each in ended if each[0]["exitCode"] == REFUSED_EXIT]
    # The last words of the last try; a Pod that was killed has none.
    told = sorted(
        refused or ended, key=lambda each: (bool(each[0].get("message")), each[1]["metadata"]["creationTimestamp"])
    )
    said = str(failed.get("message") or "")
    if told:
        container, pod = told[-1]
        words = str(container.get("message") or container.get("reason") or "").strip()
        said = f"Pod {pod['metadata']['name']}: {words or said}"
    refusal = bool(refused) or failed.get("reason") == "PodFailurePolicy"
    return (Reason.INPUT_REFUSED if refusal else Reason.SHARD_FAILED), said[:_SHOWN]


async def find_summary(context: BacktestContext, job: JsonObject) -> Summary | Refused | None:
    """The summary that a Pod of a complete Job has said; None where that Pod is gone.

    Refused where it has ended well and said something else. The API server is asked: what is cached of a Pod is cut.
    """
    refused = None
    for pod in await _pods(context, job):
        container = _terminated(pod)
        if container is not None and container["exitCode"] == 0:
            said = str(container.get("message") or "")
            try:
                return Summary.model_validate_json(said)
            except ValidationError:
                name = pod["metadata"]["name"]
                told = f"Pod {name} has ended without a summary that can be read: {said or 'no words'}"
                refused = Refused(Reason.SUMMARY_UNREADABLE, told[:_SHOWN])
    return refused


def _own(context: BacktestContext, kind: Kind, found: JsonObject) -> JsonObject:
    owners = {owner["uid"] for owner in found["metadata"].get("ownerReferences") or ()}
    if context.uid not in owners or deleting(found):
        # What was seen may be old; the next look is at what is there.
        context.deps.cache.drop(kind, place_of(found))
        raise NameTaken(kind.name, found["metadata"]["name"])
    return found


async def _pods(context: BacktestContext, job: JsonObject) -> list[JsonObject]:
    labels = f"{JOB_LABEL}={job['metadata']['name']}"
    found, _ = await context.deps.kube.every(POD, context.key.namespace, labels)
    uid = job["metadata"]["uid"]
    return [pod for pod in found if uid in {each["uid"] for each in pod["metadata"].get("ownerReferences") or ()}]


def _terminated(pod: JsonObject) -> dict[str, Any] | None:
    """How the one container of a Pod has ended; None where it has not, or nobody knows."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        ended = (status.get("state") or {}).get("terminated")
        if ended is not None:
            found: dict[str, Any] = ended
            return found
    return None


def _conditions(job: JsonObject) -> list[JsonObject]:
    return list((job.get("status") or {}).get("conditions") or ())
