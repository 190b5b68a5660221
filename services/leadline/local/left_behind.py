"""Strategies and accounts that a resumed run still has and its manifests do not have any more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import asyncpg
import grpc

from leadline.execution.v1 import execution_pb2
from leadline.ingestion.feed import Feed
from leadline.local import store
from leadline.local.calls import CALL_SECONDS, Services
from leadline.local.local_postgres import LocalPostgres
from leadline.model.errors import LeadlineError
from leadline.model.ids import UNASSIGNED, AccountId, ContractId, RunId
from leadline.model.manifest.specs import TradingStrategy
from leadline.plan.demand import DemandRow, traded_contracts
from leadline.plan.plan import Plan, workload_id
from leadline.runtime.database import connect
from leadline.runtime.rpc.errors import explain
from leadline.runtime.rpc.failures import with_retries
from leadline.runtime.settings import DatabaseSettings
from leadline.runtime.version import code_version

DRAIN_ID: Final = "removed-from-the-manifests"


class AccountLeftBehind(LeadlineError):
    """A resumed run has an account that no manifest names: nobody would match its orders and close its positions."""


class ContractStillOpen(LeadlineError):
    """A strategy would trade a contract in which one that is not in the manifests any more has something open."""


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """A strategy of the run that the plan does not have, with the manifest that the account stored last."""

    account: AccountId
    strategy: TradingStrategy

    @property
    def told(self) -> str:
        """A sentence about what becomes of it."""
        policy = self.strategy.spec.deletion_policy
        closing = {
            "Flatten": "its position is closed now",
            "Keep": "its position stays with its bracket",
            "Refuse": "its position stays with its bracket until its stop, its target or flat-by closes it",
        }
        return (
            f"{self.strategy.full_name} is not in the manifests any more: it enters nothing and leaves {self.account}; "
            f"working entries: {policy.working_orders}, and {closing[policy.positions]} (its deletionPolicy)"
        )


async def require_resumable(database: DatabaseSettings, plan: Plan, feed: Feed) -> None:
    """Check that the run which this feed goes on with, where there is one, can be traded by the plan's manifests.

    Only the database has to run. Raises AccountLeftBehind, and ContractStillOpen for a strategy that was renamed, or
    whose contract another one takes over, before it is flat: the account would refuse the new one.
    """
    try:
        connection = await connect(database, "leadline up")
    except (asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError):
        return  # nobody has come as far as to a run
    try:
        tape = await store.run_that_goes_on(connection, code_version(), feed.content)
        if tape is None:
            return
        _require_accounts(await store.accounts_behind(connection, tape), plan, tape)
        exposed = await store.exposed_strategies(connection, tape)
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.InsufficientPrivilegeError):
        return  # of another release: the start says so, or brings it up to date
    finally:
        await connection.close()
    planned = {strategy.full_name for strategy in plan.strategies}
    gone = [
        LeftBehind(account, TradingStrategy.from_manifest(manifest))
        for account, name, manifest in exposed
        if name not in planned
    ]
    _refuse_taken_over(gone, plan, feed, tape)


def _require_accounts(behind: Sequence[AccountId], plan: Plan, tape: RunId) -> None:
    missing = sorted(set(behind) - {account.full_name for account in plan.accounts})
    if missing:
        raise AccountLeftBehind(
            f"the run {tape}, which goes on, has the account {', '.join(missing)}, and the manifests have not: give it "
            "back, if need be with `state: Suspended` in its strategies, or begin another run with `--new-run`"
        )


def _refuse_taken_over(gone: Sequence[LeftBehind], plan: Plan, feed: Feed, tape: RunId) -> None:
    accounts = {account.full_name: account for account in plan.accounts}

    def contracts(strategy: TradingStrategy) -> set[ContractId]:
        return traded_contracts(strategy, accounts[strategy.account_name], feed.contracts, feed.plan.trade_from)

    for old in gone:
        for new in plan.strategies:
            both = contracts(old.strategy) & contracts(new) if new.account_name == old.account else set()
            if both:
                name = old.strategy.full_name
                raise ContractStillOpen(
                    f"the run {tape}, which goes on, has something open of {name} on {old.account}, and the manifests "
                    f"have {new.full_name} in its place, which trades {', '.join(sorted(both))} as well: give {name} "
                    "its name back until it is flat, or begin another run with `--new-run`"
                )


async def left_behind(postgres: LocalPostgres, plan: Plan, tape: RunId) -> tuple[LeftBehind, ...]:
    """The strategies of a tape that are not in the plan, nor leaving already.

    Raises AccountLeftBehind for an account that is not in it, and trades or holds something.
    """
    connection = await connect(postgres.settings("reader"), "leadline up")
    try:
        accounts = await store.accounts_behind(connection, tape)
        strategies = await store.strategies(connection, tape)
    finally:
        await connection.close()
    _require_accounts(accounts, plan, tape)
    planned = {strategy.full_name for strategy in plan.strategies}
    return tuple(
        LeftBehind(account, TradingStrategy.from_manifest(manifest))
        for account, name, manifest in strategies
        if name not in planned
    )


async def drain(services: Services, addresses: Mapping[str, str], found: Sequence[LeftBehind]) -> None:
    """Take strategies out of their accounts, as their deletion policy says. Raises LeadlineError when one refuses."""
    for each in found:
        policy = each.strategy.spec.deletion_policy
        stub = services.execution(addresses[workload_id("execution", each.account)], each.account)
        request = execution_pb2.DrainRequest(
            strategy=each.strategy.full_name,
            drain_id=DRAIN_ID,
            working_orders=policy.working_orders,
            positions=policy.positions,
        )
        try:
            await with_retries(partial(stub.Drain, request, timeout=CALL_SECONDS))
        except grpc.aio.AioRpcError as error:
            refused = f"the account {each.account} does not let go of {each.strategy.full_name}: {explain(error)}"
            raise LeadlineError(refused) from error


async def held_rows(
    postgres: LocalPostgres, tape: RunId, contracts: Mapping[ContractId, str], present: Sequence[DemandRow]
) -> tuple[DemandRow, ...]:
    """Ticks-only rows for contracts that an account still holds and nothing else asks for: their prints are needed."""
    connection = await connect(postgres.settings("reader"), "leadline up")
    try:
        held = await store.held_contracts(connection, tape)
    finally:
        await connection.close()
    asked = {(row.account, row.contract) for row in present if row.bars is None}
    wanted = sorted(held - asked)
    return tuple(
        DemandRow(UNASSIGNED, account, name, contracts[name], None) for account, name in wanted if name in contracts
    )
