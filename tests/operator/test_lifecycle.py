"""A strategy on a real API server: created, changed, suspended, deleted. Pods are stood in for."""

import asyncio
import time

import pytest

from tests.operator.api import APPS, CORE
from tests.operator.harness import Leadline

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


async def test_an_applied_strategy_gets_its_objects_and_becomes_ready(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    found = leadline.deployment()
    assert found is not None
    pod = found["spec"]["template"]["spec"]
    assert (found["spec"]["replicas"], found["spec"]["strategy"]["type"]) == (1, "Recreate")
    assert pod["automountServiceAccountToken"] is False
    assert found["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] is True
    sets = leadline.api.items(f"{APPS}/namespaces/{leadline.namespace}/statefulsets")
    assert {item["metadata"]["name"] for item in sets} == {
        leadline.workload("paper", "execution"),
        leadline.workload("paper", "venue"),
    }
    status = leadline.status()
    assert (status["phase"], status["runningHash"]) == ("Running", status["desiredHash"])
    assert status["lastStable"]["hash"] == status["runningHash"]
    assert status["podName"] in leadline.pod_names()
    assert leadline.at_execution()["hash"] == found["metadata"]["annotations"]["leadline.dev/analysis-hash"]
    demand = await leadline.demand()
    assert {owner for owner, _ in demand} == {leadline.full(), ""}
    # Each month that leads within the feed.
    assert {(leadline.full(), "MESZ2025"), (leadline.full(), "MESH2026")} <= set(demand)
    assert ("", "MESZ2025") in demand


async def test_execution_is_told_before_the_first_pod_is_there(leadline: Leadline):
    leadline.pods.do("refuse", account=leadline.full("paper"), strategy=leadline.full(), because="not today")
    leadline.apply()
    condition = leadline.says("ConfigApplied", "RefusedByExecution")
    assert "not today" in condition["message"]
    assert leadline.deployment() is None
    assert leadline.condition("Ready")["status"] == "False"
    leadline.pods.do("refuse", account=leadline.full("paper"), strategy=leadline.full(), because="")
    leadline.edit(restartNonce=1)
    leadline.ready()


async def test_a_hot_change_reaches_execution_and_restarts_nothing(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    before, pods = leadline.deployment(), leadline.pod_names()
    leadline.edit(risk={"maxPosition": 1})
    leadline.until(lambda: leadline.at_execution()["manifest"]["risk"].get("maxPosition") == 1, "execution has it")
    leadline.ready()
    after = leadline.deployment()
    assert before is not None
    assert after is not None
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert leadline.pod_names() == pods
    assert leadline.condition("ConfigApplied")["reason"] == "Applied"


async def test_a_field_that_is_only_read_when_needed_changes_nothing(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    pods = leadline.pod_names()
    leadline.edit(deletionPolicy={"timeoutSeconds": 300})
    leadline.ready()
    assert leadline.pod_names() == pods


async def test_a_rollout_waits_until_the_strategy_is_flat(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    old, pods = leadline.status()["runningHash"], leadline.pod_names()
    leadline.pods.do("hold", account=leadline.full("paper"), strategy=leadline.full(), quantity=1)
    leadline.edit(bars="1m")
    assert "position 1" in leadline.says("ConfigApplied", "WaitingForFlat")["message"]
    # It trades on meanwhile.
    assert leadline.status()["phase"] == "Running"
    # What acts at once is not kept waiting by what does not.
    leadline.edit(risk={"maxPosition": 1})
    leadline.until(lambda: leadline.at_execution()["manifest"]["risk"].get("maxPosition") == 1, "execution has it")
    assert leadline.at_execution()["manifest"]["bars"] == "5m"
    leadline.stays(lambda: leadline.pod_names() == pods, "the old version goes on")
    assert leadline.status()["runningHash"] == old
    leadline.pods.do("hold", account=leadline.full("paper"), strategy=leadline.full(), quantity=0)
    leadline.ready()
    assert leadline.status()["runningHash"] != old
    assert leadline.at_execution()["manifest"]["bars"] == "1m"
    assert not set(leadline.pod_names()) & set(pods)
    assert leadline.status().get("rollout") is None


async def test_with_auto_the_old_version_is_drained_and_another_takes_over(leadline: Leadline):
    leadline.apply(updatePolicy="Auto", suspendPolicy={"workingOrders": "Cancel", "positions": "Keep"})
    leadline.ready()
    leadline.pods.do("hold", account=leadline.full("paper"), strategy=leadline.full(), quantity=2)
    leadline.edit(bars="1m")
    leadline.until(lambda: leadline.at_execution()["manifest"]["bars"] == "1m", "the new version is named")
    leadline.ready()
    assert leadline.at_execution()["position"] == 2
    assert any("/rollout/" in call["id"] for call in leadline.asked("Drain"))


async def test_a_new_version_has_its_bars_before_it_is_waited_for(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    assert await leadline.bars_asked_for() == ["5m"]
    # No version says a word without the bars that it reads.
    leadline.pods.do("set", account=leadline.full("paper"), mute=True)
    leadline.edit(bars="1m")
    leadline.until(lambda: (leadline.status().get("rollout") or {}).get("step") == "WaitSignals", "it is waited for")
    deadline = time.monotonic() + 10
    while await leadline.bars_asked_for() != ["1m"]:
        assert time.monotonic() < deadline, "nobody asks for its bars"
        await asyncio.sleep(0.05)
    leadline.pods.do("set", account=leadline.full("paper"), mute=False)
    leadline.ready()


async def test_with_manual_the_new_version_waits_for_another_nonce(leadline: Leadline):
    leadline.apply(updatePolicy="Manual")
    leadline.ready()
    old = leadline.status()["runningHash"]
    leadline.edit(bars="1m")
    assert "restartNonce" in leadline.says("ConfigApplied", "WaitingForRestart")["message"]
    leadline.stays(lambda: leadline.status()["runningHash"] == old, "the old version goes on")
    leadline.edit(restartNonce=1)
    leadline.ready()
    assert leadline.at_execution()["manifest"]["bars"] == "1m"


async def test_the_new_version_starts_only_when_no_pod_of_the_old_one_is_left(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    (old,) = leadline.pod_names()
    path = f"{CORE}/namespaces/{leadline.namespace}/pods/{old}"
    leadline.api.patch(path, {"metadata": {"finalizers": ["test.leadline.dev/frozen"]}})
    known = leadline.at_execution()["hash"]
    leadline.edit(bars="1m")
    assert old in leadline.says("Deployed", "PodsRemain")["message"]
    assert leadline.status()["rollout"]["step"] == "WaitNoPods"
    leadline.stays(lambda: leadline.pod_names() == [old], "no second Pod")
    assert leadline.at_execution()["hash"] == known
    leadline.api.patch(path, {"metadata": {"finalizers": None}})
    leadline.ready()
    assert leadline.at_execution()["hash"] != known


async def test_reduce_only_is_told_to_execution_and_restarts_nothing(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    pods = leadline.pod_names()
    leadline.edit(state="ReduceOnly")
    leadline.until(lambda: leadline.status().get("phase") == "ReduceOnly", "it is ReduceOnly")
    assert leadline.at_execution()["state"] == "ReduceOnly"
    assert leadline.pod_names() == pods


async def test_a_suspended_strategy_is_drained_then_stopped_and_can_come_back(leadline: Leadline):
    leadline.apply(suspendPolicy={"workingOrders": "Cancel", "positions": "Flatten"})
    leadline.ready()
    leadline.pods.do("set", account=leadline.full("paper"), obedient=False)
    leadline.pods.do("hold", account=leadline.full("paper"), strategy=leadline.full(), quantity=1)
    leadline.edit(state="Suspended")
    assert "position 1" in leadline.says("Drained", "Suspending")["message"]
    assert leadline.replicas() == 1
    leadline.pods.do("set", account=leadline.full("paper"), obedient=True)
    leadline.says("Ready", "Suspended")
    assert (leadline.replicas(), leadline.pod_names()) == (0, [])
    assert [row for row in await leadline.demand() if row[0]] == []
    assert leadline.api.get(f"{CORE}/namespaces/{leadline.namespace}/configmaps/{leadline.workload()}") is not None
    leadline.edit(state="Running", bars="1m")
    leadline.ready()
    assert leadline.at_execution() | {"manifest": None} == leadline.at_execution() | {"manifest": None, "drain": ""}
    assert leadline.at_execution()["manifest"]["bars"] == "1m"


async def test_a_deleted_strategy_is_drained_stopped_and_let_go(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    leadline.delete()
    leadline.gone()
    assert leadline.at_execution()["forgotten"]
    assert leadline.pod_names() == []
    assert [row for row in await leadline.demand() if row[0]] == []
    leadline.until(lambda: leadline.deployment() is None, "its objects are collected")


async def test_a_position_keeps_a_strategy_whose_policy_refuses(leadline: Leadline):
    leadline.apply(deletionPolicy={"positions": "Refuse"})
    leadline.ready()
    leadline.pods.do("hold", account=leadline.full("paper"), strategy=leadline.full(), quantity=1)
    leadline.delete()
    assert "position 1" in leadline.says("Drained", "PositionsOpen")["message"]
    leadline.until(lambda: leadline.events("PositionsOpen"), "an Event says so")
    leadline.stays(lambda: leadline.strategy() is not None, "it stays")
    leadline.pods.do("hold", account=leadline.full("paper"), strategy=leadline.full(), quantity=0)
    leadline.gone()


async def test_a_strategy_of_which_a_message_was_refused_says_so_until_a_person_releases_it(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    leadline.pods.do("fence", account=leadline.full("paper"), strategy=leadline.full(), because="bar is missing")
    condition = leadline.says("Trading", "Fenced")
    assert condition["status"] == "False"
    assert "bar is missing" in condition["message"]
    leadline.until(lambda: leadline.status()["phase"] == "Fenced", "its phase says so")
    assert leadline.condition("Ready")["reason"] == "Fenced"
    leadline.until(lambda: leadline.events("Fenced"), "an Event says so")
    leadline.pods.do("fence", account=leadline.full("paper"), strategy=leadline.full(), because="")
    leadline.ready()
    assert leadline.status()["phase"] == "Running"


async def test_a_position_is_flattened_where_the_policy_says_so(leadline: Leadline):
    leadline.apply(deletionPolicy={"positions": "Flatten", "timeoutSeconds": 30})
    leadline.ready()
    leadline.pods.do("hold", account=leadline.full("paper"), strategy=leadline.full(), quantity=-2)
    leadline.delete()
    leadline.gone()
    assert leadline.at_execution()["position"] == 0


async def test_past_its_deadline_a_strategy_goes_where_the_policy_forces_it(leadline: Leadline):
    leadline.apply(deletionPolicy={"positions": "Refuse", "timeoutSeconds": 3, "onTimeout": "Force"})
    leadline.ready()
    leadline.pods.do("hold", account=leadline.full("paper"), strategy=leadline.full(), quantity=1)
    leadline.delete()
    leadline.says("Drained", "PositionsOpen")
    leadline.gone()
    assert any("position 1" in note for note in leadline.events("Forced"))


async def test_a_person_can_break_the_glass(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    leadline.pods.do("set", account=leadline.full("paper"), away=True)
    leadline.delete()
    leadline.says("Drained", "ExecutionUnreachable")
    leadline.annotate("flow", force_delete="another")
    leadline.stays(lambda: leadline.strategy() is not None, "another name is no word")
    leadline.annotate("flow", force_delete="flow")
    leadline.gone()
    assert leadline.events("Forced")


async def test_a_strategy_that_never_ran_goes_at_once(leadline: Leadline):
    leadline.apply(account={"name": "nowhere"}, instrument="MNQ")
    leadline.says("Accepted", "AccountNotFound")
    leadline.delete()
    leadline.gone()
