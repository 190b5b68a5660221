"""What goes wrong around the operator: hands in its objects, crashes, two of it, an API server that is away."""

import signal
import time

import pytest

from tests.operator.api import APPS, CORE
from tests.operator.harness import Leadline

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
DRIFT_SECONDS = 5


def everything(leadline: Leadline) -> dict[str, str]:
    """The path of every object that the operator owns, by what it is."""
    namespace = f"{APPS}/namespaces/{leadline.namespace}"
    core = f"{CORE}/namespaces/{leadline.namespace}"
    found = {
        "Deployment": f"{namespace}/deployments/{leadline.workload()}",
        "strategy ConfigMap": f"{core}/configmaps/{leadline.workload()}",
    }
    for service in ("execution", "venue"):
        name = leadline.workload("paper", service)
        found[f"{service} StatefulSet"] = f"{namespace}/statefulsets/{name}"
        found[f"{service} ConfigMap"] = f"{core}/configmaps/{name}"
        found[f"{service} Service"] = f"{core}/services/{name}"
    return found


CHANGES = {
    "Deployment": {"spec": {"replicas": 3}},
    "StatefulSet": {"spec": {"replicas": 0}},
    "ConfigMap": {"data": {"settings.json": "{}"}},
    "Service": {"spec": {"ports": [{"name": "grpc", "port": 1234}]}},
}


async def test_every_owned_object_that_is_changed_by_hand_is_put_right(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    for what, path in everything(leadline).items():
        before = leadline.api.get(path)
        assert before is not None
        change = next(change for kind, change in CHANGES.items() if what.endswith(kind))
        leadline.api.patch(path, change, manager="meddler")

        def put_right(path: str = path, before: dict[str, object] = before) -> bool:
            after = leadline.api.get(path) or {}
            kept = ("spec", "data")
            return all(after.get(part) == before.get(part) for part in kept)

        leadline.until(put_right, f"{what} is put right", DRIFT_SECONDS)

        def told(kind: str = what.split()[-1]) -> bool:
            return any("meddler" in note and kind in note for note in leadline.events("DriftCorrected"))

        leadline.until(told, f"an Event about {what} names who it was")


async def test_every_owned_object_that_is_deleted_by_hand_is_made_again(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    for what, path in everything(leadline).items():
        before = (leadline.api.get(path) or {})["metadata"]["uid"]
        leadline.api.delete(path, propagationPolicy="Background")

        def made_again(path: str = path, before: str = before) -> bool:
            found = leadline.api.get(path)
            return found is not None and found["metadata"]["uid"] != before

        leadline.until(made_again, f"{what} is made again", DRIFT_SECONDS)
    leadline.ready()


async def test_what_others_add_is_left_alone(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    path = everything(leadline)["Deployment"]
    leadline.api.patch(path, {"metadata": {"labels": {"team": "flow"}, "annotations": {"note": "kept"}}})
    leadline.edit(risk={"maxPosition": 1})
    leadline.until(lambda: leadline.at_execution()["manifest"]["risk"].get("maxPosition") == 1, "execution has it")
    found = leadline.api.get(path) or {}
    assert (found["metadata"]["labels"]["team"], found["metadata"]["annotations"]["note"]) == ("flow", "kept")


@pytest.mark.parametrize("step", ["Draining", "ScaleToZero", "WaitNoPods", "StartNew", "WaitSignals"])
async def test_an_operator_that_is_killed_in_a_rollout_is_continued(own: Leadline, step: str):
    own.apply()
    own.ready()
    old = own.status()["runningHash"]
    account = own.full("paper")
    (pod,) = own.pod_names()
    path = f"{CORE}/namespaces/{own.namespace}/pods/{pod}"
    if step == "WaitNoPods":
        own.api.patch(path, {"metadata": {"finalizers": ["test.leadline.dev/frozen"]}})
    if step == "WaitSignals":
        own.pods.do("set", account=account, mute=True)
    own.edit(bars="1m")
    # As near to the step as a look from outside comes.
    own.until(lambda: own.status().get("rollout"), "it has begun")
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline and (own.status().get("rollout") or {}).get("step") not in {step, None}:
        pass
    own.operator.kill()
    if step == "WaitNoPods":
        own.api.patch(path, {"metadata": {"finalizers": None}})
    own.pods.do("set", account=account, mute=False)
    own.operator.start()
    own.ready()
    assert own.status()["runningHash"] != old
    assert own.at_execution()["manifest"]["bars"] == "1m"
    assert len(own.pod_names()) == 1


async def test_an_operator_that_is_killed_in_a_deletion_is_continued(own: Leadline):
    own.apply()
    own.ready()
    own.pods.do("hold", account=own.full("paper"), strategy=own.full(), quantity=1)
    own.delete()
    own.says("Drained", "PositionsOpen")
    drain = own.status()["drain"]["id"]
    own.operator.kill()
    own.operator.start()
    own.stays(lambda: own.strategy() is not None, "it stays", 3)
    assert own.status()["drain"]["id"] == drain
    own.pods.do("hold", account=own.full("paper"), strategy=own.full(), quantity=0)
    own.gone()


async def test_of_two_operators_one_works_and_the_other_takes_over(own: Leadline):
    second = own.another_operator()
    own.apply()
    own.ready()
    second.start()
    own.until(lambda: second.log.exists() and "service.listening" in second.log.read_text(), "the second is up")
    own.stays(lambda: "lease.won" not in second.log.read_text(), "it waits", 1)
    own.operator.kill()
    own.edit(risk={"maxPosition": 1})
    own.until(lambda: own.at_execution()["manifest"]["risk"].get("maxPosition") == 1, "the second works")
    second.stop()


async def test_an_operator_that_is_told_to_stop_gives_the_lease_back(own: Leadline):
    own.apply()
    own.ready()
    assert own.operator.stop(signal.SIGTERM) == 0
    lease = own.api.get(f"/apis/coordination.k8s.io/v1/namespaces/{own.namespace}/leases/leadline-operator")
    assert (lease or {})["spec"]["holderIdentity"] == ""


async def test_a_frozen_leader_does_nothing_when_it_wakes(own: Leadline):
    second = own.another_operator()
    own.apply()
    own.ready()
    second.start()
    first = own.operator.process
    assert first is not None
    first.send_signal(signal.SIGSTOP)
    own.until(lambda: "lease.won" in second.log.read_text(), "the second leads")
    own.edit(risk={"maxPosition": 1})
    own.until(lambda: own.at_execution()["manifest"]["risk"].get("maxPosition") == 1, "the second works")
    first.send_signal(signal.SIGCONT)
    own.until(lambda: "lease.lost" in own.operator.log.read_text(), "the first has noticed")
    own.ready()
    second.stop()


async def test_a_paused_strategy_is_left_alone_but_for_its_leaving(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    leadline.annotate("flow", pause_reconciliation="true")
    leadline.says("ReconciliationPaused", "Paused")
    path = everything(leadline)["Deployment"]
    leadline.api.patch(path, {"spec": {"replicas": 0}})
    leadline.stays(lambda: leadline.replicas() == 0, "nobody touches it", 2)
    leadline.annotate("flow", pause_reconciliation=None)
    leadline.until(lambda: leadline.replicas() == 1, "it is looked after again")
    leadline.says("ReconciliationPaused", "NotPaused")
    leadline.annotate("flow", pause_reconciliation="true")
    leadline.delete()
    leadline.gone()


async def test_nothing_is_made_in_a_namespace_that_is_going(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    leadline.kube.kubectl("delete", "namespace", leadline.namespace, "--wait=false")
    # Its objects vanish in any order; execution, which nobody runs there any more, is away with them.
    leadline.pods.do("set", account=leadline.full("paper"), away=True)
    leadline.gone(seconds=60)
    log = leadline.operator.log.read_text()
    assert "Traceback" not in log


async def test_execution_that_is_away_is_waited_for_and_what_runs_goes_on(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    pods = leadline.pod_names()
    leadline.pods.do("set", account=leadline.full("paper"), away=True)
    leadline.edit(risk={"maxPosition": 1})
    leadline.says("Ready", "ExecutionUnreachable")
    assert leadline.pod_names() == pods
    leadline.pods.do("set", account=leadline.full("paper"), away=False)
    leadline.ready()


async def test_a_version_that_does_not_come_up_makes_room_for_the_last_stable_one(idle: Leadline):
    operator = idle.another_operator(progress_deadline_seconds=3)
    operator.start()
    idle.operator = operator
    idle.apply()
    idle.ready()
    old = idle.status()["runningHash"]
    idle.pods.do("set", account=idle.full("paper"), mute=True)
    idle.edit(bars="1m")
    idle.until(lambda: idle.events("ProgressDeadlineExceeded"), "it is late")
    idle.until(lambda: idle.status()["runningHash"] == old, "the old one is back")
    idle.pods.do("set", account=idle.full("paper"), mute=False)
    idle.until(lambda: idle.at_execution()["manifest"]["bars"] == "5m", "execution listens to it again")
    condition = idle.says("ConfigApplied", "RolledBack")
    assert condition["status"] == "False"
    assert idle.status()["givenUpHash"] == idle.status()["desiredHash"]
    idle.edit(bars="15m")
    idle.ready()
    assert idle.at_execution()["manifest"]["bars"] == "15m"
    assert "givenUpHash" not in idle.status()


async def test_a_quiet_strategy_costs_no_writes(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    leadline.until(lambda: (leadline.account() or {}).get("status", {}).get("phase") == "Running", "the account runs")
    leadline.until(lambda: leadline.status().get("phase") == "Running", "the strategy runs")

    def versions() -> list[str]:
        found = [leadline.api.get(path) for path in everything(leadline).values()]
        found += [leadline.strategy(), leadline.account()]
        return [item["metadata"]["resourceVersion"] for item in found if item is not None]

    def rests() -> bool:
        before, ends = versions(), time.monotonic() + 4
        while time.monotonic() < ends:
            if versions() != before:
                return False
        return True

    # What the start still causes comes first: controllers that count Pods, and a last look.
    assert any(rests() for _ in range(3))


async def test_objects_are_collected_with_their_owner_whatever_the_propagation(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    leadline.delete(propagationPolicy="Foreground")
    leadline.gone()
    assert leadline.at_execution()["forgotten"]
    leadline.until(lambda: leadline.deployment() is None, "its Deployment goes too")


async def test_a_deployment_that_is_left_behind_trades_no_more(leadline: Leadline):
    leadline.apply()
    leadline.ready()
    leadline.delete(propagationPolicy="Orphan")
    leadline.gone()
    assert leadline.replicas() == 0
    assert leadline.at_execution()["forgotten"]
    assert [row for row in await leadline.demand() if row[0]] == []
