"""An account as it runs: its workloads, and what its execution says of it."""

from dataclasses import dataclass, field

from leadline.execution.core.account_settings import hot_fields, settings_hash
from leadline.model.ids import AccountId
from leadline.model.manifest.specs import TradingAccount
from leadline.model.manifest.status_spec import AccountStatus
from leadline_operator.clients.execution import AccountState
from leadline_operator.kinds import STRATEGY, JsonObject, own_key
from leadline_operator.reconcile.context import ReconcileContext


@dataclass(slots=True)
class AccountRuntime:
    """An account that may run, as its reconcile comes to know it.

    objects: its workloads as they should be, known from the step that applies them on. state: the account as its
    execution has it, known from `fetch` on.
    """

    context: ReconcileContext[AccountStatus]
    account: TradingAccount
    objects: list[JsonObject] = field(init=False)
    state: AccountState = field(init=False)

    @property
    def name(self) -> AccountId:
        """`namespace/name`."""
        return self.account.full_name

    @property
    def settings_hash(self) -> str:
        """The hash by which execution names the settings that it should have."""
        return settings_hash(hot_fields(self.account))

    async def fetch(self) -> None:
        """Ask execution for the account; a moment old is enough."""
        self.state = await self.context.deps.state(self.name, fresh=False)

    async def refetch(self) -> None:
        """Ask execution anew, after something was asked of it."""
        self.context.deps.forget_state(self.name)
        self.state = await self.context.deps.state(self.name, fresh=True)

    def strategies(self) -> list[JsonObject]:
        """The objects of the strategies that name the account."""
        return self.context.deps.cache.strategies_of(self.name)

    def enqueue_strategies(self) -> None:
        """Have every strategy of the account reconciled."""
        for strategy in self.strategies():
            self.context.deps.enqueue(own_key(strategy, STRATEGY), 0)
