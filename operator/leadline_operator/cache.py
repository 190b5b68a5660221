"""The objects as they were last seen: fed by watches, listings and the answers to own requests.

The cache may be old. It decides which objects are reconciled and written, never which are let go.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from leadline.model.ids import AccountId
from leadline.model.manifest.strategy_spec import referenced_account
from leadline_operator.kinds import POD, REVISION, STRATEGY, JsonObject, Key, Kind, account_key
from leadline_operator.owners import Owners

# Characters of what a container said last.
_LAST_WORDS: Final = 2048

Place = tuple[str, str]
"""Namespace (empty for what has none) and name."""
Gone = list[JsonObject]


class _Entry(NamedTuple):
    """An object, packed: as text it takes a fifth of the memory that it takes unfolded."""

    version: int
    uid: str
    belongs_to: Key | None
    text: bytes

    def unpacked(self) -> JsonObject:
        found: JsonObject = orjson.loads(self.text)
        return found


class Cache:
    """Objects by kind and place, children by owner, and the objects that refer to another one by that.

    It gives out copies.
    """

    def __init__(self, owners: Owners) -> None:
        self.owners = owners
        self._objects: dict[Kind, dict[Place, _Entry]] = {}
        self._index: dict[tuple[Kind, Key], set[Place]] = {}

    def put(self, kind: Kind, found: Mapping[str, Any]) -> bool:
        """Take in an object; False when what is known of it is as new or newer."""
        place, version, uid = place_of(found), version_of(found), uid_of(found)
        known = self._objects.setdefault(kind, {}).get(place)
        if known is not None and known.version >= version and known.uid == uid:
            return False
        self._remove(kind, place)
        index: Key | None = None
        if kind in self.owners.children:
            index = self.owners.owner_of(found)
        elif (record := self.owners.record(kind)) is not None:
            index = record.refers_to(dict(found))
        self._objects[kind][place] = _Entry(version, uid, index, orjson.dumps(trimmed(kind, found)))
        if index is not None:
            self._index.setdefault((kind, index), set()).add(place)
        return True

    def drop(self, kind: Kind, place: Place) -> JsonObject | None:
        """Forget an object; what was known of it, None when nothing was."""
        known = self._remove(kind, place)
        return None if known is None else known.unpacked()

    def drop_this(self, kind: Kind, found: Mapping[str, Any]) -> bool:
        """Forget just this object; False when another one of its name is known that was made since."""
        known = self._objects.get(kind, {}).get(place_of(found))
        if known is not None and known.uid != uid_of(found) and known.version > version_of(found):
            return False
        self._remove(kind, place_of(found))
        return True

    def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        """An object as it was last seen, None when it is not known."""
        known = self._objects.get(kind, {}).get((namespace, name))
        return None if known is None else known.unpacked()

    def all(self, kind: Kind) -> list[JsonObject]:
        """All objects of a kind, by namespace and name."""
        return [found.unpacked() for _, found in sorted(self._objects.get(kind, {}).items())]

    def children(self, kind: Kind, owner: Key) -> list[JsonObject]:
        """An owner's children of a kind, by name."""
        return self._indexed(kind, owner)

    def count(self, kind: Kind) -> int:
        """How many objects of a kind are known."""
        return len(self._objects.get(kind, {}))

    def owner(self, key: Key) -> JsonObject | None:
        """The object of a key."""
        return self.get(self.owners.of(key).kind, key.namespace, key.name)

    def referring(self, kind: Kind, key: Key) -> list[JsonObject]:
        """The objects of a kind that name another one in their spec, by namespace and name."""
        return self._indexed(kind, key)

    def strategies_of(self, account: AccountId) -> list[JsonObject]:
        """The strategies that name an account (`namespace/name`), by namespace and name."""
        return self.referring(STRATEGY, account_key(account))

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
            if namespace in {None, place[0]} and place not in places and known.version <= version
            if (gone := self.drop(kind, place)) is not None
        ]

    def _remove(self, kind: Kind, place: Place) -> _Entry | None:
        known = self._objects.get(kind, {}).pop(place, None)
        if known is not None and known.belongs_to is not None:
            places = self._index[kind, known.belongs_to]
            places.discard(place)
            if not places:
                del self._index[kind, known.belongs_to]
        return known

    def _indexed(self, kind: Kind, index: Key) -> list[JsonObject]:
        places = self._index.get((kind, index), ())
        return [self._objects[kind][place].unpacked() for place in sorted(places)]


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


def named_account(strategy: Mapping[str, Any]) -> Key:
    """The key of the account that a strategy's object names."""
    return account_key(referenced_account(strategy))


def named_strategy(backtest: Mapping[str, Any]) -> Key | None:
    """The key of the strategy that a backtest's object names, None where it has one of its own."""
    name = ((backtest.get("spec") or {}).get("strategy") or {}).get("name")
    return None if name is None else Key(STRATEGY.name, backtest["metadata"]["namespace"], str(name))


def trimmed(kind: Kind, document: Mapping[str, Any]) -> JsonObject:
    """The part of an object that is kept: no lists of fields, and of a Pod only whether it is there and well."""
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
        kept["status"]["containerStatuses"] = [
            _container(item)
            for item in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
        ]
        kept.pop("spec", None)
    elif kind is REVISION:
        # The data of a revision are as large as all the rest, and are asked for when they are needed.
        kept.pop("data", None)
    return kept


def _container(status: Mapping[str, Any]) -> JsonObject:
    """Of a container: how often it was started again, why it waits, and what it said last when it ended."""
    waiting = (status.get("state") or {}).get("waiting") or {}
    ended = (status.get("state") or {}).get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    return {
        "name": status.get("name", ""),
        "ready": status.get("ready", False),
        "restarts": status.get("restartCount", 0),
        "waiting": {"reason": waiting.get("reason", ""), "message": str(waiting.get("message", ""))[:_LAST_WORDS]},
        "ended": {"reason": ended.get("reason", ""), "message": str(ended.get("message", ""))[-_LAST_WORDS:]},
    }
