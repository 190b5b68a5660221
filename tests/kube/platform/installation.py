"""Leadline on a real node: installed as a user does, with its Pods to look at, to reach and to kill."""

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import helm_python
import yaml

from leadline.local.child import dies_with_parent
from leadline.model.ids import AccountId
from leadline.model.manifest.kinds import KINDS
from leadline.plan.plan import workload_id
from tests.kube.cluster.binaries import node_binaries
from tests.kube.cluster.control_plane import KubectlFailed
from tests.kube.cluster.node import Node

ROOT: Final = Path(__file__).resolve().parents[3]
CHARTS: Final = ROOT / "helm"
MANIFESTS: Final = Path(__file__).parent / "manifests"
EXAMPLE: Final = ROOT / "examples" / "mes-orderflow.yaml"
RELEASE: Final = "leadline"
INSTALL_SECONDS: Final = 300
_FORWARDED: Final = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ")
# Requests only: on a test machine nothing is gained by reserving what nobody else asks for.
_SMALL: Final = {"requests": {"cpu": "10m", "memory": "32Mi"}}


class Installation:
    """Both charts in a namespace of their own, and the namespace in which people trade.

    `values` are those of the chart leadline, over the ones that make it small.
    """

    def __init__(self, node: Node, system: str, traders: str, values: dict[str, Any] | None = None) -> None:
        self.node = node
        self.system = system
        self.traders = traders
        self.values = _merged(small_values(traders), values or {})
        self.helm = helm_python.Config(kubeconfig_path=node.kubeconfig, namespace=system)

    def __enter__(self) -> Self:
        try:
            self.helm.install(
                CHARTS / "leadline-crds", "leadline-crds", namespace=self.system, create_namespace=True, wait="watcher"
            )
            self.helm.install(
                CHARTS / "leadline",
                RELEASE,
                self.values,
                namespace=self.system,
                wait="watcher",
                timeout=INSTALL_SECONDS,
            )
        except BaseException as error:
            error.add_note(self.story())
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def upgrade(self, **values: Any) -> None:
        """Upgrade the release with other values; returns when its Pods are ready."""
        self.values = _merged(self.values, values)
        self.helm.upgrade(
            CHARTS / "leadline",
            RELEASE,
            self.values,
            namespace=self.system,
            wait="watcher",
            timeout=INSTALL_SECONDS,
        )

    def uninstall(self) -> None:
        """Uninstall the release, as far as its guard lets it. Raises HelmError."""
        self.helm.uninstall(RELEASE, timeout=60)

    def remove(self) -> None:
        """Take everything away, whatever state it is in, volumes and credentials too."""
        for kind in ("tstrat", "tacct"):
            with contextlib.suppress(KubectlFailed):
                for found in self.node.json("get", kind, "--all-namespaces")["items"]:
                    self._let_go(kind, found["metadata"])
        for name in (RELEASE, "leadline-crds"):
            with contextlib.suppress(helm_python.HelmError):
                self.helm.uninstall(name, timeout=60, ignore_not_found=True)
        self.helm.close()
        with contextlib.suppress(KubectlFailed):
            self.node.kubectl("delete", "crd", *(f"{kind.plural}.leadline.dev" for kind in KINDS.values()))
        for namespace in {self.system, self.traders} - {"default"}:
            with contextlib.suppress(KubectlFailed):
                self.node.kubectl("delete", "namespace", namespace, "--wait=false")
        if self.traders == "default":
            self.node.kubectl("delete", "pvc,pod", "--all", "--namespace", "default", "--wait=false")

    # What a trader does.

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """kubectl in the traders' namespace."""
        return self.node.kubectl("--namespace", self.traders, *arguments, **options)

    def apply(self, manifest: Path) -> None:
        """`kubectl apply` of a file as it is."""
        self.kubectl("apply", "--filename", str(manifest))

    def edit(self, name: str, **spec: Any) -> None:
        """Change fields of a strategy's spec."""
        self.kubectl("patch", "tstrat", name, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def leadline(self, *arguments: str) -> str:
        """What `leadline` says that finds the cluster through the kubeconfig, in the traders' namespace."""
        path = f"{node_binaries()['kubectl'].parent}:{os.environ['PATH']}"
        done = subprocess.run(
            [sys.executable, "-m", "leadline.cli.main", *arguments, "--kube", "--namespace", self.traders],
            env={**os.environ, "KUBECONFIG": str(self.node.kubeconfig), "PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def wait_ready(self, name: str, seconds: float = 120) -> None:
        """Wait as a user does."""
        self.kubectl("wait", "--for=condition=Ready", f"tstrat/{name}", f"--timeout={seconds:g}s", timeout=seconds + 10)

    # What can be looked at.

    def strategy(self, name: str) -> dict[str, Any]:
        """The object of a strategy."""
        found: dict[str, Any] = self.node.json("get", "tstrat", name, "--namespace", self.traders)
        return found

    def reason(self, name: str, kind: str) -> str:
        """The reason of a strategy's condition; empty where it has none."""
        conditions = (self.strategy(name).get("status") or {}).get("conditions") or []
        return next((str(each["reason"]) for each in conditions if each["type"] == kind), "")

    def secret(self, name: str, key: str, namespace: str | None = None) -> str:
        """One value of a Secret."""
        found = self.node.json("get", "secret", name, "--namespace", namespace or self.traders)
        return base64.b64decode(found["data"][key]).decode()

    def place_of(self, service: str) -> tuple[str, str]:
        """The namespace of a service, and the selector of its Pods."""
        platform = service in {"ingestion", "aggregation", "recorder", "risk", "nats", "postgresql", "operator"}
        return self.system if platform else self.traders, f"app.kubernetes.io/component={service}"

    def pods(self, service: str) -> list[dict[str, Any]]:
        """The Pods of a service that are not on their way out."""
        namespace, selector = self.place_of(service)
        items = self.node.json("get", "pods", "--namespace", namespace, "--selector", selector)["items"]
        return [each for each in items if "deletionTimestamp" not in each["metadata"]]

    def pod(self, service: str) -> str:
        """The name of the one Pod of a service."""
        (found,) = self.pods(service)
        name: str = found["metadata"]["name"]
        return name

    def is_up(self, service: str) -> bool:
        """Whether the service has one Pod, and that is ready."""
        found = self.pods(service)
        conditions = found[0]["status"].get("conditions", []) if len(found) == 1 else []
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def wait_up(self, service: str, seconds: float = 90) -> None:
        """Wait until the service has one Pod, and that is ready."""
        self.node.wait_until(lambda: self.is_up(service), f"{service} is up", seconds)

    def pids(self, service: str, pod: str | None = None) -> list[int]:
        """The processes of a service's Pod, as this machine sees them."""
        return self.node.container_pids(self.place_of(service)[0], pod or self.pod(service))

    def restarts(self, service: str) -> int:
        """How often the containers of the service's Pod were started again."""
        (found,) = self.pods(service)
        return sum(each["restartCount"] for each in found["status"].get("containerStatuses", []))

    def log(self, service: str) -> str:
        """What the service's Pod has said since it was started last."""
        namespace, _ = self.place_of(service)
        return self.node.kubectl("logs", self.pod(service), "--namespace", namespace)

    # What goes wrong.

    def delete_pod(self, service: str) -> None:
        """`kubectl delete pod`: the service is asked to stop, and another Pod comes."""
        namespace, _ = self.place_of(service)
        self.node.kubectl("delete", "pod", self.pod(service), "--namespace", namespace, "--wait=false")

    def kill(self, service: str) -> None:
        """`kill -9` of everything in the service's Pod; the container is started again in it."""
        self.signal(self.pids(service), signal.SIGKILL)

    @staticmethod
    def signal(pids: list[int], number: signal.Signals) -> None:
        """Send a signal to each."""
        assert pids
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    # Ways in.

    @contextmanager
    def forwarded(self, namespace: str, target: str, port: int) -> Iterator[int]:
        """A port of this machine that leads to one of a Pod, for as long as the Pod lives."""
        command = [str(node_binaries()["kubectl"]), "--kubeconfig", str(self.node.kubeconfig)]
        command += ["port-forward", "--namespace", namespace, target, f":{port}"]
        pipe = subprocess.PIPE
        with subprocess.Popen(dies_with_parent(command), stdout=pipe, stderr=pipe, text=True) as process:
            try:
                assert process.stdout is not None
                match = _FORWARDED.match(process.stdout.readline())
                if match is None:
                    raise ConnectionError(f"no way to {target}")
                yield int(match.group(1))
            finally:
                process.kill()

    def metric(self, service: str, name: str) -> float:
        """The sum of a metric over its labels, from the service's own endpoint."""
        namespace, _ = self.place_of(service)
        path = f"/api/v1/namespaces/{namespace}/pods/{self.pod(service)}:9100/proxy/metrics"
        _, text = self.node.get(path)
        lines = [line for line in str(text).splitlines() if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def story(self) -> str:
        """What a person would look at first."""
        told: list[str] = []
        for namespace in dict.fromkeys((self.system, self.traders)):
            for command in (
                ("get", "pods", "--output=wide"),
                ("get", "events", "--sort-by=.lastTimestamp"),
                ("get", "tstrat,tacct,bt", "--output=yaml", "--show-managed-fields=false"),
            ):
                with contextlib.suppress(Exception):
                    told.append(self.node.kubectl("--namespace", namespace, *command, timeout=20)[-6000:])
            with contextlib.suppress(Exception):
                for pod in self.node.json("get", "pods", "--namespace", namespace)["items"]:
                    name = pod["metadata"]["name"]
                    log = self.node.kubectl("--namespace", namespace, "logs", name, "--tail=12", timeout=20)
                    told.append(f"--- {name}\n{log[-3000:]}")
        return "\n".join(told)

    def _let_go(self, kind: str, metadata: dict[str, Any]) -> None:
        place = ("--namespace", metadata["namespace"])
        patch = json.dumps({"metadata": {"finalizers": None}})
        with contextlib.suppress(KubectlFailed):
            self.node.kubectl("delete", kind, metadata["name"], *place, "--wait=false")
            self.node.kubectl("patch", kind, metadata["name"], *place, "--type=merge", "--patch", patch)


def small_values(traders: str) -> dict[str, Any]:
    """Values that leave a small machine some room. The namespace `default` is there already."""
    namespace = {"name": traders, **({} if traders == "default" else {"create": True})}
    parts = ("operator", "ingestion", "aggregation", "recorder", "risk", "nats", "postgresql")
    return {"namespaces": [namespace], **{part: {"resources": _SMALL} for part in parts}}


def document(manifest: Path, **spec: Any) -> dict[str, Any]:
    """The strategy of a manifest file, with other values in its spec."""
    found: dict[str, Any] = next(
        each for each in yaml.safe_load_all(manifest.read_text()) if each["kind"] == "TradingStrategy"
    )
    return {**found, "spec": {**found["spec"], **spec}}


def execution_of(traders: str, account: str = "paper") -> str:
    """The name of the objects of an account's execution."""
    return workload_id("execution", AccountId(f"{traders}/{account}"))


def seconds_of(act: Callable[[], Any]) -> float:
    """How long something takes."""
    began = time.monotonic()
    act()
    return time.monotonic() - began


def _merged(into: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    merged = dict(into)
    for name, value in more.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged
