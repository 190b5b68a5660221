"""The objects as they were last seen: fed by watches, listings and the answers to own requests.

What is here may be old. It decides what to look at and what to write, never what to let go of.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from leadline_operator.kinds import ACCOUNT, CHILDREN, POD, REVISION, STRATEGY, JsonObject, Key, Kind, owner_key

Place = tuple[str, str]
"""Namespace (empty for what has none) and name."""
Gone = list[JsonObject]


class Seen:
    """Objects by kind and place, the owners' children by owner, and the strategies by account."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[Place, JsonObject]] = {}
        self._children: dict[tuple[Kind, Key], dict[str, JsonObject]] = {}
        self._by_account: dict[str, dict[Place, JsonObject]] = {}

    def put(self, kind: Kind, found: Mapping[str, Any]) -> bool:
        """Take in an object; False when what is known of it is as new or newer."""
        place = place_of(found)
        known = self._objects.setdefault(kind, {}).get(place)
        if known is not None and version_of(known) >= version_of(found) and uid_of(known) == uid_of(found):
            return False
        self.drop(kind, place)
        kept = trimmed(kind, found)
        self._objects[kind][place] = kept
        if kind in CHILDREN and (owner := owner_key(kept)) is not None:
            self._children.setdefault((kind, owner), {})[place[1]] = kept
        if kind is STRATEGY:
            self._by_account.setdefault(account_of(kept), {})[place] = kept
        return True

    def drop(self, kind: Kind, place: Place) -> JsonObject | None:
        """Forget an object; what was known of it, None when nothing was."""
        known = self._objects.get(kind, {}).pop(place, None)
        if known is not None and kind in CHILDREN and (owner := owner_key(known)) is not None:
            siblings = self._children.get((kind, owner), {})
            siblings.pop(place[1], None)
            if not siblings:
                self._children.pop((kind, owner), None)
        if known is not None and kind is STRATEGY:
            self._by_account[account_of(known)].pop(place, None)
        return known

    def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        """An object as it was last seen, None when it is not known. Do not change it."""
        return self._objects.get(kind, {}).get((namespace, name))

    def all(self, kind: Kind) -> list[JsonObject]:
        """All objects of a kind, by namespace and name."""
        return [found for _, found in sorted(self._objects.get(kind, {}).items())]

    def children(self, kind: Kind, owner: Key) -> list[JsonObject]:
        """An owner's children of a kind, by name."""
        return [found for _, found in sorted(self._children.get((kind, owner), {}).items())]

    def count(self, kind: Kind) -> int:
        """How many objects of a kind are known."""
        return len(self._objects.get(kind, {}))

    def owner(self, key: Key) -> JsonObject | None:
        """The strategy or account of a key."""
        kind = {STRATEGY.name: STRATEGY, ACCOUNT.name: ACCOUNT}[key.kind]
        return self.get(kind, key.namespace, key.name)

    def strategies_of(self, account: str) -> list[JsonObject]:
        """The strategies that name an account (`namespace/name`), by namespace and name."""
        return [found for _, found in sorted(self._by_account.get(account, {}).items())]

    def relist(self, kind: Kind, listed: Iterable[Mapping[str, Any]], version: int, namespace: str | None) -> Gone:
        """Take in a complete listing of a kind, made at a resource version, of one namespace or of all.

        Gives what has gone: it was known, is not listed, and is not newer than the listing.
        """
        places: set[Place] = set()
        for found in listed:
            places.add(place_of(found))
            self.put(kind, found)
        return [
            gone
            for place, known in list(self._objects.get(kind, {}).items())
            if namespace in {None, place[0]} and place not in places and version_of(known) <= version
            if (gone := self.drop(kind, place)) is not None
        ]


def place_of(document: Mapping[str, Any]) -> Place:
    """Where an object is."""
    metadata = document["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def uid_of(document: Mapping[str, Any]) -> str:
    """The object's uid."""
    return str(document["metadata"].get("uid", ""))


def version_of(document: Mapping[str, Any]) -> int:
    """The object's resource version as a number: the larger of two of one kind is the newer."""
    return int(document["metadata"].get("resourceVersion", 0))


def account_of(strategy: Mapping[str, Any]) -> str:
    """The `namespace/name` of the account that a strategy's object names."""
    reference = (strategy.get("spec") or {}).get("account") or {}
    namespace = reference.get("namespace") or strategy["metadata"]["namespace"]
    return f"{namespace}/{reference.get('name', 'paper')}"


def trimmed(kind: Kind, document: Mapping[str, Any]) -> JsonObject:
    """What of an object is looked at: no lists of fields, and of a Pod only what tells whether it is there and well."""
    metadata = dict(document["metadata"])
    managers = metadata.pop("managedFields", None) or ()
    metadata["managedFields"] = [
        {name: entry[name] for name in ("manager", "operation", "subresource", "time") if name in entry}
        for entry in managers
    ]
    kept = {**document, "metadata": metadata}
    if kind is POD:
        status = document.get("status") or {}
        kept["status"] = {name: status[name] for name in ("phase", "conditions") if name in status}
        kept.pop("spec", None)
    elif kind is REVISION:
        # What a revision holds is as large as all the rest, and is asked for when it is needed.
        kept.pop("data", None)
    return kept
