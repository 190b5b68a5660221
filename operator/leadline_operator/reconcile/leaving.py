"""How a strategy leaves the market: to stop, or to go for good. Execution takes it out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from leadline.model.drains import DrainOrders, DrainPositions
from leadline.model.specs import TradingStrategy
from leadline.model.status_spec import ConditionType, DrainStatus, StrategyPhase, StrategyStatus
from leadline.model.strategy_spec import DeletionPolicy, SuspendPolicy
from leadline.plan.plan import workload_id
from leadline_operator.clients.calls import ServiceAway, ServiceRefused
from leadline_operator.clients.demand import DatabaseAway
from leadline_operator.clients.execution import DrainProgress
from leadline_operator.conditions import Reason, no, yes
from leadline_operator.kinds import DEPLOYMENT, DRAIN_FINALIZER, FORCE_DELETE_ANNOTATION
from leadline_operator.reconcile.pods import execution_is_gone, remaining
from leadline_operator.reconcile.saying import count
from leadline_operator.reconcile.trading import Trading
from leadline_operator.reconcile.visit import Visit
from leadline_operator.reconcile.world import annotation, deleting, is_paper
from leadline_operator.seen import named_account

# Without a manifest that can be read: what costs nobody anything.
_CAUTIOUS: Final = DeletionPolicy(working_orders="Cancel", positions="Refuse", timeout_seconds=120, on_timeout="Retain")
# So that nothing asks execution for ever at full speed.
_SLOWER: Final = 5


class Purpose(StrEnum):
    """What a drain is for, in its id."""

    SUSPEND = "suspend"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Drain:
    """A drain: its id, which is the same as long as the same is wanted, and what it does with orders and positions."""

    id: str
    orders: DrainOrders
    positions: DrainPositions


async def suspend(trading: Trading) -> float | None:
    """Take a strategy out of the market as its policy says, and then stop its workload."""
    visit, world = trading.visit, trading.visit.world
    policy = trading.strategy.spec.suspend_policy
    wanted = _wanted(visit, Purpose.SUSPEND, policy)
    progress: DrainProgress | None = None
    if trading.here is not None:
        if visit.status.drain is None or visit.status.drain.id != wanted.id:
            # Its settings say that it is suspended before it is drained: naming them again would end the drain.
            await _tell_suspended(trading)
            _note_drain(visit, wanted, visit.world.now(), None)
            await visit.write()
        progress = await world.executions.drain(
            trading.account, trading.strategy.full_name, wanted.id, wanted.orders, wanted.positions
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
    policy = _policy(visit)
    wanted, seconds = _wanted(visit, Purpose.DELETE, policy), policy.timeout_seconds
    began = datetime.fromisoformat(found["metadata"]["deletionTimestamp"])
    if visit.status.drain is None or visit.status.drain.id != wanted.id:
        _note_drain(visit, wanted, began, seconds)
        await visit.write()
    if annotation(found, FORCE_DELETE_ANNOTATION) == visit.key.name:
        await visit.say(Reason.FORCED, f"let go by hand ({FORCE_DELETE_ANNOTATION})", "Warning")
        return await _let_go(visit, wait=False)
    late = world.now() >= began + timedelta(seconds=seconds)
    forced = late and policy.on_timeout == "Force"
    try:
        progress = await _drain(visit, wanted)
    except (ServiceAway, ServiceRefused) as error:
        reason = Reason.EXECUTION_UNREACHABLE if isinstance(error, ServiceAway) else Reason.REFUSED_BY_EXECUTION
        if await _account_is_gone(visit):
            await visit.say(Reason.DRAINED, "its paper account is gone: nothing is left to leave", "Normal")
            return await _let_go(visit, wait=True)
        return await _not_yet(visit, reason, str(error), late=forced)
    if progress is None or progress.drained:
        visit.judge(ConditionType.DRAINED, yes(Reason.DRAINED))
        return await _let_go(visit, wait=True)
    _note_progress(visit, progress)
    text = f"position {progress.position}, orders {progress.working_orders}"
    if wanted.positions is DrainPositions.REFUSE and progress.position != 0:
        reason = Reason.POSITIONS_OPEN
        text = f"{text}: close the position, or change spec.deletionPolicy.positions"
    else:
        reason = Reason.DRAIN_TIMED_OUT if late else Reason.DRAINING
    return await _not_yet(visit, reason, text, late=forced)


async def _drain(visit: Visit[StrategyStatus], wanted: Drain) -> DrainProgress | None:
    account = named_account(visit.found)
    if visit.status.running_hash is None and visit.world.seen.owner(account) is None:
        # It never got as far as an account.
        return None
    visit.world.forget_state(account.full_name)
    return await visit.world.executions.drain(
        account.full_name, visit.key.full_name, wanted.id, wanted.orders, wanted.positions
    )


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
    world.enqueue(named_account(visit.found), 0)
    return None


async def withdraw(visit: Visit[StrategyStatus]) -> None:
    """Ask for no bars any more."""
    visit.world.asked.pop(visit.key.full_name, None)
    await visit.world.demand.withdraw(visit.key.full_name)


async def _account_is_gone(visit: Visit[StrategyStatus]) -> bool:
    """Whether the paper account has gone with its namespace, book and venue: nothing of it can be in a market."""
    world = visit.world
    account = named_account(visit.found)
    if not world.ending(account.namespace):
        return False
    known = world.seen.owner(account)
    if known is not None and not is_paper(known):
        return False
    return await execution_is_gone(world, account)


def _policy(visit: Visit[StrategyStatus]) -> DeletionPolicy:
    manifest = visit.world.manifest(visit.found)
    return manifest.spec.deletion_policy if isinstance(manifest, TradingStrategy) else _CAUTIOUS


def _wanted(visit: Visit[StrategyStatus], purpose: Purpose, policy: SuspendPolicy | DeletionPolicy) -> Drain:
    """The drain of a policy; another policy replaces it."""
    orders, positions = DrainOrders(policy.working_orders), DrainPositions(policy.positions)
    return Drain(f"{visit.uid}/{purpose}/{orders}-{positions}", orders, positions)


def _note_drain(visit: Visit[StrategyStatus], wanted: Drain, began: datetime, seconds: int | None) -> None:
    deadline = began + timedelta(seconds=seconds or 0)
    visit.put(drain=DrainStatus(id=wanted.id, started_at=began, deadline=deadline))


def _note_progress(visit: Visit[StrategyStatus], progress: DrainProgress) -> None:
    """How much is left, from time to time."""
    drain, world = visit.status.drain, visit.world
    left = {"working_orders": progress.working_orders, "open_positions": abs(progress.position)}
    last = world.counted.get(visit.key)
    if drain is not None and (last is None or world.clock() - last >= world.params.status_seconds):
        world.counted[visit.key] = world.clock()
        visit.put(drain=drain.model_copy(update=left), **left)
