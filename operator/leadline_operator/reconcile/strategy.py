"""A strategy, from what is to what its manifest wants. This page is the list of the steps; each has its module.

Every reconcile begins with the first step and does what is missing. Each step writes into the status what it is about
to do, so that any of them can be the last one before a crash.
"""

from typing import Final

from leadline.model.manifest.status_spec import ConditionType, RolloutStep, StrategyStatus
from leadline_operator.clients.calls import ServiceAway, ServiceRefused
from leadline_operator.clients.demand import DatabaseAway
from leadline_operator.clients.execution import strategy_settings_hash
from leadline_operator.clients.kube import Forbidden, NamespaceEnding
from leadline_operator.conditions import Reason, no, yes
from leadline_operator.kinds import DRAIN_FINALIZER, Key
from leadline_operator.reconcile import counts, demand, drain, rollout, status
from leadline_operator.reconcile.admission import Admitted, admit_strategy
from leadline_operator.reconcile.context import ReconcileContext, status_of
from leadline_operator.reconcile.default_account import make_default_account
from leadline_operator.reconcile.deps import Deps, deleting
from leadline_operator.reconcile.runtime import StrategyRuntime
from leadline_operator.reconcile.steps import Done, Step, run_steps

StrategyContext = ReconcileContext[StrategyStatus]


async def reconcile_strategy(deps: Deps, key: Key) -> float | None:
    """Bring a strategy nearer to its manifest. Returns the seconds after which to do it again, None for a change."""
    found = deps.cache.owner(key)
    if found is None:
        deps.asked.pop(key.strategy, None)
        await deps.demand.withdraw(key.strategy)
        return None
    context = ReconcileContext(deps, key, found, status_of(StrategyStatus, found))
    try:
        done = await run_steps(GATES, context) or await _admitted(context)
    except Forbidden as refused:
        message = status.forbidden_message(refused)
        done = await status.cannot(context, Reason.FORBIDDEN, message, deps.params.status_seconds)
    return done.again


async def _admitted(context: StrategyContext) -> Done:
    """The steps of a strategy that may run; why they cannot be done now is said of it."""
    poll = context.deps.params.poll_seconds
    admitted = await admit(context)
    if isinstance(admitted, Done):
        return admitted
    try:
        return await run_steps(STEPS, StrategyRuntime(context, admitted)) or Done()
    except (ServiceAway, ServiceRefused) as error:
        reason = Reason.EXECUTION_UNREACHABLE if isinstance(error, ServiceAway) else Reason.REFUSED_BY_EXECUTION
        if error.service == "ingestion":
            reason = Reason.FEED_UNREACHABLE
        return await status.cannot(context, reason, f"{error}; it is tried again", poll)
    except DatabaseAway as away:
        return await status.cannot(context, Reason.DATABASE_UNREACHABLE, f"{away}; it is tried again", poll)
    except NamespaceEnding:
        return await status.namespace_ends(context)


# Before it is asked what the manifest wants.


async def drain_deleted(context: StrategyContext) -> Done | None:
    """Take a strategy that is being deleted out of the market, and let it go."""
    return await drain.delete(context) if deleting(context.found) else None


async def leave_paused_alone(context: StrategyContext) -> Done | None:
    """Do nothing with a strategy that a person has annotated so."""
    return Done() if await context.paused() else None


async def make_nothing_in_ending_namespace(context: StrategyContext) -> Done | None:
    """Make nothing in a namespace that is being deleted."""
    return await status.namespace_ends(context) if context.deps.ending(context.key.namespace) else None


async def admit(context: StrategyContext) -> Admitted | Done:
    """Compare the manifest with its account, its namespace and the other strategies."""
    admitted = admit_strategy(context.deps, context.found)
    if isinstance(admitted, Admitted):
        context.set_condition(ConditionType.ACCEPTED, yes(Reason.VALID))
        return admitted
    waits = await make_default_account(context) if admitted.reason is Reason.ACCOUNT_NOT_FOUND else None
    return waits or await status.refuse(context, admitted)


# Towards what it wants.


async def hold_object(runtime: StrategyRuntime) -> None:
    """Keep the object from going before it has left the market."""
    await runtime.context.set_finalizer(DRAIN_FINALIZER, present=True)


async def find_versions(runtime: StrategyRuntime) -> None:
    """Find the wanted version, and the one in force."""
    context = runtime.context
    await runtime.find_versions()
    config_hash = strategy_settings_hash(runtime.strategy)
    context.set_status(desired_hash=runtime.desired.hash, config_hash=config_hash)
    if context.status.given_up_hash != runtime.desired.hash:
        context.set_status(given_up_hash=None)


async def ask_execution(runtime: StrategyRuntime) -> None:
    """Ask the account's execution what it knows of the strategy, and count what it has in the market."""
    context = runtime.context
    careful = context.status.rollout is not None or runtime.strategy.spec.state == "Suspended"
    await runtime.fetch(fresh=careful)
    counts.count_strategy(context, runtime.here)


async def suspend(runtime: StrategyRuntime) -> Done | None:
    """Take a strategy out of the market that is to be suspended, and stop it."""
    return await drain.suspend(runtime) if runtime.strategy.spec.state == "Suspended" else None


async def roll_out(runtime: StrategyRuntime) -> Done | None:
    """Go on with the change to another version, or begin it when it may begin."""
    waits = await rollout.advance(runtime)
    if waits is None:
        return None
    under_way = runtime.context.status.rollout
    if under_way is not None and under_way.step is RolloutStep.WAIT_SIGNALS:
        # The new version may read other bars, and says nothing before it has them.
        await demand.ask_for_bars(runtime)
    return await status.report(runtime, waits.again)


async def configure_execution(runtime: StrategyRuntime) -> Done | None:
    """Name the version in force and the settings to execution, before anything of it runs."""
    context, revision = runtime.context, runtime.in_force
    try:
        await runtime.configure_execution(revision)
    except ServiceRefused as refused:
        context.set_condition(ConditionType.CONFIG_APPLIED, no(Reason.REFUSED_BY_EXECUTION, refused.message))
        if runtime.running is None:
            # Nothing of it has run yet, and nothing does before execution takes it.
            context.set_condition(ConditionType.DEPLOYED, no(Reason.CREATING, "it starts when execution takes it"))
        return await status.report(runtime, context.deps.params.resync_seconds / 10)
    if context.status.running_hash != revision.hash:
        runtime.running = revision
        context.set_status(running_hash=revision.hash)
        await context.write()
    if context.status.drain is not None:
        context.set_status(drain=None)
        context.set_condition(ConditionType.DRAINED, no(Reason.AS_ASKED, "it is in the market"))
    return None


async def deploy(runtime: StrategyRuntime) -> None:
    """Have the workload of the version in force in the cluster."""
    await runtime.deploy(runtime.in_force, replicas=1)


async def end_stray_pods(runtime: StrategyRuntime) -> None:
    """End what runs beside the Pod of the Deployment."""
    await runtime.end_stray_pods()


async def ask_for_bars(runtime: StrategyRuntime) -> None:
    """Ask ingestion and aggregation for what the version in force reads."""
    await demand.ask_for_bars(runtime)


async def report(runtime: StrategyRuntime) -> Done:
    """Write the phase and the conditions, and record Events of what has changed."""
    applied = runtime.context.verdicts.get(ConditionType.CONFIG_APPLIED)
    # No watch tells that another version may begin.
    waits = applied is not None and applied.reason is Reason.WAITING_FOR_FLAT
    return await status.report(runtime, runtime.context.deps.params.poll_seconds if waits else None)


GATES: Final[tuple[Step[StrategyContext], ...]] = (
    drain_deleted,
    leave_paused_alone,
    make_nothing_in_ending_namespace,
)
STEPS: Final[tuple[Step[StrategyRuntime], ...]] = (
    hold_object,
    find_versions,
    ask_execution,
    suspend,
    roll_out,
    configure_execution,
    deploy,
    end_stray_pods,
    ask_for_bars,
    report,
)
