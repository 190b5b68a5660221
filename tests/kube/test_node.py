"""A real node for tests: Pods of real images run on it, under the rules of a hardened cluster."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.kube.cluster.node import Node, missing
from tests.kube.cluster.node_config import control_groups

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
USER = 10001


def container(image: str, *command: str, **more: object) -> dict[str, Any]:
    """A container that the restricted Pod security standard admits, on a root file system that it cannot write."""
    return {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "command": list(command),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **more,
    }


def pod_spec(main: dict[str, Any], **more: object) -> dict[str, Any]:
    security = {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {"securityContext": security, "terminationGracePeriodSeconds": 1, "containers": [main], **more}


def pod(namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def service(namespace: str, name: str, port: int) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    spec = {"selector": {"app": name}, "ports": [{"port": port, "targetPort": 8000}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def wait_ready(node: Node, namespace: str, name: str) -> None:
    node.kubectl("wait", f"pod/{name}", "-n", namespace, "--for=condition=Ready", "--timeout=60s", timeout=70)


def web_server(image: str) -> dict[str, Any]:
    return container(
        image, "python3", "-u", "-c",
        "import http.server as h, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "print('serving')\n"
        "h.HTTPServer(('', 8000), h.SimpleHTTPRequestHandler).serve_forever()",
        readinessProbe={"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1},
    )  # fmt: skip


def test_a_restricted_pod_runs_and_shows_its_log(node: Node, node_namespace: str, python_image: str):
    node.apply(pod(node_namespace, "web", pod_spec(web_server(python_image))))
    wait_ready(node, node_namespace, "web")
    assert "serving" in node.kubectl("logs", "web", "-n", node_namespace)
    inside = ("exec", "web", "-n", node_namespace, "--", "sh", "-c")
    assert node.kubectl(*inside, "id -u").strip() == str(USER)
    assert "Read-only file system" in node.kubectl(*inside, "touch /here 2>&1 || true")
    assert "CapEff:\t0000000000000000" in node.kubectl(*inside, "cat /proc/self/status")


def test_a_pod_that_asks_for_more_is_refused(node: Node, node_namespace: str, python_image: str):
    loose = {"containers": [{"name": "main", "image": python_image}]}
    with pytest.raises(Exception, match=r'violates PodSecurity "restricted'):
        node.apply(pod(node_namespace, "loose", loose))


def test_a_pod_finds_services_by_name_and_nothing_outside(node: Node, node_namespace: str, python_image: str):
    node.apply(
        pod(node_namespace, "web", pod_spec(web_server(python_image))),
        service(node_namespace, "web", 80),
        pod(node_namespace, "client", pod_spec(container(python_image, "sleep", "600"))),
    )
    wait_ready(node, node_namespace, "web")
    wait_ready(node, node_namespace, "client")

    def python(code: str) -> str:
        return node.kubectl("exec", "client", "-n", node_namespace, "--", "python3", "-c", code)

    fetch = "import urllib.request as u; print(u.urlopen('http://web/', timeout=2).status)"
    assert node.wait_until(lambda: _unless_failed(python, fetch), "the Service answers").strip() == "200"
    full = f"import socket; print(socket.gethostbyname('web.{node_namespace}.svc.cluster.local'))"
    assert python(full).startswith("10.0.0.")
    outside = (
        "import socket\ntry: socket.create_connection(('1.1.1.1', 443), timeout=2); print('out')\n"
        "except OSError: print('kept in')"
    )
    assert python(outside).strip() == "kept in"


def _unless_failed(python: Any, code: str) -> str:
    try:
        return str(python(code))
    except Exception:  # noqa: BLE001 - the rules of a new Service take a moment
        return ""


def test_a_pod_reaches_the_apiserver_with_its_token(node: Node, node_namespace: str, python_image: str):
    code = (
        "import ssl, urllib.request as u\n"
        "d = '/var/run/secrets/kubernetes.io/serviceaccount/'\n"
        "c = ssl.create_default_context(cafile=d + 'ca.crt')\n"
        "r = u.Request('https://kubernetes.default.svc/version', "
        "headers={'Authorization': 'Bearer ' + open(d + 'token').read()})\n"
        "print(u.urlopen(r, context=c, timeout=5).status)"
    )
    spec = pod_spec(container(python_image, "python3", "-c", code), restartPolicy="Never")
    node.apply(pod(node_namespace, "caller", spec))
    node.kubectl(
        "wait", "pod/caller", "-n", node_namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s",
        timeout=70,
    )  # fmt: skip
    assert node.kubectl("logs", "caller", "-n", node_namespace).strip() == "200"


def stateful_set(namespace: str, image: str) -> dict[str, Any]:
    command = "echo life >> /data/lives; wc -l < /data/lives; exec sleep 600"
    main = container(image, "sh", "-ec", command, volumeMounts=[{"name": "data", "mountPath": "/data"}])
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "book", "namespace": namespace},
        "spec": {
            "serviceName": "book",
            "selector": {"matchLabels": {"app": "book"}},
            "template": {"metadata": {"labels": {"app": "book"}}, "spec": pod_spec(main)},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    }


def lives(node: Node, namespace: str) -> int:
    """How many lives the book's volume has seen, said by a Pod of it that is up."""
    node.kubectl("rollout", "status", "statefulset/book", "-n", namespace, "--timeout=60s", timeout=70)
    said = node.wait_until(lambda: node.kubectl("logs", "book-0", "-n", namespace).strip(), "the book has counted")
    return int(said)


def test_a_volume_outlives_its_pod_and_a_new_claim_gets_a_new_one(node: Node, node_namespace: str, python_image: str):
    book = stateful_set(node_namespace, python_image)
    node.apply(book)
    assert lives(node, node_namespace) == 1
    node.kubectl("delete", "pod", "book-0", "-n", node_namespace)
    assert lives(node, node_namespace) == 2
    node.kubectl("delete", "statefulset", "book", "-n", node_namespace, "--cascade=foreground")
    node.apply(book)
    assert lives(node, node_namespace) == 3
    node.kubectl("delete", "statefulset", "book", "-n", node_namespace, "--cascade=foreground")
    node.kubectl("delete", "pvc", "data-book-0", "-n", node_namespace)
    node.apply(book)
    assert lives(node, node_namespace) == 1


def test_a_pod_lives_on_while_its_kubelet_is_away(node: Node, node_namespace: str, python_image: str):
    node.apply(pod(node_namespace, "steady", pod_spec(container(python_image, "sleep", "600"))))
    wait_ready(node, node_namespace, "steady")
    before = node.container_pids(node_namespace, "steady")
    assert [psutil.Process(pid).name() for pid in before] == ["sleep"]
    node.kubelet.stop()
    assert node.container_pids(node_namespace, "steady") == before
    node.start_kubelet()
    node.wait_until(lambda: _exec_works(node, node_namespace), "the kubelet is back", 60)
    assert node.container_pids(node_namespace, "steady") == before


def _exec_works(node: Node, namespace: str) -> bool:
    try:
        node.kubectl("exec", "steady", "-n", namespace, "--", "true")
    except Exception:  # noqa: BLE001 - nobody listens yet
        return False
    return True


@pytest.mark.skipif(bool(missing()), reason=f"a node needs {', '.join(missing())}")
def test_a_killed_test_run_leaves_nothing_of_a_node():
    code = """
import sys
from tests.kube.cluster.node import Node
from tests.kube.cluster.node_config import PAUSE_IMAGE
with Node() as node:
    main = {"name": "main", "image": PAUSE_IMAGE, "imagePullPolicy": "Never"}
    metadata = {"name": "main", "namespace": "default"}
    node.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [main]}})
    node.kubectl("wait", "pod/main", "--for=condition=Ready", "--timeout=60s", timeout=70)
    print(node.directory, node.first_pid, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        said = run.stdout.readline().split()
        directory, network = Path(said[0]), Path(f"/proc/{said[1]}/ns/net").readlink()
        assert control_groups(directory.name)
        everything = [process for process in psutil.process_iter() if _belongs(process, directory, network)]
        assert {"etcd", "kubelet", "containerd-shim-runc-v2"} <= {process.name() for process in everything}
        run.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(everything, timeout=30)
    assert alive == []
    assert not directory.exists()
    assert control_groups(directory.name) == []


def _belongs(process: psutil.Process, directory: Path, network: Path) -> bool:
    """Whether it is one of the processes of a cluster: in its network, in a Pod of it, or its sweeper."""
    proc = Path(f"/proc/{process.pid}")
    try:
        in_network = (proc / "ns/net").readlink() == network
        return in_network or directory.name in (proc / "cgroup").read_text() or str(directory) in process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess, OSError):
        return False
