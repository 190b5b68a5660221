"""An operator on a real control plane with a real database, and stand-ins for the Pods that nobody runs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

from leadline.local.child import dies_with_parent
from leadline.model.manifest.kinds import KINDS
from scripts import crds
from tests.kube.cluster.control_plane import ControlPlane
from tests.stack import Database

ROOT = Path(__file__).resolve().parents[2]
MASTER = "m" * 40
RBAC = yaml.safe_load((ROOT / "operator" / "leadline_operator" / "rbac.yaml").read_text())
API = "leadline.dev/v1alpha1"
# How long an operator may take until its code is loaded; minutes where a hundred processes want two cores.
LOAD_SECONDS: Final = 120
# How long anything else may take there. A test goes on as soon as it is done.
WAIT_SECONDS: Final = 60


def install_crds(kube: ControlPlane) -> None:
    """The custom resources, as the chart has them."""
    kube.apply(*map(crds.definition, KINDS))
    kinds = [kind.plural for kind in KINDS.values()]
    kube.wait_until(
        lambda: all(kube.get(f"/apis/{API}/{kind}")[0] == 200 for kind in kinds), "the custom resources are served"
    )


def allow_operator(kube: ControlPlane, user: str, release: str, namespaces: list[str]) -> None:
    """Give the user what the chart gives the operator, and nothing else."""
    subjects = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
    group = "rbac.authorization.k8s.io/v1"

    def grant(kind: str, name: str, namespace: str | None, rules: list[dict[str, Any]]) -> None:
        metadata = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
        kube.apply(
            {"apiVersion": group, "kind": kind, "metadata": metadata, "rules": rules},
            {
                "apiVersion": group,
                "kind": f"{kind}Binding",
                "metadata": metadata,
                "roleRef": reference,
                "subjects": subjects,
            },
        )

    grant("ClusterRole", user, None, RBAC["cluster"])
    grant("Role", f"{user}-lease", release, RBAC["release"])
    if namespaces:
        for namespace in namespaces:
            grant("Role", user, namespace, RBAC["namespace"])
    else:
        grant("ClusterRole", f"{user}-everywhere", None, RBAC["namespace"])


class Pods:
    """The process of `standin.py`, told by method calls. `years`: of how many the feed has contracts, from 2025 on."""

    def __init__(self, folder: Path, log: Path, years: int = 2) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "tests.operator.standin", str(folder), MASTER, str(years)]
        pipe = subprocess.PIPE
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                dies_with_parent(command), cwd=ROOT, stdin=pipe, stdout=pipe, stderr=errors, text=True
            )
        assert self.process.stdout is not None
        self.ingestion: str = json.loads(self.process.stdout.readline())["ingestion"]

    def do(self, what: str, **said: Any) -> Any:
        """Tell or ask one thing."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": what, **said}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["answer"]

    def stop(self) -> None:
        """End it, and wait until it has."""
        self.process.kill()
        with self.process:
            pass


class OperatorProcess:
    """`leadline service operator` with settings of its own; started and stopped as often as a test likes."""

    def __init__(self, folder: Path, kubeconfig: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.log = folder / "operator.log"
        self._kubeconfig = kubeconfig
        self._settings = folder / "settings.json"
        self._settings.write_text(json.dumps(settings))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return when its code is loaded: how long that takes on a busy machine is no test's matter."""
        before = self._times_said("service.started")
        command = (sys.executable, "-m", "leadline.cli.service", "operator", "--settings", str(self._settings))
        environment = {**os.environ, "KUBECONFIG": str(self._kubeconfig)}
        with self.log.open("ab") as log:
            process = subprocess.Popen(dies_with_parent(command), env=environment, stdout=log, stderr=log)
        self.process = process

        def runs_or_ended() -> bool:
            return self._times_said("service.started") > before or process.poll() is not None

        eventually(runs_or_ended, "the operator is loaded", LOAD_SECONDS)

    def times_led(self) -> int:
        """How often it has won the lease, over all its starts."""
        return self._times_said("lease.won")

    def _times_said(self, event: str) -> int:
        return self.log.read_text().count(f'"{event}"') if self.log.exists() else 0

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it by a signal and return its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(WAIT_SECONDS)
        self.process = None
        return code

    def kill(self) -> None:
        """End it as a crash would."""
        self.stop(signal.SIGKILL)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


def operator_settings(
    folder: Path, database: Database, pods: Pods, release: str, namespaces: list[str], **params: Any
) -> dict[str, Any]:
    """Settings as the chart would write them, for this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / "master"
    key.write_text(MASTER)
    return {
        "service": "operator",
        "workload": "operator",
        "listen": "127.0.0.1:0",
        "metrics_listen": "127.0.0.1:0",
        "health_listen": "127.0.0.1:0",
        "database": database.settings("supervisor").model_dump(mode="json"),
        "data_dir": str(folder),
        "token_key_file": str(key),
        "params": {
            "namespace": release,
            "namespaces": namespaces,
            "identity": folder.name,
            "image": "localhost/leadline:test",
            "peers": {"risk": "leadline-risk.leadline-system.svc:9090", "ingestion": pods.ingestion},
            "nats": {"servers": ["nats://leadline-nats.leadline-system.svc:4222"]},
            "database_url": "postgresql://leadline_execution@leadline-postgresql.leadline-system.svc:5432/leadline",
            "workload_address": f"unix:{pods.folder}/{{name}}.sock",
            "priority_classes": False,
            "lease_seconds": 3,
            "poll_seconds": 0.3,
            "status_seconds": 1,
            "orphan_grace_seconds": 1,
            "default_account_seconds": 0,
            **params,
        },
    }


def strategy(namespace: str, name: str = "flow", **spec: Any) -> dict[str, Any]:
    """A TradingStrategy on MES unless the test says otherwise."""
    return {
        "apiVersion": API,
        "kind": "TradingStrategy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"instrument": "MES", **spec},
    }


def account(namespace: str, name: str = "paper", **spec: Any) -> dict[str, Any]:
    """A TradingAccount with the defaults unless the test says otherwise."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API, "kind": "TradingAccount", "metadata": metadata, "spec": spec}


def eventually(look: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """The first answer that is true. Fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)
