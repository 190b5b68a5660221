"""The glue to kopf: what it sees goes into the store, and the names it concerns into the queue. Nothing else."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import kopf

from leadline_operator import metrics
from leadline_operator.kinds import (
    ACCOUNT,
    CHILDREN,
    GROUP,
    MANAGED_SELECTOR,
    NAMESPACE,
    OWNERS,
    STRATEGY,
    WATCHED,
    JsonObject,
    Key,
    Kind,
    account_key,
    own_key,
    owner_key,
)
from leadline_operator.seen import Seen, account_of, place_of

SERVER_SECONDS: Final = 300
CLIENT_SECONDS: Final = 310
# The API server sends a bookmark every minute: a watch that is silent for longer is dead.
SILENT_SECONDS: Final = 70
REQUEST_SECONDS: Final = 30
EXIT_SECONDS: Final = 60
# Whole lists in memory at a time, twice over, are what makes the operator large at its start.
PAGE: Final = 100
WORKERS: Final = 32
IDLE_SECONDS: Final = 0.05

Enqueue = Callable[[Key], None]


class Watcher:
    """Takes in what the watches bring. `heard_at` is when the last of it came, by `clock`."""

    def __init__(self, seen: Seen, enqueue: Enqueue, clock: Callable[[], float]) -> None:
        self._seen = seen
        self._enqueue = enqueue
        self._clock = clock
        self.heard_at = clock()
        # kopf does not always find a custom resource again that is defined anew: then all of it is started again.
        self.outdated = asyncio.Event()
        self._defined: dict[str, bool] = {}

    def take(self, kind: Kind, event_type: str | None, found: JsonObject) -> None:
        """An event of a watch or, without a type, an object of its first listing."""
        self.heard_at = self._clock()
        metrics.WATCH_EVENTS.labels(kind.name).inc()
        before = self._seen.get(kind, *place_of(found))
        if event_type == "DELETED":
            self._seen.drop(kind, place_of(found))
        elif not self._seen.put(kind, found):
            return
        for key in self.concerned(kind, found, gone=event_type == "DELETED", before=before):
            self._enqueue(key)

    def take_definition(self, event_type: str | None, found: JsonObject) -> None:
        """A definition of a custom resource. One of ours that comes while we watch makes the watches outdated."""
        spec = found.get("spec") or {}
        plural = (spec.get("names") or {}).get("plural", "")
        if spec.get("group") != GROUP:
            return
        conditions = (found.get("status") or {}).get("conditions") or ()
        served = event_type != "DELETED" and any(
            item["type"] == "Established" and item["status"] == "True" for item in conditions
        )
        if served and not self._defined.get(plural, event_type is None):
            self.outdated.set()
        self._defined[plural] = served

    def concerned(
        self, kind: Kind, found: JsonObject, *, gone: bool = False, before: JsonObject | None = None
    ) -> list[Key]:
        """Who is to be looked at because of an object."""
        if kind is NAMESPACE:
            name = found["metadata"]["name"]
            return [own_key(item, owner) for owner in OWNERS for item in self._seen.all(owner) if _in(item, name)]
        if kind is STRATEGY:
            keys = [own_key(found, kind)]
            if gone or before is None or _generation(before) != _generation(found):
                # Others may wait for what it claims, and its account counts it.
                keys.append(account_key(account_of(found)))
                if before is not None and account_of(before) != account_of(found):
                    keys.append(account_key(account_of(before)))
            return keys
        if kind is ACCOUNT:
            keys = [own_key(found, kind)]
            if gone or before is None or _generation(before) != _generation(found) or _readiness(before, found):
                keys += [own_key(item, STRATEGY) for item in self._seen.strategies_of(keys[0].full_name)]
            return keys
        owner = owner_key(found)
        return [] if owner is None else [owner]


def registry_of(watcher: Watcher) -> kopf.OperatorRegistry:
    """Kopf's handlers: a raw event handler for each kind that is watched, and the credentials."""
    registry = kopf.OperatorRegistry()
    for kind in WATCHED:
        _register(registry, watcher, kind)

    async def definition(event: Any, **_: Any) -> None:
        watcher.take_definition(event["type"], dict(event["object"]))

    kopf.on.event("apiextensions.k8s.io", "v1", "customresourcedefinitions", id="definitions", registry=registry)(
        definition
    )
    kopf.on.login(id="login", registry=registry)(_login)
    return registry


def watch_settings() -> kopf.OperatorSettings:
    """Kopf as a watcher and nothing else: no peering, no Events, no finalizer."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.watching.server_timeout = SERVER_SECONDS
    settings.watching.client_timeout = CLIENT_SECONDS
    settings.watching.inactivity_timeout = SILENT_SECONDS
    settings.watching.chunk_size = PAGE
    settings.queueing.worker_limit = WORKERS
    settings.queueing.idle_timeout = IDLE_SECONDS
    settings.networking.request_timeout = REQUEST_SECONDS
    settings.process.ultimate_exiting_timeout = EXIT_SECONDS
    settings.persistence.diffbase_storage = _NoEssence()
    settings.persistence.progress_storage = _NoProgress()
    for kind in CHILDREN:
        settings.watching.label_selectors[kopf_selector(kind)] = MANAGED_SELECTOR
    return settings


def kopf_selector(kind: Kind) -> Any:
    """A kind as kopf names it."""
    return (kind.group, kind.version, kind.plural)


def _register(registry: kopf.OperatorRegistry, watcher: Watcher, kind: Kind) -> None:
    async def handler(event: Any, **_: Any) -> None:
        found = dict(event["object"])
        # The items of a listing do not say what they are.
        found["apiVersion"], found["kind"] = kind.api_version, kind.name
        watcher.take(kind, event["type"], found)

    kopf.on.event(kind.group, kind.version, kind.plural, id=kind.plural, registry=registry)(handler)


def _login(**known: Any) -> kopf.ConnectionInfo | None:
    """The Pod's own account where there is one, else the kubeconfig; asked again when it is refused."""
    return kopf.login_with_service_account(**known) or kopf.login_with_kubeconfig(**known)


def _in(item: JsonObject, namespace: str) -> bool:
    return bool(item["metadata"]["namespace"] == namespace)


def _generation(item: JsonObject) -> int:
    return int(item["metadata"].get("generation", 0))


def _readiness(before: JsonObject, after: JsonObject) -> bool:
    """Whether what strategies wait for has changed."""
    return _conditions(before) != _conditions(after)


def _conditions(item: JsonObject) -> dict[str, str]:
    found = (item.get("status") or {}).get("conditions") or ()
    return {entry["type"]: entry["status"] for entry in found}


class _NoEssence(kopf.DiffBaseStorage):
    """kopf need not find out what has changed, which takes it longer than all the rest of an event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        """Nothing is kept."""


class _NoProgress(kopf.ProgressStorage):
    """Nothing of kopf's own is written to an object."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        """Nothing is kept."""

    def purge(self, **_: Any) -> None:
        """Nothing was kept."""

    def touch(self, **_: Any) -> None:
        """Nobody is to be woken."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence
