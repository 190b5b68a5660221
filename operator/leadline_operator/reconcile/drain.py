"""The way of a strategy out of the market: to stop, or to go for good. Execution takes it out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from leadline.model.drains import DrainOrders, DrainPositions
from leadline.model.manifest.specs import TradingStrategy
from leadline.model.manifest.status_spec import ConditionType, DrainStatus, StrategyPhase, StrategyStatus
from leadline.model.manifest.strategy_spec import DeletionPolicy, SuspendPolicy
from leadline.plan.plan import workload_id
from leadline_operator.cache import named_account
from leadline_operator.clients.calls import ServiceAway, ServiceRefused
from leadline_operator.clients.demand import DatabaseAway
from leadline_operator.clients.execution import DrainProgress
from leadline_operator.conditions import Reason, no, yes
from leadline_operator.kinds import DEPLOYMENT, DRAIN_FINALIZER, FORCE_DELETE_ANNOTATION
from leadline_operator.reconcile.context import ReconcileContext
from leadline_operator.reconcile.counts import count_strategy, due
from leadline_operator.reconcile.demand import withdraw
from leadline_operator.reconcile.deps import annotation, deleting, is_paper
from leadline_operator.reconcile.pods import execution_is_gone, remaining
from leadline_operator.reconcile.runtime import StrategyRuntime
from leadline_operator.reconcile.steps import Done

# Without a manifest that can be read: what costs nobody anything.
_CAUTIOUS: Final = DeletionPolicy(working_orders="Cancel", positions="Refuse", timeout_seconds=120, on_timeout="Retain")
# So that nothing asks execution for ever at full speed.
_SLOWER: Final = 5


class Purpose(StrEnum):
    """The reason of a drain, in its id."""

    SUSPEND = "suspend"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Drain:
    """A drain: its id, which is the same as long as the same is wanted, and what it does with orders and positions."""

    id: str
    orders: DrainOrders
    positions: DrainPositions


async def suspend(runtime: StrategyRuntime) -> Done:
    """Take a strategy out of the market as its policy says, and then stop its workload."""
    context, deps = runtime.context, runtime.context.deps
    policy = runtime.strategy.spec.suspend_policy
    wanted = _wanted(context, Purpose.SUSPEND, policy)
    progress: DrainProgress | None = None
    if runtime.here is not None:
        if context.status.drain is None or context.status.drain.id != wanted.id:
            # Its settings say that it is suspended before it is drained: naming them again would end the drain.
            await _configure_suspended(runtime)
            _record_drain(context, wanted, context.deps.now(), None)
            await context.write()
        progress = await deps.executions.drain(
            runtime.account, runtime.strategy.full_name, wanted.id, wanted.orders, wanted.positions
        )
        await runtime.refetch()
        count_strategy(context, runtime.here)
    drained = progress is None or progress.drained
    running = runtime.in_force
    context.set_condition(ConditionType.CONFIG_APPLIED, yes(Reason.SUSPENDED))
    if not drained:
        assert progress is not None
        text = f"it leaves the market: position {progress.position}, orders {progress.working_orders}"
        context.set_condition(ConditionType.DRAINED, no(Reason.SUSPENDING, text))
        context.set_condition(ConditionType.READY, no(Reason.SUSPENDING, text))
        context.set_status(phase=StrategyPhase.SUSPENDING.value)
        await runtime.deploy(running, replicas=1)
        await context.write()
        return Done(deps.params.poll_seconds)
    context.set_condition(ConditionType.DRAINED, yes(Reason.DRAINED))
    context.set_condition(ConditionType.TRADING, no(Reason.SUSPENDED, "it is suspended"))
    return await _stopped(runtime, progress)


async def _stopped(runtime: StrategyRuntime, progress: DrainProgress | None) -> Done:
    context, deps = runtime.context, runtime.context.deps
    await runtime.deploy(runtime.in_force, replicas=0)
    if left := await runtime.remaining():
        text = f"waits for {', '.join(left)}"
        context.set_condition(ConditionType.DEPLOYED, no(Reason.PODS_REMAIN, text))
        context.set_condition(ConditionType.READY, no(Reason.PODS_REMAIN, text))
        context.set_status(phase=StrategyPhase.SUSPENDING.value)
        await context.write()
        return Done(deps.params.poll_seconds)
    # Nothing runs: what starts next is what is wanted then.
    context.set_status(
        rollout=None, running_hash=runtime.desired.hash, phase=StrategyPhase.SUSPENDED.value, pod_name=None
    )
    await runtime.deploy(runtime.desired, replicas=0)
    if progress is None or (runtime.here is not None and runtime.here.forgotten):
        await withdraw(context)
    context.set_condition(ConditionType.DEPLOYED, yes(Reason.SUSPENDED))
    context.set_condition(ConditionType.READY, yes(Reason.SUSPENDED))
    await context.write()
    return Done()


async def _configure_suspended(runtime: StrategyRuntime) -> None:
    context = runtime.context
    revision = runtime.in_force
    try:
        await runtime.configure_execution(revision)
    except ServiceRefused as refused:
        # It is taken out all the same: a drain needs no settings.
        await context.record_event(Reason.REFUSED_BY_EXECUTION, refused.message, "Warning")


async def delete(context: ReconcileContext[StrategyStatus]) -> Done:
    """Take a strategy out of the market as its policy says, stop its workload, and let the object go."""
    deps, found = context.deps, context.found
    if DRAIN_FINALIZER not in (found["metadata"].get("finalizers") or ()):
        await withdraw(context)
        return Done()
    context.set_status(phase=StrategyPhase.DELETING.value)
    context.set_condition(ConditionType.READY, no(Reason.DRAINING, "it is being deleted"))
    policy = _policy(context)
    wanted, seconds = _wanted(context, Purpose.DELETE, policy), policy.timeout_seconds
    began = datetime.fromisoformat(found["metadata"]["deletionTimestamp"])
    if context.status.drain is None or context.status.drain.id != wanted.id:
        _record_drain(context, wanted, began, seconds)
        await context.write()
    if annotation(found, FORCE_DELETE_ANNOTATION) == context.key.name:
        await context.record_event(Reason.FORCED, f"let go by hand ({FORCE_DELETE_ANNOTATION})", "Warning")
        return await _let_go(context, wait=False)
    late = deps.now() >= began + timedelta(seconds=seconds)
    forced = late and policy.on_timeout == "Force"
    try:
        progress = await _drain(context, wanted)
    except (ServiceAway, ServiceRefused) as error:
        reason = Reason.EXECUTION_UNREACHABLE if isinstance(error, ServiceAway) else Reason.REFUSED_BY_EXECUTION
        if await _account_is_gone(context):
            await context.record_event(Reason.DRAINED, "its paper account is gone: nothing is left to leave", "Normal")
            return await _let_go(context, wait=True)
        return await _not_yet(context, reason, str(error), late=forced)
    if progress is None or progress.drained:
        context.set_condition(ConditionType.DRAINED, yes(Reason.DRAINED))
        return await _let_go(context, wait=True)
    _record_progress(context, progress)
    text = f"position {progress.position}, orders {progress.working_orders}"
    if wanted.positions is DrainPositions.REFUSE and progress.position != 0:
        reason = Reason.POSITIONS_OPEN
        text = f"{text}: close the position, or change spec.deletionPolicy.positions"
    else:
        reason = Reason.DRAIN_TIMED_OUT if late else Reason.DRAINING
    return await _not_yet(context, reason, text, late=forced)


async def _drain(context: ReconcileContext[StrategyStatus], wanted: Drain) -> DrainProgress | None:
    account = named_account(context.found)
    if context.status.running_hash is None and context.deps.cache.owner(account) is None:
        # It never got as far as an account.
        return None
    context.deps.forget_state(account.account)
    return await context.deps.executions.drain(
        account.account, context.key.strategy, wanted.id, wanted.orders, wanted.positions
    )


async def _not_yet(context: ReconcileContext[StrategyStatus], reason: Reason, text: str, *, late: bool) -> Done:
    """It stays, and says why; past its deadline with `onTimeout: Force` it goes all the same."""
    if late:
        await context.record_event(Reason.FORCED, f"its time is up, and its policy lets it go: {text}", "Warning")
        return await _let_go(context, wait=False)
    context.set_condition(ConditionType.DRAINED, no(reason, text))
    context.set_condition(ConditionType.READY, no(reason, text))
    await context.write()
    if reason is not Reason.DRAINING:
        await context.record_event(reason, text, "Warning")
    pace = 1 if reason is Reason.DRAINING else _SLOWER
    return Done(context.deps.params.poll_seconds * pace)


async def _let_go(context: ReconcileContext[StrategyStatus], *, wait: bool) -> Done:
    """Stop the workload, take the demand back and release the object. With `wait` not before the last Pod is gone."""
    deps, key = context.deps, context.key
    name = workload_id("analysis", key.strategy)
    deployment = await deps.refresh(DEPLOYMENT, key.namespace, name)
    running = deployment is not None and deployment["spec"].get("replicas") != 0 and not deleting(deployment)
    # In a namespace that is going everything is deleted already, and so may be the right to say so.
    if running and not deps.ending(key.namespace):
        await deps.kube.merge(DEPLOYMENT, key.namespace, name, {"spec": {"replicas": 0}})
    if wait and (left := await remaining(context, name)):
        context.set_condition(ConditionType.DEPLOYED, no(Reason.PODS_REMAIN, f"waits for {', '.join(left)}"))
        await context.write()
        return Done(deps.params.poll_seconds)
    try:
        await withdraw(context)
    except DatabaseAway as away:
        if wait:
            context.set_condition(ConditionType.READY, no(Reason.DATABASE_UNREACHABLE, str(away)))
            await context.write()
            raise
    await context.record_event(Reason.DELETED, "it has left and is let go")
    await context.set_finalizer(DRAIN_FINALIZER, present=False)
    deps.enqueue(named_account(context.found), 0)
    return Done()


async def _account_is_gone(context: ReconcileContext[StrategyStatus]) -> bool:
    """Whether the paper account has gone with its namespace, book and venue: nothing of it can be in a market."""
    deps = context.deps
    account = named_account(context.found)
    if not deps.ending(account.namespace):
        return False
    known = deps.cache.owner(account)
    if known is not None and not is_paper(known):
        return False
    return await execution_is_gone(deps, account)


def _policy(context: ReconcileContext[StrategyStatus]) -> DeletionPolicy:
    manifest = context.deps.manifest(context.found)
    return manifest.spec.deletion_policy if isinstance(manifest, TradingStrategy) else _CAUTIOUS


def _wanted(
    context: ReconcileContext[StrategyStatus], purpose: Purpose, policy: SuspendPolicy | DeletionPolicy
) -> Drain:
    """The drain of a policy; another policy replaces it."""
    orders, positions = DrainOrders(policy.working_orders), DrainPositions(policy.positions)
    return Drain(f"{context.uid}/{purpose}/{orders}-{positions}", orders, positions)


def _record_drain(
    context: ReconcileContext[StrategyStatus], wanted: Drain, began: datetime, seconds: int | None
) -> None:
    deadline = began + timedelta(seconds=seconds or 0)
    context.set_status(drain=DrainStatus(id=wanted.id, started_at=began, deadline=deadline))


def _record_progress(context: ReconcileContext[StrategyStatus], progress: DrainProgress) -> None:
    """How much is left, from time to time."""
    drain = context.status.drain
    if drain is not None and due(context):
        left = {"working_orders": progress.working_orders, "open_positions": abs(progress.position)}
        context.set_status(drain=drain.model_copy(update=left), **left)
