"""What is said of a strategy at the end of a look at it, when all is well and when it is not."""

from typing import Final

from leadline.model.status_spec import ConditionType, Stable, StrategyPhase, StrategyStatus
from leadline_operator.clients.execution import StrategyAtAccount
from leadline_operator.clients.kube import Forbidden
from leadline_operator.conditions import Reason, Verdict, no, yes
from leadline_operator.kinds import POD
from leadline_operator.reconcile.admission import Refused
from leadline_operator.reconcile.trading import Trading
from leadline_operator.reconcile.visit import Visit

_NEEDED: Final = (ConditionType.ACCEPTED, ConditionType.DEPLOYED, ConditionType.CONFIG_APPLIED)


async def refuse(visit: Visit[StrategyStatus], refused: Refused) -> float | None:
    """The manifest cannot run as it stands. What ran before goes on as it was."""
    before = visit.condition(ConditionType.ACCEPTED)
    visit.judge(ConditionType.ACCEPTED, no(refused.reason, refused.message))
    visit.judge(ConditionType.READY, no(refused.reason, refused.message))
    if visit.status.running_hash is None:
        visit.put(phase=StrategyPhase.REFUSED.value)
    await visit.write()
    if before is None or before.message != refused.message[: len(before.message) or None]:
        await visit.say(refused.reason, refused.message, "Warning")
    return visit.world.params.resync_seconds


async def cannot(visit: Visit[StrategyStatus], reason: Reason, message: str, again: float | None) -> float | None:
    """Something that is needed is not there now. What runs goes on."""
    kind = ConditionType.DEPLOYED if visit.status.running_hash is None else ConditionType.CONFIG_APPLIED
    if visit.status.running_hash is None:
        visit.put(phase=StrategyPhase.PENDING.value)
        visit.judge(kind, no(reason, message))
    visit.judge(ConditionType.READY, no(reason, message))
    await visit.write()
    return again


def not_allowed(refused: Forbidden) -> str:
    """The message for a namespace in which the operator may not do its work."""
    return f"the operator may not work here: name the namespace in the chart's value `namespaces` ({refused.message})"


async def report(trading: Trading, again: float | None) -> float | None:
    """Say how the strategy is, from what was judged and what is there."""
    visit, spec = trading.visit, trading.strategy.spec
    if trading.up():
        visit.verdicts.setdefault(ConditionType.DEPLOYED, yes(Reason.WORKLOAD_READY))
    else:
        visit.verdicts.setdefault(ConditionType.DEPLOYED, no(Reason.WORKLOAD_NOT_READY, _pod_text(visit)))
    reducing = spec.state == "ReduceOnly"
    if trading.speaks():
        said = Reason.REDUCE_ONLY if reducing else Reason.SIGNALS
        visit.verdicts.setdefault(ConditionType.TRADING, yes(said, "it only closes" if reducing else ""))
    else:
        visit.verdicts.setdefault(ConditionType.TRADING, no(Reason.NO_SIGNALS, "no signal has reached execution yet"))
    ready = _ready(visit)
    if visit.status.rollout is not None:
        phase = StrategyPhase.ROLLING_OUT
    elif not ready.status:
        phase = StrategyPhase.STARTING
    else:
        phase = StrategyPhase.REDUCE_ONLY if reducing else StrategyPhase.RUNNING
    running = trading.running
    if ready.status and running is not None and trading.speaks():
        visit.put(last_stable=Stable(generation=running.generation, hash=running.hash, image=running.image))
    visit.put(phase=phase.value, pod_name=_pod_name(visit))
    visit.judge(ConditionType.READY, ready)
    await visit.write()
    if again is None and trading.up() and not trading.speaks():
        # No watch tells of signals.
        return visit.world.params.poll_seconds
    return again


def count(visit: Visit[StrategyStatus], here: StrategyAtAccount | None) -> None:
    """Take over the numbers of orders and contracts, from time to time."""
    world = visit.world
    working, contracts = (0, 0) if here is None else (here.working_orders, abs(here.position))
    if (working, contracts) == (visit.status.working_orders, visit.status.open_positions):
        return
    last = world.counted.get(visit.key)
    if last is not None and world.clock() - last < world.params.status_seconds:
        return
    world.counted[visit.key] = world.clock()
    visit.put(working_orders=working, open_positions=contracts)


def _ready(visit: Visit[StrategyStatus]) -> Verdict:
    for kind in _NEEDED:
        verdict = visit.verdicts.get(kind)
        if verdict is not None and not verdict.status:
            return verdict
    return yes(Reason.AS_ASKED)


def _pod_name(visit: Visit[StrategyStatus]) -> str | None:
    pods = visit.world.seen.children(POD, visit.key)
    alive = [item for item in pods if "deletionTimestamp" not in item["metadata"]]
    return str((alive or pods)[0]["metadata"]["name"]) if pods else None


def _pod_text(visit: Visit[StrategyStatus]) -> str:
    pods = visit.world.seen.children(POD, visit.key)
    if not pods:
        return "its Pod is not there yet: see the events of its Deployment"
    status = pods[0].get("status") or {}
    told = [item.get("message", "") for item in status.get("conditions") or () if item.get("status") == "False"]
    why = next((text for text in told if text), "")
    return f"Pod {pods[0]['metadata']['name']} is {status.get('phase', 'unknown')}{': ' if why else ''}{why}"
