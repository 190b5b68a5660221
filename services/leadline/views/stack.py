"""The running stack of a data directory, as the other commands find it."""

import fcntl
import os
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from leadline.local.data_dir import DataDir, user_name
from leadline.model.errors import LeadlineError, Unknown
from leadline.model.ids import (
    DEFAULT_NAMESPACE,
    AccountId,
    ContractId,
    OwnerId,
    RunId,
    StrategyId,
    account_named,
    strategy_named,
)
from leadline.model.manifest.specs import OWN_SERIES, TradingStrategy
from leadline.plan.plan import workload_id


class NotRunning(LeadlineError):
    """No stack runs where one was looked for, or a part of it does not."""


class StrategyMonth(BaseModel):
    """A contract that a strategy reads, and the trading days that are that contract's: [first, until).

    `first` is absent for the first contract, whose history is shown too; `until` for the last.
    """

    model_config = ConfigDict(frozen=True)

    contract: str
    first: date | None = None
    until: date | None = None

    def covers(self, day: date) -> bool:
        """Whether a trading day is this contract's."""
        return (self.first is None or self.first <= day) and (self.until is None or day < self.until)


class StrategyAddress(BaseModel):
    """A strategy of the stack: its account, and the bars that it reads.

    `contract` is one of its contracts, or its root; `months` are its contracts in the order in which it reads them.
    `spec` is of its own bars, `series` those of the series that it reads besides, by name.
    """

    model_config = ConfigDict(frozen=True)

    name: StrategyId
    account: AccountId
    contract: str
    session: str
    spec: str
    months: tuple[StrategyMonth, ...] = ()
    series: dict[str, str] = Field(default_factory=dict)

    @property
    def reads(self) -> str:
        """The bars that it reads, in words: `5m-r1 bars`, or `5m-r1 bars, trend 1h-r1`."""
        return ", ".join([f"{self.spec} bars", *(f"{name} {spec}" for name, spec in self.series.items())])


def series_of(strategy: TradingStrategy) -> dict[str, str]:
    """The bars of the further series of a strategy, by name."""
    return {each.name: each.token for each in strategy.spec.all_series if each.name != OWN_SERIES}


class Stack(BaseModel):
    """A stack's description of itself, which `leadline up` writes.

    `addresses` maps workload ids to `host:port`, `unreachable` those that have none now to the reason; `left_out` says
    what is wrong with objects that are none of it; `tape` is the run's id, empty in a cluster; `contracts` maps
    contracts to venues; `home` is the namespace of a name that is given without one.
    """

    model_config = ConfigDict(frozen=True)

    tape: RunId
    feed: str
    trade_from: str
    contracts: dict[ContractId, str]
    addresses: dict[str, str]
    accounts: tuple[AccountId, ...]
    strategies: tuple[StrategyAddress, ...]
    unreachable: dict[str, str] = Field(default_factory=dict)
    left_out: dict[str, str] = Field(default_factory=dict)
    home: str = DEFAULT_NAMESPACE

    def execution_of(self, account: AccountId) -> str:
        """Address of an account's execution. Raises Unknown, and NotRunning when it cannot be reached."""
        return self._address("execution", account, self.accounts, "account")

    def analysis_of(self, strategy: StrategyId) -> str:
        """Address of a strategy's analysis. Raises Unknown, and NotRunning when it cannot be reached."""
        return self._address("analysis", strategy, tuple(item.name for item in self.strategies), "strategy")

    def _address(self, service: str, name: OwnerId, known: tuple[str, ...], kind: str) -> str:
        if name not in known:
            raise Unknown(kind, name, known)
        workload = workload_id(service, name)
        if workload in self.unreachable:
            raise NotRunning(f"{service} of {name} cannot be reached: {self.unreachable[workload]}")
        return self.addresses[workload]

    def chosen_accounts(self, account: str | None) -> tuple[AccountId, ...]:
        """The account that was asked for, else all. A name without a namespace is of `home`. Raises Unknown."""
        if account is None:
            return self.accounts
        name = account_named(account, self.home)
        if name not in self.accounts:
            raise Unknown("account", name, self.accounts)
        return (name,)

    def chosen_strategies(self, strategy: str | None) -> tuple[StrategyAddress, ...]:
        """The strategy that was asked for, else all."""
        if strategy is None:
            return self.strategies
        name = strategy_named(strategy, self.home)
        found = tuple(item for item in self.strategies if item.name == name)
        if not found:
            raise Unknown("strategy", name, tuple(item.name for item in self.strategies))
        return found


def running_stack(data_dir: Path) -> Stack:
    """The stack that runs in a data directory. Raises NotPrivate, and NotRunning when none does or it still starts."""
    data = DataDir(data_dir)
    data.check()
    if not _is_held(data.root / "up.lock"):
        raise NotRunning(f"nothing runs in {data.root}: start it with `leadline up`, or give its --data-dir")
    try:
        return Stack.model_validate_json(data.stack_file.read_bytes())
    except FileNotFoundError:
        raise NotRunning(f"the stack in {data.root} is starting or stopping: try again in a moment") from None


def person() -> str:
    """The person who runs this command, for the audit: the login name of the process's user, not of its environment."""
    return user_name(os.getuid())


def _is_held(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
