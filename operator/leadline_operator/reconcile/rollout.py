"""From one version of a strategy to the next, so that at no time two of them trade.

The status names the step before it is done. Each step may be done twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from leadline.model.drains import DrainOrders, DrainPositions
from leadline.model.manifest.status_spec import ConditionType, RolloutReason, RolloutStatus, RolloutStep
from leadline_operator.clients.calls import ServiceRefused
from leadline_operator.conditions import Reason, no, yes
from leadline_operator.desired.strategy import Revision
from leadline_operator.reconcile.runtime import StrategyRuntime, recorded
from leadline_operator.reconcile.steps import Done, Step

_BEFORE_START = (RolloutStep.DRAINING, RolloutStep.SCALE_TO_ZERO, RolloutStep.WAIT_NO_PODS)


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout under way: from `running`, the version in force when this reconcile began, to `target`."""

    runtime: StrategyRuntime
    running: Revision
    target: Revision

    @property
    def poll(self) -> Done:
        """The step is not done yet, and no watch tells when it is."""
        return Done(self.runtime.context.deps.params.poll_seconds)


async def advance(runtime: StrategyRuntime) -> Done | None:
    """Go on with the change to the wanted version, or begin it when it may begin.

    Returns None where the version in force is to trade.
    """
    context, desired, running = runtime.context, runtime.desired, runtime.running
    if running is None:
        return None
    under_way = context.status.rollout
    if under_way is not None and under_way.target_hash != desired.hash and not _is_rollback(under_way):
        under_way = await _retarget(runtime, under_way)
    if under_way is None:
        if running.hash == desired.hash or not await _may_begin(runtime, running):
            return None
        reason = _reason(running, desired)
        under_way = _begin(runtime, desired, RolloutStep.DRAINING, reason)
        await context.write()
        text = f"version {desired.hash} takes over from {running.hash} ({reason})"
        await context.record_event(Reason.ROLLING_OUT, text)
    text = f"version {under_way.target_hash} takes over"
    context.set_condition(ConditionType.CONFIG_APPLIED, no(Reason.ROLLING_OUT, text))
    return await _go_on(Rollout(runtime, running, await _version(runtime, under_way.target_hash)), under_way.step)


async def _go_on(rollout: Rollout, at: RolloutStep) -> Done | None:
    """Do the steps from this one on, each written down before it is done; None when it has ended, or is given up."""
    places = list(STEPS)
    for step in places[places.index(at) :]:
        if step is not at:
            await _write_step(rollout.runtime, step)
        if (done := await STEPS[step](rollout)) is not None:
            return done
        if rollout.runtime.context.status.rollout is None:
            return None
    return None


async def _drain(rollout: Rollout) -> Done | None:
    """Take the version in force out of the market, so that it enters nothing any more.

    With WhenFlat a position that came up meanwhile gives the rollout up.
    """
    runtime = rollout.runtime
    context, spec = runtime.context, runtime.strategy.spec
    orders, positions = DrainOrders.CANCEL, DrainPositions.KEEP
    if spec.update_policy != "WhenFlat":
        orders = DrainOrders(spec.suspend_policy.working_orders)
        positions = DrainPositions(spec.suspend_policy.positions)
    drain_id = f"{context.uid}/rollout/{rollout.target.hash}/{orders}-{positions}"
    executions = context.deps.executions
    progress = await executions.drain(runtime.account, runtime.strategy.full_name, drain_id, orders, positions)
    await runtime.refetch()
    if progress is None:
        return None
    if spec.update_policy == "WhenFlat" and progress.position != 0:
        context.set_status(rollout=None)
        text = f"the next version waits until it is flat: position {progress.position}"
        context.set_condition(ConditionType.CONFIG_APPLIED, no(Reason.WAITING_FOR_FLAT, text))
        await context.write()
        return None
    return None if progress.drained else rollout.poll


async def _scale_to_zero(rollout: Rollout) -> None:
    """Tell the old version to stop."""
    await rollout.runtime.deploy(rollout.running, replicas=0)


async def _wait_for_no_pods(rollout: Rollout) -> Done | None:
    """Wait until no Pod of the old version is left, and none can come."""
    runtime, context = rollout.runtime, rollout.runtime.context
    # The Deployment may have been put back by hand since.
    await runtime.deploy(rollout.running, replicas=0)
    if remaining := await runtime.remaining():
        text = f"waits for {', '.join(remaining)}"
        context.set_condition(ConditionType.DEPLOYED, no(Reason.PODS_REMAIN, text))
        return rollout.poll
    # Written together with the next step.
    context.set_status(running_hash=rollout.target.hash)
    return None


async def _start_new(rollout: Rollout) -> Done | None:
    """Have execution know the new version, and its workload start."""
    runtime = rollout.runtime
    runtime.running = rollout.target
    try:
        await runtime.configure_execution(rollout.target)
    except ServiceRefused as refused:
        text = refused.message
        runtime.context.set_condition(ConditionType.CONFIG_APPLIED, no(Reason.REFUSED_BY_EXECUTION, text))
        return rollout.poll
    await runtime.deploy(rollout.target, replicas=1)
    return None


async def _wait_for_signals(rollout: Rollout) -> Done | None:
    """Wait until signals of the new version reach execution; if they never do, go back to the last stable one."""
    runtime, target = rollout.runtime, rollout.target
    context, deps = runtime.context, runtime.context.deps
    runtime.running = target
    await runtime.configure_execution(target)
    await runtime.deploy(target, replicas=1)
    under_way = context.status.rollout
    assert under_way is not None
    if runtime.up() and runtime.has_signals():
        return await _end(rollout, under_way)
    late = deps.now() - under_way.started_at > timedelta(seconds=deps.params.progress_deadline_seconds)
    if not late:
        return rollout.poll
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
            return Done(0)
    return Done(deps.params.poll_seconds * 5)


async def _end(rollout: Rollout, under_way: RolloutStatus) -> Done | None:
    """The new version trades, or the old one again."""
    runtime, context = rollout.runtime, rollout.runtime.context
    context.set_status(rollout=None, drain=None)
    if not _is_rollback(under_way):
        context.set_condition(ConditionType.CONFIG_APPLIED, yes(Reason.APPLIED))
        context.tell_when_written(Reason.ROLLED_OUT, f"version {rollout.target.hash} has taken over")
    elif context.status.given_up_hash == runtime.desired.hash:
        _set_given_up(runtime, rollout.target)
    else:
        # Another version is wanted by now, and was not tried yet.
        return Done(0)
    return None


STEPS: Final[Mapping[RolloutStep, Step[Rollout]]] = {
    RolloutStep.DRAINING: _drain,
    RolloutStep.SCALE_TO_ZERO: _scale_to_zero,
    RolloutStep.WAIT_NO_PODS: _wait_for_no_pods,
    RolloutStep.START_NEW: _start_new,
    RolloutStep.WAIT_SIGNALS: _wait_for_signals,
}
"""The function of each step, in their order. A step may be done twice."""


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
        # An answer of a moment ago is not enough to begin on.
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


async def _version(runtime: StrategyRuntime, stamp: str) -> Revision:
    if stamp == runtime.desired.hash:
        return runtime.desired
    found = await recorded(runtime.context, runtime.desired.deployment["metadata"]["name"], stamp)
    return runtime.desired if found is None else found


async def _write_step(runtime: StrategyRuntime, step: RolloutStep) -> None:
    """Write the next step down, before it is done."""
    under_way = runtime.context.status.rollout
    assert under_way is not None
    runtime.context.set_status(rollout=under_way.model_copy(update={"step": step}))
    await runtime.context.write()


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
