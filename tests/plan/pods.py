"""A cluster played on one machine: settings, secrets and commands as Pods have them, processes restarted like Pods."""

import asyncio
import json
import secrets
import sysconfig
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from leadline.local.health import HealthProbe
from leadline.local.logfile import LogFile
from leadline.local.ports import Ports
from leadline.local.process import KeptProcess
from leadline.plan.plan import Plan, Workload
from leadline.runtime.rpc.auth import PLATFORM_NAMESPACE, derive_key
from leadline.runtime.settings import DatabaseSettings, NatsSettings
from leadline.schema.permissions import PLATFORM_USERS, trader_users
from leadline.schema.roles import SERVICE_ROLES, login_role

LEADLINE = str(Path(sysconfig.get_path("scripts")) / "leadline")
MASTER = "a master key of this test, long enough"
SERVING_SECONDS = 90.0


class Pods:
    """The Pods of a plan. Names are `nats`, `postgres` and the workloads' ids; `launch` is ingestion's."""

    def __init__(self, directory: Path, plan: Plan, *, launch: str = "release") -> None:
        self.plan = plan
        self.launch = launch
        self._directory = directory
        self._processes: dict[str, KeptProcess] = {}
        names = ("nats", "postgres", *(workload.id for workload in plan.workloads))
        self._held = Ports(str(directory))
        self._ports = {name: {use: self._held.take() for use in ("grpc", "health", "metrics")} for name in names}
        namespaces = sorted({account.metadata.namespace for account in plan.accounts})
        self._make_secrets("nats", (*PLATFORM_USERS, *trader_users(namespaces)))
        self._make_secrets("database", ("owner", *SERVICE_ROLES))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(process.stop() for process in self._processes.values()))
        self._held.close()

    # --- what a person of the cluster sees ---

    def address(self, name: str) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._ports[name]['grpc']}"

    def key_file(self, service: str, namespace: str = PLATFORM_NAMESPACE) -> Path:
        """The key of a service, as its Secret holds it."""
        path = self._directory / "secrets" / "token" / f"{service}-{namespace}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(derive_key(MASTER, namespace, service))
        return path

    def nats(self, user: str) -> NatsSettings:
        """How a user connects."""
        return NatsSettings(
            servers=(f"nats://{self.address('nats')}",), user=user, password_file=self._secret("nats", user)
        )

    def database(self, role: str) -> DatabaseSettings:
        """How a service's role connects."""
        url = f"postgresql://{login_role(role)}@{self.address('postgres')}/leadline"
        return DatabaseSettings(url=url, password_file=self._secret("database", role))

    def restarted(self) -> dict[str, str]:
        """Who was started again, with the last of his log."""
        return {name: self.said(name) for name, process in self._processes.items() if process.restarts}

    def said(self, name: str) -> str:
        """The last of its log."""
        return "\n".join(self._processes[name].log.tail())

    # --- what the cluster does ---

    async def start_servers(self) -> None:
        """NATS and PostgreSQL from the image's commands."""
        listen = {"listen": self.address("nats"), "monitor_listen": f"127.0.0.1:{self._ports['nats']['health']}"}
        await self._start(
            "nats",
            ("server", "nats"),
            {**listen, "users_dir": str(self._secret("nats", "")), "max_store_bytes": 4 << 30},
        )
        await self._start(
            "postgres",
            ("server", "postgres"),
            {
                "listen": self.address("postgres"),
                "superuser_password_file": str(self._secret("database", "owner")),
                "shared_buffers_mb": 32,
            },
        )

    async def start(self, names: Iterable[str]) -> None:
        """Start workloads in this order, without waiting for anything."""
        for name in names:
            (workload,) = (found for found in self.plan.workloads if found.id == name)
            await self._start(name, ("service", workload.service), self._settings(workload))

    async def stop(self, name: str) -> int | None:
        """Delete a Pod for good; its exit code."""
        process = self._processes.pop(name)
        await process.stop()
        return process.exit_code

    async def migrate(self) -> None:
        """The init containers: both commands."""
        owner = f"postgresql://postgres@{self.address('postgres')}/leadline"
        await asyncio.gather(
            _run(
                *("db", "migrate", "--dsn", owner, "--password-file", str(self._secret("database", "owner"))),
                *("--create", "--role-passwords", str(self._secret("database", ""))),
            ),
            _run(
                *("bus", "migrate", "--url", f"nats://{self.address('nats')}"),
                *("--password-file", str(self._secret("nats", "migrate"))),
            ),
        )

    async def serving(self, names: Iterable[str]) -> None:
        """Return when the probes of all find them ready."""
        for name in names:
            probe = HealthProbe(f"127.0.0.1:{self._ports[name]['health']}")
            try:
                await until(probe.serving, f"{name} serves")
            except AssertionError as error:
                raise AssertionError(f"{error}; it said: {self.said(name)}") from None
            finally:
                await probe.close()

    async def _start(self, name: str, command: tuple[str, ...], settings: Mapping[str, Any]) -> None:
        home = self._directory / name
        (home / "data").mkdir(parents=True, exist_ok=True)
        file = home / "settings.json"
        file.write_text(json.dumps({**settings, "data_dir": str(home / "data")}))
        argv = [LEADLINE, *command, "--settings", str(file)]
        process = self._processes[name] = KeptProcess(name, argv, LogFile(home / "log"))
        await process.start()
        process.prove()

    def _settings(self, workload: Workload) -> dict[str, Any]:
        service, namespace = workload.service, workload.owner_name.partition("/")[0]
        user = f"{service}-{namespace}" if namespace else service
        ports = self._ports[workload.id]
        params = workload.settings.to_json() | ({"launch": self.launch} if service == "ingestion" else {})
        return {
            "service": service,
            "workload": workload.id,
            "listen": self.address(workload.id),
            "health_listen": f"127.0.0.1:{ports['health']}",
            "metrics_listen": f"127.0.0.1:{ports['metrics']}",
            "connection_age": None if service == "venue" else {"seconds": 2, "grace_seconds": 2},
            "nats": self.nats(user).model_dump(mode="json") if "nats" in workload.secrets else None,
            "database": self.database(service).model_dump(mode="json") if "database" in workload.secrets else None,
            "token_key_file": str(self.key_file(service, namespace or PLATFORM_NAMESPACE)),
            "peers": {name: self.address(peer) for name, peer in workload.calls.items()},
            "peer_key_files": {name: str(self._peer_key(peer)) for name, peer in workload.calls.items()},
            "params": params,
        }

    def _peer_key(self, workload: str) -> Path:
        (peer,) = (found for found in self.plan.workloads if found.id == workload)
        return self.key_file(peer.service, peer.owner_name.partition("/")[0] or PLATFORM_NAMESPACE)

    def _secret(self, kind: str, name: str) -> Path:
        return self._directory / "secrets" / kind / name

    def _make_secrets(self, kind: str, names: Iterable[str]) -> None:
        """As a volume shows a Secret: links into a folder whose name begins with dots."""
        place = self._directory / "secrets" / kind
        (place / "..data").mkdir(parents=True, mode=0o700)
        for name in names:
            (place / "..data" / name).write_text(secrets.token_urlsafe(16) + "\n")
            (place / name).symlink_to(f"..data/{name}")


async def until(condition: Callable[[], Awaitable[Any]], what: str) -> None:
    """Return as soon as the condition holds: other processes have no event to wait for."""
    try:
        async with asyncio.timeout(SERVING_SECONDS):
            while not await condition():  # noqa: ASYNC110 - as said
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not within {SERVING_SECONDS:g} s: {what}") from None


async def _run(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        LEADLINE, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
