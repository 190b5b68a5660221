"""The database and the bus that a platform in a cluster brings with it, reached with kubectl and its Secrets.

That takes more rights than calls to the services of a namespace: to read the platform's Secrets, and to forward a port
in its namespace. Passwords stay in this process's memory, which no kill of it leaves behind.
"""

import base64
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from leadline.runtime.settings import DatabaseSettings, NatsSettings
from leadline.schema.roles import login_role
from leadline.views.cluster import forwarded_port
from leadline.views.kubectl import ClusterRefused, kubectl_json

POSTGRESQL: Final = "postgresql"
NATS: Final = "nats"
_PORTS: Final = {POSTGRESQL: 5432, NATS: 4222}
_WORDS: Final = {POSTGRESQL: "database", NATS: "bus"}
_PLATFORM: Final = "app.kubernetes.io/part-of=leadline"


class NotBundled(ClusterRefused):
    """The platform uses a server that is none of the cluster's own."""


@dataclass(frozen=True, slots=True)
class ClusterServer:
    """A server of the platform behind a port of this machine. passwords: files by the keys of its Secret."""

    port: int
    passwords: Mapping[str, Path]

    def password_of(self, key: str) -> Path:
        """The file with the password of a role or user. Raises ClusterRefused where the Secret has none."""
        try:
            return self.passwords[key]
        except KeyError:
            raise ClusterRefused(f"the platform's Secret has no key {key}") from None

    def database(self, service: str = "reader") -> DatabaseSettings:
        """How a service's role reaches the database."""
        return DatabaseSettings(url=self.url_of(login_role(service)), password_file=self.password_of(service))

    def url_of(self, role: str) -> str:
        """The address of the database for a role."""
        return f"postgresql://{role}@127.0.0.1:{self.port}/leadline"

    def bus(self, user: str) -> NatsSettings:
        """How a user reaches the bus."""
        return NatsSettings(servers=(f"nats://127.0.0.1:{self.port}",), user=user, password_file=self.password_of(user))


@asynccontextmanager
async def cluster_database() -> AsyncIterator[DatabaseSettings]:
    """The platform's database, for a reader. Raises ClusterRefused, and NotBundled where it is not in the cluster."""
    async with cluster_server(POSTGRESQL) as server:
        yield server.database()


@asynccontextmanager
async def cluster_server(component: str) -> AsyncIterator[ClusterServer]:
    """The server of the one platform of the cluster, by its component. Raises ClusterRefused and NotBundled."""
    selector = f"{_PLATFORM},app.kubernetes.io/component={component}"
    found = (await kubectl_json("get", "statefulsets", "--all-namespaces", "--selector", selector))["items"]
    if not found:
        raise NotBundled(f"the cluster has no {_WORDS[component]} of Leadline, so it is another server's")
    if len(found) > 1:
        places = ", ".join(str(item["metadata"]["namespace"]) for item in found)
        raise ClusterRefused(f"the cluster has several platforms, in {places}: which one is meant cannot be said")
    [item] = found
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    secret = await kubectl_json("get", "secret", _secret_of(item), "--namespace", namespace)
    with password_files(secret) as passwords:
        async with forwarded_port(namespace, f"statefulset/{name}", _PORTS[component]) as port:
            yield ClusterServer(port, passwords)


@contextmanager
def password_files(secret: Mapping[str, Any]) -> Iterator[dict[str, Path]]:
    """The values of a Secret, by their keys, as files that are in memory alone."""
    found: dict[str, int] = {}
    try:
        for key, value in (secret.get("data") or {}).items():
            found[key] = os.memfd_create(key)
            os.write(found[key], base64.b64decode(value))
        yield {key: Path(f"/proc/self/fd/{descriptor}") for key, descriptor in found.items()}
    finally:
        for descriptor in found.values():
            os.close(descriptor)


def _secret_of(workload: Mapping[str, Any]) -> str:
    """The name of the Secret that a workload of one container mounts. Raises ClusterRefused where it mounts none."""
    for volume in workload["spec"]["template"]["spec"].get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "secret" in source:
                return str(source["secret"]["name"])
    raise ClusterRefused(f"{workload['metadata']['name']} mounts no Secret")
