"""What the operator's alerts look at moves with what they are about."""

import asyncio
import time

import pytest
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_kube_config

from leadline_operator.cache import Cache
from leadline_operator.clients.kube import Kube
from leadline_operator.kinds import STRATEGY
from leadline_operator.leader import Leadership
from leadline_operator.registry import OWNERS
from leadline_operator.service import measure
from tests.kube.cluster.control_plane import ControlPlane
from tests.measured import value


@pytest.mark.moves("leadline_operator_not_ready", "leadline_operator_watch_age_seconds")
def test_objects_that_are_not_ready_are_counted_by_their_reason_until_they_are():
    cache = Cache(OWNERS)
    for version, (status, reason) in enumerate([("False", "BusAway"), ("False", "BusAway"), ("True", "AsAsked")], 1):
        name = "flow" if version != 2 else "other"
        metadata = {"name": name, "namespace": "default", "uid": name, "resourceVersion": str(version)}
        ready = {"type": "Ready", "status": status, "reason": reason}
        cache.put(STRATEGY, {"metadata": metadata, "spec": {}, "status": {"conditions": [ready]}})
        measure(cache, version * 100.0)
        waits = value("leadline_operator_not_ready", kind="TradingStrategy", reason="BusAway")
        assert waits == [1, 2, 1][version - 1]
        assert value("leadline_operator_watch_age_seconds") == version * 100
    assert value("leadline_operator_not_ready", kind="TradingStrategy", reason="AsAsked") == 0


@pytest.mark.integration
@pytest.mark.moves("leadline_operator_leader")
async def test_leading_shows_while_the_lease_is_held(control_plane: ControlPlane, namespace: str):
    configuration = Configuration()
    await load_kube_config(str(control_plane.kubeconfig), client_configuration=configuration)
    changed: asyncio.Queue[bool] = asyncio.Queue()
    leadership = Leadership(namespace, "measured", "me", 15, changed.put_nowait, time.monotonic)
    kube = Kube(configuration, may_write=lambda: True)
    competing = asyncio.create_task(leadership.compete(kube))
    try:
        assert await changed.get() is True
        assert value("leadline_operator_leader") == 1
    finally:
        competing.cancel()
        await asyncio.wait([competing])
        await kube.close()
    assert await changed.get() is False
    assert value("leadline_operator_leader") == 0
