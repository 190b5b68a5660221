"""An account: its workloads, its settings at execution, and what execution knows that nobody owns any more."""

from typing import Final

from leadline.execution.core.account_settings import hot_fields, settings_hash
from leadline.model.drains import DrainOrders, DrainPositions
from leadline.model.specs import TradingAccount
from leadline.model.status_spec import (
    HALT_LENGTH,
    AccountPhase,
    AccountStatus,
    ConditionType,
    StrategyPhase,
    StrategyStatus,
    condition_of,
)
from leadline_operator.cache import account_of
from leadline_operator.clients.calls import ServiceAway, ServiceRefused
from leadline_operator.clients.demand import DatabaseAway
from leadline_operator.clients.execution import AccountState
from leadline_operator.clients.kube import Forbidden, NamespaceEnding
from leadline_operator.conditions import Reason, no, yes
from leadline_operator.desired.account import account_objects
from leadline_operator.desired.drift import writer_of
from leadline_operator.kinds import (
    ACCOUNT,
    ACCOUNT_FINALIZER,
    FIELD_MANAGER,
    FORCE_DELETE_ANNOTATION,
    POD,
    ROLLOUT_HASH,
    STATEFUL_SET,
    STRATEGY,
    JsonObject,
    Key,
    own_key,
    strategy_key,
)
from leadline_operator.reconcile.admission import Refused, account_plan, admit_account, waiting
from leadline_operator.reconcile.context import ReconcileContext, status_of
from leadline_operator.reconcile.deps import Deps, annotation, deleting, is_paper
from leadline_operator.reconcile.journals import show_journal
from leadline_operator.reconcile.objects import ensure
from leadline_operator.reconcile.pod_state import why_not_up
from leadline_operator.reconcile.pods import execution_is_gone
from leadline_operator.reconcile.status import bus_message, forbidden_message

# Phases of strategies that follow from how far the account's feed has come.
_AT_WORK: Final = frozenset(
    {
        StrategyPhase.STARTING,
        StrategyPhase.RUNNING,
        StrategyPhase.REDUCE_ONLY,
        StrategyPhase.FINISHED,
        StrategyPhase.FENCED,
    }
)
OPERATOR: Final = "operator"


async def reconcile_account(deps: Deps, key: Key) -> float | None:
    """Bring an account nearer to its manifest. Returns in how many seconds to look again."""
    found = deps.cache.owner(key)
    if found is None:
        await deps.executions.disconnect(key.full_name)
        return None
    context = ReconcileContext(deps, key, found, status_of(AccountStatus, found))
    before = _is_deployed(context)
    try:
        return await _look(context)
    except Forbidden as refused:
        return await _cannot(context, Reason.FORBIDDEN, forbidden_message(refused), deps.params.status_seconds)
    finally:
        if _is_deployed(context) != before:
            # What is written here comes back from no watch, and they are ready only with it.
            for strategy in deps.cache.strategies_of(key.full_name):
                deps.enqueue(own_key(strategy, STRATEGY), 0)


def _is_deployed(context: ReconcileContext[AccountStatus]) -> bool:
    """Whether the account's workloads are up, as its status was read or written last."""
    known = context.condition(ConditionType.DEPLOYED)
    return known is not None and known.holds


async def _look(context: ReconcileContext[AccountStatus]) -> float | None:
    deps, key, found = context.deps, context.key, context.found
    if deleting(found):
        return await _delete(context)
    if await context.paused():
        return None
    if deps.ending(key.namespace):
        return await _cannot(context, Reason.NAMESPACE_TERMINATING, "its namespace is being deleted", None)
    account = admit_account(deps, found)
    if isinstance(account, Refused):
        context.set_condition(ConditionType.ACCEPTED, no(account.reason, account.message))
        context.set_status(phase=AccountPhase.REFUSED.value)
        return await _cannot(context, account.reason, account.message, None)
    context.set_condition(ConditionType.ACCEPTED, yes(Reason.VALID))
    await context.set_finalizer(ACCOUNT_FINALIZER, present=True)
    try:
        return await _go_on(context, account)
    except (ServiceAway, ServiceRefused) as error:
        reason, text = Reason.EXECUTION_UNREACHABLE, f"{error}; it is tried again"
        deployed = context.verdicts.get(ConditionType.DEPLOYED)
        if isinstance(error, ServiceRefused):
            reason = Reason.REFUSED_BY_EXECUTION
        elif deployed is not None and not deployed.status:
            # That says more than that nobody answers.
            reason, text = deployed.reason, deployed.message
        return await _cannot(context, reason, text, deps.params.poll_seconds)
    except DatabaseAway as away:
        return await _cannot(context, Reason.DATABASE_UNREACHABLE, str(away), deps.params.poll_seconds)
    except NamespaceEnding:
        return await _cannot(context, Reason.NAMESPACE_TERMINATING, "its namespace is being deleted", None)


async def _go_on(context: ReconcileContext[AccountStatus], account: TradingAccount) -> float | None:
    deps = context.deps
    claims = {
        str(item["metadata"]["name"]): item["spec"].get("volumeClaimTemplates") or []
        for item in deps.cache.children(STATEFUL_SET, context.key)
    }
    objects = account_objects(account_plan(deps, account).workloads, account, context.found, deps.params, claims)
    await ensure(deps, context.found, objects)
    wanted = next(item for item in reversed(objects) if item["kind"] == STATEFUL_SET.name)
    context.set_status(desired_hash=annotation(wanted, ROLLOUT_HASH))
    await _set_workloads(context, objects)
    config = settings_hash(hot_fields(account))
    context.set_status(config_hash=config)
    state = await deps.state(account.full_name, fresh=False)
    state = await _settle(context, account, state, config)
    await show_journal(context, state)
    await _drain_orphans(context, state)
    await _tidy_demand(context, state)
    _count(context, state)
    for strategy in waiting(deps, account.full_name):
        deps.enqueue(own_key(strategy, STRATEGY), 0)
    return await _report(context, state)


async def _settle(
    context: ReconcileContext[AccountStatus], account: TradingAccount, state: AccountState, config: str
) -> AccountState:
    """Have execution work with the account's settings, which it is asked to take over when it has others."""
    deps = context.deps
    if state.settings_hash != config:
        try:
            await deps.executions.set_account(account, await _author(context))
        except ServiceRefused as refused:
            context.set_condition(ConditionType.CONFIG_APPLIED, no(Reason.REFUSED_BY_EXECUTION, refused.message))
            await _show_halt(context, account, state)
            return state
        deps.forget_state(account.full_name)
        state = await deps.state(account.full_name, fresh=True)
        # What execution has refused under the old settings it may take now.
        for strategy in deps.cache.strategies_of(account.full_name):
            deps.enqueue(own_key(strategy, STRATEGY), 0)
    context.set_status(applied_config_hash=config)
    context.set_condition(ConditionType.CONFIG_APPLIED, yes(Reason.APPLIED))
    await _show_halt(context, account, state)
    return state


async def _show_halt(context: ReconcileContext[AccountStatus], account: TradingAccount, state: AccountState) -> None:
    """Say why nothing is entered; an Event tells a halt that was not shown before."""
    if state.halt:
        text = f"no entries: {state.halt}"
        reason = Reason.HALTED if account.spec.halt else Reason.RESUME_NEEDS_PERSON
        context.set_condition(ConditionType.HALTED, yes(reason, text))
        if context.status.halt != state.halt[:HALT_LENGTH]:
            await context.record_event(Reason.HALTED, text, "Warning")
    else:
        context.set_condition(ConditionType.HALTED, no(Reason.TRADABLE, ""))
    context.set_status(halted=bool(state.halt), halt=state.halt[:HALT_LENGTH])


async def _author(context: ReconcileContext[AccountStatus]) -> str:
    """Who wrote `spec.halt`, as the API server noted it; empty when that is not known, or was no person."""
    live = await context.deps.kube.get(ACCOUNT, context.key.namespace, context.key.name)
    manager = "" if live is None else writer_of(live, "spec.halt")
    return "" if manager in {OPERATOR, FIELD_MANAGER} else manager


async def _drain_orphans(context: ReconcileContext[AccountStatus], state: AccountState) -> None:
    """What execution trades and nobody owns any more only closes from now on."""
    deps, account = context.deps, context.key.full_name
    owned = {own_key(item, STRATEGY).full_name for item in deps.cache.strategies_of(account)}
    for name, here in state.strategies.items():
        if name in owned or here.forgotten or here.drain_id:
            deps.orphans.pop((account, name), None)
            continue
        since = deps.orphans.setdefault((account, name), deps.clock())
        # It may be on its way: an object that was seen by execution before it was seen here.
        if deps.clock() - since < deps.params.orphan_grace_seconds:
            deps.enqueue(context.key, deps.params.orphan_grace_seconds)
            continue
        orphan = strategy_key(name)
        live = await deps.kube.get(STRATEGY, orphan.namespace, orphan.name)
        if live is not None and account_of(live) == account:
            deps.cache.put(STRATEGY, live)
            continue
        await deps.executions.drain(
            account, name, f"{context.uid}/orphan/{name}"[:128], DrainOrders.CANCEL, DrainPositions.KEEP
        )
        if live is None:
            await deps.demand.withdraw(name)
        await context.record_event(
            Reason.ORPHAN_DRAINED, f"{name} has no TradingStrategy any more: it only closes now", "Warning"
        )
        deps.forget_state(account)


async def _tidy_demand(context: ReconcileContext[AccountStatus], state: AccountState) -> None:
    """Once nothing trades on the account, nobody needs its prints."""
    busy = any(not here.forgotten for here in state.strategies.values())
    if not busy and _owned(context.deps, context.key) == 0:
        await context.deps.demand.withdraw_account(context.key.full_name)


async def _delete(context: ReconcileContext[AccountStatus]) -> float | None:
    """An account goes after its strategies: they leave the market through it."""
    deps = context.deps
    if ACCOUNT_FINALIZER not in (context.found["metadata"].get("finalizers") or ()):
        return None
    context.set_status(phase=AccountPhase.DELETING.value)
    listed = await deps.every(STRATEGY)
    names = sorted(
        own_key(item, STRATEGY).full_name
        for item in listed
        if account_of(item) == context.key.full_name and _on_it(item)
    )
    if names:
        text = f"delete or move its strategies first: {', '.join(names[:10])}"
        context.set_condition(ConditionType.READY, no(Reason.STRATEGIES_REMAIN, text))
        await context.write()
        await context.record_event(Reason.STRATEGIES_REMAIN, text, "Warning")
        return deps.params.poll_seconds * 5
    if annotation(context.found, FORCE_DELETE_ANNOTATION) == context.key.name:
        await context.record_event(Reason.FORCED, f"let go by hand ({FORCE_DELETE_ANNOTATION})", "Warning")
    elif (kept := await _kept(context)) is not None:
        reason, text = kept
        context.set_condition(ConditionType.READY, no(reason, text))
        await context.write()
        await context.record_event(reason, text, "Warning")
        return deps.params.poll_seconds * 5
    await deps.demand.withdraw_account(context.key.full_name)
    await context.record_event(Reason.DELETED, "it is let go; its volumes stay")
    await context.set_finalizer(ACCOUNT_FINALIZER, present=False)
    return None


async def _kept(context: ReconcileContext[AccountStatus]) -> tuple[Reason, str] | None:
    """What keeps an account that no strategy is on: what is still in the market on it. None for nothing.

    A strategy may have gone and left its position, as its policy said. Without execution and venue nobody would look
    after that any more.
    """
    deps, account = context.deps, context.key.full_name
    if (is_paper(context.found) or context.status.running_hash is None) and await execution_is_gone(deps, context.key):
        return None
    way_out = f"or annotate it with {FORCE_DELETE_ANNOTATION}={context.key.name}"
    deps.forget_state(account)
    try:
        state = await deps.state(account, fresh=True)
    except (ServiceAway, ServiceRefused) as error:
        return Reason.EXECUTION_UNREACHABLE, f"whether it holds anything is not known: {error}; wait, {way_out}"
    held = [
        f"{name} position {here.position}, orders {here.working_orders}"
        for name, here in sorted(state.strategies.items())
        if not here.flat
    ]
    if not held:
        return None
    close = f"leadline flatten --kube --namespace {context.key.namespace} --account {context.key.name} --reason ..."
    return Reason.POSITIONS_OPEN, f"it still holds {'; '.join(held[:10])}. Close it ({close}), {way_out}"


def _on_it(strategy: JsonObject) -> bool:
    """Whether a strategy may be in the market: the operator has let it in, and not out again."""
    return bool(strategy["metadata"].get("finalizers"))


async def _set_workloads(context: ReconcileContext[AccountStatus], objects: list[JsonObject]) -> None:
    deps = context.deps
    missing: list[str] = []
    for item in objects:
        if item["kind"] != STATEFUL_SET.name:
            continue
        name = item["metadata"]["name"]
        live = deps.cache.get(STATEFUL_SET, context.key.namespace, name)
        status = {} if live is None else live.get("status") or {}
        current = live is not None and status.get("observedGeneration", 0) >= live["metadata"].get("generation", 1)
        same = status.get("currentRevision") == status.get("updateRevision")
        if not (current and same and status.get("readyReplicas", 0) >= 1):
            missing.append(name)
    pods = deps.cache.children(POD, context.key)
    before = context.condition(ConditionType.DEPLOYED)
    if missing:
        why = why_not_up((pod for pod in pods if not _up(pod)), "their Pods are not there yet")
        text = f"not up: {', '.join(missing)}. {why.message}"
        context.set_condition(ConditionType.DEPLOYED, no(Reason.WORKLOAD_NOT_READY, text))
        if before is not None and before.holds:
            await context.record_event(Reason.WORKLOAD_NOT_READY, text, "Warning")
    else:
        context.set_condition(ConditionType.DEPLOYED, yes(Reason.WORKLOAD_READY))
        context.set_status(running_hash=context.status.desired_hash)
        if before is None or not before.holds:
            await context.record_event(Reason.WORKLOAD_READY, "execution and venue are up")
    execution = [str(pod["metadata"]["name"]) for pod in pods if _component(pod) == "execution"]
    context.set_status(pod_name=execution[0] if execution else None)


def _up(pod: JsonObject) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _component(pod: JsonObject) -> str:
    return str((pod["metadata"].get("labels") or {}).get("app.kubernetes.io/component", ""))


def _count(context: ReconcileContext[AccountStatus], state: AccountState) -> None:
    """Take over the sums, from time to time, and have the strategies look whose numbers have changed."""
    deps = context.deps
    for name, here in state.strategies.items():
        found = deps.cache.owner(strategy_key(name))
        status = status_of(StrategyStatus, found or {})
        known = (status.working_orders, status.open_positions)
        ended = status.phase in _AT_WORK and (status.phase == StrategyPhase.FINISHED) != state.finished
        traded = condition_of(status.conditions, ConditionType.TRADING)
        shown = traded is not None and traded.reason == Reason.FENCED
        fenced = status.phase in _AT_WORK and shown != bool(here.fence)
        if found is not None and (ended or fenced or known != (here.working_orders, abs(here.position))):
            deps.enqueue(own_key(found, STRATEGY), 0)
    working = sum(here.working_orders for here in state.strategies.values())
    contracts = sum(abs(here.position) for here in state.strategies.values())
    last = deps.counted.get(context.key)
    if (working, contracts) == (context.status.working_orders, context.status.open_positions):
        return
    if last is None or deps.clock() - last >= deps.params.status_seconds:
        deps.counted[context.key] = deps.clock()
        context.set_status(working_orders=working, open_positions=contracts)


async def _report(context: ReconcileContext[AccountStatus], state: AccountState) -> float | None:
    deps = context.deps
    needed = (ConditionType.ACCEPTED, ConditionType.DEPLOYED, ConditionType.CONFIG_APPLIED)
    lacking = [
        context.verdicts[kind] for kind in needed if kind in context.verdicts and not context.verdicts[kind].status
    ]
    if deps.bus_problem:
        lacking.insert(0, no(Reason.BUS_CANNOT_STORE, bus_message(deps.bus_problem)))
    context.set_condition(ConditionType.READY, lacking[0] if lacking else yes(Reason.AS_ASKED))
    if state.halt:
        phase = AccountPhase.HALTED
    elif lacking and not deps.bus_problem:
        phase = AccountPhase.STARTING
    else:
        phase = AccountPhase.FINISHED if state.finished else AccountPhase.RUNNING
    # Counted last: who was refused while the account was looked at is not one of them.
    context.set_status(phase=phase.value, strategies=_admitted(deps, context.key))
    await context.write()
    return context.deps.params.status_seconds


async def _cannot(
    context: ReconcileContext[AccountStatus], reason: Reason, message: str, again: float | None
) -> float | None:
    if context.status.phase is None:
        context.set_status(phase=AccountPhase.PENDING.value)
    context.set_condition(ConditionType.READY, no(reason, message))
    await context.write()
    return again


def _admitted(deps: Deps, key: Key) -> int:
    """How many strategies trade the account: those that name it, without those that were refused."""
    return _owned(deps, key) - len(waiting(deps, key.full_name))


def _owned(deps: Deps, key: Key) -> int:
    return len(deps.cache.strategies_of(key.full_name))
