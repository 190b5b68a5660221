"""From one version of a strategy to the next, so that at no time two of them trade.

The status names the step before it is done. Each step may be done twice.
"""

from datetime import timedelta

from leadline.model.drains import DrainOrders, DrainPositions
from leadline.model.status_spec import ConditionType, RolloutReason, RolloutStatus, RolloutStep
from leadline_operator.clients.calls import ServiceRefused
from leadline_operator.conditions import Reason, no, yes
from leadline_operator.desired.strategy import Revision
from leadline_operator.reconcile.runtime import StrategyRuntime, recorded

_BEFORE_START = (RolloutStep.DRAINING, RolloutStep.SCALE_TO_ZERO, RolloutStep.WAIT_NO_PODS)


async def advance(runtime: StrategyRuntime) -> float | None:
    """Go on with the change to the wanted version, or begin it when it may begin.

    Returns after how many seconds to look again while it is under way, None where the version in force is to trade.
    """
    context, desired = runtime.context, runtime.desired
    running, under_way = runtime.running, context.status.rollout
    if running is None:
        return None
    if under_way is not None and under_way.target_hash != desired.hash and not _is_rollback(under_way):
        under_way = await _retarget(runtime, under_way)
    if under_way is None:
        if running.hash == desired.hash or not await _may_begin(runtime, running):
            return None
        reason = _reason(running, desired)
        under_way = _begin(runtime, desired, RolloutStep.DRAINING, reason)
        await context.write()
        await context.record_event(
            Reason.ROLLING_OUT, f"version {desired.hash} takes over from {running.hash} ({reason})"
        )
    context.set_condition(
        ConditionType.CONFIG_APPLIED, no(Reason.ROLLING_OUT, f"version {under_way.target_hash} takes over")
    )
    return await _walk(runtime, running, under_way)


async def _walk(runtime: StrategyRuntime, running: Revision, under_way: RolloutStatus) -> float | None:
    context, poll = runtime.context, runtime.context.deps.params.poll_seconds
    target = await _version(runtime, under_way.target_hash)
    if under_way.step is RolloutStep.DRAINING:
        if not await _drained(runtime, target):
            return None if context.status.rollout is None else poll
        under_way = await _step(runtime, RolloutStep.SCALE_TO_ZERO)
    if under_way.step is RolloutStep.SCALE_TO_ZERO:
        await runtime.deploy(running, replicas=0)
        under_way = await _step(runtime, RolloutStep.WAIT_NO_PODS)
    if under_way.step is RolloutStep.WAIT_NO_PODS:
        # The Deployment may have been put back by hand since.
        await runtime.deploy(running, replicas=0)
        if remaining := await runtime.remaining():
            context.set_condition(ConditionType.DEPLOYED, no(Reason.PODS_REMAIN, f"waits for {', '.join(remaining)}"))
            return poll
        context.set_status(running_hash=target.hash)
        under_way = await _step(runtime, RolloutStep.START_NEW)
    runtime.running = target
    if under_way.step is RolloutStep.START_NEW:
        try:
            await runtime.configure_execution(target)
        except ServiceRefused as refused:
            context.set_condition(ConditionType.CONFIG_APPLIED, no(Reason.REFUSED_BY_EXECUTION, refused.message))
            return poll
        await runtime.deploy(target, replicas=1)
        under_way = await _step(runtime, RolloutStep.WAIT_SIGNALS)
    return await _wait_for_signals(runtime, target, under_way)


async def _wait_for_signals(runtime: StrategyRuntime, target: Revision, under_way: RolloutStatus) -> float | None:
    context, deps = runtime.context, runtime.context.deps
    await runtime.configure_execution(target)
    await runtime.deploy(target, replicas=1)
    if runtime.up() and runtime.has_signals():
        context.set_status(rollout=None, drain=None)
        if _is_rollback(under_way):
            if context.status.given_up_hash != runtime.desired.hash:
                # Another version is wanted by now, and was not tried yet.
                return 0
            _set_given_up(runtime, target)
        else:
            context.set_condition(ConditionType.CONFIG_APPLIED, yes(Reason.APPLIED))
            await context.record_event(Reason.ROLLED_OUT, f"version {target.hash} has taken over")
        return None
    late = deps.now() - under_way.started_at > timedelta(seconds=deps.params.progress_deadline_seconds)
    if not late:
        return deps.params.poll_seconds
    text = f"version {target.hash} did not come up within {deps.params.progress_deadline_seconds:g} s"
    context.set_condition(ConditionType.DEPLOYED, no(Reason.PROGRESS_DEADLINE_EXCEEDED, text))
    await context.record_event(Reason.PROGRESS_DEADLINE_EXCEEDED, text, "Warning")
    stable = context.status.last_stable
    if stable is not None and stable.hash != target.hash and not _is_rollback(under_way) and not await _sent(runtime):
        back = await recorded(context, target.deployment["metadata"]["name"], stable.hash)
        if back is not None:
            context.set_status(given_up_hash=target.hash)
            _begin(runtime, back, RolloutStep.SCALE_TO_ZERO, RolloutReason.ROLLED_BACK)
            await context.write()
            await context.record_event(Reason.ROLLED_BACK, f"{text}: back to {stable.hash}", "Warning")
            return 0
    return deps.params.poll_seconds * 5


async def _sent(runtime: StrategyRuntime) -> bool:
    """Whether the new version may have sent an order. Then nobody goes back behind it."""
    here = runtime.here
    if here is None:
        return False
    return await runtime.context.deps.executions.sent_since(runtime.account, here.strategy, here.joined_ns)


async def _retarget(runtime: StrategyRuntime, under_way: RolloutStatus) -> RolloutStatus | None:
    """The manifest has changed on the way. Before the new version is named, the way is the same to any."""
    context, desired = runtime.context, runtime.desired
    if under_way.step in _BEFORE_START and runtime.running is not None and desired.hash != runtime.running.hash:
        changed = under_way.model_copy(update={"id": _id(runtime, desired), "target_hash": desired.hash})
        context.set_status(rollout=changed)
        await context.write()
        return changed
    context.set_status(rollout=None)
    await context.write()
    return None


async def _may_begin(runtime: StrategyRuntime, running: Revision) -> bool:
    context, desired, policy = runtime.context, runtime.desired, runtime.strategy.spec.update_policy
    if context.status.given_up_hash == desired.hash:
        _set_given_up(runtime, running)
        return False
    if policy == "Manual" and desired.restart_nonce == running.restart_nonce:
        text = "the next version waits: set another spec.restartNonce"
        context.set_condition(ConditionType.CONFIG_APPLIED, no(Reason.WAITING_FOR_RESTART, text))
        return False
    if policy == "WhenFlat":
        # What was seen a moment ago is not enough to begin on.
        await runtime.refetch()
        here = runtime.here
        if here is not None and not here.flat:
            text = f"the next version waits until it is flat: position {here.position}, orders {here.working_orders}"
            context.set_condition(ConditionType.CONFIG_APPLIED, no(Reason.WAITING_FOR_FLAT, text))
            return False
    return True


def _set_given_up(runtime: StrategyRuntime, running: Revision) -> None:
    """Say that the wanted version was tried and did not come up, and which one runs."""
    text = f"version {runtime.desired.hash} did not come up: {running.hash} runs again; change the manifest"
    runtime.context.set_condition(ConditionType.CONFIG_APPLIED, no(Reason.ROLLED_BACK, text))


async def _drained(runtime: StrategyRuntime, target: Revision) -> bool:
    """Whether the version in force enters nothing any more. With WhenFlat a position that came up meanwhile ends it."""
    context, spec = runtime.context, runtime.strategy.spec
    orders, positions = DrainOrders.CANCEL, DrainPositions.KEEP
    if spec.update_policy != "WhenFlat":
        orders = DrainOrders(spec.suspend_policy.working_orders)
        positions = DrainPositions(spec.suspend_policy.positions)
    name = f"{context.uid}/rollout/{target.hash}/{orders}-{positions}"
    progress = await context.deps.executions.drain(runtime.account, runtime.strategy.full_name, name, orders, positions)
    await runtime.refetch()
    if progress is None:
        return True
    if spec.update_policy == "WhenFlat" and progress.position != 0:
        context.set_status(rollout=None)
        text = f"the next version waits until it is flat: position {progress.position}"
        context.set_condition(ConditionType.CONFIG_APPLIED, no(Reason.WAITING_FOR_FLAT, text))
        await context.write()
        return False
    return progress.drained


async def _version(runtime: StrategyRuntime, stamp: str) -> Revision:
    if stamp == runtime.desired.hash:
        return runtime.desired
    found = await recorded(runtime.context, runtime.desired.deployment["metadata"]["name"], stamp)
    return runtime.desired if found is None else found


async def _step(runtime: StrategyRuntime, step: RolloutStep) -> RolloutStatus:
    """Write the next step down, before it is done."""
    under_way = runtime.context.status.rollout
    assert under_way is not None
    changed = under_way.model_copy(update={"step": step})
    runtime.context.set_status(rollout=changed)
    await runtime.context.write()
    return changed


def _begin(runtime: StrategyRuntime, target: Revision, step: RolloutStep, reason: RolloutReason) -> RolloutStatus:
    context = runtime.context
    found = RolloutStatus(
        id=_id(runtime, target),
        target_hash=target.hash,
        step=step,
        started_at=context.deps.now(),
        reason=reason,
    )
    context.set_status(rollout=found)
    return found


def _id(runtime: StrategyRuntime, target: Revision) -> str:
    return f"{runtime.context.generation}-{target.hash}"


def _is_rollback(under_way: RolloutStatus) -> bool:
    return under_way.reason is RolloutReason.ROLLED_BACK


def _reason(running: Revision, desired: Revision) -> RolloutReason:
    if running.image != desired.image:
        return RolloutReason.IMAGE_CHANGED
    if running.restart_nonce != desired.restart_nonce:
        return RolloutReason.RESTART_REQUESTED
    if running.analysis_hash != desired.analysis_hash:
        return RolloutReason.SPEC_CHANGED
    return RolloutReason.PLATFORM_CHANGED
