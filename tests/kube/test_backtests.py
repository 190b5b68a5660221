"""A sweep in Pods of a real node, on a catalog and for results that lie on claims, with an operator beside it."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from leadline.catalog.catalog import Catalog
from leadline.cli.main import run
from leadline.local.local_postgres import LocalPostgres
from leadline.model.manifest.kinds import KINDS
from leadline.schema.migrate import create_database, migrate_database, set_role_passwords
from leadline_operator.desired.backtest import gathering_name, record_name
from leadline_operator.kinds import BACKTEST, Key
from tests.backtest.test_run import BEFORE_THE_ROLL, SESSIONS, account, simulated, strategy
from tests.kube.cluster.binaries import node_binaries
from tests.kube.cluster.node import NODE_NAME, Node
from tests.operator.setup import OperatorProcess, Pods, allow_operator, install_crds, operator_settings
from tests.stack import Database

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

LAST = "2025-06-16"
NAME = "stops"
_DATABASE = "backtests"
LOADED_SECONDS = 1.0
"""Processor time after which a shard's process has loaded its code."""


@dataclass
class Desk:
    """A namespace of the node with an operator of its own, a catalog and a place for results."""

    node: Node
    namespace: str
    operator: OperatorProcess
    places: dict[str, Path] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)

    @property
    def key(self) -> Key:
        return Key(BACKTEST.name, self.namespace, NAME)

    @property
    def results(self) -> Path:
        """The folder of the results, as this machine sees it."""
        return self.places["results"] / "sweeps"

    def claim(self, name: str) -> None:
        """A claim on a directory of this machine."""
        place = self.node.directory / "volumes" / f"{self.namespace}-{name}"
        place.mkdir()
        place.chmod(0o777)
        here = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}]}
        common = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{self.namespace}-{name}"},
            "spec": {
                **common,
                "capacity": {"storage": "1Gi"},
                "local": {"path": str(place)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [here]}},
            },
        }
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                **common,
                "volumeName": f"{self.namespace}-{name}",
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        self.node.apply(volume, claim)
        self.places[name] = place

    def apply(self, **spec: Any) -> None:
        whole = {
            "strategy": {"spec": strategy().spec.to_manifest()},
            "account": {"spec": account().spec.to_manifest()},
            "from": BEFORE_THE_ROLL.isoformat(),
            "to": LAST,
            "catalog": {"claim": "ticks", "path": "catalog"},
            "results": {"claim": "results", "path": "sweeps"},
            "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
            **spec,
        }
        metadata = {"name": NAME, "namespace": self.namespace}
        self.document = {"apiVersion": BACKTEST.api_version, "kind": "Backtest", "metadata": metadata, "spec": whole}
        self.node.kubectl("apply", "-f", "-", input=json.dumps(self.document))

    def pods(self, job: str) -> list[dict[str, Any]]:
        labels = f"batch.kubernetes.io/job-name={job}"
        found: list[dict[str, Any]] = self.node.json("get", "pods", "-n", self.namespace, "-l", labels)["items"]
        return found

    def kill_a_shard_at_work(self) -> str:
        """Kill everything in the Pod of a shard in the midst of its work; the Pod's name."""
        name, pids = self.until(self._at_work, "a shard is at work", 120)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.killed.append(name)
        return str(name)

    def _at_work(self) -> tuple[str, list[int]] | None:
        """A Pod of a shard that has loaded its code and begun, and its processes."""
        for pod in self.pods(record_name(self.key)):
            name = pod["metadata"]["name"]
            if pod["status"]["phase"] == "Running" and name not in self.killed:
                pids = self.node.container_pids(self.namespace, name)
                if sum(map(_worked, pids)) > LOADED_SECONDS:
                    return name, pids
        return None

    def succeeds(self, seconds: float) -> dict[str, Any]:
        """Wait for the result, and return the status."""

        def ended() -> Any:
            found = self.node.json("get", "bt", NAME, "-n", self.namespace).get("status") or {}
            return found if found.get("phase") in {"Succeeded", "Failed"} else None

        status: dict[str, Any] = self.until(ended, "the backtest has ended", seconds)
        assert status["phase"] == "Succeeded", json.dumps(status, indent=1)
        return status

    def until(self, look: Callable[[], Any], what: str, seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := look()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:g} s: {what}\n{self.story()}")
            time.sleep(0.05)
        return found

    def story(self) -> str:
        told = [
            self.node.kubectl("get", kind, "-n", self.namespace, "-o", form)[-5000:]
            for kind, form in (("bt", "yaml"), ("jobs,pods", "wide"), ("events", "wide"))
        ]
        return "\n".join([*told, self.operator.log.read_text()[-3000:]])


@pytest.fixture
def desk(
    node: Node,
    node_namespace: str,
    leadline_image: str,
    postgres_process: LocalPostgres,
    tmp_path: Path,
) -> Iterator[Desk]:
    if postgres_process.pid is None:
        postgres_process.start()
    asyncio.run(_migrated(postgres_process))
    install_crds(node)
    user = f"operator-{node_namespace}"
    allow_operator(node, user, node_namespace, [node_namespace])
    pods = Pods(tmp_path, tmp_path / "pods.log")
    settings = operator_settings(
        tmp_path / "operator", Database(postgres_process, _DATABASE), pods, node_namespace, [node_namespace],
        image=leadline_image, image_pull_policy="Never",
    )  # fmt: skip
    found = Desk(node, node_namespace, OperatorProcess(tmp_path / "operator", node.kubeconfig_for(user), settings))
    for name in ("ticks", "results"):
        found.claim(name)
    prints, catalog = simulated(BEFORE_THE_ROLL, SESSIONS, 3), Catalog(found.places["ticks"] / "catalog")
    for contract in prints.contracts:
        for each in prints.days(contract):
            catalog.write(contract, each.day, prints.read(contract, each.day))
    found.operator.start()
    yield found
    found.operator.stop()
    pods.stop()
    # Helm takes over no definition that it has not made.
    node.kubectl("delete", "crd", *(f"{kind.plural}.leadline.dev" for kind in KINDS.values()))


async def _migrated(server: LocalPostgres) -> None:
    await create_database(server.admin_settings("postgres"), _DATABASE)
    await migrate_database(server.admin_settings(_DATABASE))
    await set_role_passwords(server.admin_settings(_DATABASE), server.passwords())


def on_the_laptop(desk: Desk, sweep: dict[str, Any], folder: Path) -> Path:
    """The folder of the same sweep by `leadline study sweep`, with the manifests that are on record."""
    found = desk.node.json("get", "configmap", record_name(desk.key), "-n", desk.namespace)
    folder.mkdir()
    manifests = [each for each in yaml.safe_load_all(found["data"]["manifests.yaml"]) if each["kind"] != "Backtest"]
    (folder / "manifests.yaml").write_text(yaml.safe_dump_all(manifests))
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    feed = ("--feed", "catalog", "--catalog", str(desk.places["ticks"] / "catalog"))
    days = ("--from", BEFORE_THE_ROLL.isoformat(), "--to", LAST)
    files = ("-f", str(folder / "manifests.yaml"), "--sweep", str(folder / "sweep.yaml"))
    places = ("--folder", str(folder / "studies"), "--tables", str(folder / "tables"))
    assert run(["study", "sweep", *files, *feed, *days, *places, "--workers", "1"]) == 0
    (made,) = (folder / "studies").iterdir()
    return made


def _worked(pid: int) -> float:
    """The processor time of a process in seconds; 0 where it has ended."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0
    return float(times.user + times.system)


def check_equals_the_laptop(desk: Desk, sweep: dict[str, Any], status: dict[str, Any], folder: Path) -> None:
    """Every row and table of the cluster is the laptop's to the byte, and so are the figures of the status."""
    laptop = on_the_laptop(desk, sweep, folder)
    summary = status["summary"]
    cluster = desk.results / summary["id"]
    assert laptop.name == summary["id"]
    assert status["files"] == f"PersistentVolumeClaim results: sweeps/{summary['id']}"
    names = {str(each.relative_to(laptop)) for each in laptop.rglob("*") if each.is_file()}
    assert names
    assert {name for name in names if (cluster / name).read_bytes() != (laptop / name).read_bytes()} == set()
    tables = {each.name for each in (folder / "tables").iterdir()}
    assert tables
    assert {
        name for name in tables if (cluster / name).read_bytes() != (folder / "tables" / name).read_bytes()
    } == set()
    rows = [json.loads(each.read_text()) for each in sorted((laptop / "variants").glob("[0-9]*.json"))]
    assert summary["sweep"]["tried"] == len(rows)
    best = max(rows, key=lambda row: (float(row["accounts"][0]["figures"]["net"]), -row["number"]))
    figures = best["accounts"][0]["figures"]
    assert (summary["net"], summary["trades"], summary["digest"]) == (
        figures["net"],
        figures["trade_count"],
        best["digest"],
    )
    assert summary["sweep"]["best"][0]["number"] == best["number"]
    left_behind = [each.name for each in cluster.rglob(".*") if each.is_file()]
    assert len(left_behind) <= 1, "a file that a killed shard was just writing"


def check_can_be_fetched(desk: Desk, status: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`leadline backtest --kube --fetch` brings every file of the claim to this machine, and leaves no Pod behind."""
    (folder / "bin").mkdir()
    (folder / "bin" / "kubectl").symlink_to(node_binaries()["kubectl"])
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("KUBECONFIG", str(desk.node.kubeconfig))
    file = folder / "backtest.yaml"
    file.write_text(json.dumps(desk.document))
    words = ("backtest", "-f", str(file), "--kube", "-n", desk.namespace, "--fetch", str(folder / "fetched"))
    assert run(words) == 0
    cluster, fetched = (root / status["summary"]["id"] for root in (desk.results, folder / "fetched"))
    names = {str(each.relative_to(cluster)) for each in cluster.rglob("*") if each.is_file()}
    assert {name for name in names if (fetched / name).read_bytes() != (cluster / name).read_bytes()} == set()
    selector = ("get", "pods", "-n", desk.namespace, "-o", "name")
    desk.until(lambda: "fetch" not in desk.node.kubectl(*selector), "the Pod that fetched is gone", 60)


def test_a_sweep_whose_shard_is_killed_comes_to_the_laptops_bytes(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sweep = {"fields": [{"field": "strategy.spec.bracket.stopTicks", "values": [8, 12, 16, 20, 24, 28]}]}
    desk.apply(sweep=sweep, shards=2)
    killed = desk.kill_a_shard_at_work()
    status = desk.succeeds(240)
    ended = {pod["metadata"]["name"]: pod["status"]["phase"] for pod in desk.pods(record_name(desk.key))}
    assert ended[killed] == "Failed"
    assert sorted(ended.values()) == ["Failed", "Succeeded", "Succeeded"]
    assert status["progress"] == "2/2"
    check_equals_the_laptop(desk, sweep, status, tmp_path / "laptop")
    check_can_be_fetched(desk, status, tmp_path, monkeypatch)
    # Nothing of a Pod could write to the catalog.
    (gathered,) = desk.pods(gathering_name(desk.key))
    mounts = {each["mountPath"]: each for each in gathered["spec"]["containers"][0]["volumeMounts"]}
    assert mounts["/catalog"]["readOnly"] is True


@pytest.mark.node_minutes
def test_a_sweep_of_64_variants_comes_to_the_laptops_bytes(desk: Desk, tmp_path: Path):
    sweep = {
        "fields": [
            {"field": "strategy.spec.bracket.stopTicks", "from": 6, "to": 20, "step": 2},
            {"field": "strategy.spec.bracket.targetTicks", "from": 8, "to": 36, "step": 4},
        ]
    }
    desk.apply(sweep=sweep, shards=4, rankBy="net")
    killed = {desk.kill_a_shard_at_work(), desk.kill_a_shard_at_work()}
    status = desk.succeeds(500)
    ended = {pod["metadata"]["name"]: pod["status"]["phase"] for pod in desk.pods(record_name(desk.key))}
    assert {ended[name] for name in killed} == {"Failed"}
    assert status["summary"]["sweep"]["tried"] == 64
    check_equals_the_laptop(desk, sweep, status, tmp_path / "laptop")
