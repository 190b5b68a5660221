"""Checks of a `Backtest` beyond its schema, and what its references are resolved to."""

from collections.abc import Iterator

from leadline.model.errors import InvalidInput
from leadline.model.manifest.account_spec import TradingAccount
from leadline.model.manifest.backtest_spec import Backtest, Place
from leadline.model.manifest.spec_checks import account_problems, strategy_problems
from leadline.model.manifest.strategy_spec import AccountRef, Metadata, TradingStrategy


def backtest_problems(backtest: Backtest) -> Iterator[InvalidInput]:
    """Everything that is wrong with one backtest by itself."""
    spec = backtest.spec
    if (spec.strategy.name is None) == (spec.strategy.spec is None):
        yield InvalidInput("spec.strategy", spec.strategy.name, "either name or spec")
    if spec.account.name is not None and spec.account.spec is not None:
        yield InvalidInput("spec.account", spec.account.name, "either name or spec")
    if spec.account.namespace is not None and spec.account.name is None:
        yield InvalidInput("spec.account.namespace", spec.account.namespace, "a name with it")
    if spec.to < spec.from_:
        yield InvalidInput("spec.to", spec.to, "a day not before from")
    if spec.sweep is None and spec.shards > 1:
        yield InvalidInput("spec.shards", spec.shards, "1 without a sweep: one run is not divided")
    yield from _place_problems("spec.catalog", spec.catalog)
    yield from _place_problems("spec.results", spec.results)
    own = own_strategy(backtest)
    if own is not None:
        yield from _inside("spec.strategy", strategy_problems(own))
    account = own_account(backtest)
    if account is not None:
        yield from _inside("spec.account", account_problems(account))


def own_strategy(backtest: Backtest) -> TradingStrategy | None:
    """The strategy that the backtest has written out; None for one that it names."""
    spec = backtest.spec.strategy.spec
    return None if spec is None else TradingStrategy(metadata=_own_metadata(backtest), spec=spec)


def own_account(backtest: Backtest) -> TradingAccount | None:
    """The account that the backtest has written out; None for one that it or its strategy names."""
    spec = backtest.spec.account.spec
    return None if spec is None else TradingAccount(metadata=_own_metadata(backtest), spec=spec)


def account_reference(backtest: Backtest, strategy: TradingStrategy) -> AccountRef:
    """The account that a strategy has in a backtest."""
    namespace, account = backtest.metadata.namespace, backtest.spec.account
    if account.spec is not None:
        return AccountRef(name=backtest.metadata.name, namespace=namespace)
    if account.name is not None:
        return AccountRef(name=account.name, namespace=account.namespace or namespace)
    return strategy.spec.account


def _own_metadata(backtest: Backtest) -> Metadata:
    return Metadata(name=backtest.metadata.name, namespace=backtest.metadata.namespace)


def _place_problems(field: str, place: Place) -> Iterator[InvalidInput]:
    if (place.claim is None) == (place.bucket is None):
        yield InvalidInput(field, place.claim, "either claim or bucket")


def _inside(field: str, problems: Iterator[InvalidInput]) -> Iterator[InvalidInput]:
    for problem in problems:
        yield InvalidInput(f"{field}.{problem.field}", problem.value, problem.expected)
