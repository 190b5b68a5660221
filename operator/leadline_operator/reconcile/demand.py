"""The demand of a strategy for bars and prints: written when it trades, taken away when it has left."""

from leadline.model.manifest.status_spec import ConditionType, StrategyStatus
from leadline.plan.demand import demand_rows
from leadline.plan.plan import Plan
from leadline_operator.conditions import Reason, no
from leadline_operator.reconcile.context import ReconcileContext
from leadline_operator.reconcile.runtime import StrategyRuntime


async def ask_for_bars(runtime: StrategyRuntime) -> None:
    """Write the demand of the version in force; now and then again, in case somebody has taken it away."""
    deps, plan = runtime.context.deps, runtime.plan
    run = await deps.feed.run()
    manifest = runtime.manifest_of(runtime.in_force)
    try:
        rows = demand_rows(Plan(plan.workloads, plan.accounts, (manifest,)), run.contracts, run.trade_from)
    except (LookupError, ValueError) as refused:
        runtime.context.set_condition(ConditionType.CONFIG_APPLIED, no(Reason.NOT_FED, str(refused)))
        return
    mark = (run.tape, rows)
    asked = deps.asked.get(manifest.full_name)
    if asked is None or asked[0] != mark or deps.clock() - asked[1] > deps.params.resync_seconds / 2:
        await deps.demand.ask(manifest.full_name, rows)
        deps.asked[manifest.full_name] = (mark, deps.clock())


async def withdraw(context: ReconcileContext[StrategyStatus]) -> None:
    """Ask for no bars any more."""
    context.deps.asked.pop(context.key.strategy, None)
    await context.deps.demand.withdraw(context.key.strategy)
