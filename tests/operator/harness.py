"""One operator with all around it, as a test uses it."""

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg

from leadline.model.ids import AccountId
from leadline.plan.plan import workload_id
from leadline.runtime.settings import read_secret
from tests.kube.cluster.control_plane import ControlPlane
from tests.operator.api import APPS, CORE, LEADLINE, Api, Kubelet
from tests.operator.setup import (
    WAIT_SECONDS,
    OperatorProcess,
    Pods,
    account,
    allow_operator,
    eventually,
    install_crds,
    operator_settings,
    strategy,
)
from tests.stack import Database

_numbers = itertools.count(1)


class Site:
    """What all tests of a run share: the Pods that nobody runs, a database, and an operator of the whole cluster."""

    def __init__(self, kube: ControlPlane, database: Database, folder: Path) -> None:
        self.kube = kube
        self.database = database
        self.folder = folder
        install_crds(kube)
        self.kubelet = Kubelet(kube)
        self.pods = Pods(folder, folder / "pods.log")
        allow_operator(kube, "operator", "default", [])
        self.operator = self.operator_of("operator", "default", [])

    def operator_of(self, user: str, release: str, namespaces: list[str], **params: Any) -> OperatorProcess:
        """An operator of these namespaces, or of all, that is not started."""
        folder = self.folder / f"operator-{next(_numbers)}"
        settings = operator_settings(folder, self.database, self.pods, release, namespaces, **params)
        return OperatorProcess(folder, self.kube.kubeconfig_for(user), settings)

    def close(self) -> None:
        self.operator.stop()
        self.kubelet.stop()
        self.pods.stop()


class Leadline:
    """A namespace of traders with an operator, and short words for what tests do and look at.

    own: with an operator that looks after this namespace alone, which the test starts; else with that of the site.
    """

    def __init__(self, site: Site, namespace: str, *, own: bool) -> None:
        self.site = site
        self.kube = site.kube
        self.pods = site.pods
        self.kubelet = site.kubelet
        self.namespace = namespace
        self.api = Api(site.kube)
        self.pods.do("serve", accounts=[f"{namespace}/paper"])
        self.user = f"operator-{namespace}"
        self.operators: list[OperatorProcess] = []
        self.operator = site.operator
        if own:
            # Two that do not know of each other would work against each other.
            site.operator.stop()
            allow_operator(self.kube, self.user, namespace, [namespace])
            self.operator = self.another_operator()
        elif not site.operator.running:
            led = site.operator.times_led()
            site.operator.start()
            # What a test waits for is the operator's work, and not the start of its process.
            eventually(lambda: site.operator.times_led() > led, "the operator is at work", 120)

    def another_operator(self, **params: Any) -> OperatorProcess:
        """One more operator of this namespace, not started."""
        found = self.site.operator_of(self.user, self.namespace, [self.namespace], **params)
        self.operators.append(found)
        return found

    def close(self) -> None:
        for operator in self.operators:
            operator.stop()
        # Nobody need be there to let them go.
        for plural in ("tradingstrategies", "tradingaccounts"):
            for item in self.api.items(f"{LEADLINE}/namespaces/{self.namespace}/{plural}"):
                path = f"{LEADLINE}/namespaces/{self.namespace}/{plural}/{item['metadata']['name']}"
                self.api.delete(path)
                self.api.request("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
        self.api.close()

    # What a trader does.

    def apply(self, name: str = "flow", **spec: Any) -> None:
        """Apply a strategy, as kubectl apply of a whole manifest does."""
        self.api.patch(
            self.path(name), strategy(self.namespace, name, **spec), "application/apply-patch+yaml", "trader"
        )

    def apply_account(self, name: str = "paper", **spec: Any) -> None:
        path = f"{LEADLINE}/namespaces/{self.namespace}/tradingaccounts/{name}"
        self.api.patch(path, account(self.namespace, name, **spec), "application/apply-patch+yaml", "risk-officer")

    def edit(self, name: str = "flow", **spec: Any) -> None:
        """Change fields of a strategy's spec."""
        self.api.patch(self.path(name), {"spec": spec})

    def annotate(self, name: str, **annotations: str | None) -> None:
        named = {f"leadline.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
        self.api.patch(self.path(name), {"metadata": {"annotations": named}})

    def delete(self, name: str = "flow", **options: Any) -> None:
        self.api.delete(self.path(name), **options)

    # What can be looked at.

    def path(self, name: str = "flow") -> str:
        return f"{LEADLINE}/namespaces/{self.namespace}/tradingstrategies/{name}"

    def full(self, name: str = "flow") -> str:
        return f"{self.namespace}/{name}"

    def workload(self, name: str = "flow", service: str = "analysis") -> str:
        return workload_id(service, AccountId(self.full(name)))

    def strategy(self, name: str = "flow") -> dict[str, Any] | None:
        return self.api.get(self.path(name))

    def account(self, name: str = "paper") -> dict[str, Any] | None:
        return self.api.get(f"{LEADLINE}/namespaces/{self.namespace}/tradingaccounts/{name}")

    def status(self, name: str = "flow") -> dict[str, Any]:
        return (self.strategy(name) or {}).get("status") or {}

    def condition(self, kind: str, name: str = "flow", found: dict[str, Any] | None = None) -> dict[str, Any]:
        status = self.status(name) if found is None else found.get("status") or {}
        return next((item for item in status.get("conditions") or () if item["type"] == kind), {})

    def deployment(self, name: str = "flow") -> dict[str, Any] | None:
        return self.api.get(f"{APPS}/namespaces/{self.namespace}/deployments/{self.workload(name)}")

    def replicas(self, name: str = "flow") -> int:
        found = self.deployment(name)
        return -1 if found is None else int(found["spec"]["replicas"])

    def image(self, name: str = "flow") -> str:
        found = self.deployment(name)
        return "" if found is None else str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    def pod_names(self, name: str = "flow") -> list[str]:
        found = self.api.items(f"{CORE}/namespaces/{self.namespace}/pods", f"leadline.dev%2Fstrategy%3D{name}")
        return [item["metadata"]["name"] for item in found]

    def events(self, reason: str) -> list[str]:
        found = self.api.items(f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events")
        return [item["note"] for item in found if item["reason"] == reason]

    def at_execution(self, name: str = "flow", account: str = "paper") -> dict[str, Any]:
        """What the account's execution has of a strategy."""
        known: dict[str, dict[str, Any]] = self.pods.do("state", account=self.full(account))
        return known.get(self.full(name), {})

    def asked(self, method: str, account: str = "paper") -> list[dict[str, Any]]:
        """The calls of a kind that execution has got, oldest first."""
        return [call for call in self.pods.do("asked", account=self.full(account)) if call["method"] == method]

    async def demand(self) -> list[tuple[str, str]]:
        """Strategy and contract of every row of the demand."""
        return [(row["strategy"], row["contract"]) for row in await self._demanded()]

    async def bars_asked_for(self, name: str = "flow") -> list[str]:
        """What closes the bars that a strategy has asked for, of each month of its root."""
        return sorted({row["bars"] for row in await self._demanded() if row["strategy"] == self.full(name)})

    async def _demanded(self) -> list[asyncpg.Record]:
        settings = self.site.database.admin_settings()
        connection = await asyncpg.connect(settings.url, password=read_secret(settings.password_file))
        try:
            return list(
                await connection.fetch(
                    "SELECT strategy, contract, bars FROM demand WHERE account LIKE $1 ORDER BY 1, 2",
                    f"{self.namespace}/%",
                )
            )
        finally:
            await connection.close()

    # What can be waited for.

    def until(self, look: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
        """The first answer that is true; fails with the operator's last words."""
        try:
            return eventually(look, what, seconds)
        except AssertionError as error:
            said = "\n".join(self.operator.log.read_text().splitlines()[-15:]) if self.operator.log.exists() else ""
            seen = {item["metadata"]["name"]: item.get("status") for item in self.api.items(self._all())}
            raise AssertionError(f"{error}\n{json.dumps(seen, indent=1)}\n{said[-6000:]}") from None

    def ready(self, name: str = "flow", seconds: float = WAIT_SECONDS) -> None:
        """Wait until the strategy is as its manifest says."""

        def look() -> bool:
            found = self.strategy(name) or {}
            condition = self.condition("Ready", found=found)
            current = condition.get("observedGeneration") == (found.get("metadata") or {}).get("generation")
            return current and condition.get("status") == "True"

        self.until(look, f"{name} is ready", seconds)

    def gone(self, name: str = "flow", seconds: float = WAIT_SECONDS) -> None:
        """Wait until the strategy's object is gone."""
        self.until(lambda: self.strategy(name) is None, f"{name} is gone", seconds)

    def says(self, kind: str, reason: str, name: str = "flow", seconds: float = WAIT_SECONDS) -> dict[str, Any]:
        """Wait until a condition has a reason, and return it."""
        self.until(lambda: self.condition(kind, name).get("reason") == reason, f"{kind} of {name}: {reason}", seconds)
        return self.condition(kind, name)

    def stays(self, look: Callable[[], Any], what: str, seconds: float = 1.5) -> None:
        """Fails when something that holds now does not hold for a while."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert look(), what
            time.sleep(0.1)

    def _all(self) -> str:
        return f"{LEADLINE}/namespaces/{self.namespace}/tradingstrategies"
