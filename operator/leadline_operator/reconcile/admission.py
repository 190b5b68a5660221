"""Admission to an account: the strategies that fit it, the plan of their workloads, and why others wait."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from leadline.model.ids import AccountId
from leadline.model.manifest.specs import InvalidManifest, TradingAccount, TradingStrategy, check_strategy_on_account
from leadline.model.manifest.status_spec import ConditionType, StrategyStatus, condition_of
from leadline.plan.plan import Plan, plan, trade_one_contract, workload_id
from leadline_operator.conditions import Reason
from leadline_operator.desired.workload import SETTINGS_KEY
from leadline_operator.kinds import CONFIG_MAP, JsonObject, account_key
from leadline_operator.reconcile.context import status_of
from leadline_operator.reconcile.deps import Deps, deleting


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a strategy or account cannot run, and what to do about it."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """A strategy that may run: its manifest, its account's, and the plan of that account."""

    strategy: TradingStrategy
    account: TradingAccount
    plan: Plan


def admit_account(deps: Deps, found: JsonObject) -> TradingAccount | Refused:
    """The account of an object, or why it cannot run."""
    manifest = deps.manifest(found)
    if isinstance(manifest, TradingAccount):
        return manifest
    assert isinstance(manifest, list)
    return Refused(Reason.INVALID_SPEC, "\n".join(str(problem) for problem in manifest))


def admit_strategy(deps: Deps, found: JsonObject) -> Admitted | Refused:
    """A strategy's part in its account's plan, or why it has none."""
    manifest = deps.manifest(found)
    if not isinstance(manifest, TradingStrategy):
        assert isinstance(manifest, list)
        return Refused(Reason.INVALID_SPEC, "\n".join(str(problem) for problem in manifest))
    name = manifest.account_name
    object_of_account = deps.cache.owner(account_key(name))
    if object_of_account is None:
        return Refused(
            Reason.ACCOUNT_NOT_FOUND, f"there is no TradingAccount {name}: create it, or name another in spec.account"
        )
    if deleting(object_of_account):
        return Refused(Reason.ACCOUNT_DELETING, f"the TradingAccount {name} is being deleted")
    account = admit_account(deps, object_of_account)
    if isinstance(account, Refused):
        return Refused(Reason.ACCOUNT_REFUSED, f"the TradingAccount {name} cannot run: {account.message}")
    refusal = _misfit(manifest, account) or _rival(deps, found, manifest, account)
    if refusal is not None:
        return refusal
    try:
        # The rivals of others are theirs to hear of.
        return Admitted(manifest, account, plan(deps.params.platform, [account], [manifest]))
    except InvalidManifest as problems:
        return Refused(Reason.INVALID_SPEC, str(problems))


def account_plan(deps: Deps, account: TradingAccount) -> Plan:
    """The plan of an account's own workloads; what its strategies are does not change them."""
    return plan(deps.params.platform, [account], [])


def _misfit(strategy: TradingStrategy, account: TradingAccount) -> Refused | None:
    namespace = strategy.metadata.namespace
    if namespace not in {account.metadata.namespace, *account.spec.allowed_namespaces}:
        return Refused(
            Reason.NAMESPACE_NOT_ALLOWED,
            f"the TradingAccount {account.full_name} does not allow strategies of the namespace {namespace}: add it to "
            "the account's spec.allowedNamespaces",
        )
    try:
        check_strategy_on_account(strategy, account)
    except InvalidManifest as problems:
        return Refused(Reason.INVALID_SPEC, str(problems))
    return None


def _rival(deps: Deps, found: JsonObject, strategy: TradingStrategy, account: TradingAccount) -> Refused | None:
    """Another strategy that has the contract already: the one that trades it has it, else the one that came first."""
    mine = _rank(deps, found, strategy)
    for other in deps.cache.strategies_of(account.full_name):
        manifest = deps.manifest(other)
        if not isinstance(manifest, TradingStrategy) or manifest.full_name == strategy.full_name:
            continue
        if not trade_one_contract(strategy, manifest, account) or _rank(deps, other, manifest) > mine:
            continue
        if _misfit(manifest, account) is None:
            return Refused(
                Reason.INSTRUMENT_CLAIMED,
                f"{manifest.full_name} trades {manifest.spec.instrument} on {account.full_name}: use another contract "
                "or another account",
            )
    return None


def _rank(deps: Deps, found: JsonObject, strategy: TradingStrategy) -> tuple[bool, str, str]:
    return not _holds(deps, strategy), str(found["metadata"].get("creationTimestamp", "")), strategy.full_name


def _holds(deps: Deps, strategy: TradingStrategy) -> bool:
    """Whether the strategy's workload was made for this very instrument and account."""
    name = workload_id("analysis", strategy.full_name)
    config = deps.cache.get(CONFIG_MAP, strategy.metadata.namespace, name)
    if config is None:
        return False
    try:
        settings = json.loads(config["data"][SETTINGS_KEY])["params"]
        made_for = (settings["spec"]["instrument"], settings["account"])
    except (KeyError, TypeError, ValueError):
        # Somebody has been at it: it is put right elsewhere.
        return False
    return made_for == (strategy.spec.instrument, strategy.account_name)


def refused_strategies(deps: Deps, account: AccountId) -> Sequence[JsonObject]:
    """Strategies of an account that were refused when they were last looked at."""
    return [found for found in deps.cache.strategies_of(account) if _refused(found)]


def _refused(strategy: JsonObject) -> bool:
    accepted = condition_of(status_of(StrategyStatus, strategy).conditions, ConditionType.ACCEPTED)
    return accepted is not None and not accepted.holds
