"""A strategy, from what is to what its manifest wants: look, judge, write down what is about to be done, do it.

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
from leadline_operator.reconcile import leaving, rollout
from leadline_operator.reconcile.admission import Admitted, Refused, admit_strategy
from leadline_operator.reconcile.saying import cannot, count, not_allowed, refuse, report
from leadline_operator.reconcile.trading import Trading, versions
from leadline_operator.reconcile.visit import Visit, status_of
from leadline_operator.reconcile.world import World, deleting

DEFAULT_ACCOUNT: Final = "paper"


async def reconcile_strategy(world: World, key: Key) -> float | None:
    """Bring a strategy nearer to its manifest. Returns in how many seconds to look again, None for when it changes."""
    found = world.seen.owner(key)
    if found is None:
        world.asked.pop(key.full_name, None)
        await world.demand.withdraw(key.full_name)
        return None
    visit = Visit(world, key, found, status_of(StrategyStatus, found))
    try:
        return await _look(visit)
    except Forbidden as refused:
        return await cannot(visit, Reason.FORBIDDEN, not_allowed(refused), world.params.status_seconds)


async def _look(visit: Visit[StrategyStatus]) -> float | None:
    world, key, found = visit.world, visit.key, visit.found
    if deleting(found):
        return await leaving.delete(visit)
    if await visit.paused():
        return None
    if world.ending(key.namespace):
        return await cannot(visit, Reason.NAMESPACE_TERMINATING, "its namespace is being deleted", None)
    admitted = admit_strategy(world, found)
    if isinstance(admitted, Refused):
        again = await _make_default_account(visit) if admitted.reason is Reason.ACCOUNT_NOT_FOUND else None
        return await refuse(visit, admitted) if again is None else again
    visit.judge(ConditionType.ACCEPTED, yes(Reason.VALID))
    await visit.set_finalizer(DRAIN_FINALIZER, present=True)
    try:
        return await _go_on(visit, admitted)
    except (ServiceAway, ServiceRefused) as error:
        reason = Reason.EXECUTION_UNREACHABLE if isinstance(error, ServiceAway) else Reason.REFUSED_BY_EXECUTION
        if error.service == "ingestion":
            reason = Reason.FEED_UNREACHABLE
        return await cannot(visit, reason, f"{error}; it is tried again", world.params.poll_seconds)
    except DatabaseAway as away:
        return await cannot(visit, Reason.DATABASE_UNREACHABLE, f"{away}; it is tried again", world.params.poll_seconds)
    except NamespaceEnding:
        return await cannot(visit, Reason.NAMESPACE_TERMINATING, "its namespace is being deleted", None)


async def _go_on(visit: Visit[StrategyStatus], admitted: Admitted) -> float | None:
    world, strategy, account = visit.world, admitted.strategy, admitted.account.full_name
    workload = admitted.plan.workload("analysis", strategy.full_name)
    desired, running = await versions(visit, workload, strategy)
    visit.put(desired_hash=desired.hash, config_hash=strategy_settings_hash(strategy))
    if visit.status.given_up_hash != desired.hash:
        visit.put(given_up_hash=None)
    careful = visit.status.rollout is not None or strategy.spec.state == "Suspended"
    state = await world.state(account, fresh=careful)
    here = state.strategies.get(strategy.full_name)
    trading = Trading(visit, strategy, account, state, here, desired, running)
    count(visit, here)
    if strategy.spec.state == "Suspended":
        return await leaving.suspend(trading)
    again = await rollout.advance(trading)
    if again is not None:
        if visit.status.rollout is not None and visit.status.rollout.step is RolloutStep.WAIT_SIGNALS:
            # The new version may read other bars, and says nothing before it has them.
            await _ask_for_bars(trading, admitted.plan)
        return await report(trading, again)
    return await _trade(trading, admitted.plan)


async def _trade(trading: Trading, plan: Plan) -> float | None:
    """Have the version in force trade: execution knows it, its workload is there, and bars are asked for."""
    visit = trading.visit
    revision = trading.running or trading.desired
    try:
        await trading.tell_execution(revision)
    except ServiceRefused as refused:
        visit.judge(ConditionType.CONFIG_APPLIED, no(Reason.REFUSED_BY_EXECUTION, refused.message))
        if trading.running is None:
            # Nothing of it has run yet, and nothing does before execution takes it.
            visit.judge(ConditionType.DEPLOYED, no(Reason.CREATING, "it starts when execution takes it"))
        return await report(trading, visit.world.params.resync_seconds / 10)
    if visit.status.running_hash != revision.hash:
        trading.running = revision
        visit.put(running_hash=revision.hash)
        await visit.write()
    if visit.status.drain is not None:
        visit.put(drain=None)
        visit.judge(ConditionType.DRAINED, no(Reason.AS_ASKED, "it is in the market"))
    await trading.deploy(revision, replicas=1)
    await trading.leave_one()
    await _ask_for_bars(trading, plan)
    return await report(trading, visit.world.params.poll_seconds if _waits(trading) else None)


def _waits(trading: Trading) -> bool:
    """Whether another version waits for something that no watch tells of."""
    verdict = trading.visit.verdicts.get(ConditionType.CONFIG_APPLIED)
    return verdict is not None and verdict.reason is Reason.WAITING_FOR_FLAT


async def _ask_for_bars(trading: Trading, plan: Plan) -> None:
    """Write the demand of the version in force; now and then again, in case somebody has taken it away."""
    world, visit = trading.visit.world, trading.visit
    run = await world.feed.run()
    manifest = trading.manifest_of(trading.running or trading.desired)
    try:
        rows = demand_rows(Plan(plan.workloads, plan.accounts, (manifest,)), run.contracts, run.trade_from)
    except (LookupError, ValueError) as refused:
        visit.judge(ConditionType.CONFIG_APPLIED, no(Reason.NOT_FED, str(refused)))
        return
    mark = (run.tape, rows)
    asked = world.asked.get(manifest.full_name)
    if asked is None or asked[0] != mark or world.clock() - asked[1] > world.params.resync_seconds / 2:
        await world.demand.ask(manifest.full_name, rows)
        world.asked[manifest.full_name] = (mark, world.clock())


async def _make_default_account(visit: Visit[StrategyStatus]) -> float | None:
    """Make the account `paper` of the strategy's own namespace when that is what it names, and there is none.

    Not at once: the account may stand below the strategy in the file that is just being applied. Returns in how many
    seconds to look again, None when it is another account that is missing.
    """
    world, namespace = visit.world, visit.key.namespace
    manifest = world.manifest(visit.found)
    if not isinstance(manifest, TradingStrategy) or manifest.account_name != f"{namespace}/{DEFAULT_ACCOUNT}":
        return None
    made = datetime.fromisoformat(visit.found["metadata"]["creationTimestamp"])
    age = (world.now() - made).total_seconds()
    if 0 <= age < world.params.default_account_seconds:
        return world.params.default_account_seconds - age
    if await world.refresh(ACCOUNT, namespace, DEFAULT_ACCOUNT) is None:
        document = {
            "apiVersion": STRATEGY.api_version,
            "kind": ACCOUNT.name,
            "metadata": {"name": DEFAULT_ACCOUNT, "namespace": namespace},
            "spec": {},
        }
        try:
            world.seen.put(ACCOUNT, await world.kube.create(document))
        except Conflict:
            await world.refresh(ACCOUNT, namespace, DEFAULT_ACCOUNT)
        await visit.say(Reason.ACCOUNT_CREATED, f"made the TradingAccount {DEFAULT_ACCOUNT} with the defaults")
    world.enqueue(account_key(f"{namespace}/{DEFAULT_ACCOUNT}"), 0)
    return 0
