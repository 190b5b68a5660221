"""Facts of a cluster's own database and bus, and whether they take what the Secrets of a trader's namespace hold."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import asyncpg

from leadline.model.errors import LeadlineError, error_text
from leadline.runtime.bus.bus import BusDenied, open_bus
from leadline.runtime.settings import DatabaseSettings, NatsSettings
from leadline.schema.permissions import MIGRATE_USER
from leadline.schema.roles import login_role
from leadline.views import doctor_store
from leadline.views.cluster_servers import NATS, POSTGRESQL, NotBundled, cluster_server, password_files
from leadline.views.database import dsn_of
from leadline.views.doctor import gather_servers
from leadline.views.doctor.facts import Bus, Database, Missing
from leadline.views.kubectl import ClusterRefused, kubectl_json

Passwords = Mapping[str, bool] | Missing
"""Whether each password is taken, by `secret/key`."""

_FAILURES: Final = (LeadlineError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
_NOT_READ: Final = "ask who runs the cluster: it takes the platform's Secrets, and a port of its namespace"


async def database(namespace: str) -> tuple[Database | Missing, tuple[str, ...], Passwords]:
    """The facts of the platform's database, the contracts in use, and whether it takes the namespace's password."""
    try:
        async with cluster_server(POSTGRESQL) as server:
            settings = server.database()
            connection = await asyncpg.connect(dsn_of(settings))
            try:
                found = await doctor_store.database(connection)
                contracts = await doctor_store.contracts_in_use(connection)
            finally:
                await connection.close()

            async def logs_in(key: str, file: Path) -> bool:
                return await _logs_in(
                    settings.model_copy(update={"url": server.url_of(login_role(key)), "password_file": file})
                )

            return found, contracts, await _taken(namespace, "leadline-database", logs_in)
    except _FAILURES as error:
        missing = _missing("the platform's database", error)
        return missing, (), missing


async def bus(namespace: str) -> tuple[Bus | Missing, Passwords]:
    """The facts of the platform's bus, and whether it takes the namespace's passwords."""
    try:
        async with cluster_server(NATS) as server:
            settings = server.bus(MIGRATE_USER)
            found = await gather_servers.bus(settings, None)

            async def connects(key: str, file: Path) -> bool:
                user = {"user": f"{key}-{namespace}", "password_file": file}
                return await _connects(settings.model_copy(update=user))

            return found, await _taken(namespace, "leadline-nats", connects)
    except _FAILURES as error:
        missing = _missing("the platform's bus", error)
        return missing, missing


async def _taken(namespace: str, secret: str, takes: Callable[[str, Path], Awaitable[bool]]) -> Passwords:
    """Whether a server takes each password of a namespace's Secret."""
    try:
        found = await kubectl_json("get", "secret", secret, "--namespace", namespace)
    except ClusterRefused as error:
        return _missing(f"the Secret {secret}", error)
    with password_files(found) as files:
        return {f"{secret}/{key}": await takes(key, file) for key, file in sorted(files.items())}


async def _logs_in(settings: DatabaseSettings) -> bool:
    try:
        connection = await asyncpg.connect(dsn_of(settings))
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidPasswordError):
        return False
    await connection.close()
    return True


async def _connects(settings: NatsSettings) -> bool:
    try:
        connection = await open_bus(settings, timeout_s=gather_servers.BUS_SECONDS)
    except BusDenied:
        return False
    await connection.close()
    return True


def _missing(what: str, error: Exception) -> Missing:
    words = " ".join(error_text(error).split()).rstrip(".")
    if isinstance(error, NotBundled):
        return Missing(words, "look at it from where it runs")
    if isinstance(error, ClusterRefused):
        return Missing(f"{what} cannot be reached with these rights: {words}", _NOT_READ)
    return Missing(f"{what} does not answer: {words}", "kubectl logs of its Pod", broken=True)
