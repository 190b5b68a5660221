"""From one version of a strategy to the next, so that at no time two of them trade.

The status names the step before it is done. Each step may be done twice.
"""

from datetime import timedelta

from leadline.model.drains import DrainOrders, DrainPositions
from leadline.model.status_spec import ConditionType, RolloutReason, RolloutStatus, RolloutStep
from leadline_operator.clients.calls import ServiceRefused
from leadline_operator.conditions import Reason, no, yes
from leadline_operator.desired.strategy import Revision
from leadline_operator.reconcile.trading import Trading, recorded

_BEFORE_START = (RolloutStep.DRAINING, RolloutStep.SCALE_TO_ZERO, RolloutStep.WAIT_NO_PODS)


async def advance(trading: Trading) -> float | None:
    """Go on with the change to the wanted version, or begin it when it may begin.

    Returns after how many seconds to look again while it is under way, None where the version in force is to trade.
    """
    visit, desired = trading.visit, trading.desired
    running, under_way = trading.running, visit.status.rollout
    if running is None:
        return None
    if under_way is not None and under_way.target_hash != desired.hash and not _is_rollback(under_way):
        under_way = await _retarget(trading, under_way)
    if under_way is None:
        if running.hash == desired.hash or not await _may_begin(trading, running):
            return None
        reason = _reason(running, desired)
        under_way = _begin(trading, desired, RolloutStep.DRAINING, reason)
        await visit.write()
        await visit.say(Reason.ROLLING_OUT, f"version {desired.hash} takes over from {running.hash} ({reason})")
    visit.judge(ConditionType.CONFIG_APPLIED, no(Reason.ROLLING_OUT, f"version {under_way.target_hash} takes over"))
    return await _walk(trading, running, under_way)


async def _walk(trading: Trading, running: Revision, under_way: RolloutStatus) -> float | None:
    visit, poll = trading.visit, trading.visit.world.params.poll_seconds
    target = await _version(trading, under_way.target_hash)
    if under_way.step is RolloutStep.DRAINING:
        if not await _drained(trading, target):
            return None if visit.status.rollout is None else poll
        under_way = await _step(trading, RolloutStep.SCALE_TO_ZERO)
    if under_way.step is RolloutStep.SCALE_TO_ZERO:
        await trading.deploy(running, replicas=0)
        under_way = await _step(trading, RolloutStep.WAIT_NO_PODS)
    if under_way.step is RolloutStep.WAIT_NO_PODS:
        # The Deployment may have been put back by hand since.
        await trading.deploy(running, replicas=0)
        if remaining := await trading.remaining():
            visit.judge(ConditionType.DEPLOYED, no(Reason.PODS_REMAIN, f"waits for {', '.join(remaining)}"))
            return poll
        visit.put(running_hash=target.hash)
        under_way = await _step(trading, RolloutStep.START_NEW)
    trading.running = target
    if under_way.step is RolloutStep.START_NEW:
        try:
            await trading.tell_execution(target)
        except ServiceRefused as refused:
            visit.judge(ConditionType.CONFIG_APPLIED, no(Reason.REFUSED_BY_EXECUTION, refused.message))
            return poll
        await trading.deploy(target, replicas=1)
        under_way = await _step(trading, RolloutStep.WAIT_SIGNALS)
    return await _wait_for_signals(trading, target, under_way)


async def _wait_for_signals(trading: Trading, target: Revision, under_way: RolloutStatus) -> float | None:
    visit, world = trading.visit, trading.visit.world
    await trading.tell_execution(target)
    await trading.deploy(target, replicas=1)
    if trading.up() and trading.speaks():
        visit.put(rollout=None, drain=None)
        if _is_rollback(under_way):
            if visit.status.given_up_hash != trading.desired.hash:
                # Another version is wanted by now, and was not tried yet.
                return 0
            _judge_given_up(trading, target)
        else:
            visit.judge(ConditionType.CONFIG_APPLIED, yes(Reason.APPLIED))
            await visit.say(Reason.ROLLED_OUT, f"version {target.hash} has taken over")
        return None
    late = world.now() - under_way.started_at > timedelta(seconds=world.params.progress_deadline_seconds)
    if not late:
        return world.params.poll_seconds
    text = f"version {target.hash} did not come up within {world.params.progress_deadline_seconds:g} s"
    visit.judge(ConditionType.DEPLOYED, no(Reason.PROGRESS_DEADLINE_EXCEEDED, text))
    await visit.say(Reason.PROGRESS_DEADLINE_EXCEEDED, text, "Warning")
    stable = visit.status.last_stable
    if stable is not None and stable.hash != target.hash and not _is_rollback(under_way) and not await _sent(trading):
        back = await recorded(visit, target.deployment["metadata"]["name"], stable.hash)
        if back is not None:
            visit.put(given_up_hash=target.hash)
            _begin(trading, back, RolloutStep.SCALE_TO_ZERO, RolloutReason.ROLLED_BACK)
            await visit.write()
            await visit.say(Reason.ROLLED_BACK, f"{text}: back to {stable.hash}", "Warning")
            return 0
    return world.params.poll_seconds * 5


async def _sent(trading: Trading) -> bool:
    """Whether the new version may have sent an order. Then nobody goes back behind it."""
    here = trading.here
    if here is None:
        return False
    return await trading.visit.world.executions.sent_since(trading.account, here.strategy, here.joined_ns)


async def _retarget(trading: Trading, under_way: RolloutStatus) -> RolloutStatus | None:
    """The manifest has changed on the way. Before the new version is named, the way is the same to any."""
    visit, desired = trading.visit, trading.desired
    if under_way.step in _BEFORE_START and trading.running is not None and desired.hash != trading.running.hash:
        changed = under_way.model_copy(update={"id": _id(trading, desired), "target_hash": desired.hash})
        visit.put(rollout=changed)
        await visit.write()
        return changed
    visit.put(rollout=None)
    await visit.write()
    return None


async def _may_begin(trading: Trading, running: Revision) -> bool:
    visit, desired, policy = trading.visit, trading.desired, trading.strategy.spec.update_policy
    if visit.status.given_up_hash == desired.hash:
        _judge_given_up(trading, running)
        return False
    if policy == "Manual" and desired.restart_nonce == running.restart_nonce:
        text = "the next version waits: set another spec.restartNonce"
        visit.judge(ConditionType.CONFIG_APPLIED, no(Reason.WAITING_FOR_RESTART, text))
        return False
    if policy == "WhenFlat":
        # What was seen a moment ago is not enough to begin on.
        await trading.look_again()
        here = trading.here
        if here is not None and not here.flat:
            text = f"the next version waits until it is flat: position {here.position}, orders {here.working_orders}"
            visit.judge(ConditionType.CONFIG_APPLIED, no(Reason.WAITING_FOR_FLAT, text))
            return False
    return True


def _judge_given_up(trading: Trading, running: Revision) -> None:
    """Say that the wanted version was tried and did not come up, and which one runs."""
    text = f"version {trading.desired.hash} did not come up: {running.hash} runs again; change the manifest"
    trading.visit.judge(ConditionType.CONFIG_APPLIED, no(Reason.ROLLED_BACK, text))


async def _drained(trading: Trading, target: Revision) -> bool:
    """Whether the version in force enters nothing any more. With WhenFlat a position that came up meanwhile ends it."""
    visit, spec = trading.visit, trading.strategy.spec
    orders, positions = DrainOrders.CANCEL, DrainPositions.KEEP
    if spec.update_policy != "WhenFlat":
        orders = DrainOrders(spec.suspend_policy.working_orders)
        positions = DrainPositions(spec.suspend_policy.positions)
    name = f"{visit.uid}/rollout/{target.hash}/{orders}-{positions}"
    progress = await visit.world.executions.drain(trading.account, trading.strategy.full_name, name, orders, positions)
    await trading.look_again()
    if progress is None:
        return True
    if spec.update_policy == "WhenFlat" and progress.position != 0:
        visit.put(rollout=None)
        text = f"the next version waits until it is flat: position {progress.position}"
        visit.judge(ConditionType.CONFIG_APPLIED, no(Reason.WAITING_FOR_FLAT, text))
        await visit.write()
        return False
    return progress.drained


async def _version(trading: Trading, stamp: str) -> Revision:
    if stamp == trading.desired.hash:
        return trading.desired
    found = await recorded(trading.visit, trading.desired.deployment["metadata"]["name"], stamp)
    return trading.desired if found is None else found


async def _step(trading: Trading, step: RolloutStep) -> RolloutStatus:
    """Write the next step down, before it is done."""
    under_way = trading.visit.status.rollout
    assert under_way is not None
    changed = under_way.model_copy(update={"step": step})
    trading.visit.put(rollout=changed)
    await trading.visit.write()
    return changed


def _begin(trading: Trading, target: Revision, step: RolloutStep, reason: RolloutReason) -> RolloutStatus:
    visit = trading.visit
    found = RolloutStatus(
        id=_id(trading, target),
        target_hash=target.hash,
        step=step,
        started_at=visit.world.now(),
        reason=reason,
    )
    visit.put(rollout=found)
    return found


def _id(trading: Trading, target: Revision) -> str:
    return f"{trading.visit.generation}-{target.hash}"


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
