"""The record of a backtest: what its references meant when they were looked up, in a ConfigMap that stays as it is."""

import asyncio
from datetime import date
from functools import lru_cache
from typing import Final

from leadline.model.errors import InvalidInput
from leadline.model.ids import AccountId, account_id, namespaced_name
from leadline.model.manifest.backtest_checks import account_reference, own_account, own_strategy
from leadline.model.manifest.backtest_spec import Backtest
from leadline.model.manifest.backtest_status import BacktestStatus
from leadline.model.manifest.specs import (
    TradingAccount,
    TradingStrategy,
    default_account,
    load_manifests,
)
from leadline.model.manifest.strategy_spec import PAPER_ACCOUNT
from leadline.model.manifest.sweep import variants_of
from leadline.plan.plan import plan
from leadline.plan.platform import Feed, PlatformSettings
from leadline_operator.conditions import Reason
from leadline_operator.desired.backtest import (
    MANIFESTS_KEY,
    MOST_RECORD_BYTES,
    RECORD_HASH,
    Resolved,
    record,
    record_bytes,
    record_name,
)
from leadline_operator.kinds import ACCOUNT, STRATEGY
from leadline_operator.reconcile.admission import Refused, admit_account
from leadline_operator.reconcile.backtest_jobs import find_or_make, find_owned
from leadline_operator.reconcile.context import ReconcileContext
from leadline_operator.reconcile.deps import annotation

BacktestContext = ReconcileContext[BacktestStatus]

_MOST_RECORDS: Final = 64
_CHECKED_VARIANTS: Final = 64
"""The first variants of a sweep, which are checked before a Pod is there. Each shard checks all of them."""


async def resolve(context: BacktestContext) -> Resolved | Refused:
    """Look at the record; where there is none, look up what the manifest names, and put it on record.

    Raises NameTaken for a ConfigMap of somebody else's.
    """
    known = await find_owned(context, "ConfigMap", record_name(context.key))
    if known is not None:
        context.set_status(manifest_hash=annotation(known, RECORD_HASH), record=known["metadata"]["name"])
        return await asyncio.to_thread(_recorded, known["data"][MANIFESTS_KEY])
    resolved = await _looked_up(context)
    if isinstance(resolved, Refused):
        return _lost(context) if context.status.manifest_hash is not None else resolved
    if context.status.manifest_hash not in {None, resolved.hash}:
        return _lost(context)
    # Written first: a record that is lost is not to be made of other manifests.
    context.set_status(manifest_hash=resolved.hash, record=record_name(context.key))
    await context.write()
    await find_or_make(context, record(resolved, context.found))
    await context.record_event(
        Reason.RESOLVED,
        f"{resolved.strategy.full_name} on {resolved.account.full_name}, put on record as {resolved.hash}",
    )
    return resolved


def _lost(context: BacktestContext) -> Refused:
    name = record_name(context.key)
    message = f"the ConfigMap {name} with its manifests is gone, and they are others now: make another Backtest"
    return Refused(Reason.RECORD_LOST, message)


@lru_cache(maxsize=_MOST_RECORDS)
def _recorded(text: str) -> Resolved:
    """The manifests of a record, which is read with every event of its Pods."""
    manifests = load_manifests(text)
    (backtest,) = [each for each in manifests if isinstance(each, Backtest)]
    (strategy,) = [each for each in manifests if isinstance(each, TradingStrategy)]
    (account,) = [each for each in manifests if isinstance(each, TradingAccount)]
    return Resolved(backtest, strategy, account)


async def _looked_up(context: BacktestContext) -> Resolved | Refused:
    backtest = context.deps.manifest(context.found)
    if not isinstance(backtest, Backtest):
        assert isinstance(backtest, list)
        return Refused(Reason.INVALID_SPEC, "\n".join(map(str, backtest)))
    strategy = await _strategy(context, backtest)
    if isinstance(strategy, Refused):
        return strategy
    reference = account_reference(backtest, strategy)
    # The strategy is tested on the account of the backtest, whichever one it trades.
    spec = strategy.spec.model_copy(update={"account": reference})
    strategy = strategy.model_copy(update={"spec": spec})
    account = own_account(backtest) or await _account(context, strategy.account_name)
    if isinstance(account, Refused):
        return account
    resolved = Resolved(backtest, strategy, account)
    # It takes a part of a second, in which the operator has other things to do.
    problem = await asyncio.to_thread(_problem, resolved)
    return Refused(Reason.INVALID_SPEC, problem) if problem else resolved


def _problem(resolved: Resolved) -> str:
    """Why a backtest cannot run, as far as that is known without its prints; empty where it can."""
    backtest, strategy, account = resolved.backtest, resolved.strategy, resolved.account
    sweep = backtest.spec.sweep
    platform = PlatformSettings(feed=Feed(kind="catalog"), trade_from=date.fromisoformat(backtest.spec.from_))
    try:
        plan(platform, [account], [strategy])
        if sweep is not None:
            variants_of(sweep, [account], [strategy], _CHECKED_VARIANTS)
    except InvalidInput as problems:
        return str(problems)
    if sweep is not None and backtest.spec.shards > sweep.size:
        return f"spec.shards: got {backtest.spec.shards}, expected at most {sweep.size}, the variants of the sweep"
    if (size := record_bytes(resolved)) > MOST_RECORD_BYTES:
        return f"spec: got {size} bytes in the record, expected at most {MOST_RECORD_BYTES}: a shorter list of variants"
    return ""


async def _strategy(context: BacktestContext, backtest: Backtest) -> TradingStrategy | Refused:
    own = own_strategy(backtest)
    if own is not None:
        return own
    namespace, name = context.key.namespace, backtest.spec.strategy.name
    assert name is not None
    # It is looked up once: by the API server's word, and not by that of a cache which may be old.
    found = await context.deps.refresh(STRATEGY, namespace, name)
    if found is None:
        message = f"there is no TradingStrategy {namespace}/{name}: create it, or name another in spec.strategy"
        return Refused(Reason.STRATEGY_NOT_FOUND, message)
    manifest = context.deps.manifest(found)
    if isinstance(manifest, TradingStrategy):
        return manifest
    assert isinstance(manifest, list)
    problems = "\n".join(map(str, manifest))
    return Refused(Reason.STRATEGY_REFUSED, f"the TradingStrategy {namespace}/{name} cannot run: {problems}")


async def _account(context: BacktestContext, name: AccountId) -> TradingAccount | Refused:
    namespace, own_name = namespaced_name(name)
    found = await context.deps.refresh(ACCOUNT, namespace, own_name)
    if found is not None:
        account = admit_account(context.deps, found)
        if isinstance(account, Refused):
            return Refused(Reason.ACCOUNT_REFUSED, f"the TradingAccount {name} cannot run: {account.message}")
        return account
    if name == account_id(context.key.namespace, PAPER_ACCOUNT):
        return default_account(namespace)
    message = f"there is no TradingAccount {name}: create it, or name another in spec.account"
    return Refused(Reason.ACCOUNT_NOT_FOUND, message)
