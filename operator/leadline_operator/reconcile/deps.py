"""The dependencies of a reconcile: the cache, the clients, and what it remembers between two of them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from leadline.model.errors import InvalidInput
from leadline.model.ids import AccountId, StrategyId
from leadline.model.manifest.specs import Manifest, parse_manifest
from leadline_operator.cache import Cache, place_of, uid_of
from leadline_operator.clients.calls import Feed
from leadline_operator.clients.demand import Demand
from leadline_operator.clients.execution import AccountState, Executions
from leadline_operator.clients.kube import Kube
from leadline_operator.events import EventRecorder
from leadline_operator.kinds import ACCOUNT, NAMESPACE, STRATEGY, JsonObject, Key, Kind, own_key
from leadline_operator.params import OperatorParams

# How old an account's state may be where nothing is let go of on its word.
STATE_SECONDS: Final = 2.0
_MOST_PARSED: Final = 8192


@dataclass(slots=True)
class Deps:
    """Everything of one operator. `enqueue` reconciles an object, after so many seconds; clock: monotonic seconds.

    `bus_problem` says why the bus stores nothing, empty while it does. `parsed`, `states` and `counted` only save work:
    an operator that starts without them does the same.
    """

    params: OperatorParams
    code_version: str
    cache: Cache
    kube: Kube
    executions: Executions
    feed: Feed
    demand: Demand
    events: EventRecorder
    now: Callable[[], datetime]
    clock: Callable[[], float]
    enqueue: Callable[[Key, float], None]
    parsed: dict[tuple[str, int], Manifest | list[InvalidInput]] = field(default_factory=dict)
    states: dict[AccountId, tuple[float, AccountState]] = field(default_factory=dict)
    locks: dict[AccountId, asyncio.Lock] = field(default_factory=dict)
    counted: dict[Key, float] = field(default_factory=dict)
    orphans: dict[tuple[AccountId, StrategyId], float] = field(default_factory=dict)
    applied: dict[tuple[Kind, str, str], str] = field(default_factory=dict)
    asked: dict[StrategyId, tuple[object, float]] = field(default_factory=dict)
    bus_problem: str = ""

    def manifest(self, found: JsonObject) -> Manifest | list[InvalidInput]:
        """The manifest that an object is, or everything that is wrong with it."""
        metadata = found["metadata"]
        mark = (uid_of(found), int(metadata.get("generation", 0)))
        if mark not in self.parsed:
            while len(self.parsed) >= _MOST_PARSED:
                del self.parsed[next(iter(self.parsed))]
            # Labels and notes are other people's, and change nothing.
            bare = {name: metadata[name] for name in ("name", "namespace")}
            self.parsed[mark] = parse_manifest({**found, "metadata": bare})
        return self.parsed[mark]

    async def state(self, account: AccountId, *, fresh: bool) -> AccountState:
        """The account as its execution has it; a moment old unless it must be fresh."""
        lock = self.locks.setdefault(account, asyncio.Lock())
        asked_at = self.clock()
        async with lock:
            known = self.states.get(account)
            if known is not None and known[0] >= (asked_at if fresh else asked_at - STATE_SECONDS):
                return known[1]
            before = self.clock()
            state = await self.executions.state(account)
            self.states[account] = (before, state)
            return state

    def forget_state(self, account: AccountId) -> None:
        """Forget the account's state: something was asked of it since."""
        self.states.pop(account, None)

    def prune(self) -> None:
        """Drop what is remembered of owners that are gone: nothing grows with the objects that have ever been."""
        owners = {own_key(found, kind) for kind in self.cache.owners.kinds for found in self.cache.all(kind)}
        accounts = {key.account for key in owners if key.kind == ACCOUNT.name}
        strategies = {key.strategy for key in owners if key.kind == STRATEGY.name}
        inhabited = {key.namespace for key in owners}
        for account in self.states.keys() - accounts:
            del self.states[account]
        for account in self.locks.keys() - accounts:
            if not self.locks[account].locked():
                del self.locks[account]
        for key in self.counted.keys() - owners:
            del self.counted[key]
        for orphan in [each for each in self.orphans if each[0] not in accounts]:
            del self.orphans[orphan]
        for strategy in self.asked.keys() - strategies:
            del self.asked[strategy]
        # An object that has gone is still known by what it should be, while somebody may own it.
        for place in [each for each in self.applied if each[1] not in inhabited]:
            del self.applied[place]

    async def refresh(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        """Look at an object anew."""
        found = await self.kube.get(kind, namespace, name)
        if found is None:
            self.cache.drop(kind, (namespace, name))
        else:
            self.cache.put(kind, found)
        return found

    async def every(self, kind: Kind) -> list[JsonObject]:
        """All objects of a kind as the API server has them now, in the namespaces that are looked after."""
        found: list[JsonObject] = []
        for namespace in self.params.namespaces or (None,):
            found += (await self.kube.every(kind, namespace))[0]
        return found

    def ending(self, namespace: str) -> bool:
        """Whether the namespace is going: nothing is made in it."""
        found = self.cache.get(NAMESPACE, "", namespace)
        return found is not None and "deletionTimestamp" in found["metadata"]


def annotation(found: JsonObject, name: str) -> str:
    """An annotation's text, empty where there is none."""
    annotations: dict[str, Any] = found["metadata"].get("annotations") or {}
    return str(annotations.get(name, ""))


def deleting(found: JsonObject) -> bool:
    """Whether the object is being deleted."""
    return "deletionTimestamp" in found["metadata"]


def is_paper(account: JsonObject) -> bool:
    """Whether an account's object is for paper, whatever else of its manifest may be wrong."""
    return bool((account.get("spec") or {}).get("environment", "Paper") == "Paper")


def place_key(kind: Kind, document: JsonObject) -> tuple[Kind, str, str]:
    """A name for the place of an object."""
    return (kind, *place_of(document))
