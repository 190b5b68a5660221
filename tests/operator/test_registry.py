"""A kind that the operator looks after is one record: what watches, cache, queue and metrics do follows from it."""

from typing import Any

import pytest

from leadline.model.ids import AccountId
from leadline.model.manifest.kinds import MANIFEST_KINDS
from leadline_operator.cache import Cache
from leadline_operator.handlers import Watcher
from leadline_operator.kinds import (
    ACCOUNT,
    CONFIG_MAP,
    DEPLOYMENT,
    GROUP,
    NAMESPACE,
    POD,
    STRATEGY,
    Key,
    Kind,
    account_key,
    owner_label,
)
from leadline_operator.owners import OwnerKind, Owners
from leadline_operator.registry import OWNERS
from leadline_operator.service import measure
from leadline_operator.watches import Place, places_of
from tests.measured import value
from tests.operator.setup import RBAC

STUDY = Kind(GROUP, "v1alpha1", "Study", "studies")
JOB = Kind("batch", "v1", "Job", "jobs")
MINE = Key("Study", "desk", "mine")


async def reconcile_study(_: object, key: Key) -> float | None:
    return float(len(key.name))


def account_of_study(found: dict[str, Any]) -> Key:
    return account_key(AccountId(f"{found['metadata']['namespace']}/{found['spec']['account']}"))


STUDIES = OwnerKind(
    kind=STUDY,
    label=owner_label("study"),
    finalizer=f"{GROUP}/study",
    children=(JOB, POD),
    reconcile=reconcile_study,
    refers_to=account_of_study,
)
WITH_STUDIES = Owners((*OWNERS, STUDIES))


def document(kind: Kind, name: str, version: int, **parts: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "desk", "uid": name, "resourceVersion": str(version), "generation": version}
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": {}, **parts}


def study(version: int = 1, account: str = "paper") -> dict[str, Any]:
    return document(STUDY, "mine", version, spec={"account": account})


def child(kind: Kind, name: str) -> dict[str, Any]:
    found = document(kind, name, 1)
    found["metadata"]["labels"] = {STUDIES.label: "mine"}
    return found


@pytest.fixture
def looked_at() -> list[Key]:
    return []


@pytest.fixture
def watcher(looked_at: list[Key]) -> Watcher:
    return Watcher(Cache(WITH_STUDIES), looked_at.append, lambda: 0.0)


def test_every_kind_of_manifest_has_a_record_and_no_other():
    assert {record.kind.name for record in OWNERS} == {kind.name for kind in MANIFEST_KINDS}
    assert {record.label for record in OWNERS} == {owner_label(kind.noun) for kind in MANIFEST_KINDS}


def test_its_objects_and_what_is_made_for_them_are_watched_children_by_our_label(watcher: Watcher):
    nobody: Any = None
    places = places_of(WITH_STUDIES.watched, ("desk",), lambda kind, where: Place(kind, where, nobody, watcher))
    assert {place.kind for place in places} == {*OWNERS.watched, STUDY, JOB}
    assert watcher.children == {*OWNERS.children, JOB}


def test_every_watched_kind_may_be_listed_and_watched():
    rules = [*RBAC["namespace"], *RBAC["cluster"]]
    for kind in OWNERS.watched:
        verbs = {
            verb
            for rule in rules
            if kind.group in rule["apiGroups"] and kind.plural in rule["resources"]
            for verb in rule["verbs"]
        }
        assert {"list", "watch"} <= verbs, kind.plural


def test_it_is_reconciled_when_it_changes_and_when_what_is_made_for_it_does(watcher: Watcher, looked_at: list[Key]):
    watcher.take(STUDY, "ADDED", study())
    assert MINE in looked_at
    for kind in (JOB, POD):
        looked_at.clear()
        watcher.take(kind, "ADDED", child(kind, f"{kind.plural}-1"))
        assert looked_at == [MINE]


def test_what_it_names_is_reconciled_with_it_and_it_with_what_it_names(watcher: Watcher, looked_at: list[Key]):
    watcher.take(STUDY, "ADDED", study())
    assert looked_at == [MINE, Key("TradingAccount", "desk", "paper")]
    looked_at.clear()
    watcher.take(STUDY, "MODIFIED", study(2, account="other"))
    assert looked_at == [MINE, Key("TradingAccount", "desk", "other"), Key("TradingAccount", "desk", "paper")]
    looked_at.clear()
    watcher.take(ACCOUNT, "ADDED", document(ACCOUNT, "other", 1))
    assert looked_at == [Key("TradingAccount", "desk", "other"), MINE]
    looked_at.clear()
    up = {"conditions": [{"type": "Deployed", "status": "True"}]}
    changed = document(ACCOUNT, "other", 1, status=up)
    changed["metadata"]["resourceVersion"] = "2"
    watcher.take(ACCOUNT, "MODIFIED", changed)
    assert looked_at == [Key("TradingAccount", "desk", "other"), MINE]


def test_a_namespace_that_changes_has_all_of_its_kinds_reconciled(watcher: Watcher, looked_at: list[Key]):
    watcher.take(STUDY, "ADDED", study())
    watcher.take(ACCOUNT, "ADDED", document(ACCOUNT, "paper", 1))
    looked_at.clear()
    watcher.take(NAMESPACE, "MODIFIED", {"metadata": {"name": "desk", "resourceVersion": "1"}})
    assert looked_at == [Key("TradingAccount", "desk", "paper"), MINE]


def test_the_cache_finds_its_objects_and_their_children():
    cache = Cache(WITH_STUDIES)
    cache.put(STUDY, study())
    cache.put(JOB, child(JOB, "one"))
    cache.put(CONFIG_MAP, child(CONFIG_MAP, "another"))
    found = cache.owner(MINE)
    assert found is not None
    assert found["spec"] == {"account": "paper"}
    assert [item["metadata"]["name"] for item in cache.children(JOB, MINE)] == ["one"]
    assert cache.children(DEPLOYMENT, MINE) == []
    assert [item["metadata"]["name"] for item in cache.referring(STUDY, account_key(AccountId("desk/paper")))] == [
        "mine"
    ]
    cache.drop(STUDY, ("desk", "mine"))
    assert cache.referring(STUDY, account_key(AccountId("desk/paper"))) == []


async def test_its_own_reconcile_is_called():
    assert await WITH_STUDIES.of(MINE).reconcile(None, MINE) == 4.0
    assert WITH_STUDIES.of(Key(STRATEGY.name, "desk", "flow")).reconcile is not reconcile_study


def test_it_is_counted_and_held():
    cache = Cache(WITH_STUDIES)
    waits = {"type": "Ready", "status": "False", "reason": "Creating"}
    cache.put(STUDY, {**study(), "status": {"conditions": [waits]}})
    measure(cache, 0.0)
    assert value("leadline_operator_managed_resources", kind="Study") == 1
    assert value("leadline_operator_not_ready", kind="Study", reason="Creating") == 1
    assert STUDIES.finalizer in WITH_STUDIES.finalizers


def test_a_kind_without_a_record_is_no_owner():
    with pytest.raises(KeyError):
        OWNERS.of(MINE)
    assert OWNERS.record(STUDY) is None
