"""What is said of a strategy at the end of a look at it, when all is well and when it is not."""

from typing import Final

from leadline.model.status_spec import (
    AccountStatus,
    ConditionType,
    Stable,
    StrategyPhase,
    StrategyStatus,
    condition_of,
)
from leadline_operator.clients.execution import StrategyAtAccount
from leadline_operator.clients.kube import Forbidden
from leadline_operator.conditions import Reason, Verdict, no, yes
from leadline_operator.kinds import POD
from leadline_operator.reconcile.admission import Refused
from leadline_operator.reconcile.pod_words import why_not_up
from leadline_operator.reconcile.trading import Trading
from leadline_operator.reconcile.visit import Visit, status_of
from leadline_operator.seen import named_account

_NEEDED: Final = (ConditionType.ACCEPTED, ConditionType.DEPLOYED, ConditionType.CONFIG_APPLIED)


async def refuse(visit: Visit[StrategyStatus], refused: Refused) -> float | None:
    """The manifest cannot run as it stands. What ran before goes on as it was."""
    before = visit.condition(ConditionType.ACCEPTED)
    known = visit.says(ConditionType.ACCEPTED, no(refused.reason, refused.message))
    visit.judge(ConditionType.ACCEPTED, no(refused.reason, refused.message))
    visit.judge(ConditionType.READY, no(refused.reason, refused.message))
    if visit.status.running_hash is None:
        visit.put(phase=StrategyPhase.REFUSED.value)
    await visit.write()
    if before is None or before.status != "False":
        # Its account counts those that trade.
        visit.world.enqueue(named_account(visit.found), 0)
    if not known:
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


def bus_words(problem: str) -> str:
    """The message for a bus that takes nothing."""
    return f"the bus cannot store, and nothing goes on until it can: {problem}. Free or enlarge the volume of NATS"


def _fenced(trading: Trading) -> str:
    """The message for a strategy of which execution has refused a message."""
    release = f"leadline release {trading.strategy.full_name} --kube --reason ..."
    return (
        f"execution has refused a message of it, and nothing that it says counts: {trading.fence()}. Its position "
        f"keeps its bracket. A person who has looked has it heard again ({release})"
    )


async def report(trading: Trading, again: float | None) -> float | None:
    """Say how the strategy is, from what was judged and what is there."""
    visit = trading.visit
    restarts = False
    if trading.up():
        visit.verdicts.setdefault(ConditionType.DEPLOYED, yes(Reason.WORKLOAD_READY))
    else:
        pods = visit.world.seen.children(POD, visit.key)
        why = why_not_up(pods, "its Pod is not there yet: see the events of its Deployment")
        restarts = why.restarts and ConditionType.DEPLOYED not in visit.verdicts
        visit.verdicts.setdefault(ConditionType.DEPLOYED, no(Reason.WORKLOAD_NOT_READY, why.message))
    visit.verdicts.setdefault(ConditionType.TRADING, _trades(trading))
    ready, running = _ready(trading), trading.running
    phase = _phase(trading, ready)
    if ready.status and running is not None and trading.speaks():
        visit.put(last_stable=Stable(generation=running.generation, hash=running.hash, image=running.image))
    traded = visit.condition(ConditionType.TRADING)
    now = visit.verdicts[ConditionType.TRADING]
    visit.put(phase=phase.value, pod_name=_pod_name(visit))
    visit.judge(ConditionType.READY, ready)
    await visit.write()
    began = now.status and (traded is None or not traded.holds)
    if now.reason is Reason.FENCED and (traded is None or traded.reason != Reason.FENCED):
        await visit.say(Reason.FENCED, now.message, "Warning")
    elif began and running is not None:
        await visit.say(Reason.STARTED, f"version {running.hash} trades on {trading.account}")
    elif restarts:
        await visit.say(Reason.WORKLOAD_NOT_READY, visit.verdicts[ConditionType.DEPLOYED].message, "Warning")
    if again is None and trading.up() and not trading.speaks():
        # No watch tells of signals.
        return visit.world.params.poll_seconds
    return again


def _trades(trading: Trading) -> Verdict:
    if trading.finished():
        return no(Reason.FEED_ENDED, "the feed has ended: nothing trades any more")
    if trading.fence():
        return no(Reason.FENCED, _fenced(trading))
    if not trading.speaks():
        return no(Reason.NO_SIGNALS, "no signal has reached execution yet")
    return yes(Reason.REDUCE_ONLY, "it only closes") if _reduces(trading) else yes(Reason.SIGNALS)


def _phase(trading: Trading, ready: Verdict) -> StrategyPhase:
    if trading.visit.status.rollout is not None:
        return StrategyPhase.ROLLING_OUT
    if trading.finished():
        return StrategyPhase.FINISHED
    if trading.fence():
        return StrategyPhase.FENCED
    # What trades goes on while something else of it waits, as another version does until it is flat.
    if ready.status or (trading.running is not None and trading.up() and trading.speaks()):
        return StrategyPhase.REDUCE_ONLY if _reduces(trading) else StrategyPhase.RUNNING
    return StrategyPhase.STARTING


def _reduces(trading: Trading) -> bool:
    return trading.strategy.spec.state == "ReduceOnly"


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


def _ready(trading: Trading) -> Verdict:
    visit = trading.visit
    for kind in _NEEDED:
        verdict = visit.verdicts.get(kind)
        if verdict is not None and not verdict.status:
            return verdict
    if visit.world.bus_problem:
        return no(Reason.BUS_CANNOT_STORE, bus_words(visit.world.bus_problem))
    if trading.fence() and not trading.finished():
        return no(Reason.FENCED, _fenced(trading))
    lacking = _account_lacks(visit)
    return yes(Reason.AS_ASKED) if lacking is None else no(Reason.ACCOUNT_NOT_READY, lacking)


def _account_lacks(visit: Visit[StrategyStatus]) -> str | None:
    """What the workloads of the strategy's account lack, None while they are up. Nothing trades without them."""
    named = named_account(visit.found)
    account = visit.world.seen.owner(named)
    status = status_of(AccountStatus, account) if account is not None else AccountStatus()
    deployed = condition_of(status.conditions, ConditionType.DEPLOYED)
    if deployed is None or deployed.holds:
        return None
    return f"the workloads of its account {named.full_name} are not up: {deployed.message}"


def _pod_name(visit: Visit[StrategyStatus]) -> str | None:
    pods = visit.world.seen.children(POD, visit.key)
    alive = [item for item in pods if "deletionTimestamp" not in item["metadata"]]
    return str((alive or pods)[0]["metadata"]["name"]) if pods else None
