"""An API server that goes away, and custom resources that do; on a control plane of its own."""

import itertools
import signal
from collections.abc import Iterator

import pytest

from tests.kube.cluster.control_plane import ControlPlane
from tests.operator.api import APPS
from tests.operator.harness import Leadline, Site
from tests.operator.setup import install_crds

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def ill_treated(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A control plane of this module alone, which its tests may ill-treat."""
    site.operator.stop()
    with ControlPlane() as kube:
        found = Site(kube, site.database, tmp_path_factory.mktemp("apart"))
        yield found
        found.close()


@pytest.fixture
def apart(site: Site, ill_treated: Site) -> Iterator[Leadline]:
    """A namespace on that control plane, with all of it at work."""
    site.operator.stop()
    if not ill_treated.kube.is_ready():
        ill_treated.kube.start_apiserver()
    install_crds(ill_treated.kube)
    name = f"apart-{next(_numbers)}"
    ill_treated.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    found = Leadline(ill_treated, name, own=False)
    yield found
    ill_treated.kube.controller_manager.send(signal.SIGCONT)
    found.close()


async def test_an_api_server_that_is_away_changes_nothing_and_is_found_again(apart: Leadline):
    apart.apply()
    apart.ready()
    asked = len(apart.asked("SetStrategy")) + len(apart.asked("Drain"))
    apart.kube.stop_apiserver()
    apart.until(lambda: "lease.lost" in apart.operator.log.read_text(), "it does not believe in its lease any more")
    assert apart.operator.running
    assert len(apart.asked("SetStrategy")) + len(apart.asked("Drain")) == asked
    apart.kube.start_apiserver()
    apart.edit(risk={"maxPosition": 1})
    apart.until(lambda: apart.at_execution()["manifest"]["risk"].get("maxPosition") == 1, "it works again", 60)
    apart.delete()
    apart.gone(seconds=60)


async def test_with_its_definition_every_strategy_is_drained_and_the_operator_lives_on(apart: Leadline):
    apart.apply()
    apart.ready()
    for plural in ("tradingstrategies", "tradingaccounts"):
        apart.kube.kubectl("delete", "crd", f"{plural}.leadline.dev", "--wait=false")
    apart.until(lambda: apart.at_execution()["forgotten"], "it has left the market", 60)
    gone = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/tradingaccounts.leadline.dev"
    apart.until(lambda: apart.api.get(gone) is None, "the definitions are gone", 60)
    assert apart.operator.running
    install_crds(apart.kube)
    apart.apply("again")
    apart.ready("again", seconds=90)


async def test_a_version_waits_for_controllers_that_have_not_seen_the_end_of_the_one_before(apart: Leadline):
    apart.kube.controller_manager.send(signal.SIGSTOP)
    apart.apply()
    apart.until(lambda: apart.deployment() and apart.status().get("runningHash"), "the first version is in force")
    before = apart.status()["runningHash"]
    apart.edit(bars="1m")
    # There is no Pod, and yet there may be one: whoever makes them has only slept.
    apart.says("Deployed", "PodsRemain")
    apart.stays(lambda: apart.status()["runningHash"] == before, "the first version is in force")
    assert apart.pod_names() == []
    apart.kube.controller_manager.send(signal.SIGCONT)
    apart.ready()
    assert apart.status()["runningHash"] != before
    assert len(apart.pod_names()) == 1


async def test_pods_of_a_deployment_whose_end_the_controllers_missed_do_not_stay(apart: Leadline):
    apart.apply()
    apart.ready()
    before, old = apart.deployment(), set(apart.pod_names())
    assert before is not None
    apart.kube.controller_manager.send(signal.SIGSTOP)
    apart.api.delete(
        f"{APPS}/namespaces/{apart.namespace}/deployments/{apart.workload()}", propagationPolicy="Background"
    )
    apart.until(
        lambda: (found := apart.deployment()) and found["metadata"]["uid"] != before["metadata"]["uid"], "it is back"
    )
    apart.until(lambda: apart.events("DriftCorrected"), "an Event says so")
    # Whoever watches begins anew, and sees one object of that name before and one after.
    apart.kube.stop_apiserver()
    apart.kube.start_apiserver()
    apart.kube.controller_manager.send(signal.SIGCONT)
    apart.until(lambda: apart.pod_names() and not set(apart.pod_names()) & old, "only the new one's Pod runs", 60)
    apart.ready()
    assert len(apart.pod_names()) == 1
