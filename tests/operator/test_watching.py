"""What the watches bring: who is looked at because of it, and what old words about an object do."""

from typing import Any

from leadline_operator.handlers import Watcher
from leadline_operator.kinds import STRATEGY, Key
from leadline_operator.seen import Seen

FLOW = Key("TradingStrategy", "default", "flow")


def flow(uid: str, version: int, generation: int = 1) -> dict[str, Any]:
    metadata = {"name": "flow", "namespace": "default", "uid": uid, "resourceVersion": str(version)}
    return {
        "apiVersion": "leadline.dev/v1alpha1",
        "kind": "TradingStrategy",
        "metadata": {**metadata, "generation": generation},
        "spec": {"instrument": "MES"},
    }


def watcher() -> tuple[Watcher, Seen, list[Key]]:
    seen, looked_at = Seen(), list[Key]()
    return Watcher(seen, looked_at.append, lambda: 0.0), seen, looked_at


def test_the_late_end_of_an_object_that_was_made_anew_takes_nothing_away():
    heard, seen, looked_at = watcher()
    heard.take(STRATEGY, "ADDED", flow("old", 5))
    heard.take_listing(STRATEGY, "default", [flow("new", 9)], 9)
    looked_at.clear()
    heard.take(STRATEGY, "DELETED", flow("old", 7))
    assert seen.get(STRATEGY, "default", "flow") == {**flow("new", 9), "metadata": trimmed("new", 9)}
    assert looked_at == []


def test_the_end_of_the_object_that_is_known_has_its_owner_and_its_account_looked_at():
    heard, seen, looked_at = watcher()
    heard.take(STRATEGY, "ADDED", flow("one", 5))
    looked_at.clear()
    heard.take(STRATEGY, "DELETED", flow("one", 7))
    assert seen.get(STRATEGY, "default", "flow") is None
    assert looked_at == [FLOW, Key("TradingAccount", "default", "paper")]


def test_a_kind_that_is_gone_takes_its_objects_with_it_in_the_namespace_alone():
    heard, seen, looked_at = watcher()
    other = flow("two", 6)
    other["metadata"]["namespace"] = "other"
    heard.take(STRATEGY, "ADDED", flow("one", 5))
    heard.take(STRATEGY, "ADDED", other)
    looked_at.clear()
    heard.lose_all(STRATEGY, "default")
    assert FLOW in looked_at
    assert seen.count(STRATEGY) == 1


def trimmed(uid: str, version: int) -> dict[str, Any]:
    return {**flow(uid, version)["metadata"], "managedFields": []}
