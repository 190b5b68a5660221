"""Accounts: made, missing, refused, halted, deleted; and who may trade what on them."""

import pytest

from tests.operator.api import APPLY, APPS, CORE, LEADLINE
from tests.operator.harness import Leadline

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


async def test_the_account_paper_is_made_where_a_namespace_has_none(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    found = leadline.account()
    assert found is not None
    assert found["spec"]["environment"] == "Paper"
    leadline.until(lambda: (leadline.account() or {}).get("status", {}).get("phase") == "Running", "the account runs")
    assert (leadline.account() or {})["status"]["strategies"] == 1
    # A normal start, told from the making of the account to the first signal.
    told = ("AccountCreated", "WorkloadReady", "Started")
    leadline.until(lambda: all(map(leadline.events, told)), f"Events say {', '.join(told)}")


async def test_an_account_below_its_strategy_in_one_file_is_not_made_before_it_comes(idle: Leadline):
    idle.operator = idle.another_operator(default_account_seconds=3)
    idle.operator.start()
    idle.apply_account("other")
    idle.until(lambda: (idle.account("other") or {}).get("status"), "the operator is at work")
    idle.apply()
    idle.stays(lambda: idle.account() is None, "the account is left to who applies it")
    idle.until(idle.account, "without one it is made")


async def test_a_strategy_waits_for_an_account_that_comes_later(leadline: Leadline):
    leadline.pods.do("serve", accounts=[leadline.full("prop")])
    leadline.apply(account={"name": "prop"})
    condition = leadline.says("Accepted", "AccountNotFound")
    assert leadline.full("prop") in condition["message"]
    assert leadline.deployment() is None
    leadline.apply_account("prop")
    leadline.ready()


async def test_of_two_strategies_on_one_contract_the_first_one_trades_and_the_other_waits(leadline: Leadline):
    leadline.apply("first")
    leadline.ready("first")
    leadline.apply("second", instrument="ES")
    condition = leadline.says("Accepted", "InstrumentClaimed", "second")
    assert leadline.full("first") in condition["message"]
    assert leadline.deployment("second") is None
    leadline.until(lambda: (leadline.account() or {})["status"]["strategies"] == 1, "one trades the account")
    leadline.stays(lambda: (leadline.account() or {})["status"]["strategies"] == 1, "the refused one is not counted")
    leadline.delete("first")
    leadline.gone("first")
    leadline.ready("second")


async def test_who_trades_a_contract_keeps_it_also_against_an_older_strategy(leadline: Leadline):
    leadline.apply_account(tiers=[])
    leadline.apply("older", instrument="MNQ", sizing={"mode": "Fixed", "size": 1})
    leadline.ready("older")
    leadline.apply("newer", sizing={"mode": "Fixed", "size": 1})
    leadline.ready("newer")
    before = leadline.at_execution("older")["manifest"]
    leadline.edit("older", instrument="MES")
    leadline.says("Accepted", "InstrumentClaimed", "older")
    assert leadline.condition("Ready", "newer")["status"] == "True"
    # The last manifest that could run goes on.
    assert leadline.replicas("older") == 1
    assert leadline.at_execution("older")["manifest"] == before


async def test_what_execution_refuses_under_old_settings_is_tried_again_as_soon_as_it_has_the_new_ones(
    leadline: Leadline,
):
    path = f"{LEADLINE}/namespaces/{leadline.namespace}/tradingaccounts/paper"
    pause = "leadline.dev/pause-reconciliation"
    leadline.apply_account()
    leadline.until(lambda: (leadline.account() or {}).get("status", {}).get("phase") == "Running", "the account runs")
    leadline.api.patch(path, {"metadata": {"annotations": {pause: "true"}}, "spec": {"tiers": []}})
    leadline.apply(instrument="MNQ", sizing={"mode": "Fixed", "size": 1})
    leadline.says("ConfigApplied", "RefusedByExecution")
    leadline.api.patch(path, {"metadata": {"annotations": {pause: None}}})
    # Well before it would be tried again for the time that has passed.
    leadline.ready(seconds=20)


async def test_a_namespace_that_the_account_does_not_allow_is_refused_until_it_is_allowed(leadline: Leadline):
    other = f"{leadline.namespace}-b"
    leadline.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
    leadline.pods.do("serve", accounts=[f"{other}/shared"])
    path = f"{LEADLINE}/namespaces/{other}/tradingaccounts/shared"
    document = {
        "apiVersion": "leadline.dev/v1alpha1",
        "kind": "TradingAccount",
        "metadata": {"name": "shared", "namespace": other},
        "spec": {},
    }
    leadline.api.patch(path, document, APPLY)
    leadline.apply(account={"name": "shared", "namespace": other})
    condition = leadline.says("Accepted", "NamespaceNotAllowed")
    assert "allowedNamespaces" in condition["message"]
    leadline.api.patch(path, {"spec": {"allowedNamespaces": [leadline.namespace]}})
    leadline.ready()
    leadline.delete()
    leadline.gone()
    leadline.api.delete(path)
    leadline.kube.kubectl("delete", "namespace", other, "--wait=false")


async def test_what_two_manifests_cannot_be_together_is_refused_with_the_reason(leadline: Leadline):
    leadline.apply(instrument="GCZ2025")
    condition = leadline.says("Accepted", "InvalidSpec")
    assert "underlying" in condition["message"]
    assert condition["observedGeneration"] == 1
    leadline.edit(instrument="MES")
    leadline.ready()


async def test_a_halt_in_the_manifest_reaches_execution_and_shows(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    leadline.apply_account(halt=True)
    leadline.until(lambda: (leadline.account() or {}).get("status", {}).get("halted"), "it is halted")
    leadline.until(lambda: (leadline.account() or {})["status"]["phase"] == "Halted", "its phase says so")
    leadline.apply_account(halt=False)
    leadline.until(lambda: not (leadline.account() or {})["status"]["halted"], "the person who wrote it clears it")
    assert leadline.asked("SetAccount")[-1]["person"] == "risk-officer"


async def test_a_strategy_is_ready_only_while_its_accounts_workloads_are_up(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    pod = f"{CORE}/namespaces/{leadline.namespace}/pods/{leadline.workload('paper', 'execution')}-0"
    leadline.until(lambda: leadline.events("WorkloadReady"), "the account is up")
    why = {"type": "Ready", "status": "False", "message": "the readiness probe failed"}

    def set_ready(status: str) -> None:
        conditions = [{**why, "status": status}, {"type": "ContainersReady", "status": status}]
        leadline.api.patch(f"{pod}/status", {"status": {"conditions": conditions}})

    set_ready("False")
    condition = leadline.says("Ready", "AccountNotReady")
    assert leadline.workload("paper", "execution") in condition["message"]
    assert leadline.status()["phase"] == "Waiting"
    assert leadline.condition("Trading")["status"] == "Unknown"
    leadline.until(lambda: leadline.events("WorkloadNotReady"), "an Event says so")
    set_ready("True")
    leadline.ready()


async def test_the_end_of_the_feed_shows_on_account_and_strategy(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    leadline.pods.do("set", account=leadline.full("paper"), phase="finished")
    condition = leadline.says("Trading", "FeedEnded")
    assert condition["status"] == "False"
    leadline.until(lambda: leadline.status()["phase"] == "Finished", "the strategy's phase says so")
    leadline.until(lambda: (leadline.account() or {})["status"]["phase"] == "Finished", "the account's phase says so")


async def test_limits_of_the_account_reach_execution_without_a_restart(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    place = f"{APPS}/namespaces/{leadline.namespace}/statefulsets/{leadline.workload('paper', 'execution')}"
    before = (leadline.api.get(place) or {})["metadata"]["generation"]
    asked = len(leadline.asked("SetAccount"))
    leadline.apply_account(limits={"maxPosition": 1})
    leadline.until(lambda: len(leadline.asked("SetAccount")) > asked, "execution is told")
    assert (leadline.api.get(place) or {})["metadata"]["generation"] == before
    leadline.apply_account(limits={"maxPosition": 1}, startingBalance="9000")
    leadline.until(lambda: (leadline.api.get(place) or {})["metadata"]["generation"] > before, "it needs a new Pod")


async def test_an_account_stays_until_its_strategies_have_left(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    leadline.api.delete(f"{LEADLINE}/namespaces/{leadline.namespace}/tradingaccounts/paper")
    leadline.until(lambda: leadline.events("StrategiesRemain"), "an Event says why")
    assert leadline.account() is not None
    leadline.delete()
    leadline.gone()
    leadline.until(lambda: leadline.account() is None, "it goes after them")


async def test_an_account_stays_while_a_position_is_kept_on_it(leadline: Leadline):
    place = f"{LEADLINE}/namespaces/{leadline.namespace}/tradingaccounts/paper"
    leadline.apply(deletionPolicy={"positions": "Keep"})
    leadline.ready()
    leadline.pods.do("hold", account=leadline.full("paper"), strategy=leadline.full(), quantity=2)
    leadline.delete()
    leadline.gone()
    leadline.api.delete(place)
    told = leadline.until(lambda: leadline.events("PositionsOpen"), "an Event says what is held")
    assert f"{leadline.full()} position 2" in told[0]
    found = leadline.account()
    assert found is not None
    assert leadline.condition("Ready", found=found)["reason"] == "PositionsOpen"
    # What looks after the position is still there.
    sets = leadline.api.items(f"{APPS}/namespaces/{leadline.namespace}/statefulsets")
    assert {item["spec"]["replicas"] for item in sets} == {1}
    leadline.pods.do("hold", account=leadline.full("paper"), strategy=leadline.full(), quantity=0)
    leadline.until(lambda: leadline.account() is None, "it goes when nothing is held")


async def test_a_halt_by_a_person_shows_as_soon_as_execution_has_it(idle: Leadline):
    # Nothing else brings the operator to look at the account.
    idle.operator = idle.another_operator(status_seconds=600, resync_seconds=600)
    idle.operator.start()
    idle.apply()
    idle.ready(seconds=60)
    idle.until(lambda: (idle.account() or {})["status"]["phase"] == "Running", "the account runs")
    idle.pods.do("set", account=idle.full("paper"), halt="the news")
    idle.until(lambda: (idle.account() or {})["status"].get("halt") == "no. 1 PERSON: the news (ann)", "the halt shows")
    found = idle.account()
    assert found is not None
    assert (found["status"]["halted"], found["status"]["phase"]) == (True, "Halted")
    assert idle.condition("Halted", found=found)["status"] == "True"
    idle.pods.do("set", account=idle.full("paper"), halt="")
    idle.until(lambda: (idle.account() or {})["status"]["phase"] == "Running", "its end shows as well")
    assert not (idle.account() or {})["status"].get("halt")


async def test_what_execution_trades_and_nobody_owns_only_closes(own: Leadline):
    """Somebody took the finalizer off by hand."""
    own.apply()
    own.ready()
    own.pods.do("hold", account=own.full("paper"), strategy=own.full(), quantity=1)
    own.operator.kill()
    own.api.patch(own.path(), {"metadata": {"finalizers": None}})
    own.delete()
    own.gone()
    own.operator.start()
    own.until(lambda: "/orphan/" in own.at_execution()["drain"], "it is drained", 60)
    assert own.at_execution()["position"] == 1
    own.until(lambda: own.events("OrphanDrained"), "an Event says so")
