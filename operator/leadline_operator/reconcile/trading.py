"""The version of a strategy that is in force, what is wanted instead, and what is done with either."""

import json
from dataclasses import dataclass
from typing import Final

from leadline.model.specs import TradingStrategy, rollout_fields
from leadline.model.status_spec import ConditionType, StrategyStatus
from leadline.plan.plan import Workload
from leadline_operator.clients.execution import AccountState, StrategyAtAccount, strategy_settings_hash
from leadline_operator.conditions import Reason, yes
from leadline_operator.desired.strategy import (
    Revision,
    record_name,
    revision_object,
    revision_of,
    strategy_revision,
)
from leadline_operator.desired.workload import SETTINGS_KEY
from leadline_operator.kinds import DEPLOYMENT, GENERATION, POD, REVISION, ROLLOUT_HASH, JsonObject
from leadline_operator.reconcile.objects import ensure
from leadline_operator.reconcile.pods import end_strays, remaining
from leadline_operator.reconcile.visit import Visit
from leadline_operator.reconcile.world import annotation, deleting

KEPT_REVISIONS: Final = 3


@dataclass(slots=True)
class Trading:
    """A strategy that may run. `here` is what execution knows of it, `running` None where no version is in force."""

    visit: Visit[StrategyStatus]
    strategy: TradingStrategy
    account: str
    state: AccountState
    here: StrategyAtAccount | None
    desired: Revision
    running: Revision | None

    async def look_again(self) -> None:
        """Ask execution anew, after something was asked of it."""
        self.visit.world.forget_state(self.account)
        self.state = await self.visit.world.state(self.account, fresh=True)
        self.here = self.state.strategies.get(self.strategy.full_name)

    def manifest_of(self, revision: Revision) -> TradingStrategy:
        """The manifest with the fields that this version was started with, and the wanted ones that act at once."""
        if revision.hash == self.desired.hash:
            return self.strategy
        settings = json.loads(revision.config_map["data"][SETTINGS_KEY])["params"]
        document = self.strategy.to_manifest()
        kept = {name: value for name, value in document["spec"].items() if name not in rollout_fields(self.strategy)}
        document["spec"] = {**kept, **settings["spec"]}
        return TradingStrategy.from_manifest(document)

    async def tell_execution(self, revision: Revision) -> None:
        """Name this version and the wanted settings to execution, if it does not have them. Raises ServiceRefused."""
        manifest, here = self.manifest_of(revision), self.here
        wanted = strategy_settings_hash(manifest)
        known = here is not None and (here.analysis_hash, here.settings_hash) == (revision.analysis_hash, wanted)
        if not known or here is None or here.drain_id:
            await self.visit.world.executions.set_strategy(self.account, manifest, revision.analysis_hash)
            await self.look_again()
        self.visit.put(applied_config_hash=wanted)
        if ConditionType.CONFIG_APPLIED not in self.visit.verdicts:
            self.visit.judge(ConditionType.CONFIG_APPLIED, yes(Reason.APPLIED))

    async def deploy(self, revision: Revision, replicas: int) -> None:
        """Have this version's objects in the cluster, with so many Pods."""
        visit = self.visit
        record = visit.world.seen.get(
            REVISION, visit.key.namespace, record_name(revision.deployment["metadata"]["name"], revision.hash)
        )
        if record is None:
            numbers = [int(item["revision"]) for item in visit.world.seen.children(REVISION, visit.key)]
            document = revision_object(revision, visit.found, max(numbers, default=0) + 1)
            visit.world.seen.put(REVISION, await visit.world.kube.apply(document))
        await ensure(visit.world, visit.found, revision.objects(replicas))
        await self._forget_old_revisions(revision)

    def deployment(self) -> JsonObject | None:
        """The Deployment as it was last seen."""
        metadata = self.desired.deployment["metadata"]
        return self.visit.world.seen.get(DEPLOYMENT, metadata["namespace"], metadata["name"])

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

    def speaks(self) -> bool:
        """Whether signals of the version in force have reached execution, or none are to come any more."""
        here = self.here
        return self.finished() or (here is not None and 0 < here.joined_ns <= here.progress_ns)

    async def remaining(self) -> list[str]:
        """What its end still waits for, after `deploy` with no replicas; empty when no Pod runs and none can come."""
        return await remaining(self.visit, self.desired.deployment["metadata"]["name"])

    async def leave_one(self) -> None:
        """End what runs beside the Pod of the Deployment, if anything was seen to."""
        seen = self.visit.world.seen.children(POD, self.visit.key)
        if sum(not deleting(pod) for pod in seen) > 1:
            await end_strays(self.visit, self.desired.deployment["metadata"]["name"])

    async def _forget_old_revisions(self, revision: Revision) -> None:
        visit = self.visit
        stable = visit.status.last_stable
        needed = {revision.hash, self.desired.hash, stable.hash if stable is not None else ""}
        records = sorted(visit.world.seen.children(REVISION, visit.key), key=lambda item: int(item["revision"]))
        old = [item for item in records if annotation(item, ROLLOUT_HASH) not in needed]
        for item in old[: max(0, len(records) - KEPT_REVISIONS)]:
            await visit.world.kube.delete(item)
            visit.world.seen.drop(REVISION, (visit.key.namespace, item["metadata"]["name"]))


async def versions(
    visit: Visit[StrategyStatus], workload: Workload, strategy: TradingStrategy
) -> tuple[Revision, Revision | None]:
    """The wanted version, and the one in force: by the status, else by the Deployment that is there."""
    world = visit.world
    desired = strategy_revision(workload, strategy, visit.found, world.params, world.code_version)
    deployment = world.seen.get(DEPLOYMENT, visit.key.namespace, workload.id)
    stamped = "" if deployment is None else annotation(deployment, ROLLOUT_HASH)
    if deployment is not None and stamped == desired.hash:
        # The same version keeps the number of the manifest that made it.
        desired = desired.made_by(annotation(deployment, GENERATION))
    for stamp in (visit.status.running_hash, stamped):
        if stamp == desired.hash:
            return desired, desired
        if stamp and (found := await recorded(visit, workload.id, stamp)) is not None:
            return desired, found
    return desired, None


async def recorded(visit: Visit[StrategyStatus], workload_id: str, stamp: str) -> Revision | None:
    """A version by its hash, None when there is no record of it."""
    found = await visit.world.kube.get(REVISION, visit.key.namespace, record_name(workload_id, stamp))
    return None if found is None else revision_of(found)
