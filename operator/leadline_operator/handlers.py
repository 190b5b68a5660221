"""Objects that the watches bring go into the cache, and the keys that they concern into the queue. Nothing else."""

from collections.abc import Callable, Sequence
from typing import Final

from leadline_operator import metrics
from leadline_operator.cache import Cache, place_of
from leadline_operator.kinds import NAMESPACE, JsonObject, Key, Kind, own_key

Enqueue = Callable[[Key], None]

_FOREVER: Final = 2**63


class Watcher:
    """Takes in what the watches bring. `last_contact` is when the last of it came, by `clock`.

    `children` are the kinds of which only the objects with our label are watched.
    """

    def __init__(self, cache: Cache, enqueue: Enqueue, clock: Callable[[], float]) -> None:
        self._cache = cache
        self._enqueue = enqueue
        self._clock = clock
        self.last_contact = clock()
        self.children = frozenset(cache.owners.children)

    def mark_contact(self) -> None:
        """The API server has said something, if only that nothing has happened."""
        self.last_contact = self._clock()

    def take(self, kind: Kind, event: str | None, found: JsonObject) -> None:
        """An event of a watch, ADDED, MODIFIED or DELETED, or without one an object of a listing."""
        self.mark_contact()
        metrics.WATCH_EVENTS.labels(kind.name).inc()
        if event == "DELETED":
            self._lose(kind, found)
        else:
            self._take_in(kind, found)

    def take_listing(self, kind: Kind, namespace: str | None, found: Sequence[JsonObject], version: int) -> None:
        """A complete listing of a kind, of one namespace or of all, made at a resource version."""
        self.mark_contact()
        for item in found:
            self._take_in(kind, item)
        for gone in self._cache.relist(kind, found, version, namespace):
            self._enqueue_all(self.concerned(kind, gone, gone=True))

    def lose_all(self, kind: Kind, namespace: str | None) -> None:
        """The kind is gone, or the namespace, and every object with it."""
        self.mark_contact()
        for gone in self._cache.relist(kind, (), _FOREVER, namespace):
            self._enqueue_all(self.concerned(kind, gone, gone=True))

    def _take_in(self, kind: Kind, found: JsonObject) -> None:
        before = self._cache.get(kind, *place_of(found))
        if self._cache.put(kind, found):
            self._enqueue_all(self.concerned(kind, found, before=before))

    def _lose(self, kind: Kind, found: JsonObject) -> None:
        """An object whose end is told late may have been made anew since: then the new one stays known."""
        before = self._cache.get(kind, *place_of(found))
        if self._cache.drop_this(kind, found):
            self._enqueue_all(self.concerned(kind, found, gone=True, before=before))

    def _enqueue_all(self, keys: Sequence[Key]) -> None:
        for key in keys:
            self._enqueue(key)

    def concerned(
        self, kind: Kind, found: JsonObject, *, gone: bool = False, before: JsonObject | None = None
    ) -> list[Key]:
        """The keys that are to be reconciled because of an object."""
        if kind is NAMESPACE:
            name = found["metadata"]["name"]
            owners = self._cache.owners.kinds
            return [own_key(item, owner) for owner in owners for item in self._cache.all(owner) if _in(item, name)]
        record = self._cache.owners.record(kind)
        if record is None:
            owner = self._cache.owners.owner_of(found)
            return [] if owner is None else [owner]
        own = own_key(found, kind)
        rewritten = gone or before is None or _generation(before) != _generation(found)
        named = [record.refers_to(each) for each in (found, before) if each is not None] if rewritten else []
        # Others may wait for what it claims, and what it names counts it.
        keys = [own, *dict.fromkeys(key for key in named if key is not None)]
        if rewritten or (before is not None and _readiness(before, found)):
            keys += self._referring(own)
        return keys

    def _referring(self, key: Key) -> list[Key]:
        """The keys of all that name an object."""
        kinds = self._cache.owners.kinds
        return [own_key(item, kind) for kind in kinds for item in self._cache.referring(kind, key)]


def _in(item: JsonObject, namespace: str) -> bool:
    return bool(item["metadata"]["namespace"] == namespace)


def _generation(item: JsonObject) -> int:
    return int(item["metadata"].get("generation", 0))


def _readiness(before: JsonObject, after: JsonObject) -> bool:
    """Whether what those that name it wait for has changed."""
    return _conditions(before) != _conditions(after)


def _conditions(item: JsonObject) -> dict[str, str]:
    found = (item.get("status") or {}).get("conditions") or ()
    return {entry["type"]: entry["status"] for entry in found}
