"""An account, from what is to what its manifest wants. This page is the list of the steps; each has its module.

Every reconcile begins with the first step and does what is missing.
"""

from typing import Final

from leadline.model.manifest.specs import TradingAccount
from leadline.model.manifest.status_spec import AccountPhase, AccountStatus, ConditionType
from leadline_operator.clients.calls import ServiceAway, ServiceRefused
from leadline_operator.clients.demand import DatabaseAway
from leadline_operator.clients.kube import Forbidden, NamespaceEnding
from leadline_operator.conditions import Reason, no, yes
from leadline_operator.desired.account import account_objects
from leadline_operator.desired.drift import writer_of
from leadline_operator.kinds import (
    ACCOUNT,
    ACCOUNT_FINALIZER,
    FIELD_MANAGER,
    ROLLOUT_HASH,
    STATEFUL_SET,
    STRATEGY,
    Key,
    own_key,
)
from leadline_operator.reconcile import account_deletion, account_status, orphans
from leadline_operator.reconcile.account_runtime import AccountRuntime
from leadline_operator.reconcile.admission import Refused, account_plan, admit_account, refused_strategies
from leadline_operator.reconcile.context import ReconcileContext, status_of
from leadline_operator.reconcile.deps import Deps, annotation, deleting
from leadline_operator.reconcile.journals import show_journal
from leadline_operator.reconcile.objects import ensure
from leadline_operator.reconcile.status import AWAY, NAMESPACE_ENDS, forbidden_message
from leadline_operator.reconcile.steps import Done, Step, run_steps

AccountContext = ReconcileContext[AccountStatus]

OPERATOR: Final = "operator"


async def reconcile_account(deps: Deps, key: Key) -> float | None:
    """Bring an account nearer to its manifest. Returns the seconds after which to do it again, None for a change."""
    found = deps.cache.owner(key)
    if found is None:
        await deps.executions.disconnect(key.account)
        return None
    context = ReconcileContext(deps, key, found, status_of(AccountStatus, found))
    before = _stands(context)
    try:
        done = await run_steps(GATES, context) or await _admitted(context)
    except Forbidden as refused:
        message = forbidden_message(refused)
        done = await account_status.cannot(context, Reason.FORBIDDEN, message, deps.params.status_seconds)
    finally:
        if _stands(context) != before:
            # No watch brings back what is written here, and the strategies are ready only with it.
            for strategy in deps.cache.strategies_of(key.account):
                deps.enqueue(own_key(strategy, STRATEGY), 0)
    return done.again


def _stands(context: AccountContext) -> tuple[bool, bool]:
    """Whether the account's workloads are up, and whether they answer, as its status was read or written last."""
    deployed, ready = context.condition(ConditionType.DEPLOYED), context.condition(ConditionType.READY)
    return deployed is not None and deployed.holds, ready is None or ready.reason not in AWAY


async def _admitted(context: AccountContext) -> Done:
    """The steps of an account that may run; why they cannot be done now is said of it."""
    poll = context.deps.params.poll_seconds
    account = await admit(context)
    if isinstance(account, Done):
        return account
    try:
        return await run_steps(STEPS, AccountRuntime(context, account)) or Done()
    except (ServiceAway, ServiceRefused) as error:
        reason, text = Reason.EXECUTION_UNREACHABLE, f"{error}; it is tried again"
        deployed = context.verdicts.get(ConditionType.DEPLOYED)
        if isinstance(error, ServiceRefused):
            reason = Reason.REFUSED_BY_EXECUTION
        elif deployed is not None and not deployed.status:
            # That says more than that nobody answers.
            reason, text = deployed.reason, deployed.message
        return await account_status.cannot(context, reason, text, poll)
    except DatabaseAway as away:
        return await account_status.cannot(context, Reason.DATABASE_UNREACHABLE, str(away), poll)
    except NamespaceEnding:
        return await account_status.cannot(context, Reason.NAMESPACE_TERMINATING, NAMESPACE_ENDS, None)


# Before it is asked what the manifest wants.


async def let_deleted_go(context: AccountContext) -> Done | None:
    """Let an account go that is being deleted, once nothing is left on it."""
    return await account_deletion.delete(context) if deleting(context.found) else None


async def leave_paused_alone(context: AccountContext) -> Done | None:
    """Do nothing with an account that a person has annotated so."""
    return Done() if await context.paused() else None


async def make_nothing_in_ending_namespace(context: AccountContext) -> Done | None:
    """Make nothing in a namespace that is being deleted."""
    if not context.deps.ending(context.key.namespace):
        return None
    return await account_status.cannot(context, Reason.NAMESPACE_TERMINATING, NAMESPACE_ENDS, None)


async def admit(context: AccountContext) -> TradingAccount | Done:
    """Check the manifest."""
    account = admit_account(context.deps, context.found)
    if isinstance(account, Refused):
        context.set_condition(ConditionType.ACCEPTED, no(account.reason, account.message))
        context.set_status(phase=AccountPhase.REFUSED.value)
        return await account_status.cannot(context, account.reason, account.message, None)
    context.set_condition(ConditionType.ACCEPTED, yes(Reason.VALID))
    return account


# Towards what it wants.


async def hold_object(runtime: AccountRuntime) -> None:
    """Keep the object from going before its strategies."""
    await runtime.context.set_finalizer(ACCOUNT_FINALIZER, present=True)


async def deploy(runtime: AccountRuntime) -> None:
    """Have the workloads of the account in the cluster: its execution, and its paper venue."""
    context, deps = runtime.context, runtime.context.deps
    claims = {
        str(item["metadata"]["name"]): item["spec"].get("volumeClaimTemplates") or []
        for item in deps.cache.children(STATEFUL_SET, context.key)
    }
    workloads = account_plan(deps, runtime.account).workloads
    runtime.objects = account_objects(workloads, runtime.account, context.found, deps.params, claims)
    await ensure(deps, context.found, runtime.objects)
    wanted = next(item for item in reversed(runtime.objects) if item["kind"] == STATEFUL_SET.name)
    context.set_status(desired_hash=annotation(wanted, ROLLOUT_HASH), config_hash=runtime.settings_hash)


async def show_workloads(runtime: AccountRuntime) -> None:
    """Say whether the workloads are up."""
    account_status.show_workloads(runtime)


async def ask_execution(runtime: AccountRuntime) -> None:
    """Ask execution how the account is."""
    await runtime.fetch()


async def apply_settings(runtime: AccountRuntime) -> None:
    """Have execution work with the account's settings, which it is asked to take over when it has others."""
    context, deps = runtime.context, runtime.context.deps
    if runtime.state.settings_hash != runtime.settings_hash:
        try:
            await deps.executions.set_account(runtime.account, await _author(context))
        except ServiceRefused as refused:
            context.set_condition(ConditionType.CONFIG_APPLIED, no(Reason.REFUSED_BY_EXECUTION, refused.message))
            return
        await runtime.refetch()
        # Execution may take now what it has refused under the old settings.
        runtime.enqueue_strategies()
    context.set_status(applied_config_hash=runtime.settings_hash)
    context.set_condition(ConditionType.CONFIG_APPLIED, yes(Reason.APPLIED))


async def show_halts(runtime: AccountRuntime) -> None:
    """Say why nothing is entered."""
    await account_status.show_halts(runtime)


async def show_send_journal(runtime: AccountRuntime) -> None:
    """Say when a send journal that was lost was made whole."""
    await show_journal(runtime.context, runtime.state)


async def drain_orphans(runtime: AccountRuntime) -> None:
    """Have strategies only close that execution trades and that have no object any more."""
    await orphans.drain_orphans(runtime)


async def withdraw_idle_demand(runtime: AccountRuntime) -> None:
    """Ask for no prints once nothing trades on the account."""
    await orphans.withdraw_idle_demand(runtime)


async def count(runtime: AccountRuntime) -> None:
    """Take over the sums of orders and contracts, and reconcile the strategies of which they have changed."""
    account_status.count(runtime)


async def wake_refused_strategies(runtime: AccountRuntime) -> None:
    """Reconcile the strategies that were refused: the thing that they lacked may be there now."""
    deps = runtime.context.deps
    for strategy in refused_strategies(deps, runtime.name):
        deps.enqueue(own_key(strategy, STRATEGY), 0)


async def report(runtime: AccountRuntime) -> Done:
    """Write the phase and the conditions."""
    return await account_status.report(runtime)


async def _author(context: AccountContext) -> str:
    """The person who wrote `spec.halt`, as the API server noted it; empty when that is not known, or was no person."""
    live = await context.deps.kube.get(ACCOUNT, context.key.namespace, context.key.name)
    manager = "" if live is None else writer_of(live, "spec.halt")
    return "" if manager in {OPERATOR, FIELD_MANAGER} else manager


GATES: Final[tuple[Step[AccountContext], ...]] = (
    let_deleted_go,
    leave_paused_alone,
    make_nothing_in_ending_namespace,
)
STEPS: Final[tuple[Step[AccountRuntime], ...]] = (
    hold_object,
    deploy,
    show_workloads,
    ask_execution,
    apply_settings,
    show_halts,
    show_send_journal,
    drain_orphans,
    withdraw_idle_demand,
    count,
    wake_refused_strategies,
    report,
)
