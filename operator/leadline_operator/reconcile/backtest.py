"""A backtest, from what is to what its manifest wants. This page is the list of the steps; each has its module.

Every reconcile begins with the first step and does what is missing. What a backtest is made of is put on record before
anything runs, and nothing that follows looks at the references again.
"""

from typing import Final

from leadline.model.manifest.backtest_status import BacktestPhase, BacktestStatus, ShardCount
from leadline.model.manifest.status_spec import ConditionType
from leadline_operator.clients.kube import Forbidden, Invalid, NamespaceEnding
from leadline_operator.conditions import Reason, no, yes
from leadline_operator.desired.backtest import (
    Resolved,
    gathering_job,
    gathering_name,
    place_in_words,
    record_name,
    shards_job,
)
from leadline_operator.kinds import JOB, POD, JsonObject, Key
from leadline_operator.reconcile import backtest_record
from leadline_operator.reconcile.admission import Refused
from leadline_operator.reconcile.backtest_jobs import (
    JobEnd,
    NameTaken,
    end_of,
    find_or_make,
    find_summary,
    why_failed,
)
from leadline_operator.reconcile.context import ReconcileContext, status_of
from leadline_operator.reconcile.deps import Deps, deleting
from leadline_operator.reconcile.pod_state import why_not_up
from leadline_operator.reconcile.status import NAMESPACE_ENDS, forbidden_message
from leadline_operator.reconcile.steps import Done, Step, run_steps

BacktestContext = ReconcileContext[BacktestStatus]

_MOST_SUMMARIES_LOST: Final = 2


async def reconcile_backtest(deps: Deps, key: Key) -> float | None:
    """Bring a backtest nearer to its end. Returns the seconds after which to do it again, None for a change."""
    found = deps.cache.owner(key)
    if found is None:
        return None
    context = ReconcileContext(deps, key, found, status_of(BacktestStatus, found))
    try:
        done = await run_steps(GATES, context) or await _admitted(context)
    except Forbidden as refused:
        done = await _waits(context, Reason.FORBIDDEN, forbidden_message(refused), deps.params.status_seconds)
    except NameTaken as taken:
        done = await _waits(context, Reason.NAME_TAKEN, str(taken), deps.params.poll_seconds)
    except Invalid as refused:
        done = await end(context, BacktestPhase.FAILED, Reason.OBJECT_REFUSED, str(refused))
    except NamespaceEnding:
        done = await _waits(context, Reason.NAMESPACE_TERMINATING, NAMESPACE_ENDS, None)
    return done.again


async def _admitted(context: BacktestContext) -> Done:
    """The steps of a backtest that may run."""
    resolved = await admit(context)
    if isinstance(resolved, Done):
        return resolved
    return await run_steps(STEPS, BacktestRun(context, resolved)) or Done()


class BacktestRun:
    """A backtest that may run, as its reconcile comes to know it."""

    def __init__(self, context: BacktestContext, resolved: Resolved) -> None:
        self.context = context
        self.resolved = resolved

    async def fail(self, reason: Reason, message: str) -> Done:
        """Say that it has ended without a result."""
        return await end(self.context, BacktestPhase.FAILED, reason, message)


# Before it is asked what the manifest wants.


async def leave_deleted_alone(context: BacktestContext) -> Done | None:
    """Do nothing with one that is being deleted: what was made for it goes with it, and its files stay."""
    return Done() if deleting(context.found) else None


async def leave_paused_alone(context: BacktestContext) -> Done | None:
    """Do nothing with a backtest that a person has annotated so; Pods that run go on."""
    return Done() if await context.paused() else None


async def delete_when_time_is_over(context: BacktestContext) -> Done | None:
    """Leave one alone that has ended, and delete it when the time that it is kept for is over."""
    ended = [context.condition(kind) for kind in (ConditionType.COMPLETE, ConditionType.FAILED)]
    if not any(each is not None and each.holds for each in ended):
        return None
    kept_for, finished = context.found["spec"].get("ttlSecondsAfterFinished"), context.status.finished_at
    if kept_for is None or finished is None:
        return Done()
    left = float(kept_for) - (context.deps.now() - finished).total_seconds()
    if left > 0:
        return Done(left)
    await context.deps.kube.delete(context.found)
    return Done()


async def make_nothing_in_ending_namespace(context: BacktestContext) -> Done | None:
    """Make nothing in a namespace that is being deleted."""
    if not context.deps.ending(context.key.namespace):
        return None
    return await _waits(context, Reason.NAMESPACE_TERMINATING, NAMESPACE_ENDS, None)


async def admit(context: BacktestContext) -> Resolved | Done:
    """Look up what the manifest names, once, and put it on record."""
    resolved = await backtest_record.resolve(context)
    if not isinstance(resolved, Refused):
        context.set_condition(ConditionType.ACCEPTED, yes(Reason.VALID))
        return resolved
    if resolved.reason is Reason.RECORD_LOST:
        return await end(context, BacktestPhase.FAILED, resolved.reason, resolved.message)
    known = context.has_condition(ConditionType.ACCEPTED, no(resolved.reason, resolved.message))
    context.set_condition(ConditionType.ACCEPTED, no(resolved.reason, resolved.message))
    context.set_condition(ConditionType.COMPLETE, no(resolved.reason, resolved.message))
    context.set_status(phase=BacktestPhase.REFUSED.value)
    await context.write()
    if not known:
        await context.record_event(resolved.reason, resolved.message, "Warning")
    # No watch tells of an account that it waits for.
    return Done(context.deps.params.status_seconds)


# Towards what it wants.


async def run_shards(run: BacktestRun) -> Done | None:
    """Have the Job of the shards in the cluster, and wait until each of them is done."""
    context = run.context
    total = run.resolved.backtest.spec.shards
    if context.status.started_at is None:
        context.set_status(started_at=context.deps.now(), phase=BacktestPhase.PENDING.value)
        _count(context, ShardCount(total=total))
        await context.write()
        await context.record_event(Reason.SHARDS_STARTED, f"{total} of them, with the record {run.resolved.hash}")
    job = await find_or_make(context, shards_job(run.resolved, context.found, context.deps.params))
    status = job.get("status") or {}
    done = min(total, int(status.get("succeeded") or 0))
    _count(context, ShardCount(total=total, done=done))
    ended = end_of(job)
    if ended is JobEnd.FAILED:
        reason, message = await why_failed(context, job)
        return await run.fail(reason, message)
    if ended is JobEnd.COMPLETE:
        return None
    await _report_running(context, job, f"{done} of {total} shards are done")
    return Done(context.deps.params.status_seconds)


async def gather(run: BacktestRun) -> Done | None:
    """Have the results put together, and take the summary over."""
    context = run.context
    context.set_status(phase=BacktestPhase.GATHERING.value)
    job = await find_or_make(context, gathering_job(run.resolved, context.found, context.deps.params))
    ended = end_of(job)
    if ended is JobEnd.FAILED:
        reason, message = await why_failed(context, job)
        return await run.fail(reason, message)
    if ended is JobEnd.RUNNING:
        context.set_condition(ConditionType.COMPLETE, no(Reason.GATHERING, "the results are put together"))
        await context.write()
        return Done(context.deps.params.status_seconds)
    summary = await find_summary(context, job)
    if isinstance(summary, Refused):
        return await run.fail(summary.reason, summary.message)
    if summary is None:
        there = await context.deps.refresh(JOB, context.key.namespace, gathering_name(context.key))
        if there is None or there["metadata"]["uid"] != job["metadata"]["uid"]:
            # It is another one by now: what was seen was old.
            return Done(0)
        # The files are there; only the Pod that told of them is not.
        lost = context.status.summaries_lost + 1
        if lost > _MOST_SUMMARIES_LOST:
            told = f"the Pod with the summary was gone {lost} times before it was read; the files are there"
            return await run.fail(Reason.SUMMARY_LOST, told)
        context.set_status(summaries_lost=lost)
        await context.write()
        await context.record_event(Reason.SUMMARY_LOST, "its Pod is gone: the results are put together once more")
        await context.deps.kube.delete(job)
        context.deps.cache.drop(JOB, (context.key.namespace, gathering_name(context.key)))
        return Done(0)
    context.set_status(summary=summary, files=place_in_words(run.resolved.backtest.spec.results, summary.id))
    return None


async def succeed(run: BacktestRun) -> Done:
    """Say that the result is there."""
    summary = run.context.status.summary
    assert summary is not None
    trades = f"{summary.trades} trades on {summary.days} days, net {summary.net} {summary.currency}"
    return await end(run.context, BacktestPhase.SUCCEEDED, Reason.SUCCEEDED, trades)


async def end(context: BacktestContext, phase: BacktestPhase, reason: Reason, message: str) -> Done:
    """Write the end of a backtest; nothing is made for it any more."""
    succeeded = phase is BacktestPhase.SUCCEEDED
    verdict = yes(reason, message)
    context.set_status(phase=phase.value, finished_at=context.deps.now())
    context.set_condition(ConditionType.COMPLETE, verdict if succeeded else no(reason, message))
    if not succeeded:
        context.set_condition(ConditionType.FAILED, verdict)
    await context.write()
    await context.record_event(reason, message, "Normal" if succeeded else "Warning")
    kept_for = context.found["spec"].get("ttlSecondsAfterFinished")
    return Done(None if kept_for is None else float(kept_for))


async def _report_running(context: BacktestContext, job: JsonObject, progress: str) -> None:
    """Say how far the shards are, and what the first of their Pods waits for when none of them runs."""
    running = int((job.get("status") or {}).get("active") or 0) > 0
    pods = context.deps.cache.children(POD, context.key)
    at_work = any((pod.get("status") or {}).get("phase") == "Running" for pod in pods)
    message = progress
    if not at_work and not context.status.shards_done:
        nothing = f"no Pod is there yet: see the events of the Job {record_name(context.key)}"
        message = why_not_up((pod for pod in pods if not _ended(pod)), nothing).message
    begun = at_work or context.status.shards_done
    context.set_status(phase=(BacktestPhase.RUNNING if running and begun else BacktestPhase.PENDING).value)
    context.set_condition(ConditionType.COMPLETE, no(Reason.SHARDS_RUNNING, message))
    await context.write()


async def _waits(context: BacktestContext, reason: Reason, message: str, again: float | None) -> Done:
    """Say that something is missing for now."""
    if context.status.phase is None:
        context.set_status(phase=BacktestPhase.PENDING.value)
    context.set_condition(ConditionType.COMPLETE, no(reason, message))
    await context.write()
    return Done(again)


def _count(context: BacktestContext, count: ShardCount) -> None:
    context.set_status(shards=count, progress=f"{count.done}/{count.total}")


def _ended(pod: JsonObject) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


GATES: Final[tuple[Step[BacktestContext], ...]] = (
    leave_deleted_alone,
    leave_paused_alone,
    delete_when_time_is_over,
    make_nothing_in_ending_namespace,
)
STEPS: Final[tuple[Step[BacktestRun], ...]] = (
    run_shards,
    gather,
    succeed,
)
