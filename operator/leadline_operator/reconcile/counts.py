"""Numbers of orders and contracts in a status: they change with every fill, and are written from time to time."""

from leadline.model.manifest.status_spec import AccountStatus, StrategyStatus
from leadline_operator.clients.execution import StrategyAtAccount
from leadline_operator.reconcile.context import ReconcileContext

CountedContext = ReconcileContext[StrategyStatus] | ReconcileContext[AccountStatus]


def count(context: CountedContext, orders: int, contracts: int) -> None:
    """Take over the numbers of working orders and open contracts, when they have changed and it is time again."""
    if (orders, contracts) != (context.status.working_orders, context.status.open_positions) and due(context):
        context.set_status(working_orders=orders, open_positions=contracts)


def count_strategy(context: ReconcileContext[StrategyStatus], here: StrategyAtAccount | None) -> None:
    """Take over what execution has of a strategy; nothing where it has no such strategy."""
    orders, contracts = (0, 0) if here is None else (here.working_orders, abs(here.position))
    if here is not None and here.last_bar_at is not None:
        context.set_status(last_bar_at=here.last_bar_at)
    count(context, orders, contracts)


def due(context: CountedContext) -> bool:
    """Whether numbers may be written again; if so, not for `status_seconds` from now on."""
    deps = context.deps
    last = deps.counted.get(context.key)
    if last is not None and deps.clock() - last < deps.params.status_seconds:
        return False
    deps.counted[context.key] = deps.clock()
    return True
