"""How a strategy leaves the market: to stop, or to go for good. Execution takes it out."""

from datetime import datetime, timedelta
from typing import Final, Literal

from leadline.model.specs import TradingStrategy
from leadline.model.status_spec import ConditionType, DrainStatus, StrategyPhase, StrategyStatus
from leadline.plan.plan import workload_id
from leadline_operator.clients.calls import ServiceAway, ServiceRefused
from leadline_operator.clients.demand import DatabaseAway
from leadline_operator.clients.execution import DrainProgress
from leadline_operator.conditions import Reason, no, yes
from leadline_operator.kinds import (
    ACCOUNT,
    DEPLOYMENT,
    DRAIN_FINALIZER,
    FORCE_DELETE_ANNOTATION,
    account_key,
)
from leadline_operator.reconcile.pods import execution_is_gone, remaining
from leadline_operator.reconcile.saying import count
from leadline_operator.reconcile.trading import Trading
from leadline_operator.reconcile.visit import Visit
from leadline_operator.reconcile.world import annotation, deleting
from leadline_operator.seen import account_of

# Without a manifest that can be read: what costs nobody anything.
_CAUTIOUS: Final = ("Cancel", "Refuse", 120, "Retain")
# So that nothing asks execution for ever at full speed.
_SLOWER: Final = 5

Purpose = Literal["suspend", "delete"]


async def suspend(trading: Trading) -> float | None:
    """Take a strategy out of the market as its policy says, and then stop its workload."""
    visit, world = trading.visit, trading.visit.world
    policy = trading.strategy.spec.suspend_policy
    name = _drain_id(visit, "suspend", policy.working_orders, policy.positions)
    progress: DrainProgress | None = None
    if trading.here is not None:
        if visit.status.drain is None or visit.status.drain.id != name:
            # Its settings say that it is suspended before it is drained: naming them again would end the drain.
            await _tell_suspended(trading)
            _note_drain(visit, name, visit.world.now(), None)
            await visit.write()
        progress = await world.executions.drain(
            trading.account, trading.strategy.full_name, name, policy.working_orders, policy.positions
        )
        await trading.look_again()
        count(visit, trading.here)
    drained = progress is None or progress.drained
    running = trading.running or trading.desired
    visit.judge(ConditionType.CONFIG_APPLIED, yes(Reason.SUSPENDED))
    if not drained:
        assert progress is not None
        text = f"it leaves the market: position {progress.position}, orders {progress.working_orders}"
        visit.judge(ConditionType.DRAINED, no(Reason.SUSPENDING, text))
        visit.judge(ConditionType.READY, no(Reason.SUSPENDING, text))
        visit.put(phase=StrategyPhase.SUSPENDING.value)
        await trading.deploy(running, replicas=1)
        await visit.write()
        return world.params.poll_seconds
    visit.judge(ConditionType.DRAINED, yes(Reason.DRAINED))
    visit.judge(ConditionType.TRADING, no(Reason.SUSPENDED, "it is suspended"))
    return await _stopped(trading, progress)


async def _stopped(trading: Trading, progress: DrainProgress | None) -> float | None:
    visit, world = trading.visit, trading.visit.world
    await trading.deploy(trading.running or trading.desired, replicas=0)
    if left := await trading.remaining():
        text = f"waits for {', '.join(left)}"
        visit.judge(ConditionType.DEPLOYED, no(Reason.PODS_REMAIN, text))
        visit.judge(ConditionType.READY, no(Reason.PODS_REMAIN, text))
        visit.put(phase=StrategyPhase.SUSPENDING.value)
        await visit.write()
        return world.params.poll_seconds
    # Nothing runs: what starts next is what is wanted then.
    visit.put(rollout=None, running_hash=trading.desired.hash, phase=StrategyPhase.SUSPENDED.value, pod_name=None)
    await trading.deploy(trading.desired, replicas=0)
    if progress is None or (trading.here is not None and trading.here.forgotten):
        await withdraw(visit)
    visit.judge(ConditionType.DEPLOYED, yes(Reason.SUSPENDED))
    visit.judge(ConditionType.READY, yes(Reason.SUSPENDED))
    await visit.write()
    return None


async def _tell_suspended(trading: Trading) -> None:
    visit = trading.visit
    revision = trading.running or trading.desired
    try:
        await trading.tell_execution(revision)
    except ServiceRefused as refused:
        # It is taken out all the same: a drain needs no settings.
        await visit.say(Reason.REFUSED_BY_EXECUTION, refused.message, "Warning")


async def delete(visit: Visit[StrategyStatus]) -> float | None:
    """Take a strategy out of the market as its policy says, stop its workload, and let the object go."""
    world, found = visit.world, visit.found
    if DRAIN_FINALIZER not in (found["metadata"].get("finalizers") or ()):
        await withdraw(visit)
        return None
    visit.put(phase=StrategyPhase.DELETING.value)
    visit.judge(ConditionType.READY, no(Reason.DRAINING, "it is being deleted"))
    orders, positions, seconds, on_timeout = _policy(visit)
    name = _drain_id(visit, "delete", orders, positions)
    began = datetime.fromisoformat(found["metadata"]["deletionTimestamp"])
    if visit.status.drain is None or visit.status.drain.id != name:
        _note_drain(visit, name, began, seconds)
        await visit.write()
    if annotation(found, FORCE_DELETE_ANNOTATION) == visit.key.name:
        await visit.say(Reason.FORCED, f"let go by hand ({FORCE_DELETE_ANNOTATION})", "Warning")
        return await _let_go(visit, wait=False)
    late = world.now() >= began + timedelta(seconds=seconds)
    try:
        progress = await _drain(visit, name, orders, positions)
    except (ServiceAway, ServiceRefused) as error:
        reason = Reason.EXECUTION_UNREACHABLE if isinstance(error, ServiceAway) else Reason.REFUSED_BY_EXECUTION
        if await _account_is_gone(visit):
            await visit.say(Reason.DRAINED, "its paper account is gone: nothing is left to leave", "Normal")
            return await _let_go(visit, wait=True)
        return await _not_yet(visit, reason, str(error), late=late and on_timeout == "Force")
    if progress is None or progress.drained:
        visit.judge(ConditionType.DRAINED, yes(Reason.DRAINED))
        return await _let_go(visit, wait=True)
    _note_progress(visit, progress)
    text = f"position {progress.position}, orders {progress.working_orders}"
    if positions == "Refuse" and progress.position != 0:
        reason = Reason.POSITIONS_OPEN
        text = f"{text}: close the position, or change spec.deletionPolicy.positions"
    else:
        reason = Reason.DRAIN_TIMED_OUT if late else Reason.DRAINING
    return await _not_yet(visit, reason, text, late=late and on_timeout == "Force")


async def _drain(visit: Visit[StrategyStatus], name: str, orders: str, positions: str) -> DrainProgress | None:
    account = account_of(visit.found)
    if visit.status.running_hash is None and visit.world.seen.get(ACCOUNT, *account.split("/")) is None:
        # It never got as far as an account.
        return None
    visit.world.forget_state(account)
    return await visit.world.executions.drain(account, visit.key.full_name, name, orders, positions)


async def _not_yet(visit: Visit[StrategyStatus], reason: Reason, text: str, *, late: bool) -> float | None:
    """It stays, and says why; past its deadline with `onTimeout: Force` it goes all the same."""
    if late:
        await visit.say(Reason.FORCED, f"its time is up, and its policy lets it go: {text}", "Warning")
        return await _let_go(visit, wait=False)
    visit.judge(ConditionType.DRAINED, no(reason, text))
    visit.judge(ConditionType.READY, no(reason, text))
    await visit.write()
    if reason is not Reason.DRAINING:
        await visit.say(reason, text, "Warning")
    pace = 1 if reason is Reason.DRAINING else _SLOWER
    return visit.world.params.poll_seconds * pace


async def _let_go(visit: Visit[StrategyStatus], *, wait: bool) -> float | None:
    """Stop the workload, take the demand back and release the object. With `wait` not before the last Pod is gone."""
    world, key = visit.world, visit.key
    name = workload_id("analysis", key.full_name)
    deployment = await world.refresh(DEPLOYMENT, key.namespace, name)
    running = deployment is not None and deployment["spec"].get("replicas") != 0 and not deleting(deployment)
    # In a namespace that is going everything is deleted already, and so may be the right to say so.
    if running and not world.ending(key.namespace):
        await world.kube.merge(DEPLOYMENT, key.namespace, name, {"spec": {"replicas": 0}})
    if wait and (left := await remaining(visit, name)):
        visit.judge(ConditionType.DEPLOYED, no(Reason.PODS_REMAIN, f"waits for {', '.join(left)}"))
        await visit.write()
        return world.params.poll_seconds
    try:
        await withdraw(visit)
    except DatabaseAway as away:
        if wait:
            visit.judge(ConditionType.READY, no(Reason.DATABASE_UNREACHABLE, str(away)))
            await visit.write()
            raise
    await visit.say(Reason.DELETED, "it has left and is let go")
    await visit.set_finalizer(DRAIN_FINALIZER, present=False)
    world.enqueue(account_key(account_of(visit.found)), 0)
    return None


async def withdraw(visit: Visit[StrategyStatus]) -> None:
    """Ask for no bars any more."""
    visit.world.asked.pop(visit.key.full_name, None)
    await visit.world.demand.withdraw(visit.key.full_name)


async def _account_is_gone(visit: Visit[StrategyStatus]) -> bool:
    """Whether the paper account has gone with its namespace, book and venue: nothing of it can be in a market."""
    world = visit.world
    account = account_of(visit.found)
    namespace, name = account.split("/")
    if not world.ending(namespace):
        return False
    known = world.seen.get(ACCOUNT, namespace, name)
    if known is not None and (known.get("spec") or {}).get("environment", "Paper") != "Paper":
        return False
    return await execution_is_gone(world, account)


def _policy(visit: Visit[StrategyStatus]) -> tuple[str, str, int, str]:
    manifest = visit.world.manifest(visit.found)
    if not isinstance(manifest, TradingStrategy):
        return _CAUTIOUS
    policy = manifest.spec.deletion_policy
    return policy.working_orders, policy.positions, policy.timeout_seconds, policy.on_timeout


def _drain_id(visit: Visit[StrategyStatus], purpose: Purpose, orders: str, positions: str) -> str:
    """The same as long as the same is wanted; another policy replaces the drain."""
    return f"{visit.uid}/{purpose}/{orders}-{positions}"


def _note_drain(visit: Visit[StrategyStatus], name: str, began: datetime, seconds: int | None) -> None:
    deadline = began + timedelta(seconds=seconds or 0)
    visit.put(drain=DrainStatus(id=name, started_at=began, deadline=deadline))


def _note_progress(visit: Visit[StrategyStatus], progress: DrainProgress) -> None:
    """How much is left, from time to time."""
    drain, world = visit.status.drain, visit.world
    left = {"working_orders": progress.working_orders, "open_positions": abs(progress.position)}
    last = world.counted.get(visit.key)
    if drain is not None and (last is None or world.clock() - last >= world.params.status_seconds):
        world.counted[visit.key] = world.clock()
        visit.put(drain=drain.model_copy(update=left), **left)
