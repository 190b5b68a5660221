"""The status of an account: its workloads, its halts, its numbers, and the end of a reconcile."""

from typing import Final

from leadline.model.ids import AccountId
from leadline.model.manifest.status_spec import (
    HALT_LENGTH,
    AccountPhase,
    AccountStatus,
    Condition,
    ConditionType,
    StrategyPhase,
    StrategyStatus,
    condition_of,
)
from leadline_operator.clients.execution import AccountState, StrategyAtAccount
from leadline_operator.conditions import Reason, Verdict, no, yes
from leadline_operator.kinds import POD, STATEFUL_SET, STRATEGY, JsonObject, own_key, strategy_key
from leadline_operator.reconcile import counts, status
from leadline_operator.reconcile.account_runtime import AccountRuntime
from leadline_operator.reconcile.admission import refused_strategies
from leadline_operator.reconcile.context import ReconcileContext, status_of
from leadline_operator.reconcile.pod_state import why_not_up
from leadline_operator.reconcile.runtime import told_by_execution
from leadline_operator.reconcile.steps import Done

_NEEDED: Final = (ConditionType.ACCEPTED, ConditionType.DEPLOYED, ConditionType.CONFIG_APPLIED)
# Why a strategy is not ready, by what execution says of itself.
_WAITS: Final = frozenset({Reason.EXECUTION_WAITS, Reason.NO_SIGNALS})
# Phases of strategies that follow from how far the account's feed has come.
_AT_WORK: Final = frozenset(
    {
        StrategyPhase.STARTING,
        StrategyPhase.RUNNING,
        StrategyPhase.WAITING,
        StrategyPhase.REDUCE_ONLY,
        StrategyPhase.FINISHED,
        StrategyPhase.FENCED,
    }
)


async def cannot(context: ReconcileContext[AccountStatus], reason: Reason, message: str, again: float | None) -> Done:
    """Say that something is missing for now; its workloads go on."""
    if context.status.phase is None:
        context.set_status(phase=AccountPhase.PENDING.value)
    elif context.status.phase == AccountPhase.RUNNING and reason in status.AWAY:
        context.set_status(phase=AccountPhase.WAITING.value)
    context.set_condition(ConditionType.READY, no(reason, message))
    await context.write()
    return Done(again)


def show_workloads(runtime: AccountRuntime) -> None:
    """Say whether every StatefulSet of the account has its Pod, of the newest revision; an Event tells a change."""
    context = runtime.context
    pods = context.deps.cache.children(POD, context.key)
    before = context.condition(ConditionType.DEPLOYED)
    if missing := [name for name in _stateful_sets(runtime) if not _is_up(runtime, name)]:
        why = why_not_up((pod for pod in pods if not _is_ready(pod)), "their Pods are not there yet")
        text = f"not up: {', '.join(missing)}. {why.message}"
        context.set_condition(ConditionType.DEPLOYED, no(Reason.WORKLOAD_NOT_READY, text))
        if before is not None and before.holds:
            context.tell_when_written(Reason.WORKLOAD_NOT_READY, text, "Warning")
    else:
        context.set_condition(ConditionType.DEPLOYED, yes(Reason.WORKLOAD_READY))
        context.set_status(running_hash=context.status.desired_hash)
        if before is None or not before.holds:
            context.tell_when_written(Reason.WORKLOAD_READY, "execution and venue are up")
    execution = [str(pod["metadata"]["name"]) for pod in pods if _component(pod) == "execution"]
    context.set_status(pod_name=execution[0] if execution else None)


async def show_halts(runtime: AccountRuntime) -> None:
    """Say why nothing is entered; an Event tells a halt that was not shown before."""
    context, halt = runtime.context, runtime.state.halt
    if halt:
        text = f"no entries: {halt}"
        reason = Reason.HALTED if runtime.account.spec.halt else Reason.RESUME_NEEDS_PERSON
        context.set_condition(ConditionType.HALTED, yes(reason, text))
        if context.status.halt != halt[:HALT_LENGTH]:
            await context.record_event(Reason.HALTED, text, "Warning")
    else:
        context.set_condition(ConditionType.HALTED, no(Reason.TRADABLE, ""))
    context.set_status(halted=bool(halt), halt=halt[:HALT_LENGTH])


def count(runtime: AccountRuntime) -> None:
    """Take over the sums, from time to time, and reconcile the strategies of which numbers or state have changed."""
    deps, strategies = runtime.context.deps, runtime.state.strategies
    for name, here in strategies.items():
        found = deps.cache.owner(strategy_key(name))
        if found is not None and not _shows(found, here, runtime.name, runtime.state):
            deps.enqueue(own_key(found, STRATEGY), 0)
    working = sum(here.working_orders for here in strategies.values())
    contracts = sum(abs(here.position) for here in strategies.values())
    counts.count(runtime.context, working, contracts)


async def report(runtime: AccountRuntime) -> Done:
    """Write the phase and the conditions, from what was found on the way."""
    context, deps = runtime.context, runtime.context.deps
    found = [context.verdicts[kind] for kind in _NEEDED if kind in context.verdicts]
    lacking = [verdict for verdict in found if not verdict.status]
    waits = runtime.state.lacking if not runtime.state.finished else ""
    if waits:
        # Execution knows better than its probe, and sooner.
        lacking.insert(0, no(Reason.EXECUTION_WAITS, f"it cannot trade now: {waits}"))
    if deps.bus_problem:
        lacking.insert(0, no(Reason.BUS_CANNOT_STORE, status.bus_message(deps.bus_problem)))
    context.set_condition(ConditionType.READY, lacking[0] if lacking else yes(Reason.AS_ASKED))
    if runtime.state.halt:
        phase = AccountPhase.HALTED
    elif waits and ConditionType.DEPLOYED in context.verdicts and context.status.running_hash is not None:
        phase = AccountPhase.WAITING
    elif lacking and not deps.bus_problem:
        phase = AccountPhase.STARTING
    else:
        phase = AccountPhase.FINISHED if runtime.state.finished else AccountPhase.RUNNING
    # Counted last: a strategy that was refused during this reconcile is not one of them.
    trading = len(runtime.strategies()) - len(refused_strategies(deps, runtime.name))
    context.set_status(phase=phase.value, strategies=trading)
    await context.write()
    return Done(deps.params.status_seconds)


def _stateful_sets(runtime: AccountRuntime) -> list[str]:
    return [item["metadata"]["name"] for item in runtime.objects if item["kind"] == STATEFUL_SET.name]


def _is_up(runtime: AccountRuntime, name: str) -> bool:
    """Whether a StatefulSet has its Pod, of its newest revision, as it was last seen."""
    live = runtime.context.deps.cache.get(STATEFUL_SET, runtime.context.key.namespace, name)
    if live is None:
        return False
    known = live.get("status") or {}
    current = known.get("observedGeneration", 0) >= live["metadata"].get("generation", 1)
    same = known.get("currentRevision") == known.get("updateRevision")
    return bool(current and same and known.get("readyReplicas", 0) >= 1)


def _shows(strategy: JsonObject, here: StrategyAtAccount, account: AccountId, state: AccountState) -> bool:
    """Whether a strategy's status shows what execution has of it."""
    shown = status_of(StrategyStatus, strategy)
    if (shown.working_orders, shown.open_positions) != (here.working_orders, abs(here.position)):
        return False
    if shown.phase not in _AT_WORK:
        return True
    if state.live and here.last_bar_at is not None and shown.last_bar_at != here.last_bar_at:
        return False
    ready = condition_of(shown.conditions, ConditionType.READY)
    told = told_by_execution(account, state, here)
    if ready is not None and (ready.reason in _WAITS if told is None else _hides(ready, told)):
        return False
    traded = condition_of(shown.conditions, ConditionType.TRADING)
    fenced = traded is not None and traded.reason == Reason.FENCED
    return fenced == bool(here.fence) and (shown.phase == StrategyPhase.FINISHED) == state.finished


def _hides(ready: Condition, told: Verdict) -> bool:
    """Whether a condition says that all is well, or that execution waits for another reason than it has told."""
    return ready.holds or (ready.reason in _WAITS and not told.is_written_in(ready))


def _is_ready(pod: JsonObject) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _component(pod: JsonObject) -> str:
    return str((pod["metadata"].get("labels") or {}).get("app.kubernetes.io/component", ""))
