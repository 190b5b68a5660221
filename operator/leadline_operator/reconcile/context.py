"""The context of one reconcile: the object, its status as it was, the conditions of now, and the one write of both."""

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from leadline.model.manifest.status_spec import Condition, ConditionType, OwnerStatus, condition_of
from leadline_operator import metrics
from leadline_operator.clients.kube import Conflict, Missing
from leadline_operator.conditions import Reason, Verdict, no, updated, yes
from leadline_operator.events import EventType
from leadline_operator.kinds import PAUSE_ANNOTATION, JsonObject, Key, kind_of
from leadline_operator.queue import RetryAfter
from leadline_operator.reconcile.deps import Deps, annotation

StatusT = TypeVar("StatusT", bound=OwnerStatus)


@dataclass(slots=True)
class ReconcileContext(Generic[StatusT]):
    """One reconcile of an object.

    found: the object as it was last seen or written. status: its status, with the changes that are to be written.
    verdicts: become conditions with the next `write`.
    """

    deps: Deps
    key: Key
    found: JsonObject
    status: StatusT
    verdicts: dict[ConditionType, Verdict] = field(default_factory=dict)
    _untold: list[tuple[Reason, str, EventType]] = field(default_factory=list)

    @property
    def uid(self) -> str:
        """The object's uid."""
        return str(self.found["metadata"]["uid"])

    @property
    def generation(self) -> int:
        """The generation that is reconciled."""
        return int(self.found["metadata"].get("generation", 0))

    def set_status(self, **changes: Any) -> None:
        """Change fields of the status; they are written with the next `write`."""
        self.status = self.status.model_copy(update=changes)

    def condition(self, kind: ConditionType) -> Condition | None:
        """A condition as it was when it was last written."""
        return condition_of(self.status.conditions, kind)

    def set_condition(self, kind: ConditionType, verdict: Verdict) -> None:
        """Have a condition hold or not, from the next `write` on."""
        self.verdicts[kind] = verdict

    def has_condition(self, kind: ConditionType, verdict: Verdict) -> bool:
        """Whether a condition says this already, as it was last written."""
        known = self.condition(kind)
        return known is not None and verdict.is_written_in(known)

    async def paused(self) -> bool:
        """Whether a person wants the object left alone; then a condition says so, and nothing else is written."""
        if annotation(self.found, PAUSE_ANNOTATION) == "true":
            self.set_condition(
                ConditionType.RECONCILIATION_PAUSED, yes(Reason.PAUSED, f"remove {PAUSE_ANNOTATION} to go on")
            )
            await self.write()
            return True
        if self.condition(ConditionType.RECONCILIATION_PAUSED) is not None:
            self.set_condition(ConditionType.RECONCILIATION_PAUSED, no(Reason.NOT_PAUSED, ""))
        return False

    async def record_event(self, reason: Reason, message: str, event_type: EventType = "Normal") -> None:
        """Write an Event about the object."""
        await self.deps.events.record(self.found, reason, message, event_type)

    def tell_when_written(self, reason: Reason, message: str, event_type: EventType = "Normal") -> None:
        """Have an Event about the object written behind the next `write`, when its status says the same."""
        self._untold.append((reason, message, event_type))

    async def write(self) -> None:
        """Write the status if it says something else than before: after a crash the next reconcile goes on from it.

        Raises RetryAfter when the object has changed meanwhile: then it is reconciled anew.
        """
        await self._write_status()
        untold, self._untold = self._untold, []
        for reason, message, event_type in untold:
            await self.record_event(reason, message, event_type)

    async def _write_status(self) -> None:
        conditions = updated(self.status.conditions, self.verdicts, self.generation, self.deps.now())
        self.set_status(conditions=conditions, observed_generation=self.generation)
        wanted = self.status.to_manifest()
        if wanted == (self.found.get("status") or {}):
            return
        metadata = self.found["metadata"]
        document = {
            "apiVersion": self.found["apiVersion"],
            "kind": self.found["kind"],
            "metadata": {name: metadata[name] for name in ("name", "namespace", "resourceVersion", "uid")},
            "status": wanted,
        }
        kind = kind_of(self.found)
        try:
            written = await self.deps.kube.apply(document, status=True)
        except (Conflict, Missing):
            await self.deps.refresh(kind, self.key.namespace, self.key.name)
            raise RetryAfter(0) from None
        metrics.STATUS_WRITES.labels(kind.name).inc()
        self.deps.cache.put(kind, written)
        self.found = written

    async def set_finalizer(self, finalizer: str, *, present: bool) -> None:
        """Put the finalizer on the object, or take it off. Raises RetryAfter as `write`."""
        metadata = self.found["metadata"]
        known: list[str] = list(metadata.get("finalizers") or ())
        if (finalizer in known) == present:
            return
        wanted = [*known, finalizer] if present else [name for name in known if name != finalizer]
        kind = kind_of(self.found)
        try:
            written = await self.deps.kube.set_finalizers(self.found, wanted)
        except Conflict:
            await self.deps.refresh(kind, self.key.namespace, self.key.name)
            raise RetryAfter(0) from None
        except Missing:
            self.deps.cache.drop(kind, (self.key.namespace, self.key.name))
            return
        # With the last finalizer goes the object.
        if present or wanted or "deletionTimestamp" not in metadata:
            self.deps.cache.put(kind, written)
            self.found = written


def status_of(model: type[StatusT], found: JsonObject) -> StatusT:
    """The status as it stands; an empty one where it cannot be read: then everything is found out anew."""
    try:
        return model.from_manifest(found.get("status") or {})
    except ValidationError:
        return model()
