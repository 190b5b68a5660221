"""The account `paper` of a namespace, which is made when a strategy names it and nobody has made it."""

from datetime import datetime

from leadline.model.ids import account_id
from leadline.model.manifest.specs import TradingStrategy
from leadline.model.manifest.status_spec import StrategyStatus
from leadline.model.manifest.strategy_spec import PAPER_ACCOUNT
from leadline_operator.clients.kube import Conflict
from leadline_operator.conditions import Reason
from leadline_operator.kinds import ACCOUNT, STRATEGY, account_key
from leadline_operator.reconcile.context import ReconcileContext
from leadline_operator.reconcile.steps import Done


async def make_default_account(context: ReconcileContext[StrategyStatus]) -> Done | None:
    """Make the account `paper` of the strategy's own namespace; None when it is another account that is missing.

    Not at once: the account may stand below the strategy in the file that is just being applied.
    """
    deps, namespace = context.deps, context.key.namespace
    manifest = deps.manifest(context.found)
    if not isinstance(manifest, TradingStrategy) or manifest.account_name != account_id(namespace, PAPER_ACCOUNT):
        return None
    made = datetime.fromisoformat(context.found["metadata"]["creationTimestamp"])
    age = (deps.now() - made).total_seconds()
    if 0 <= age < deps.params.default_account_seconds:
        return Done(deps.params.default_account_seconds - age)
    if await deps.refresh(ACCOUNT, namespace, PAPER_ACCOUNT) is None:
        document = {
            "apiVersion": STRATEGY.api_version,
            "kind": ACCOUNT.name,
            "metadata": {"name": PAPER_ACCOUNT, "namespace": namespace},
            "spec": {},
        }
        try:
            deps.cache.put(ACCOUNT, await deps.kube.create(document))
        except Conflict:
            await deps.refresh(ACCOUNT, namespace, PAPER_ACCOUNT)
        await context.record_event(Reason.ACCOUNT_CREATED, f"made the TradingAccount {PAPER_ACCOUNT} with the defaults")
    deps.enqueue(account_key(account_id(namespace, PAPER_ACCOUNT)), 0)
    return Done(0)
