"""How the operator does with 10, 100 and 1,000 strategies, on a real API server, etcd and controllers on this machine.

    python -m bench.operator [SIZES ...] [--output json]

The Pods are stood in for by one process that speaks execution's contract. A strategy counts as reconciled when its
status says that execution works with its settings and its Deployment is there. Measured: from the operator's start
until all are, when nothing of them is there yet and when all of it is; from an apply to the Deployment, one after the
other; requests to the API server; and the memory that the process holds.
"""

import argparse
import asyncio
import json
import tempfile
import time
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from leadline.local.local_postgres import LocalPostgres
from leadline.local.ports import Ports
from leadline.model.ids import strategy_id
from leadline.plan.plan import workload_id
from leadline.schema.migrate import create_database, migrate_database, set_role_passwords
from tests.kube.cluster.control_plane import ControlPlane
from tests.operator.api import APPLY, APPS, LEADLINE, Api
from tests.operator.setup import (
    OperatorProcess,
    Pods,
    account,
    allow_operator,
    install_crds,
    operator_settings,
    strategy,
)
from tests.stack import Database

SIZES: Final = (10, 100, 1000)
PER_ACCOUNT: Final = 40
APPLIES: Final = 40
IDLE_SECONDS: Final = 30.0
PATIENCE_SECONDS: Final = 600.0
NAMESPACE: Final = "traders"
YEARS: Final = range(2026, 2056)


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds, requests and MiB for a number of strategies."""

    strategies: int
    cold_seconds: float
    restart_seconds: float
    apply_p50_seconds: float
    apply_p99_seconds: float
    requests_per_new_strategy: float
    requests_per_restart: float
    idle_requests_per_second: float
    rss_mib: float


def documents(strategies: int) -> list[dict[str, Any]]:
    """Accounts without tiers, and strategies with a contract each."""
    accounts = range(-(-(strategies + APPLIES) // PER_ACCOUNT))
    found = [account(NAMESPACE, f"account-{number}", tiers=[]) for number in accounts]
    return found + [one(number) for number in range(strategies)]


def one(number: int) -> dict[str, Any]:
    """A strategy with a contract of its own on its account."""
    contract = [f"MES{month}{year}" for year in YEARS for month in "HMUZ"][number % PER_ACCOUNT]
    return strategy(
        NAMESPACE,
        f"flow-{number}",
        instrument=contract,
        sizing={"mode": "Fixed", "size": 1},
        account={"name": f"account-{number // PER_ACCOUNT}"},
    )


class Site:
    """A control plane with an operator that looks after one namespace."""

    def __init__(self, kube: ControlPlane, database: Database, folder: Path, port: int) -> None:
        self.api = Api(kube)
        install_crds(kube)
        kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        allow_operator(kube, "operator", NAMESPACE, [NAMESPACE])
        self.pods = Pods(folder, folder / "pods.log", YEARS.stop - 2025)
        settings = operator_settings(folder, database, self.pods, NAMESPACE, [NAMESPACE])
        settings["metrics_listen"] = f"127.0.0.1:{port}"
        settings["params"] |= {"poll_seconds": 2, "status_seconds": 30, "lease_seconds": 15, "orphan_grace_seconds": 60}
        self.metrics_url = f"http://127.0.0.1:{port}"
        self.operator = OperatorProcess(folder, kube.kubeconfig_for("operator"), settings)

    def apply(self, document: dict[str, Any]) -> None:
        """Apply a manifest."""
        plural = "tradingaccounts" if document["kind"] == "TradingAccount" else "tradingstrategies"
        path = f"{LEADLINE}/namespaces/{NAMESPACE}/{plural}/{document['metadata']['name']}"
        self.api.patch(path, document, APPLY)

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        with urllib.request.urlopen(self.metrics_url, timeout=10) as answer:  # noqa: S310 - our own process
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))

    def until_reconciled(self, wanted: int, since: float) -> float:
        """Seconds until all strategies are reconciled and their Deployments are there."""
        while True:
            found = self.api.items(f"{LEADLINE}/namespaces/{NAMESPACE}/tradingstrategies")
            if sum(_reconciled(item) for item in found) >= wanted:
                deployments = self.api.items(f"{APPS}/namespaces/{NAMESPACE}/deployments")
                if len(deployments) >= wanted:
                    return time.monotonic() - since
            if time.monotonic() - since > PATIENCE_SECONDS:
                raise TimeoutError(f"{wanted} strategies were not reconciled within {PATIENCE_SECONDS:g} s")
            time.sleep(0.25)

    def until_settled(self) -> None:
        """Return when the operator has stopped working."""
        quiet, last = 0, -1.0
        while quiet < 4:
            now = self.metric("leadline_operator_reconcile_operations_total")
            quiet = quiet + 1 if now == last else 0
            last = now
            time.sleep(1)

    def restarted(self, wanted: int) -> tuple[float, float]:
        """Seconds from a start of the operator until it has looked at all, and the requests that it took."""
        self.operator.start()
        began = time.monotonic()
        while True:
            try:
                if self.metric("leadline_operator_reconcile_operations_total") >= wanted:
                    return time.monotonic() - began, self.metric("leadline_operator_api_requests_total")
            except OSError:
                pass
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise TimeoutError("the operator has not looked at all")
            time.sleep(0.05)


def _reconciled(item: dict[str, Any]) -> bool:
    conditions = (item.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "ConfigApplied" and each["status"] == "True" for each in conditions)


def measure(site: Site, strategies: int) -> Result:
    """All figures for a number of strategies, on a site that has none."""
    everything = documents(strategies)
    accounts = [f"{NAMESPACE}/{item['metadata']['name']}" for item in everything if item["kind"] == "TradingAccount"]
    site.pods.do("serve", accounts=accounts)
    for document in everything:
        site.apply(document)
    began = time.monotonic()
    site.operator.start()
    cold = site.until_reconciled(strategies, began)
    site.until_settled()
    cold_requests = site.metric("leadline_operator_api_requests_total")
    delays = sorted(_apply_to_deployment(site, strategies + number) for number in range(APPLIES))
    site.until_settled()
    before = site.metric("leadline_operator_api_requests_total")
    time.sleep(IDLE_SECONDS)
    idle = (site.metric("leadline_operator_api_requests_total") - before) / IDLE_SECONDS
    rss = site.metric("process_resident_memory_bytes") / 2**20
    site.operator.stop()
    everything_now = strategies + APPLIES + len(accounts)
    restart, restart_requests = site.restarted(everything_now)
    site.operator.stop()
    return Result(
        strategies=strategies,
        cold_seconds=round(cold, 2),
        restart_seconds=round(restart, 2),
        apply_p50_seconds=round(delays[len(delays) // 2], 3),
        apply_p99_seconds=round(delays[-1], 3),
        requests_per_new_strategy=round(cold_requests / strategies, 1),
        requests_per_restart=round(restart_requests / everything_now, 2),
        idle_requests_per_second=round(idle, 2),
        rss_mib=round(rss, 1),
    )


def _apply_to_deployment(site: Site, number: int) -> float:
    path = (
        f"{APPS}/namespaces/{NAMESPACE}/deployments/{workload_id('analysis', strategy_id(NAMESPACE, f'flow-{number}'))}"
    )
    began = time.monotonic()
    site.apply(one(number))
    while site.api.get(path) is None:
        time.sleep(0.005)
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise TimeoutError(path)
    return time.monotonic() - began


async def _migrate(server: LocalPostgres, name: str) -> None:
    await create_database(server.admin_settings("postgres"), name)
    await migrate_database(server.admin_settings(name))
    await set_role_passwords(server.admin_settings(name), server.passwords())


def main() -> None:
    """Measure each size on a fresh control plane and print a table, or JSON."""
    parser = argparse.ArgumentParser(prog="bench.operator")
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--output", choices=["table", "json"], default="table")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
        server = LocalPostgres(Path(folder) / "postgres", durable=False)
        server.start()
        try:
            for size in options.sizes:
                asyncio.run(_migrate(server, f"bench_{size}"))
                own = Path(folder) / str(size)
                own.mkdir()
                with ControlPlane() as kube, Ports(str(own)) as ports:
                    site = Site(kube, Database(server, f"bench_{size}"), own, ports.take())
                    try:
                        results.append(measure(site, size))
                    finally:
                        site.operator.stop()
                        site.pods.stop()
                        site.api.close()
                if options.output == "table":
                    _print_row(results)
        finally:
            server.stop()
    if options.output == "json":
        print(json.dumps([asdict(result) for result in results], indent=2))


def _print_row(results: list[Result]) -> None:
    names = list(asdict(results[0]))
    if len(results) == 1:
        print("  ".join(names))
    print("  ".join(f"{value:>{len(name)}}" for name, value in asdict(results[-1]).items()), flush=True)


if __name__ == "__main__":
    main()
