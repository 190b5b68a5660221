"""Random lives of strategies under an operator that is killed, refused, asked to wait and cut off; all must converge.

    python -m tests.operator.interleaving [LIVES] [--seed SEED]

Many strategies live at a time, each on an account of its own with edits, positions and perhaps a deletion drawn from
its seed, while what happens to operator, watches and API server is drawn from the batch's. Then the faults end, and
every strategy must be as its last manifest says; and never may two Pods of different versions of one strategy have been
at work.
"""

import argparse
import asyncio
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import asyncpg

from leadline.local.local_postgres import LocalPostgres
from leadline.model.ids import StrategyId
from leadline.plan.plan import workload_id
from leadline.runtime.settings import read_secret
from leadline.schema.migrate import create_database, migrate_database, set_role_passwords
from tests.kube.cluster.control_plane import ControlPlane
from tests.operator.api import APPLY, APPS, CORE, LEADLINE, Api, Kubelet
from tests.operator.proxy import Proxy
from tests.operator.setup import (
    WAIT_SECONDS,
    OperatorProcess,
    Pods,
    account,
    allow_operator,
    install_crds,
    operator_settings,
    strategy,
)
from tests.stack import Database

NAMESPACE: Final = "lives"
BATCH: Final = 25
STEPS: Final = 40
STEP_SECONDS: Final = 0.35
CONVERGED_SECONDS: Final = 120.0
BARS: Final = ("1m", "5m", "15m", "30m")


class Life:
    """One strategy, and what its seed makes of it."""

    def __init__(self, number: int, seed: int, world: "World") -> None:
        self.seed = seed
        self.name = f"flow-{number}"
        self.account = f"account-{number}"
        self.world = world
        self.chance = random.Random(seed)
        self.spec: dict[str, Any] = {
            "account": {"name": self.account},
            "updatePolicy": self.chance.choice(["WhenFlat", "Auto", "Manual"]),
            "deletionPolicy": {"positions": self.chance.choice(["Refuse", "Flatten", "Keep"])},
            "suspendPolicy": {"positions": self.chance.choice(["Keep", "Flatten"])},
        }
        self.deleted = False
        self.story: list[str] = []

    @property
    def path(self) -> str:
        return f"{LEADLINE}/namespaces/{NAMESPACE}/tradingstrategies/{self.name}"

    def begin(self) -> None:
        path = f"{LEADLINE}/namespaces/{NAMESPACE}/tradingaccounts/{self.account}"
        self.world.patch(path, account(NAMESPACE, self.account))
        self.apply()

    def apply(self) -> None:
        self.world.patch(self.path, strategy(NAMESPACE, self.name, **self.spec))

    def step(self) -> None:
        """One thing that happens to it, or nothing."""
        if self.deleted:
            return
        choice = self.chance.random()
        if choice < 0.10:
            self._edit(bars=self.chance.choice(BARS))
        elif choice < 0.17:
            self._edit(risk={"maxPosition": self.chance.randint(1, 9)})
        elif choice < 0.24:
            self._edit(state=self.chance.choice(["Running", "ReduceOnly", "Suspended"]))
        elif choice < 0.27:
            self._edit(restartNonce=self.spec.get("restartNonce", 0) + 1)
        elif choice < 0.33:
            self._hold(self.chance.choice([0, 0, 1, -2]))
        elif choice < 0.36:
            self._meddle()
        elif choice < 0.38:
            self.story.append("delete")
            self.deleted = True
            self.world.api.delete(self.path)

    def settle(self) -> None:
        """The last of what happens to it: nothing may keep it from what its manifest says."""
        self._hold(0)
        if not self.deleted:
            self._edit(restartNonce=self.spec.get("restartNonce", 0) + 1)

    def lacks(self) -> str:
        """What keeps it from being as its manifest says; empty when it is."""
        world = self.world
        found = world.api.get(self.path)
        here = world.pods.do("state", account=f"{NAMESPACE}/{self.account}").get(f"{NAMESPACE}/{self.name}", {})
        pods = world.pods_of(self.name)
        if self.deleted:
            left = found is not None or pods or (here and not here["forgotten"])
            return f"is not gone: {found and found.get('status')}, {here}, {pods}" if left else ""
        if found is None:
            return "vanished"
        status = found.get("status") or {}
        ready: dict[str, Any] = next((item for item in status.get("conditions") or () if item["type"] == "Ready"), {})
        current = ready.get("observedGeneration") == found["metadata"]["generation"]
        if ready.get("status") != "True" or not current or status.get("rollout"):
            return f"is not ready: {ready}, {status.get('rollout')}"
        deployment = (
            world.api.get(f"{APPS}/namespaces/{NAMESPACE}/deployments/{workload_id('analysis', StrategyId(self.full))}")
            or {}
        )
        wanted = 0 if self.spec.get("state") == "Suspended" else 1
        if (deployment.get("spec") or {}).get("replicas") != wanted or len(pods) != wanted:
            return f"has not {wanted} Pods: {pods}"
        if status["runningHash"] != status["desiredHash"]:
            return "runs another version"
        if wanted and (here["state"] != self.spec.get("state", "Running") or here["drain"]):
            return f"execution has it otherwise: {here}"
        bars, risk = self.spec.get("bars", "5m"), self.spec.get("risk", {})
        if wanted and (here["manifest"]["bars"] != bars or not risk.items() <= here["manifest"]["risk"].items()):
            return f"execution has other settings: {here}"
        return ""

    def objects(self, api: Api) -> str:
        """What there is of it, and whose: for whoever looks into a life that did not converge."""
        told: list[str] = []
        label = f"leadline.dev%2Fstrategy%3D{self.name}"
        for group, plural in ((APPS, "deployments"), (APPS, "replicasets"), (CORE, "pods")):
            for item in api.items(f"{group}/namespaces/{NAMESPACE}/{plural}", label):
                metadata = item["metadata"]
                owner = [each["uid"] for each in metadata.get("ownerReferences") or ()]
                times = {key: metadata[key] for key in ("creationTimestamp", "deletionTimestamp") if key in metadata}
                status = item.get("status") or {}
                replicas = (item["spec"].get("replicas"), status.get("replicas"))
                generations = (metadata.get("generation"), status.get("observedGeneration"))
                version = (metadata.get("annotations") or {}).get("leadline.dev/rollout-hash")
                told.append(
                    f"  {metadata['name']} {metadata['uid']} of {owner} {times} {version} replicas {replicas} "
                    f"generations {generations} {metadata.get('finalizers')}"
                )
        return "\n".join(told)

    @property
    def full(self) -> str:
        return f"{NAMESPACE}/{self.name}"

    def _edit(self, **spec: Any) -> None:
        self.story.append(f"edit {spec}")
        self.spec |= spec
        self.apply()

    def _hold(self, quantity: int) -> None:
        with suppress(AssertionError):  # execution does not know it yet
            self.world.pods.do("hold", account=f"{NAMESPACE}/{self.account}", strategy=self.full, quantity=quantity)
            self.story.append(f"hold {quantity}")

    def _meddle(self) -> None:
        """Somebody's hand in what the operator owns, or a Pod that is lost."""
        name = workload_id("analysis", StrategyId(self.full))
        what = self.chance.choice(["pod", "scale", "deployment", "config"])
        self.story.append(f"lose {what}")
        if what == "pod":
            for pod in self.world.pods_of(self.name):
                self.world.api.delete(f"{CORE}/namespaces/{NAMESPACE}/pods/{pod}")
        elif what == "scale":
            path = f"{APPS}/namespaces/{NAMESPACE}/deployments/{name}"
            self.world.api.request("PATCH", path, {"spec": {"replicas": 2}}, "application/merge-patch+json")
        elif what == "deployment":
            self.world.api.delete(f"{APPS}/namespaces/{NAMESPACE}/deployments/{name}", propagationPolicy="Background")
        else:
            self.world.api.delete(f"{CORE}/namespaces/{NAMESPACE}/configmaps/{name}")


class World:
    """A batch of lives on one control plane, with one operator behind a proxy."""

    def __init__(self, kube: ControlPlane, database: Database, folder: Path, seed: int, lives: int) -> None:
        self.kube = kube
        self.database = database
        self.seed = seed
        self.chance = random.Random(seed)
        self.api = Api(kube)
        self.kubelet = Kubelet(kube)
        self.pods = Pods(folder, folder / "pods.log")
        self.proxy = Proxy(kube, "operator", random.Random(seed + 1))
        settings = operator_settings(folder, database, self.pods, NAMESPACE, [NAMESPACE], resync_seconds=20)
        self.operator = OperatorProcess(folder, self.proxy.kubeconfig(folder / "kubeconfig"), settings)
        self.lives = [Life(number, seed * 1000 + number, self) for number in range(lives)]
        self.pods.do("serve", accounts=[f"{NAMESPACE}/{life.account}" for life in self.lives])
        self.two: dict[str, str] = {}
        self.troubles: Counter[str] = Counter()
        self._over = threading.Event()
        self._calm = False
        self._killing = threading.Lock()
        self._sentinel = threading.Thread(target=self._watch_for_two, args=(Api(kube),), daemon=True)

    def run(self) -> None:
        """Live, and then converge. Raises AssertionError that names the seeds."""
        self.operator.start()
        self._sentinel.start()
        for life in self.lives:
            life.begin()
        for _ in range(STEPS):
            began = time.monotonic()
            for life in self.lives:
                if self.chance.random() < 0.5:
                    life.step()
            self._trouble()
            if not self.operator.running:
                self.operator.start()
            time.sleep(max(0.0, STEP_SECONDS - (time.monotonic() - began)))
        self._converge()

    def close(self) -> None:
        self._over.set()
        if self.operator.running:
            self.operator.kill()
        self.proxy.stop()
        self.kubelet.stop()
        self.pods.stop()
        for plural in ("tradingstrategies", "tradingaccounts"):
            for item in self.api.items(f"{LEADLINE}/namespaces/{NAMESPACE}/{plural}"):
                path = f"{LEADLINE}/namespaces/{NAMESPACE}/{plural}/{item['metadata']['name']}"
                self.api.delete(path)
                self.api.request("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
        self.api.close()

    def patch(self, path: str, document: Any) -> None:
        """Apply, also while the API server is away."""
        for _ in range(100):
            status, found = self.api.request("PATCH", f"{path}?fieldManager=trader&force=true", document, APPLY)
            if status in {200, 201}:
                return
            # A manifest may come while its object is still leaving: nobody takes it then.
            assert status in {0, 409, 429, 500, 503}, found
            time.sleep(0.1)
        raise AssertionError(f"{path} could not be applied")

    def pods_of(self, name: str) -> list[str]:
        found = self.api.items(f"{CORE}/namespaces/{NAMESPACE}/pods", f"leadline.dev%2Fstrategy%3D{name}")
        return [item["metadata"]["name"] for item in found]

    def _trouble(self) -> None:
        choice = self.chance.random()
        if choice < 0.2:
            # At the k-th write from now: before it is done, or after it and before its answer is heard.
            self.proxy.after(self.chance.randint(0, 12), self._kill)
        elif choice < 0.4:
            self.proxy.drop_watches()
            self.troubles["watches dropped"] += 1
        elif choice < 0.5:
            self.proxy.conflicts = self.chance.choice([0.0, 0.1, 0.3])
        elif choice < 0.6:
            self.proxy.waits = self.chance.choice([0.0, 0.05, 0.2])
        elif choice < 0.63:
            self.kube.restart_apiserver()
            self.troubles["API server restarted"] += 1
        elif choice < 0.75:
            life = self.chance.choice(self.lives)
            self.pods.do("set", account=f"{NAMESPACE}/{life.account}", away=self.chance.random() < 0.5)

    def _kill(self) -> None:
        """On the proxy's thread, perhaps long after it was asked for. Whoever holds the lock knows whether it runs."""
        with self._killing:
            process = self.operator.process
            if process is not None and not self._calm:
                self.troubles["operator killed"] += 1
                process.send_signal(signal.SIGKILL)
                process.wait(WAIT_SECONDS)

    def _converge(self) -> None:
        self.proxy.conflicts = self.proxy.waits = 0.0
        with self._killing:
            self._calm = True
        if not self.operator.running:
            self.operator.start()
        for life in self.lives:
            self.pods.do("set", account=f"{NAMESPACE}/{life.account}", away=False)
            life.settle()
        deadline = time.monotonic() + CONVERGED_SECONDS
        left = list(self.lives)
        while left and time.monotonic() < deadline and self.operator.running:
            left = [life for life in left if life.lacks()]
            if left:
                time.sleep(0.3)
        assert self.operator.running, f"seed {self.seed}: the operator ended: {self.operator.log.read_text()[-4000:]}"
        assert not self.two, f"seed {self.seed}: two versions at work:\n" + "\n".join(self.two.values())
        told = "\n".join(
            f"{life.seed} ({life.name}) {life.lacks()}\n  {life.story}\n{life.objects(self.api)}" for life in left
        )
        logs = (self.operator.log, self.kube.controller_manager.log) if left else ()
        said = "\n".join("\n".join(log.read_text(errors="replace").splitlines()[-20:]) for log in logs)
        assert not left, f"seed {self.seed}, lives that did not converge:\n{told}\n{said}"
        asyncio.run(self._check_demand())

    async def _check_demand(self) -> None:
        settings = self.database.admin_settings()
        connection = await asyncpg.connect(settings.url, password=read_secret(settings.password_file))
        try:
            rows = await connection.fetch("SELECT strategy FROM demand WHERE strategy <> '' AND account LIKE 'lives/%'")
        finally:
            await connection.close()
        wanted = {life.full for life in self.lives if not life.deleted and life.spec.get("state") != "Suspended"}
        assert {row["strategy"] for row in rows} == wanted, f"seed {self.seed}: the demand is not that of who trades"

    def _watch_for_two(self, api: Api) -> None:
        """Look out for two Pods of different versions of one strategy, neither told to end."""
        while not self._over.wait(0.05):
            at_work: dict[str, set[str]] = {}
            for pod in api.items(f"{CORE}/namespaces/{NAMESPACE}/pods", "app.kubernetes.io%2Fcomponent%3Danalysis"):
                metadata = pod["metadata"]
                if "deletionTimestamp" not in metadata:
                    version = metadata["annotations"]["leadline.dev/rollout-hash"]
                    at_work.setdefault(metadata["labels"]["leadline.dev/strategy"], set()).add(version)
            for life in self.lives:
                if len(at_work.get(life.name, ())) > 1 and life.name not in self.two:
                    status = (api.get(life.path) or {}).get("status") or {}
                    story = (status.get("runningHash"), status.get("rollout"), life.story)
                    self.two[life.name] = f"{life.name} at {time.time():.3f}: {story}\n{life.objects(api)}"
        api.close()


_NO_ROLES_YET = r"cannot get path \"/apis\""
"""An API server that has begun again, and has not read its roles yet, forbids so what it allows to everyone."""


def live(kube: ControlPlane, database: Database, folder: Path, seed: int, lives: int) -> str:
    """One batch: its lives must converge. Returns what they went through."""
    install_crds(kube)
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    allow_operator(kube, "operator", NAMESPACE, [NAMESPACE])
    world = World(kube, database, folder, seed, lives)
    try:
        world.run()
    finally:
        world.close()
    # A failure that the operator did not expect is a failure, also when it gets over it.
    told = world.operator.log.read_text().splitlines()
    unexpected = [line for line in told if "Traceback" in line and _NO_ROLES_YET not in line]
    assert not unexpected, f"seed {seed}: {unexpected[0]}"
    world.troubles.update(refused=world.proxy.refused, steps=sum(len(life.story) for life in world.lives))
    return ", ".join(f"{count} {what}" for what, count in sorted(world.troubles.items()))


async def _migrate(server: LocalPostgres, name: str) -> None:
    await create_database(server.admin_settings("postgres"), name)
    await migrate_database(server.admin_settings(name))
    await set_role_passwords(server.admin_settings(name), server.passwords())


def main() -> None:
    """Run so many lives, in batches, each on a control plane of its own."""
    parser = argparse.ArgumentParser(prog="tests.operator.interleaving")
    parser.add_argument("lives", nargs="?", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leadline-lives-") as folder:
        server = LocalPostgres(Path(folder) / "postgres", durable=False)
        server.start()
        try:
            for number in range(-(-options.lives // BATCH)):
                seed = options.seed + number
                asyncio.run(_migrate(server, f"lives_{seed}"))
                own = Path(folder) / str(seed)
                own.mkdir()
                began = time.monotonic()
                with ControlPlane() as kube:
                    lives = min(BATCH, options.lives - number * BATCH)
                    told = live(kube, Database(server, f"lives_{seed}"), own, seed, lives)
                seconds = time.monotonic() - began
                print(f"seed {seed}: {lives} lives converged in {seconds:.0f} s: {told}", flush=True)  # noqa: T201
        finally:
            server.stop()


if __name__ == "__main__":
    main()
