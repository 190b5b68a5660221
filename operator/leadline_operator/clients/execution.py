"""The execution of each account, as the operator calls it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from leadline.execution.v1 import execution_pb2 as pb
from leadline.execution.v1 import execution_pb2_grpc as rpc
from leadline.model.drains import DrainOrders, DrainPositions
from leadline.model.halts import halts_text
from leadline.model.ids import LIVE, AccountId, RunId, StrategyId, derive, namespaced_name
from leadline.model.loop_phase import LoopPhase
from leadline.model.manifest.specs import Metadata, TradingAccount, TradingStrategy
from leadline.model.manifest.status_spec import JournalRestored
from leadline.model.ticks import NS_PER_SECOND
from leadline.plan.plan import workload_id
from leadline_operator.clients.calls import CALL_SECONDS, Channels, ServiceRefused, answered

_PHASES: Final = {phase.value: phase for phase in LoopPhase}


@dataclass(frozen=True, slots=True)
class StrategyAtAccount:
    """A strategy as execution has it. `position` in size steps, signed; `progress_ns` 0 while nobody waits for it.

    `fence` says why nothing that it says counts, empty while all of it does; `lacking`, why nothing of it can be
    decided now. `last_bar_at` is the close of the last bar that execution has heard of, None before the first.
    """

    strategy: StrategyId
    state: str
    analysis_hash: str
    settings_hash: str
    joined_ns: int
    progress_ns: int
    drain_id: str
    drained: bool
    forgotten: bool
    working_orders: int
    position: int
    trades: int
    loosening_waits: bool
    fence: str
    last_bar_at: datetime | None
    lacking: str

    @property
    def flat(self) -> bool:
        """No position and no order."""
        return self.position == 0 and self.working_orders == 0


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account as execution has it. `halt` is empty or why nothing is entered; `lacking`, or why it cannot trade now.

    `phase` is None for one that this release has no word for. `journal_restored` is the last time that its send
    journal lacked orders and was made whole; None for never.
    """

    account: AccountId
    tape: RunId
    phase: LoopPhase | None
    halt: str
    settings_hash: str
    strategies: Mapping[StrategyId, StrategyAtAccount]
    journal_restored: JournalRestored | None
    lacking: str

    @property
    def live(self) -> bool:
        """It trades the tape without an end."""
        return self.tape == LIVE

    @property
    def finished(self) -> bool:
        """The account has come to the end of its feed."""
        return self.phase is LoopPhase.FINISHED


@dataclass(frozen=True, slots=True)
class DrainProgress:
    """How far a drain is. `position` in size steps, signed."""

    drained: bool
    working_orders: int
    position: int


class Executions:
    """Calls to the execution of any account. `address` has `{name}` and `{namespace}` of the workload's Service.

    All raise ServiceAway and ServiceRefused.
    """

    def __init__(self, channels: Channels, address: str) -> None:
        self._channels = channels
        self._address = address

    async def state(self, account: AccountId) -> AccountState:
        """The account and its strategies now."""
        stub = self._stub(account)
        found = await answered("execution", lambda: stub.GetState(pb.GetStateRequest(), timeout=CALL_SECONDS))
        strategies = {each.strategy: each for each in map(_strategy, found.strategies)}
        return AccountState(
            AccountId(found.account),
            RunId(found.tape),
            _PHASES.get(found.phase),
            _halt(found.halts),
            found.settings_hash,
            strategies,
            _restored(found.journal_restored) if found.HasField("journal_restored") else None,
            found.lacking,
        )

    async def disconnect(self, account: AccountId) -> None:
        """Close the connection to an account that is gone."""
        await self._channels.disconnect(self._address_of(account))

    async def set_strategy(self, account: AccountId, strategy: TradingStrategy, analysis_hash: str) -> str:
        """Name the analysis that counts and the settings in force; a drain ends. Returns the settings' hash."""
        request = pb.SetStrategyRequest(
            strategy=strategy.full_name, analysis_hash=analysis_hash, manifest_json=strategy_text(strategy)
        )
        stub = self._stub(account)
        answer = await answered("execution", lambda: stub.SetStrategy(request, timeout=CALL_SECONDS))
        return str(answer.settings_hash)

    async def drain(
        self, account: AccountId, strategy: StrategyId, drain_id: str, orders: DrainOrders, positions: DrainPositions
    ) -> DrainProgress | None:
        """Take a strategy out of the market, or ask how far that is; None when the account never heard of it."""
        request = pb.DrainRequest(strategy=strategy, drain_id=drain_id, working_orders=orders, positions=positions)
        stub = self._stub(account)
        try:
            answer = await answered("execution", lambda: stub.Drain(request, timeout=CALL_SECONDS))
        except ServiceRefused as refused:
            if refused.unknown:
                return None
            raise
        return DrainProgress(answer.drained, answer.working_orders, answer.position)

    async def sent_since(self, account: AccountId, strategy: StrategyId, since_ns: int) -> bool:
        """Whether the strategy has decided on an order from this instant on, ns UTC."""
        stub = self._stub(account)
        request = pb.GetOrdersRequest(strategy=strategy, limit=1)
        answer = await answered("execution", lambda: stub.GetOrders(request, timeout=CALL_SECONDS))
        return any(order.decided_at_ns >= since_ns for order in answer.orders)

    async def set_account(self, account: TradingAccount, person: str) -> tuple[str, str]:
        """Store the account's hot settings. Returns their hash, and why nothing is entered, empty when all is well."""
        request = pb.SetAccountRequest(manifest_json=_text(bare_account(account).to_manifest()), person=person)
        stub = self._stub(account.full_name)
        answer = await answered("execution", lambda: stub.SetAccount(request, timeout=CALL_SECONDS))
        return str(answer.settings_hash), _halt(answer.halts)

    def _stub(self, account: AccountId) -> "rpc.ExecutionServiceAsyncStub":
        namespace = namespaced_name(account).namespace
        return rpc.ExecutionServiceStub(self._channels.to(self._address_of(account), namespace, "execution", account))

    def _address_of(self, account: AccountId) -> str:
        namespace = namespaced_name(account).namespace
        return self._address.format(name=workload_id("execution", account), namespace=namespace)


def strategy_text(strategy: TradingStrategy) -> str:
    """A strategy's manifest as execution gets it: without labels and notes, which change nothing."""
    metadata = Metadata(name=strategy.metadata.name, namespace=strategy.metadata.namespace)
    return _text(strategy.model_copy(update={"metadata": metadata}).to_manifest())


def strategy_settings_hash(strategy: TradingStrategy) -> str:
    """The hash that execution answers with for these settings."""
    return derive("settings", strategy_text(strategy))


def bare_account(account: TradingAccount) -> TradingAccount:
    """An account's manifest without labels and notes."""
    metadata = Metadata(name=account.metadata.name, namespace=account.metadata.namespace)
    return account.model_copy(update={"metadata": metadata})


def _text(document: object) -> str:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()


def _halt(halts: Iterable[pb.Halt]) -> str:
    """The halts in force, each as `no. 3 SOURCE: reason (by whom)`; one whose number is not given yet has none."""
    return halts_text(
        f"{f'no. {halt.number} ' if halt.number else ''}{halt.source}: {halt.reason} ({halt.by})" for halt in halts
    )


def _restored(found: pb.JournalRestoration) -> JournalRestored:
    return JournalRestored(at=_time(found.at_ns), orders=found.orders, found=found.found)


def _time(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC)


def _strategy(item: pb.StrategyState) -> StrategyAtAccount:
    return StrategyAtAccount(
        StrategyId(item.strategy),
        item.state,
        item.analysis_hash,
        item.settings_hash,
        item.joined_ns,
        item.progress_ns,
        item.drain_id,
        item.drained,
        item.forgotten,
        item.working_orders,
        item.position,
        item.trades,
        item.loosening_waits,
        item.fence,
        _time(item.last_bar_ns) if item.last_bar_ns else None,
        item.lacking,
    )
