"""The table of manifests' kinds, one record for each: how they are read, their definitions and the operator follow it.

A new kind is a record here, a record in the operator's registry if a cluster is to act on it, and its member in
`Manifest`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from leadline.model.errors import InvalidInput
from leadline.model.manifest.account_spec import AccountSpec, TradingAccount
from leadline.model.manifest.backtest_checks import backtest_problems
from leadline.model.manifest.backtest_spec import Backtest, BacktestSpec
from leadline.model.manifest.backtest_status import BacktestStatus
from leadline.model.manifest.spec_base import SpecModel
from leadline.model.manifest.spec_checks import account_problems, strategy_problems
from leadline.model.manifest.status_spec import AccountStatus, OwnerStatus, StrategyStatus
from leadline.model.manifest.strategy_spec import StrategySpec, TradingStrategy

Manifest = TradingStrategy | TradingAccount | Backtest


@dataclass(frozen=True, slots=True)
class ManifestKind:
    """One kind of manifest.

    name: as manifests write it; its plural in paths of the API and its singular are this in small letters. noun: what
    the plan calls the owner of a workload, and the last part of the label of everything that is made for it. short:
    its name for people at a terminal. manifest, spec, status: its models. problems: what the models cannot see.
    """

    name: str
    noun: str
    short: str
    manifest: type[Manifest]
    spec: type[SpecModel]
    status: type[OwnerStatus]
    problems: Callable[[Any], Iterator[InvalidInput]]

    @property
    def singular(self) -> str:
        """The name in small letters."""
        return self.name.lower()

    @property
    def plural(self) -> str:
        """The name in paths of the API."""
        return f"{self.singular}s" if not self.singular.endswith("y") else f"{self.singular[:-1]}ies"


MANIFEST_KINDS: Final = (
    ManifestKind(
        name="TradingStrategy",
        noun="strategy",
        short="tstrat",
        manifest=TradingStrategy,
        spec=StrategySpec,
        status=StrategyStatus,
        problems=strategy_problems,
    ),
    ManifestKind(
        name="TradingAccount",
        noun="account",
        short="tacct",
        manifest=TradingAccount,
        spec=AccountSpec,
        status=AccountStatus,
        problems=account_problems,
    ),
    ManifestKind(
        name="Backtest",
        noun="backtest",
        short="bt",
        manifest=Backtest,
        spec=BacktestSpec,
        status=BacktestStatus,
        problems=backtest_problems,
    ),
)

KINDS: Final = {kind.name: kind for kind in MANIFEST_KINDS}
"""The records by name, in the order of the table."""
