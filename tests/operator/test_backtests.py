"""A backtest on a real API server, with its Jobs by the real controller. What its Pods say is stood in for."""

import json
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_snake

from leadline.cli.main import run
from leadline_operator.desired.backtest import gathering_name, record_name
from leadline_operator.kinds import BACKTEST, Key
from tests.kube.cluster.binaries import control_plane_binaries
from tests.operator.api import CORE, LEADLINE
from tests.operator.harness import Leadline

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

BATCH = "/apis/batch/v1"
SUMMARY = {
    "id": "3kq7mx2abcde",
    "digest": "d" * 64,
    "days": 5,
    "trades": 12,
    "net": "-183.75",
    "sharpe": "1.2345",
    "maxDrawdown": "250",
    "currency": "USD",
}


class Desk:
    """A trader who backtests, and the node that nobody runs."""

    def __init__(self, leadline: Leadline) -> None:
        self.leadline = leadline
        self.api = leadline.api
        self.namespace = leadline.namespace

    def document(self, name: str = "autumn", **spec: Any) -> dict[str, Any]:
        whole = {
            "strategy": {"spec": {"instrument": "MES"}},
            "from": "2025-10-06",
            "to": "2025-10-10",
            "catalog": {"claim": "ticks"},
            "results": {"claim": "results", "path": "backtests"},
            **spec,
        }
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": BACKTEST.api_version, "kind": "Backtest", "metadata": metadata, "spec": whole}

    def apply(self, name: str = "autumn", **spec: Any) -> None:
        self.api.patch(self.path(name), self.document(name, **spec), "application/apply-patch+yaml", "trader")

    def path(self, name: str = "autumn") -> str:
        return f"{LEADLINE}/namespaces/{self.namespace}/backtests/{name}"

    def key(self, name: str = "autumn") -> Key:
        return Key(BACKTEST.name, self.namespace, name)

    def status(self, name: str = "autumn") -> dict[str, Any]:
        return (self.api.get(self.path(name)) or {}).get("status") or {}

    def says(self, kind: str, reason: str, name: str = "autumn") -> dict[str, Any]:
        """Wait until a condition has a reason, and return it."""

        def look() -> Any:
            found = [each for each in self.status(name).get("conditions", ()) if each["type"] == kind]
            return found[0] if found and found[0]["reason"] == reason else None

        found: dict[str, Any] = self.until(look, f"{kind} of {name}: {reason}")
        return found

    def until(self, look: Any, what: str) -> Any:
        try:
            return self.leadline.until(look, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{json.dumps(self.api.items(self.path()[:-7]), indent=1)[-6000:]}") from None

    def told(self, reason: str, count: int = 1) -> list[str]:
        """Wait for so many Events with a reason: the operator writes the status first, and the Event after it."""
        self.until(lambda: len(self.leadline.events(reason)) >= count, f"Events of {reason}: {count}")
        return self.leadline.events(reason)

    def job(self, name: str) -> dict[str, Any] | None:
        return self.api.get(f"{BATCH}/namespaces/{self.namespace}/jobs/{name}")

    def pods(self, job: str) -> list[dict[str, Any]]:
        """The Pods of a Job that run."""
        labels = f"batch.kubernetes.io%2Fjob-name%3D{job}"
        found = self.api.items(f"{CORE}/namespaces/{self.namespace}/pods", labels)
        return [each for each in found if each["status"].get("phase") == "Running"]

    def end_pods(self, job: str, count: int = 1, code: int = 0, message: str = "", **status: Any) -> list[str]:
        """Wait for so many Pods of a Job, and have them end so."""
        pods = self.until(lambda: found if len(found := self.pods(job)) == count else None, f"{count} Pods of {job}")
        ended = {"exitCode": code, "reason": "Completed" if code == 0 else "Error", "message": message}
        container = {"name": "backtest", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
        phase = "Succeeded" if code == 0 else "Failed"
        for pod in pods:
            path = f"{CORE}/namespaces/{self.namespace}/pods/{pod['metadata']['name']}/status"
            statuses = [{**container, "state": {"terminated": ended}}]
            self.api.patch(path, {"status": {"phase": phase, "containerStatuses": statuses, **status}})
        return [pod["metadata"]["name"] for pod in pods]

    def finish(self, name: str = "autumn", shards: int = 1) -> None:
        self.end_pods(record_name(self.key(name)), shards)
        self.end_pods(gathering_name(self.key(name)), message=json.dumps(SUMMARY))
        self.says("Complete", "Succeeded", name)


@pytest.fixture
def desk(leadline: Leadline) -> Desk:
    return Desk(leadline)


def test_a_backtest_runs_its_shards_gathers_them_and_shows_the_result(desk: Desk):
    sweep = {"fields": [{"field": "strategy.spec.bracket.stopTicks", "values": [12, 16, 20]}]}
    desk.apply(sweep=sweep, shards=3, parallelism=3)
    shards, gathering = record_name(desk.key()), gathering_name(desk.key())
    pods = desk.until(lambda: found if len(found := desk.pods(shards)) == 3 else None, "three Pods")
    indexes = {each["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for each in pods}
    assert indexes == {"0", "1", "2"}
    assert all(each["spec"]["automountServiceAccountToken"] is False for each in pods)
    assert desk.job(gathering) is None
    desk.says("Complete", "ShardsRunning")
    desk.end_pods(shards, 3)
    desk.until(lambda: desk.status().get("progress") == "3/3", "all shards are done")
    desk.end_pods(gathering, message=json.dumps(SUMMARY))
    desk.says("Complete", "Succeeded")
    status = desk.status()
    assert (status["phase"], status["summary"]) == ("Succeeded", SUMMARY)
    assert status["files"] == "PersistentVolumeClaim results: backtests/3kq7mx2abcde"
    shown = desk.leadline.kube.kubectl("get", "bt", "--namespace", desk.namespace).splitlines()
    assert shown[0].split() == ["NAME", "PHASE", "PROGRESS", "TRADES", "NET", "SHARPE", "AGE"]
    assert shown[1].split()[:6] == ["autumn", "Succeeded", "3/3", "12", "-183.75", "1.2345"]
    assert desk.told("Succeeded") == ["12 trades on 5 days, net -183.75 USD"]
    assert len(desk.leadline.events("Resolved")) == len(desk.leadline.events("ShardsStarted")) == 1


@pytest.fixture
def at_a_terminal(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The PATH and the kubeconfig of a person; a file for a manifest."""
    (tmp_path / "kubectl").symlink_to(control_plane_binaries()["kubectl"])
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("KUBECONFIG", str(desk.leadline.kube.kubeconfig))
    return tmp_path / "backtest.yaml"


def test_a_person_submits_it_at_a_terminal_and_sees_its_result(
    desk: Desk, at_a_terminal: Path, capsys: pytest.CaptureFixture[str]
):
    at_a_terminal.write_text(yaml.safe_dump(desk.document()))
    words = ["backtest", "-f", str(at_a_terminal), "--kube", "--namespace", desk.namespace]
    node = threading.Thread(target=desk.finish)
    node.start()
    try:
        assert run([*words, "--output", "json"]) == 0
    finally:
        node.join()
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {
        "backtest": f"{desk.namespace}/autumn",
        "files": "PersistentVolumeClaim results: backtests/3kq7mx2abcde",
        "summary": {to_snake(name): value for name, value in SUMMARY.items()},
    }
    # How far it is when somebody looks is a matter of moments.
    assert re.search("leadline: (Pending|Running|Gathering)", shown.err)
    # It is there, and nothing runs again.
    assert run(words) == 0
    assert "-183.75" in capsys.readouterr().out


def test_a_person_is_told_why_it_does_not_begin_and_why_it_failed(
    desk: Desk, at_a_terminal: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["backtest", "-f", str(at_a_terminal), "--kube", "--namespace", desk.namespace]
    at_a_terminal.write_text(yaml.safe_dump(desk.document("lost", strategy={"name": "nobody"})))
    assert run(words) == 1
    assert f"there is no TradingStrategy {desk.namespace}/nobody" in capsys.readouterr().err
    at_a_terminal.write_text(yaml.safe_dump(desk.document("wrong")))
    node = threading.Thread(target=desk.end_pods, args=(record_name(desk.key("wrong")), 1, 2, "no such day"))
    node.start()
    try:
        assert run(words) == 1
    finally:
        node.join()
    assert "no such day" in capsys.readouterr().err
    at_a_terminal.write_text(yaml.safe_dump(desk.document("wrong", to="2025-10-09")))
    assert run(words) == 1
    assert "a backtest never changes" in capsys.readouterr().err


def test_what_it_names_may_come_later_and_changes_nothing_once_it_was_looked_up(desk: Desk):
    desk.apply(strategy={"name": "flow"}, account={"name": "small"})
    refused = desk.says("Accepted", "StrategyNotFound")
    assert f"there is no TradingStrategy {desk.namespace}/flow" in refused["message"]
    desk.leadline.apply("flow", state="Suspended", bracket={"stopTicks": 11, "targetTicks": 30})
    desk.says("Accepted", "AccountNotFound")
    desk.leadline.apply_account("small", tiers=[], startingBalance="7000")
    # A strategy that is sized by tiers does not fit an account that has none.
    assert "spec.sizing.mode" in desk.says("Accepted", "InvalidSpec")["message"]
    desk.leadline.apply_account("small", tiers=None, startingBalance="7000")
    desk.says("Accepted", "Valid")
    place = f"{CORE}/namespaces/{desk.namespace}/configmaps/{record_name(desk.key())}"
    before = desk.until(lambda: desk.api.get(place), "the record is there")
    desk.leadline.edit("flow", bracket={"stopTicks": 40, "targetTicks": 50})
    desk.leadline.apply_account("small", startingBalance="9000")
    desk.finish()
    found = yaml.safe_load_all(before["data"]["manifests.yaml"])
    account, strategy, backtest = found
    assert (account["metadata"]["name"], account["spec"]["startingBalance"]) == ("small", "7000")
    assert strategy["spec"]["account"] == {"name": "small", "namespace": desk.namespace}
    assert strategy["spec"]["bracket"]["stopTicks"] == 11
    assert backtest["spec"]["strategy"] == {"name": "flow"}
    after = desk.api.get(place)
    assert after is not None
    assert (after["data"], after["immutable"]) == (before["data"], True)


def test_a_sweep_whose_variants_cannot_run_is_refused_before_a_pod_is_there(desk: Desk):
    wrong = {"fields": [{"field": "strategy.spec.bracket.stopTicks", "values": [12, 0]}]}
    desk.apply("wrong", sweep=wrong)
    assert "variant 2" in desk.says("Accepted", "InvalidSpec", "wrong")["message"]
    right = {"fields": [{"field": "strategy.spec.bracket.stopTicks", "values": [12, 16]}]}
    desk.apply("many", sweep=right, shards=3)
    assert "expected at most 2" in desk.says("Accepted", "InvalidSpec", "many")["message"]
    assert desk.status("many")["phase"] == "Refused"
    assert desk.job(record_name(desk.key("many"))) is None


def test_of_a_long_sweep_the_operator_looks_at_the_first_variants_and_the_shards_at_all(desk: Desk):
    long = {"fields": [{"field": "strategy.spec.bracket.stopTicks", "values": [*range(12, 200), 0]}]}
    desk.apply("long", sweep=long)
    desk.says("Accepted", "Valid", "long")
    said = "variant 189 (strategy.spec.bracket.stopTicks=0)"
    desk.end_pods(record_name(desk.key("long")), code=2, message=said)
    assert said in desk.says("Failed", "InputRefused", "long")["message"]


def test_a_sweep_that_no_record_has_room_for_is_refused_in_words(desk: Desk):
    # As JSON it is not yet too large for the API server itself.
    listed = [{"strategy.spec.bracket.stopTicks": stop} for stop in range(10, 510)]
    words = [{**each, "strategy.spec.entries.blocks": "x" * 2_500} for each in listed]
    desk.apply("wide", sweep={"variants": [*listed[:64], *words[64:]]})
    assert "expected at most 1048576" in desk.says("Accepted", "InvalidSpec", "wide")["message"]


def lose_summary(desk: Desk, gathering: str) -> None:
    """Take the Pod that has ended with the summary away while no operator is there."""
    desk.leadline.operator.stop()
    (name,) = desk.end_pods(gathering, message=json.dumps(SUMMARY))
    complete = lambda: ((desk.job(gathering) or {}).get("status") or {}).get("succeeded")  # noqa: E731
    desk.until(complete, "the Job is complete")
    desk.api.delete(f"{CORE}/namespaces/{desk.namespace}/pods/{name}", gracePeriodSeconds=0)
    desk.until(lambda: desk.api.get(f"{CORE}/namespaces/{desk.namespace}/pods/{name}") is None, "the Pod is gone")
    desk.leadline.operator.start()


def test_a_summary_whose_pod_is_gone_is_gathered_once_more(own: Leadline):
    desk = Desk(own)
    desk.apply()
    desk.end_pods(record_name(desk.key()))
    gathering = gathering_name(desk.key())
    first = desk.until(lambda: desk.job(gathering), "the results are gathered")
    desk.until(lambda: desk.pods(gathering), "its Pod is there")
    lose_summary(desk, gathering)
    again = lambda: (desk.job(gathering) or first)["metadata"]["uid"] != first["metadata"]["uid"]  # noqa: E731
    desk.until(again, "they are gathered once more")
    desk.end_pods(gathering, message=json.dumps(SUMMARY))
    desk.says("Complete", "Succeeded")
    assert desk.status()["summary"] == SUMMARY
    assert len(own.events("SummaryLost")) == 1


def test_a_pod_that_ends_well_without_a_summary_is_the_end_of_the_backtest(desk: Desk):
    desk.apply()
    desk.end_pods(record_name(desk.key()))
    gathering = gathering_name(desk.key())
    desk.end_pods(gathering, message="leadline 9.9.9")
    failed = desk.says("Failed", "SummaryUnreadable")
    assert failed["message"].endswith("without a summary that can be read: leadline 9.9.9")
    assert desk.status()["phase"] == "Failed"
    assert desk.leadline.events("SummaryLost") == []


def test_a_summary_that_is_lost_again_and_again_is_the_end_of_the_backtest(own: Leadline):
    desk = Desk(own)
    desk.apply()
    desk.end_pods(record_name(desk.key()))
    gathering = gathering_name(desk.key())
    for _ in range(3):
        desk.until(lambda: desk.pods(gathering), "its Pod is there")
        lose_summary(desk, gathering)
    assert "gone 3 times" in desk.says("Failed", "SummaryLost")["message"]
    assert len(desk.told("SummaryLost", 3)) == 3


def test_an_object_that_the_api_server_does_not_take_is_the_end_of_the_backtest(desk: Desk):
    desk.apply(resources={"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}})
    assert "memory" in desk.says("Failed", "ObjectRefused")["message"]
    assert desk.status()["phase"] == "Failed"


def test_a_pod_that_a_node_lost_is_replaced_and_does_not_count(desk: Desk):
    desk.apply(backoffLimit=0)
    shards = record_name(desk.key())
    lost = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]
    (name,) = desk.end_pods(shards, code=137, conditions=lost)
    (other,) = desk.until(lambda: desk.pods(shards), "another Pod takes its place")
    assert other["metadata"]["name"] != name
    desk.finish()


def test_a_pod_that_fails_is_tried_again_as_often_as_it_may_be(desk: Desk):
    desk.apply(backoffLimit=1)
    shards = record_name(desk.key())
    desk.end_pods(shards, code=1, message="the disk is full")
    desk.until(lambda: desk.pods(shards), "it is tried again")
    desk.end_pods(shards, code=1, message="the disk is still full")
    failed = desk.says("Failed", "ShardFailed")
    assert "the disk is still full" in failed["message"]
    assert (desk.status()["phase"], desk.status()["shards"]) == ("Failed", {"total": 1, "done": 0})
    assert desk.job(gathering_name(desk.key())) is None


def test_input_that_is_refused_is_not_tried_again_and_the_pods_words_are_shown(desk: Desk):
    desk.apply(backoffLimit=5)
    said = 'to: got "2025-10-10", expected a day that the catalog has'
    desk.end_pods(record_name(desk.key()), code=2, message=said)
    assert said in desk.says("Failed", "InputRefused")["message"]
    assert said in desk.says("Complete", "InputRefused")["message"]
    assert said in desk.told("InputRefused")[0]
    assert not desk.pods(record_name(desk.key()))


def test_a_deleted_backtest_leaves_nothing_in_the_cluster(desk: Desk):
    desk.apply()
    desk.finish()
    labels = "leadline.dev%2Fbacktest%3Dautumn"
    places = [f"{BATCH}/namespaces/{desk.namespace}/jobs"]
    places += [f"{CORE}/namespaces/{desk.namespace}/{plural}" for plural in ("pods", "configmaps")]
    assert all(desk.api.items(place, labels) for place in places)
    desk.api.delete(desk.path())
    desk.until(lambda: not any(desk.api.items(place, labels) for place in places), "all of it is gone")


def test_a_backtest_is_deleted_when_the_time_after_its_end_is_over(desk: Desk):
    desk.apply(ttlSecondsAfterFinished=2)
    desk.finish()
    desk.until(lambda: desk.api.get(desk.path()) is None, "it is deleted")


def test_a_record_that_is_lost_is_made_again_only_of_the_same_manifests(desk: Desk):
    desk.leadline.apply("flow", state="Suspended")
    desk.apply(strategy={"name": "flow"})
    desk.until(lambda: desk.pods(record_name(desk.key())), "it runs")
    place = f"{CORE}/namespaces/{desk.namespace}/configmaps/{record_name(desk.key())}"
    before = desk.api.get(place)
    assert before is not None
    desk.api.delete(place)
    made_again = lambda: (desk.api.get(place) or before)["metadata"]["uid"] != before["metadata"]["uid"]  # noqa: E731
    desk.until(made_again, "it is made again")
    desk.leadline.edit("flow", bracket={"stopTicks": 40, "targetTicks": 50})
    desk.api.delete(place)
    assert "they are others now" in desk.says("Failed", "RecordLost")["message"]


def test_a_name_that_is_somebody_elses_is_left_alone(desk: Desk):
    name = record_name(desk.key())
    metadata = {"name": name, "namespace": desk.namespace}
    path = f"{CORE}/namespaces/{desk.namespace}/configmaps/{name}"
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mine": "yes"}}
    desk.api.patch(path, theirs, "application/apply-patch+yaml")
    desk.apply()
    assert name in desk.says("Complete", "NameTaken")["message"]
    desk.api.delete(path)
    desk.says("Complete", "ShardsRunning")
