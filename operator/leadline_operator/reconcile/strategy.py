"""A strategy, from what is to what its manifest wants: observe, judge, write down what is about to be done, do it.

Every call does the next thing that is missing, and can be the last one before a crash.
"""

from datetime import datetime
from typing import Final

from leadline.model.specs import TradingStrategy
from leadline.model.status_spec import ConditionType, RolloutStep, StrategyStatus
from leadline.plan.demand import demand_rows
from leadline.plan.plan import Plan
from leadline_operator.clients.calls import ServiceAway, ServiceRefused
from leadline_operator.clients.demand import DatabaseAway
from leadline_operator.clients.execution import strategy_settings_hash
from leadline_operator.clients.kube import Conflict, Forbidden, NamespaceEnding
from leadline_operator.conditions import Reason, no, yes
from leadline_operator.kinds import ACCOUNT, DRAIN_FINALIZER, STRATEGY, Key, account_key
from leadline_operator.reconcile import drain, rollout
from leadline_operator.reconcile.admission import Admitted, Refused, admit_strategy
from leadline_operator.reconcile.context import ReconcileContext, status_of
from leadline_operator.reconcile.deps import Deps, deleting
from leadline_operator.reconcile.runtime import StrategyRuntime, versions
from leadline_operator.reconcile.status import cannot, count, forbidden_message, refuse, report

DEFAULT_ACCOUNT: Final = "paper"


async def reconcile_strategy(deps: Deps, key: Key) -> float | None:
    """Bring a strategy nearer to its manifest. Returns in how many seconds to look again, None for when it changes."""
    found = deps.cache.owner(key)
    if found is None:
        deps.asked.pop(key.full_name, None)
        await deps.demand.withdraw(key.full_name)
        return None
    context = ReconcileContext(deps, key, found, status_of(StrategyStatus, found))
    try:
        return await _look(context)
    except Forbidden as refused:
        return await cannot(context, Reason.FORBIDDEN, forbidden_message(refused), deps.params.status_seconds)


async def _look(context: ReconcileContext[StrategyStatus]) -> float | None:
    deps, key, found = context.deps, context.key, context.found
    if deleting(found):
        return await drain.delete(context)
    if await context.paused():
        return None
    if deps.ending(key.namespace):
        return await cannot(context, Reason.NAMESPACE_TERMINATING, "its namespace is being deleted", None)
    admitted = admit_strategy(deps, found)
    if isinstance(admitted, Refused):
        again = await _make_default_account(context) if admitted.reason is Reason.ACCOUNT_NOT_FOUND else None
        return await refuse(context, admitted) if again is None else again
    context.set_condition(ConditionType.ACCEPTED, yes(Reason.VALID))
    await context.set_finalizer(DRAIN_FINALIZER, present=True)
    try:
        return await _go_on(context, admitted)
    except (ServiceAway, ServiceRefused) as error:
        reason = Reason.EXECUTION_UNREACHABLE if isinstance(error, ServiceAway) else Reason.REFUSED_BY_EXECUTION
        if error.service == "ingestion":
            reason = Reason.FEED_UNREACHABLE
        return await cannot(context, reason, f"{error}; it is tried again", deps.params.poll_seconds)
    except DatabaseAway as away:
        return await cannot(
            context, Reason.DATABASE_UNREACHABLE, f"{away}; it is tried again", deps.params.poll_seconds
        )
    except NamespaceEnding:
        return await cannot(context, Reason.NAMESPACE_TERMINATING, "its namespace is being deleted", None)


async def _go_on(context: ReconcileContext[StrategyStatus], admitted: Admitted) -> float | None:
    deps, strategy, account = context.deps, admitted.strategy, admitted.account.full_name
    workload = admitted.plan.workload("analysis", strategy.full_name)
    desired, running = await versions(context, workload, strategy)
    context.set_status(desired_hash=desired.hash, config_hash=strategy_settings_hash(strategy))
    if context.status.given_up_hash != desired.hash:
        context.set_status(given_up_hash=None)
    careful = context.status.rollout is not None or strategy.spec.state == "Suspended"
    state = await deps.state(account, fresh=careful)
    here = state.strategies.get(strategy.full_name)
    runtime = StrategyRuntime(context, strategy, account, state, here, desired, running)
    count(context, here)
    if strategy.spec.state == "Suspended":
        return await drain.suspend(runtime)
    again = await rollout.advance(runtime)
    if again is not None:
        if context.status.rollout is not None and context.status.rollout.step is RolloutStep.WAIT_SIGNALS:
            # The new version may read other bars, and says nothing before it has them.
            await _ask_for_bars(runtime, admitted.plan)
        return await report(runtime, again)
    return await _trade(runtime, admitted.plan)


async def _trade(runtime: StrategyRuntime, plan: Plan) -> float | None:
    """Have the version in force trade: execution knows it, its workload is there, and bars are asked for."""
    context = runtime.context
    revision = runtime.running or runtime.desired
    try:
        await runtime.configure_execution(revision)
    except ServiceRefused as refused:
        context.set_condition(ConditionType.CONFIG_APPLIED, no(Reason.REFUSED_BY_EXECUTION, refused.message))
        if runtime.running is None:
            # Nothing of it has run yet, and nothing does before execution takes it.
            context.set_condition(ConditionType.DEPLOYED, no(Reason.CREATING, "it starts when execution takes it"))
        return await report(runtime, context.deps.params.resync_seconds / 10)
    if context.status.running_hash != revision.hash:
        runtime.running = revision
        context.set_status(running_hash=revision.hash)
        await context.write()
    if context.status.drain is not None:
        context.set_status(drain=None)
        context.set_condition(ConditionType.DRAINED, no(Reason.AS_ASKED, "it is in the market"))
    await runtime.deploy(revision, replicas=1)
    await runtime.end_stray_pods()
    await _ask_for_bars(runtime, plan)
    return await report(runtime, context.deps.params.poll_seconds if _waits(runtime) else None)


def _waits(runtime: StrategyRuntime) -> bool:
    """Whether another version waits for something that no watch tells of."""
    verdict = runtime.context.verdicts.get(ConditionType.CONFIG_APPLIED)
    return verdict is not None and verdict.reason is Reason.WAITING_FOR_FLAT


async def _ask_for_bars(runtime: StrategyRuntime, plan: Plan) -> None:
    """Write the demand of the version in force; now and then again, in case somebody has taken it away."""
    deps, context = runtime.context.deps, runtime.context
    run = await deps.feed.run()
    manifest = runtime.manifest_of(runtime.running or runtime.desired)
    try:
        rows = demand_rows(Plan(plan.workloads, plan.accounts, (manifest,)), run.contracts, run.trade_from)
    except (LookupError, ValueError) as refused:
        context.set_condition(ConditionType.CONFIG_APPLIED, no(Reason.NOT_FED, str(refused)))
        return
    mark = (run.tape, rows)
    asked = deps.asked.get(manifest.full_name)
    if asked is None or asked[0] != mark or deps.clock() - asked[1] > deps.params.resync_seconds / 2:
        await deps.demand.ask(manifest.full_name, rows)
        deps.asked[manifest.full_name] = (mark, deps.clock())


async def _make_default_account(context: ReconcileContext[StrategyStatus]) -> float | None:
    """Make the account `paper` of the strategy's own namespace when that is what it names, and there is none.

    Not at once: the account may stand below the strategy in the file that is just being applied. Returns in how many
    seconds to look again, None when it is another account that is missing.
    """
    deps, namespace = context.deps, context.key.namespace
    manifest = deps.manifest(context.found)
    if not isinstance(manifest, TradingStrategy) or manifest.account_name != f"{namespace}/{DEFAULT_ACCOUNT}":
        return None
    made = datetime.fromisoformat(context.found["metadata"]["creationTimestamp"])
    age = (deps.now() - made).total_seconds()
    if 0 <= age < deps.params.default_account_seconds:
        return deps.params.default_account_seconds - age
    if await deps.refresh(ACCOUNT, namespace, DEFAULT_ACCOUNT) is None:
        document = {
            "apiVersion": STRATEGY.api_version,
            "kind": ACCOUNT.name,
            "metadata": {"name": DEFAULT_ACCOUNT, "namespace": namespace},
            "spec": {},
        }
        try:
            deps.cache.put(ACCOUNT, await deps.kube.create(document))
        except Conflict:
            await deps.refresh(ACCOUNT, namespace, DEFAULT_ACCOUNT)
        await context.record_event(
            Reason.ACCOUNT_CREATED, f"made the TradingAccount {DEFAULT_ACCOUNT} with the defaults"
        )
    deps.enqueue(account_key(f"{namespace}/{DEFAULT_ACCOUNT}"), 0)
    return 0
