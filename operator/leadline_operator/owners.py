"""The kinds that have a reconcile: one record for each, from which watches, cache, queue and metrics follow."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from leadline_operator.kinds import NAMESPACE, JsonObject, Key, Kind

Reconcile = Callable[[Any, Key], Awaitable[float | None]]
"""Brings an object nearer to its manifest, from what a reconciliation works with and the object's key.

Returns the seconds after which the object is reconciled again, None for when something of it changes.
"""


def _nothing(_: JsonObject) -> None:
    """The reference of a kind whose objects name no other."""


@dataclass(frozen=True, slots=True)
class OwnerKind:
    """One kind of object that the operator looks after.

    label: on everything that is made for such an object, with the object's name. finalizer: on the object while it
    must not go; None where it may go at any time. children: kinds of what is made for it. refers_to: the object of
    another such kind that it names in its spec, None for none: each of the two is reconciled when the other changes.
    """

    kind: Kind
    label: str
    finalizer: str | None
    children: tuple[Kind, ...]
    reconcile: Reconcile
    refers_to: Callable[[JsonObject], Key | None] = _nothing


class Owners:
    """The registry. Its order is that in which objects are looked at when all of them are."""

    def __init__(self, records: Iterable[OwnerKind]) -> None:
        self._by_name = {record.kind.name: record for record in records}
        self.children = tuple(dict.fromkeys(child for record in self for child in record.children))

    def __iter__(self) -> Iterator[OwnerKind]:
        return iter(self._by_name.values())

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that have a reconcile."""
        return tuple(record.kind for record in self)

    @property
    def watched(self) -> tuple[Kind, ...]:
        """Every kind that is watched: owners, what is made for them, and namespaces."""
        return (*self.kinds, *self.children, NAMESPACE)

    @property
    def finalizers(self) -> frozenset[str]:
        """The finalizers by which objects are held."""
        return frozenset(record.finalizer for record in self if record.finalizer is not None)

    @property
    def held(self) -> tuple[Kind, ...]:
        """The kinds whose objects only the operator lets go."""
        return tuple(record.kind for record in self if record.finalizer is not None)

    def of(self, key: Key) -> OwnerKind:
        """The record of a key's kind. Raises KeyError for a kind that has no reconcile."""
        return self._by_name[key.kind]

    def record(self, kind: Kind) -> OwnerKind | None:
        """The record of a kind, None for one that has no reconcile."""
        found = self._by_name.get(kind.name)
        return found if found is not None and found.kind == kind else None

    def owner_of(self, document: Mapping[str, Any]) -> Key | None:
        """The key of the object that a child was made for, by its labels; None when it was made for none."""
        metadata = document["metadata"]
        labels = metadata.get("labels") or {}
        for record in self:
            if record.label in labels:
                return Key(record.kind.name, metadata["namespace"], labels[record.label])
        return None
