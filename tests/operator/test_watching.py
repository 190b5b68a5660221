"""What the watches bring: who is looked at because of it, and what old words about an object do."""

import asyncio
from typing import Any

from leadline.model.ids import AccountId, StrategyId
from leadline_operator.cache import Cache
from leadline_operator.handlers import Watcher
from leadline_operator.kinds import ACCOUNT, DEPLOYMENT, STRATEGY, Key
from leadline_operator.reconcile.deps import Deps
from leadline_operator.registry import OWNERS
from tests.operator.test_desired import params

FLOW = Key("TradingStrategy", "default", "flow")


def flow(uid: str, version: int, generation: int = 1) -> dict[str, Any]:
    metadata = {"name": "flow", "namespace": "default", "uid": uid, "resourceVersion": str(version)}
    return {
        "apiVersion": "leadline.dev/v1alpha1",
        "kind": "TradingStrategy",
        "metadata": {**metadata, "generation": generation},
        "spec": {"instrument": "MES"},
    }


def watcher() -> tuple[Watcher, Cache, list[Key]]:
    cache, looked_at = Cache(OWNERS), list[Key]()
    return Watcher(cache, looked_at.append, lambda: 0.0), cache, looked_at


def test_the_late_end_of_an_object_that_was_made_anew_takes_nothing_away():
    heard, cache, looked_at = watcher()
    heard.take(STRATEGY, "ADDED", flow("old", 5))
    heard.take_listing(STRATEGY, "default", [flow("new", 9)], 9)
    looked_at.clear()
    heard.take(STRATEGY, "DELETED", flow("old", 7))
    assert cache.get(STRATEGY, "default", "flow") == {**flow("new", 9), "metadata": trimmed("new", 9)}
    assert looked_at == []


def test_the_end_of_the_object_that_is_known_has_its_owner_and_its_account_looked_at():
    heard, cache, looked_at = watcher()
    heard.take(STRATEGY, "ADDED", flow("one", 5))
    looked_at.clear()
    heard.take(STRATEGY, "DELETED", flow("one", 7))
    assert cache.get(STRATEGY, "default", "flow") is None
    assert looked_at == [FLOW, Key("TradingAccount", "default", "paper")]


def test_a_kind_that_is_gone_takes_its_objects_with_it_in_the_namespace_alone():
    heard, cache, looked_at = watcher()
    other = flow("two", 6)
    other["metadata"]["namespace"] = "other"
    heard.take(STRATEGY, "ADDED", flow("one", 5))
    heard.take(STRATEGY, "ADDED", other)
    looked_at.clear()
    heard.lose_all(STRATEGY, "default")
    assert FLOW in looked_at
    assert cache.count(STRATEGY) == 1


def test_nothing_is_remembered_of_owners_that_are_gone():
    cache = Cache(OWNERS)
    nobody: Any = None
    deps = Deps(params(), "code", cache, nobody, nobody, nobody, nobody, nobody, nobody, nobody, nobody)
    account = {**flow("a", 1), "kind": "TradingAccount"}
    account["metadata"] = {**account["metadata"], "name": "paper"}
    cache.put(ACCOUNT, account)
    cache.put(STRATEGY, flow("s", 2))

    def remember(namespace: str) -> None:
        deps.locks[AccountId(f"{namespace}/paper")] = asyncio.Lock()
        deps.states[AccountId(f"{namespace}/paper")] = (0.0, nobody)
        deps.counted[Key("TradingStrategy", namespace, "flow")] = 0.0
        deps.orphans[AccountId(f"{namespace}/paper"), StrategyId("x")] = 0.0
        deps.applied[DEPLOYMENT, namespace, "analysis"] = ""
        deps.asked[StrategyId(f"{namespace}/flow")] = (nobody, 0.0)

    caches = (deps.locks, deps.states, deps.counted, deps.orphans, deps.applied, deps.asked)
    remember("default")
    kept = [list(cache) for cache in caches]
    for number in range(100):
        remember(f"gone-{number}")
    deps.prune()
    assert [list(cache) for cache in caches] == kept


def trimmed(uid: str, version: int) -> dict[str, Any]:
    return {**flow(uid, version)["metadata"], "managedFields": []}
