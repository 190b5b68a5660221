"""Calls between services that show certificates, which somebody renews."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.kube.cluster.certificates import Authority
from tests.kube.cluster.control_plane import KubectlFailed
from tests.kube.cluster.node import Node
from tests.kube.platform.book import check_one_trader, open_book, until
from tests.kube.platform.installation import MANIFESTS, execution_of

pytestmark = [pytest.mark.integration, pytest.mark.node_minutes, pytest.mark.timeout(900)]

BUSY = MANIFESTS / "busy.yaml"
SYSTEM, TRADERS = "leadline-encrypted", "default"
SECRETS = {SYSTEM: "leadline-platform-tls", TRADERS: "leadline-tls"}
# Slow enough that a kubelet has shown the new certificates to every Pod before the session is over.
FEED = {"speed": 300, "history": 1}


@pytest.fixture
def issue(node: Node, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Makes a certificate for each namespace and puts it where the chart looks for it, over the one before."""
    authority = Authority(tmp_path)
    node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})

    def _issue() -> None:
        for namespace, name in SECRETS.items():
            shown, key = authority.issue(namespace, hosts=[f"*.{namespace}.svc"])
            files = {"tls.crt": shown, "tls.key": key, "ca.crt": authority.certificate}
            data = {file: base64.b64encode(path.read_bytes()).decode() for file, path in files.items()}
            metadata = {"name": name, "namespace": namespace}
            node.apply(
                {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata}
                | {"data": data}
            )

    yield _issue
    node.kubectl("delete", "secret", SECRETS[TRADERS], "--namespace", TRADERS)


async def test_certificates_are_renewed_while_it_trades(busy_laptop, issue, install):
    issue()
    cluster = install(system=SYSTEM, traders=TRADERS, feed=FEED, tls={"mode": "secret"})
    # All that call or are called while it trades; the others show the new certificate when somebody connects.
    services = ("execution", "venue", "risk", "operator")
    async with open_book(cluster) as book:
        cluster.apply(BUSY)
        await until(book.fills, "it trades", 120)
        cluster.wait_ready("busy")
        # Without a certificate nobody is heard, and a person shows the namespace's.
        with (
            cluster.forwarded(TRADERS, f"statefulset/{execution_of(TRADERS)}", 9090) as port,
            grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
            pytest.raises(grpc.RpcError) as refused,
        ):
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert json.loads(cluster.leadline("status", "--output", "json"))
        pods = {service: cluster.pod(service) for service in services}
        issue()

        async def renewed():
            return all("certificates.renewed" in cluster.log(service) for service in services)

        await until(renewed, "every service shows its new certificate", 200)
        assert not await book.finished()
        await until(book.finished, "the session is over", 600)
        assert {service: cluster.pod(service) for service in pods} == pods
        assert [cluster.restarts(service) for service in services] == [0] * len(services)
        await check_one_trader(book)
        await book.comes_to(busy_laptop.digest)
        assert json.loads(cluster.leadline("positions", "--output", "json")) is not None
        cluster.edit("busy", deletionPolicy={"positions": "Flatten"})
        cluster.kubectl("delete", "tstrat", "busy", "--timeout=60s", timeout=90)
    with pytest.raises(KubectlFailed, match="NotFound"):
        cluster.strategy("busy")
