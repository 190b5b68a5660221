"""The status of a strategy at the end of a reconcile, when all is well and when it is not."""

from typing import Final

from leadline.model.manifest.status_spec import (
    AccountStatus,
    ConditionType,
    Stable,
    StrategyPhase,
    StrategyStatus,
    condition_of,
)
from leadline_operator.cache import named_account
from leadline_operator.clients.kube import Forbidden
from leadline_operator.conditions import Reason, Verdict, no, yes
from leadline_operator.kinds import POD
from leadline_operator.reconcile.admission import Refused
from leadline_operator.reconcile.context import ReconcileContext, status_of
from leadline_operator.reconcile.pod_state import why_not_up
from leadline_operator.reconcile.runtime import NO_SIGNAL_YET, StrategyRuntime
from leadline_operator.reconcile.steps import Done

NAMESPACE_ENDS: Final = "its namespace is being deleted"
AWAY: Final = frozenset({Reason.EXECUTION_UNREACHABLE, Reason.DATABASE_UNREACHABLE, Reason.FEED_UNREACHABLE})
"""Without these nobody trades, or nobody knows whether it is traded."""
_NEEDED: Final = (ConditionType.ACCEPTED, ConditionType.DEPLOYED, ConditionType.CONFIG_APPLIED)


async def refuse(context: ReconcileContext[StrategyStatus], refused: Refused) -> Done:
    """Say that the manifest cannot run as it stands; a version that ran before goes on."""
    before = context.condition(ConditionType.ACCEPTED)
    known = context.has_condition(ConditionType.ACCEPTED, no(refused.reason, refused.message))
    context.set_condition(ConditionType.ACCEPTED, no(refused.reason, refused.message))
    context.set_condition(ConditionType.READY, no(refused.reason, refused.message))
    if context.status.running_hash is None:
        context.set_status(phase=StrategyPhase.REFUSED.value)
    await context.write()
    if before is None or before.status != "False":
        # Its account counts those that trade.
        context.deps.enqueue(named_account(context.found), 0)
    if not known:
        await context.record_event(refused.reason, refused.message, "Warning")
    return Done(context.deps.params.resync_seconds)


async def cannot(context: ReconcileContext[StrategyStatus], reason: Reason, message: str, again: float | None) -> Done:
    """Say that something is missing for now; a version that runs goes on."""
    if context.status.running_hash is None:
        context.set_status(phase=StrategyPhase.PENDING.value)
        context.set_condition(ConditionType.DEPLOYED, no(reason, message))
    elif reason in AWAY and context.status.phase in (StrategyPhase.RUNNING, StrategyPhase.REDUCE_ONLY):
        context.set_status(phase=StrategyPhase.WAITING.value)
        context.set_condition(ConditionType.TRADING, Verdict(None, reason, message))
    context.set_condition(ConditionType.READY, no(reason, message))
    await context.write()
    return Done(again)


async def namespace_ends(context: ReconcileContext[StrategyStatus]) -> Done:
    """Nothing is made any more in the namespace."""
    return await cannot(context, Reason.NAMESPACE_TERMINATING, NAMESPACE_ENDS, None)


def forbidden_message(refused: Forbidden) -> str:
    """The message for a namespace in which the operator may not do its work."""
    return f"the operator may not work here: name the namespace in the chart's value `namespaces` ({refused.message})"


def bus_message(problem: str) -> str:
    """The message for a bus that takes nothing."""
    return f"the bus cannot store, and nothing goes on until it can: {problem}. Free or enlarge the volume of NATS"


def _fenced(runtime: StrategyRuntime) -> str:
    """The message for a strategy of which execution has refused a message."""
    release = f"leadline release {runtime.strategy.full_name} --kube --reason ..."
    return (
        f"execution has refused a message of it, and nothing that it says counts: {runtime.fence()}. Its position "
        f"keeps its bracket. A person who has looked has it heard again ({release})"
    )


async def report(runtime: StrategyRuntime, again: float | None) -> Done:
    """Write phase and conditions, from what was found on the way and what is there, and record what has changed."""
    context = runtime.context
    restarts = False
    if runtime.up():
        context.verdicts.setdefault(ConditionType.DEPLOYED, yes(Reason.WORKLOAD_READY))
    else:
        pods = context.deps.cache.children(POD, context.key)
        why = why_not_up(pods, "its Pod is not there yet: see the events of its Deployment")
        restarts = why.restarts and ConditionType.DEPLOYED not in context.verdicts
        context.verdicts.setdefault(ConditionType.DEPLOYED, no(Reason.WORKLOAD_NOT_READY, why.message))
    context.verdicts.setdefault(ConditionType.TRADING, _trades(runtime))
    ready, running = _ready(runtime), runtime.running
    phase = _phase(runtime, ready)
    if ready.status and running is not None and runtime.has_signals():
        context.set_status(last_stable=Stable(generation=running.generation, hash=running.hash, image=running.image))
    traded = context.condition(ConditionType.TRADING)
    now = context.verdicts[ConditionType.TRADING]
    context.set_status(phase=phase.value, pod_name=_pod_name(context))
    context.set_condition(ConditionType.READY, ready)
    await context.write()
    began = now.status and (traded is None or not traded.holds)
    if now.reason is Reason.FENCED and (traded is None or traded.reason != Reason.FENCED):
        await context.record_event(Reason.FENCED, now.message, "Warning")
    elif began and running is not None:
        await context.record_event(Reason.STARTED, f"version {running.hash} trades on {runtime.account}")
    elif restarts:
        await context.record_event(
            Reason.WORKLOAD_NOT_READY, context.verdicts[ConditionType.DEPLOYED].message, "Warning"
        )
    if again is None and runtime.up() and not runtime.has_signals():
        # No watch tells of signals.
        return Done(context.deps.params.poll_seconds)
    return Done(again)


def _trades(runtime: StrategyRuntime) -> Verdict:
    if runtime.finished():
        return no(Reason.FEED_ENDED, "the feed has ended: nothing trades any more")
    if runtime.fence():
        return no(Reason.FENCED, _fenced(runtime))
    if not runtime.has_signals():
        return no(Reason.NO_SIGNALS, NO_SIGNAL_YET)
    if (lacking := runtime.lacking()) is not None:
        return lacking
    if (account := _account_lacks(runtime.context)) is not None:
        return Verdict(None, Reason.ACCOUNT_NOT_READY, account)
    return yes(Reason.REDUCE_ONLY, "it only closes") if _reduces(runtime) else yes(Reason.SIGNALS)


def _phase(runtime: StrategyRuntime, ready: Verdict) -> StrategyPhase:
    if runtime.context.status.rollout is not None:
        return StrategyPhase.ROLLING_OUT
    if runtime.finished():
        return StrategyPhase.FINISHED
    if runtime.fence():
        return StrategyPhase.FENCED
    # The version that trades goes on while another one waits until it is flat.
    lacks = runtime.lacking() is not None or _account_lacks(runtime.context) is not None
    if runtime.running is not None and runtime.up() and runtime.has_signals() and lacks:
        return StrategyPhase.WAITING
    if ready.status or (runtime.running is not None and runtime.up() and runtime.has_signals()):
        return StrategyPhase.REDUCE_ONLY if _reduces(runtime) else StrategyPhase.RUNNING
    return StrategyPhase.STARTING


def _reduces(runtime: StrategyRuntime) -> bool:
    return runtime.strategy.spec.state == "ReduceOnly"


def _ready(runtime: StrategyRuntime) -> Verdict:
    context = runtime.context
    for kind in _NEEDED:
        verdict = context.verdicts.get(kind)
        if verdict is not None and not verdict.status:
            return verdict
    if context.deps.bus_problem:
        return no(Reason.BUS_CANNOT_STORE, bus_message(context.deps.bus_problem))
    if runtime.fence() and not runtime.finished():
        return no(Reason.FENCED, _fenced(runtime))
    if (waits := runtime.lacking()) is not None:
        return waits
    lacking = _account_lacks(context)
    return yes(Reason.AS_ASKED) if lacking is None else no(Reason.ACCOUNT_NOT_READY, lacking)


def _account_lacks(context: ReconcileContext[StrategyStatus]) -> str | None:
    """The reason for which the account's workloads are not up, None while they are. Nothing trades without them."""
    named = named_account(context.found)
    account = context.deps.cache.owner(named)
    status = status_of(AccountStatus, account) if account is not None else AccountStatus()
    deployed = condition_of(status.conditions, ConditionType.DEPLOYED)
    if deployed is None or deployed.holds:
        return None
    return f"its account {named.full_name}: {deployed.message}"


def _pod_name(context: ReconcileContext[StrategyStatus]) -> str | None:
    pods = context.deps.cache.children(POD, context.key)
    alive = [item for item in pods if "deletionTimestamp" not in item["metadata"]]
    return str((alive or pods)[0]["metadata"]["name"]) if pods else None
