"""kopf as an informer, on a real API server: it tells of what happens, leaves no trace, and ends for itself alone."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_kube_config

from leadline_operator import informer
from leadline_operator.clients.kube import Kube
from leadline_operator.informer import Informer
from leadline_operator.kinds import CONFIG_MAP, MANAGED_BY, SERVICE, JsonObject, Kind
from tests.kube.cluster.control_plane import ControlPlane
from tests.operator.api import CORE, Api
from tests.operator.setup import allow_operator, eventually

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

Heard = tuple[str, str | None, str]


@pytest.fixture
async def kube(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Kube]:
    """Requests of who may work in the test's namespace and nowhere else."""
    user = f"informer-{namespace}"
    allow_operator(control_plane, user, namespace, [namespace])
    configuration = Configuration()
    await load_kube_config(str(control_plane.kubeconfig_for(user)), client_configuration=configuration)
    found = Kube(configuration, may_write=lambda: False)
    yield found
    await found.close()


class Ear:
    """An informer at work. `heard` are kind, event and name of objects, `answers` kinds and statuses."""

    def __init__(self, kube: Kube, namespace: str, *kinds: Kind) -> None:
        self.heard: asyncio.Queue[Heard] = asyncio.Queue()
        self.answers: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self.thread = f"informer {namespace}"
        self.informer = Informer(kinds, kinds, namespace, kube, self._event, self._answer)
        self.task = asyncio.create_task(self.informer.run())

    def _event(self, kind: Kind, event: str | None, found: JsonObject) -> None:
        self.heard.put_nowait((kind.name, event, found["metadata"]["name"]))

    def _answer(self, kind: Kind, status: int, _: bool) -> None:
        self.answers.put_nowait((kind.name, status))

    async def until_watching(self, kinds: int) -> None:
        """A listing and a watch of each kind were answered."""
        for _ in range(2 * kinds):
            assert (await self.answers.get())[1] == 200

    async def stop(self) -> None:
        """End it, and its thread."""
        self.task.cancel()
        await asyncio.wait([self.task])
        eventually(lambda: not [each for each in threading.enumerate() if each.name == self.thread], "its thread ends")
        # A connection that was left open is told of here, and not at some later test.
        gc.collect()


def config_map(namespace: str, name: str, **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": {**MANAGED_BY, **labels}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


async def test_what_is_there_and_what_happens_is_told_and_nothing_is_left_on_it(
    control_plane: ControlPlane, kube: Kube, namespace: str
):
    api = Api(control_plane)
    control_plane.apply(config_map(namespace, "before"))
    unmanaged = config_map(namespace, "another")
    unmanaged["metadata"]["labels"] = {}
    control_plane.apply(unmanaged)
    ear = Ear(kube, namespace, CONFIG_MAP, SERVICE)
    async with asyncio.timeout(60):
        await ear.until_watching(2)
        control_plane.apply(config_map(namespace, "since"))
        control_plane.apply(config_map(namespace, "since", more="one"))
        api.delete(f"{CORE}/namespaces/{namespace}/configmaps/before")
        heard = [await ear.heard.get() for _ in range(4)]
    assert sorted(heard, key=str) == sorted(
        [
            ("ConfigMap", None, "before"),
            ("ConfigMap", "ADDED", "since"),
            ("ConfigMap", "MODIFIED", "since"),
            ("ConfigMap", "DELETED", "before"),
        ],
        key=str,
    )
    await ear.stop()
    left = api.get(f"{CORE}/namespaces/{namespace}/configmaps/since") or {}
    assert not [name for name in left["metadata"].get("annotations") or {} if "kopf" in name]
    assert "finalizers" not in left["metadata"]
    assert api.items(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events") == []
    api.close()


async def test_one_that_is_refused_ends_with_the_refusal_and_another_goes_on(
    control_plane: ControlPlane, kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(informer, "BACKOFFS", (0.1,))
    good = Ear(kube, namespace, CONFIG_MAP, SERVICE)
    bad = Ear(kube, "default", CONFIG_MAP, SERVICE)
    async with asyncio.timeout(60):
        await good.until_watching(2)
        with pytest.raises(Exception, match="is forbidden"):
            await bad.task
        control_plane.apply(config_map(namespace, "since"))
        assert await good.heard.get() == ("ConfigMap", "ADDED", "since")
    await good.stop()
    await bad.stop()


async def test_stopped_at_any_moment_it_leaves_no_connection(kube: Kube, namespace: str):
    """A request that ended before its answer has a connection of which nobody knows but who opened it."""
    for milliseconds in range(0, 80, 4):
        ear = Ear(kube, namespace, CONFIG_MAP, SERVICE)
        await asyncio.sleep(milliseconds / 1000)  # each moment is as good as another
        await ear.stop()
