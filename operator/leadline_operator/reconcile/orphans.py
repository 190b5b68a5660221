"""Strategies that an account's execution trades and that have no object any more, and prints that nobody needs."""

from leadline.model.drains import DrainOrders, DrainPositions
from leadline.model.manifest.strategy_spec import referenced_account
from leadline_operator.conditions import Reason
from leadline_operator.kinds import STRATEGY, own_key, strategy_key
from leadline_operator.reconcile.account_runtime import AccountRuntime

_LONGEST_DRAIN_ID = 128


async def drain_orphans(runtime: AccountRuntime) -> None:
    """Have an orphan only close from now on."""
    context, deps, account = runtime.context, runtime.context.deps, runtime.name
    owned = {own_key(item, STRATEGY).strategy for item in runtime.strategies()}
    for name, here in runtime.state.strategies.items():
        if name in owned or here.forgotten or here.drain_id:
            deps.orphans.pop((account, name), None)
            continue
        since = deps.orphans.setdefault((account, name), deps.clock())
        # It may be on its way: an object that execution has seen before the cache has.
        if deps.clock() - since < deps.params.orphan_grace_seconds:
            deps.enqueue(context.key, deps.params.orphan_grace_seconds)
            continue
        orphan = strategy_key(name)
        live = await deps.kube.get(STRATEGY, orphan.namespace, orphan.name)
        if live is not None and referenced_account(live) == account:
            deps.cache.put(STRATEGY, live)
            continue
        drain_id = f"{context.uid}/orphan/{name}"[:_LONGEST_DRAIN_ID]
        await deps.executions.drain(account, name, drain_id, DrainOrders.CANCEL, DrainPositions.KEEP)
        if live is None:
            await deps.demand.withdraw(name)
        text = f"{name} has no TradingStrategy any more: it only closes now"
        await context.record_event(Reason.ORPHAN_DRAINED, text, "Warning")
        deps.forget_state(account)


async def withdraw_idle_demand(runtime: AccountRuntime) -> None:
    """Once nothing trades on the account, nobody needs its prints."""
    busy = any(not here.forgotten for here in runtime.state.strategies.values())
    if not busy and not runtime.strategies():
        await runtime.context.deps.demand.withdraw_account(runtime.name)
