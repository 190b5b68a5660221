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
from leadline_operator.reconcile.journals import show_journal
from leadline_operator.reconcile.objects import ensure
from leadline_operator.reconcile.pod_words import why_not_up
from leadline_operator.reconcile.pods import execution_is_gone
from leadline_operator.reconcile.saying import bus_words, not_allowed
from leadline_operator.reconcile.visit import Visit, status_of
from leadline_operator.reconcile.world import World, annotation, deleting, is_paper
from leadline_operator.seen import account_of

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


async def reconcile_account(world: World, key: Key) -> float | None:
    """Bring an account nearer to its manifest. Returns in how many seconds to look again."""
    found = world.seen.owner(key)
    if found is None:
        await world.executions.hang_up(key.full_name)
        return None
    visit = Visit(world, key, found, status_of(AccountStatus, found))
    before = _is_deployed(visit)
    try:
        return await _look(visit)
    except Forbidden as refused:
        return await _cannot(visit, Reason.FORBIDDEN, not_allowed(refused), world.params.status_seconds)
    finally:
        if _is_deployed(visit) != before:
            # What is written here comes back from no watch, and they are ready only with it.
            for strategy in world.seen.strategies_of(key.full_name):
                world.enqueue(own_key(strategy, STRATEGY), 0)


def _is_deployed(visit: Visit[AccountStatus]) -> bool:
    """Whether the account's workloads are up, as its status was read or written last."""
    known = visit.condition(ConditionType.DEPLOYED)
    return known is not None and known.holds


async def _look(visit: Visit[AccountStatus]) -> float | None:
    world, key, found = visit.world, visit.key, visit.found
    if deleting(found):
        return await _delete(visit)
    if await visit.paused():
        return None
    if world.ending(key.namespace):
        return await _cannot(visit, Reason.NAMESPACE_TERMINATING, "its namespace is being deleted", None)
    account = admit_account(world, found)
    if isinstance(account, Refused):
        visit.judge(ConditionType.ACCEPTED, no(account.reason, account.message))
        visit.put(phase=AccountPhase.REFUSED.value)
        return await _cannot(visit, account.reason, account.message, None)
    visit.judge(ConditionType.ACCEPTED, yes(Reason.VALID))
    await visit.set_finalizer(ACCOUNT_FINALIZER, present=True)
    try:
        return await _go_on(visit, account)
    except (ServiceAway, ServiceRefused) as error:
        reason, text = Reason.EXECUTION_UNREACHABLE, f"{error}; it is tried again"
        deployed = visit.verdicts.get(ConditionType.DEPLOYED)
        if isinstance(error, ServiceRefused):
            reason = Reason.REFUSED_BY_EXECUTION
        elif deployed is not None and not deployed.status:
            # That says more than that nobody answers.
            reason, text = deployed.reason, deployed.message
        return await _cannot(visit, reason, text, world.params.poll_seconds)
    except DatabaseAway as away:
        return await _cannot(visit, Reason.DATABASE_UNREACHABLE, str(away), world.params.poll_seconds)
    except NamespaceEnding:
        return await _cannot(visit, Reason.NAMESPACE_TERMINATING, "its namespace is being deleted", None)


async def _go_on(visit: Visit[AccountStatus], account: TradingAccount) -> float | None:
    world = visit.world
    claims = {
        str(item["metadata"]["name"]): item["spec"].get("volumeClaimTemplates") or []
        for item in world.seen.children(STATEFUL_SET, visit.key)
    }
    objects = account_objects(account_plan(world, account).workloads, account, visit.found, world.params, claims)
    await ensure(world, visit.found, objects)
    wanted = next(item for item in reversed(objects) if item["kind"] == STATEFUL_SET.name)
    visit.put(desired_hash=annotation(wanted, ROLLOUT_HASH))
    await _judge_workloads(visit, objects)
    config = settings_hash(hot_fields(account))
    visit.put(config_hash=config)
    state = await world.state(account.full_name, fresh=False)
    state = await _settle(visit, account, state, config)
    await show_journal(visit, state)
    await _drain_orphans(visit, state)
    await _tidy_demand(visit, state)
    _count(visit, state)
    for strategy in waiting(world, account.full_name):
        world.enqueue(own_key(strategy, STRATEGY), 0)
    return await _report(visit, state)


async def _settle(
    visit: Visit[AccountStatus], account: TradingAccount, state: AccountState, config: str
) -> AccountState:
    """Have execution work with the account's settings, which it is asked to take over when it has others."""
    world = visit.world
    if state.settings_hash != config:
        try:
            await world.executions.set_account(account, await _author(visit))
        except ServiceRefused as refused:
            visit.judge(ConditionType.CONFIG_APPLIED, no(Reason.REFUSED_BY_EXECUTION, refused.message))
            await _show_halt(visit, account, state)
            return state
        world.forget_state(account.full_name)
        state = await world.state(account.full_name, fresh=True)
        # What execution has refused under the old settings it may take now.
        for strategy in world.seen.strategies_of(account.full_name):
            world.enqueue(own_key(strategy, STRATEGY), 0)
    visit.put(applied_config_hash=config)
    visit.judge(ConditionType.CONFIG_APPLIED, yes(Reason.APPLIED))
    await _show_halt(visit, account, state)
    return state


async def _show_halt(visit: Visit[AccountStatus], account: TradingAccount, state: AccountState) -> None:
    """Say why nothing is entered; an Event tells a halt that was not shown before."""
    if state.halt:
        text = f"no entries: {state.halt}"
        reason = Reason.HALTED if account.spec.halt else Reason.RESUME_NEEDS_PERSON
        visit.judge(ConditionType.HALTED, yes(reason, text))
        if visit.status.halt != state.halt[:HALT_LENGTH]:
            await visit.say(Reason.HALTED, text, "Warning")
    else:
        visit.judge(ConditionType.HALTED, no(Reason.TRADABLE, ""))
    visit.put(halted=bool(state.halt), halt=state.halt[:HALT_LENGTH])


async def _author(visit: Visit[AccountStatus]) -> str:
    """Who wrote `spec.halt`, as the API server noted it; empty when that is not known, or was no person."""
    live = await visit.world.kube.get(ACCOUNT, visit.key.namespace, visit.key.name)
    manager = "" if live is None else writer_of(live, "spec.halt")
    return "" if manager in {OPERATOR, FIELD_MANAGER} else manager


async def _drain_orphans(visit: Visit[AccountStatus], state: AccountState) -> None:
    """What execution trades and nobody owns any more only closes from now on."""
    world, account = visit.world, visit.key.full_name
    owned = {own_key(item, STRATEGY).full_name for item in world.seen.strategies_of(account)}
    for name, here in state.strategies.items():
        if name in owned or here.forgotten or here.drain_id:
            world.orphans.pop((account, name), None)
            continue
        since = world.orphans.setdefault((account, name), world.clock())
        # It may be on its way: an object that was seen by execution before it was seen here.
        if world.clock() - since < world.params.orphan_grace_seconds:
            world.enqueue(visit.key, world.params.orphan_grace_seconds)
            continue
        orphan = strategy_key(name)
        live = await world.kube.get(STRATEGY, orphan.namespace, orphan.name)
        if live is not None and account_of(live) == account:
            world.seen.put(STRATEGY, live)
            continue
        await world.executions.drain(
            account, name, f"{visit.uid}/orphan/{name}"[:128], DrainOrders.CANCEL, DrainPositions.KEEP
        )
        if live is None:
            await world.demand.withdraw(name)
        await visit.say(Reason.ORPHAN_DRAINED, f"{name} has no TradingStrategy any more: it only closes now", "Warning")
        world.forget_state(account)


async def _tidy_demand(visit: Visit[AccountStatus], state: AccountState) -> None:
    """Once nothing trades on the account, nobody needs its prints."""
    busy = any(not here.forgotten for here in state.strategies.values())
    if not busy and _owned(visit.world, visit.key) == 0:
        await visit.world.demand.withdraw_account(visit.key.full_name)


async def _delete(visit: Visit[AccountStatus]) -> float | None:
    """An account goes after its strategies: they leave the market through it."""
    world = visit.world
    if ACCOUNT_FINALIZER not in (visit.found["metadata"].get("finalizers") or ()):
        return None
    visit.put(phase=AccountPhase.DELETING.value)
    listed = await world.every(STRATEGY)
    names = sorted(
        own_key(item, STRATEGY).full_name for item in listed if account_of(item) == visit.key.full_name and _on_it(item)
    )
    if names:
        text = f"delete or move its strategies first: {', '.join(names[:10])}"
        visit.judge(ConditionType.READY, no(Reason.STRATEGIES_REMAIN, text))
        await visit.write()
        await visit.say(Reason.STRATEGIES_REMAIN, text, "Warning")
        return world.params.poll_seconds * 5
    if annotation(visit.found, FORCE_DELETE_ANNOTATION) == visit.key.name:
        await visit.say(Reason.FORCED, f"let go by hand ({FORCE_DELETE_ANNOTATION})", "Warning")
    elif (kept := await _kept(visit)) is not None:
        reason, text = kept
        visit.judge(ConditionType.READY, no(reason, text))
        await visit.write()
        await visit.say(reason, text, "Warning")
        return world.params.poll_seconds * 5
    await world.demand.withdraw_account(visit.key.full_name)
    await visit.say(Reason.DELETED, "it is let go; its volumes stay")
    await visit.set_finalizer(ACCOUNT_FINALIZER, present=False)
    return None


async def _kept(visit: Visit[AccountStatus]) -> tuple[Reason, str] | None:
    """What keeps an account that no strategy is on: what is still in the market on it. None for nothing.

    A strategy may have gone and left its position, as its policy said. Without execution and venue nobody would look
    after that any more.
    """
    world, account = visit.world, visit.key.full_name
    if (is_paper(visit.found) or visit.status.running_hash is None) and await execution_is_gone(world, visit.key):
        return None
    way_out = f"or annotate it with {FORCE_DELETE_ANNOTATION}={visit.key.name}"
    world.forget_state(account)
    try:
        state = await world.state(account, fresh=True)
    except (ServiceAway, ServiceRefused) as error:
        return Reason.EXECUTION_UNREACHABLE, f"whether it holds anything is not known: {error}; wait, {way_out}"
    held = [
        f"{name} position {here.position}, orders {here.working_orders}"
        for name, here in sorted(state.strategies.items())
        if not here.flat
    ]
    if not held:
        return None
    close = f"leadline flatten --kube --namespace {visit.key.namespace} --account {visit.key.name} --reason ..."
    return Reason.POSITIONS_OPEN, f"it still holds {'; '.join(held[:10])}. Close it ({close}), {way_out}"


def _on_it(strategy: JsonObject) -> bool:
    """Whether a strategy may be in the market: the operator has let it in, and not out again."""
    return bool(strategy["metadata"].get("finalizers"))


async def _judge_workloads(visit: Visit[AccountStatus], objects: list[JsonObject]) -> None:
    world = visit.world
    missing: list[str] = []
    for item in objects:
        if item["kind"] != STATEFUL_SET.name:
            continue
        name = item["metadata"]["name"]
        live = world.seen.get(STATEFUL_SET, visit.key.namespace, name)
        status = {} if live is None else live.get("status") or {}
        current = live is not None and status.get("observedGeneration", 0) >= live["metadata"].get("generation", 1)
        same = status.get("currentRevision") == status.get("updateRevision")
        if not (current and same and status.get("readyReplicas", 0) >= 1):
            missing.append(name)
    pods = world.seen.children(POD, visit.key)
    before = visit.condition(ConditionType.DEPLOYED)
    if missing:
        why = why_not_up((pod for pod in pods if not _up(pod)), "their Pods are not there yet")
        text = f"not up: {', '.join(missing)}. {why.message}"
        visit.judge(ConditionType.DEPLOYED, no(Reason.WORKLOAD_NOT_READY, text))
        if before is not None and before.holds:
            await visit.say(Reason.WORKLOAD_NOT_READY, text, "Warning")
    else:
        visit.judge(ConditionType.DEPLOYED, yes(Reason.WORKLOAD_READY))
        visit.put(running_hash=visit.status.desired_hash)
        if before is None or not before.holds:
            await visit.say(Reason.WORKLOAD_READY, "execution and venue are up")
    execution = [str(pod["metadata"]["name"]) for pod in pods if _component(pod) == "execution"]
    visit.put(pod_name=execution[0] if execution else None)


def _up(pod: JsonObject) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _component(pod: JsonObject) -> str:
    return str((pod["metadata"].get("labels") or {}).get("app.kubernetes.io/component", ""))


def _count(visit: Visit[AccountStatus], state: AccountState) -> None:
    """Take over the sums, from time to time, and have the strategies look whose numbers have changed."""
    world = visit.world
    for name, here in state.strategies.items():
        found = world.seen.owner(strategy_key(name))
        status = status_of(StrategyStatus, found or {})
        known = (status.working_orders, status.open_positions)
        ended = status.phase in _AT_WORK and (status.phase == StrategyPhase.FINISHED) != state.finished
        traded = condition_of(status.conditions, ConditionType.TRADING)
        shown = traded is not None and traded.reason == Reason.FENCED
        fenced = status.phase in _AT_WORK and shown != bool(here.fence)
        if found is not None and (ended or fenced or known != (here.working_orders, abs(here.position))):
            world.enqueue(own_key(found, STRATEGY), 0)
    working = sum(here.working_orders for here in state.strategies.values())
    contracts = sum(abs(here.position) for here in state.strategies.values())
    last = world.counted.get(visit.key)
    if (working, contracts) == (visit.status.working_orders, visit.status.open_positions):
        return
    if last is None or world.clock() - last >= world.params.status_seconds:
        world.counted[visit.key] = world.clock()
        visit.put(working_orders=working, open_positions=contracts)


async def _report(visit: Visit[AccountStatus], state: AccountState) -> float | None:
    world = visit.world
    needed = (ConditionType.ACCEPTED, ConditionType.DEPLOYED, ConditionType.CONFIG_APPLIED)
    lacking = [visit.verdicts[kind] for kind in needed if kind in visit.verdicts and not visit.verdicts[kind].status]
    if world.bus_problem:
        lacking.insert(0, no(Reason.BUS_CANNOT_STORE, bus_words(world.bus_problem)))
    visit.judge(ConditionType.READY, lacking[0] if lacking else yes(Reason.AS_ASKED))
    if state.halt:
        phase = AccountPhase.HALTED
    elif lacking and not world.bus_problem:
        phase = AccountPhase.STARTING
    else:
        phase = AccountPhase.FINISHED if state.finished else AccountPhase.RUNNING
    # Counted last: who was refused while the account was looked at is not one of them.
    visit.put(phase=phase.value, strategies=_admitted(world, visit.key))
    await visit.write()
    return visit.world.params.status_seconds


async def _cannot(visit: Visit[AccountStatus], reason: Reason, message: str, again: float | None) -> float | None:
    if visit.status.phase is None:
        visit.put(phase=AccountPhase.PENDING.value)
    visit.judge(ConditionType.READY, no(reason, message))
    await visit.write()
    return again


def _admitted(world: World, key: Key) -> int:
    """How many strategies trade the account: those that name it, without those that were refused."""
    return _owned(world, key) - len(waiting(world, key.full_name))


def _owned(world: World, key: Key) -> int:
    return len(world.seen.strategies_of(key.full_name))
