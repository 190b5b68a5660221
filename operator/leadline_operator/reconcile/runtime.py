"""A strategy as it runs: its version in force, the wanted one, and its workload."""

import json
from dataclasses import dataclass, field
from typing import Final

from leadline.model.ids import AccountId
from leadline.model.manifest.specs import TradingStrategy, rollout_fields
from leadline.model.manifest.status_spec import ConditionType, StrategyStatus
from leadline.plan.plan import Plan, Workload
from leadline_operator.clients.execution import AccountState, StrategyAtAccount, strategy_settings_hash
from leadline_operator.conditions import Reason, Verdict, no, yes
from leadline_operator.desired.strategy import (
    Revision,
    record_name,
    revision_object,
    revision_of,
    strategy_revision,
)
from leadline_operator.desired.workload import SETTINGS_KEY
from leadline_operator.kinds import DEPLOYMENT, GENERATION, POD, REVISION, ROLLOUT_HASH, JsonObject
from leadline_operator.reconcile.admission import Admitted
from leadline_operator.reconcile.context import ReconcileContext
from leadline_operator.reconcile.deps import annotation, deleting
from leadline_operator.reconcile.objects import ensure
from leadline_operator.reconcile.pods import end_stray_pods, remaining

KEPT_REVISIONS: Final = 3
NO_SIGNAL_YET: Final = "no signal has reached execution yet"


def told_by_execution(account: AccountId, state: AccountState, here: StrategyAtAccount | None) -> Verdict | None:
    """Why a strategy cannot trade at this moment, by what execution says of itself; None where it names no reason."""
    if state.finished:
        return None
    if state.lacking:
        return no(Reason.EXECUTION_WAITS, f"its account {account} cannot trade now: {state.lacking}")
    return no(Reason.NO_SIGNALS, here.lacking) if here is not None and here.lacking else None


@dataclass(slots=True)
class StrategyRuntime:
    """A strategy that may run, as its reconcile comes to know it.

    desired, running: the wanted version and the one in force, None where there is none; known from `find_versions` on.
    state, here: the account and the strategy as execution has them, None where it has no such strategy; known from
    `fetch` on.
    """

    context: ReconcileContext[StrategyStatus]
    admitted: Admitted
    desired: Revision = field(init=False)
    running: Revision | None = field(init=False)
    state: AccountState = field(init=False)
    here: StrategyAtAccount | None = field(init=False)

    @property
    def strategy(self) -> TradingStrategy:
        """The manifest."""
        return self.admitted.strategy

    @property
    def account(self) -> AccountId:
        """The account."""
        return self.admitted.account.full_name

    @property
    def plan(self) -> Plan:
        """The account's part of the plan, with this strategy in it."""
        return self.admitted.plan

    @property
    def in_force(self) -> Revision:
        """The version that is to trade now: the one that does, else the wanted one."""
        return self.running or self.desired

    async def find_versions(self) -> None:
        """Find the wanted version, and the one in force: by the status, else by the Deployment that is there."""
        workload = self.plan.workload("analysis", self.strategy.full_name)
        self.desired, self.running = await _versions(self.context, workload, self.strategy)

    async def fetch(self, *, fresh: bool) -> None:
        """Ask execution what it knows; a moment old unless it must be fresh."""
        self.state = await self.context.deps.state(self.account, fresh=fresh)
        self.here = self.state.strategies.get(self.strategy.full_name)

    async def refetch(self) -> None:
        """Ask execution anew, after something was asked of it."""
        self.context.deps.forget_state(self.account)
        await self.fetch(fresh=True)

    def manifest_of(self, revision: Revision) -> TradingStrategy:
        """The manifest with the fields that this version was started with, and the wanted ones that act at once."""
        if revision.hash == self.desired.hash:
            return self.strategy
        settings = json.loads(revision.config_map["data"][SETTINGS_KEY])["params"]
        document = self.strategy.to_manifest()
        kept = {name: value for name, value in document["spec"].items() if name not in rollout_fields(self.strategy)}
        document["spec"] = {**kept, **settings["spec"]}
        return TradingStrategy.from_manifest(document)

    async def configure_execution(self, revision: Revision) -> None:
        """Name this version and the wanted settings to execution, if it does not have them. Raises ServiceRefused."""
        manifest, here = self.manifest_of(revision), self.here
        wanted = strategy_settings_hash(manifest)
        known = here is not None and (here.analysis_hash, here.settings_hash) == (revision.analysis_hash, wanted)
        if not known or here is None or here.drain_id:
            await self.context.deps.executions.set_strategy(self.account, manifest, revision.analysis_hash)
            await self.refetch()
        self.context.set_status(applied_config_hash=wanted)
        if ConditionType.CONFIG_APPLIED not in self.context.verdicts:
            self.context.set_condition(ConditionType.CONFIG_APPLIED, yes(Reason.APPLIED))

    async def deploy(self, revision: Revision, replicas: int) -> None:
        """Have this version's objects in the cluster, with so many Pods."""
        context = self.context
        record = context.deps.cache.get(
            REVISION, context.key.namespace, record_name(revision.deployment["metadata"]["name"], revision.hash)
        )
        if record is None:
            numbers = [int(item["revision"]) for item in context.deps.cache.children(REVISION, context.key)]
            document = revision_object(revision, context.found, max(numbers, default=0) + 1)
            context.deps.cache.put(REVISION, await context.deps.kube.apply(document))
        await ensure(context.deps, context.found, revision.objects(replicas))
        await self._forget_old_revisions(revision)

    def deployment(self) -> JsonObject | None:
        """The Deployment as it was last seen."""
        metadata = self.desired.deployment["metadata"]
        return self.context.deps.cache.get(DEPLOYMENT, metadata["namespace"], metadata["name"])

    def up(self) -> bool:
        """Whether the Deployment's newest version has its Pod, as it was last seen."""
        found = self.deployment()
        status = {} if found is None else found.get("status") or {}
        current = found is not None and status.get("observedGeneration", 0) >= found["metadata"].get("generation", 1)
        return current and status.get("updatedReplicas", 0) > 0 and status.get("availableReplicas", 0) > 0

    def finished(self) -> bool:
        """Whether the account has come to the end of its feed."""
        return self.state.finished

    def fence(self) -> str:
        """Why nothing that the strategy says counts, empty while all of it does."""
        return "" if self.here is None else self.here.fence

    def lacking(self) -> Verdict | None:
        """Why it cannot trade at this moment, by what execution says of itself; None while it can, and at its end."""
        told = told_by_execution(self.account, self.state, self.here)
        if told is None and not self.finished() and self.state.live and not self.has_signals():
            return no(Reason.NO_SIGNALS, NO_SIGNAL_YET)
        return told

    def has_signals(self) -> bool:
        """Whether signals of the version in force have reached execution, or none are to come any more."""
        here = self.here
        return self.finished() or (here is not None and 0 < here.joined_ns <= here.progress_ns)

    async def remaining(self) -> list[str]:
        """Objects that its end waits for, after `deploy` with no replicas; empty when no Pod runs and none can come."""
        return await remaining(self.context, self.desired.deployment["metadata"]["name"])

    async def end_stray_pods(self) -> None:
        """End what runs beside the Pod of the Deployment, if there is any by the cache."""
        pods = self.context.deps.cache.children(POD, self.context.key)
        if sum(not deleting(pod) for pod in pods) > 1:
            await end_stray_pods(self.context, self.desired.deployment["metadata"]["name"])

    async def _forget_old_revisions(self, revision: Revision) -> None:
        context = self.context
        stable = context.status.last_stable
        needed = {revision.hash, self.desired.hash, stable.hash if stable is not None else ""}
        records = sorted(context.deps.cache.children(REVISION, context.key), key=lambda item: int(item["revision"]))
        old = [item for item in records if annotation(item, ROLLOUT_HASH) not in needed]
        for item in old[: max(0, len(records) - KEPT_REVISIONS)]:
            await context.deps.kube.delete(item)
            context.deps.cache.drop(REVISION, (context.key.namespace, item["metadata"]["name"]))


async def _versions(
    context: ReconcileContext[StrategyStatus], workload: Workload, strategy: TradingStrategy
) -> tuple[Revision, Revision | None]:
    """The wanted version, and the one in force."""
    deps = context.deps
    desired = strategy_revision(workload, strategy, context.found, deps.params, deps.code_version)
    deployment = deps.cache.get(DEPLOYMENT, context.key.namespace, workload.id)
    stamped = "" if deployment is None else annotation(deployment, ROLLOUT_HASH)
    if deployment is not None and stamped == desired.hash:
        # The same version keeps the number of the manifest that made it.
        desired = desired.made_by(annotation(deployment, GENERATION))
    for stamp in (context.status.running_hash, stamped):
        if stamp == desired.hash:
            return desired, desired
        if stamp and (found := await recorded(context, workload.id, stamp)) is not None:
            return desired, found
    return desired, None


async def recorded(context: ReconcileContext[StrategyStatus], workload_id: str, stamp: str) -> Revision | None:
    """A version by its hash, None when there is no record of it."""
    found = await context.deps.kube.get(REVISION, context.key.namespace, record_name(workload_id, stamp))
    return None if found is None else revision_of(found)
