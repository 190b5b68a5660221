"""A database from nothing to ready, by whoever comes first: waits for the server, and may run several times at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import asyncpg
import structlog

from leadline.model.errors import InvalidInput, LeadlineError
from leadline.runtime.database import DATABASE_LOST, connect
from leadline.runtime.retry import until_done
from leadline.runtime.settings import DatabaseSettings, read_secret
from leadline.schema.migrate import create_database, migrate_database, set_role_passwords
from leadline.schema.roles import SERVICE_ROLES, login_role

WAIT_SECONDS: Final = 300.0
RETRY_SECONDS: Final = 1.0
# The database that is always there, to connect to while there is no other.
MAINTENANCE_DATABASE: Final = "postgres"

_log = structlog.get_logger(__name__)


class DatabaseRefused(LeadlineError):
    """The server answered, and its answer will not change by asking again."""


class DatabaseUnavailable(LeadlineError):
    """The server did not answer for as long as one was willing to wait."""


async def prepare_database(
    settings: DatabaseSettings,
    *,
    create: bool = False,
    passwords: Mapping[str, str] | None = None,
    wait_s: float = WAIT_SECONDS,
) -> list[str]:
    """Make the database if `create` says so, migrate it, and set the `passwords` of its login roles.

    Returns the names of the migrations that were applied. What is done already is not done again; a server that goes
    away in between is waited for, too. Raises DatabaseUnavailable after `wait_s`, DatabaseRefused, and what
    `migrate_database` raises.
    """

    async def prepare() -> list[str]:
        if create:
            await _create(settings)
        applied = await migrate_database(settings)
        if passwords:
            await set_role_passwords(settings, passwords)
        return applied

    try:
        return await until_done(prepare, "database", DATABASE_LOST, timeout_s=wait_s, first_s=RETRY_SECONDS)
    except DATABASE_LOST as error:
        raise DatabaseUnavailable(f"the database did not answer for {wait_s:g} s: {error!r}") from error
    except asyncpg.PostgresError as error:
        raise DatabaseRefused(f"the database refuses: {error}") from error


def read_role_passwords(directory: Path) -> dict[str, str]:
    """The passwords of login roles from files that are named like the services. Other files are not looked at.

    Raises InvalidInput when there is none.
    """
    found = {
        login_role(service): read_secret(directory / service)
        for service in SERVICE_ROLES
        if (directory / service).is_file()
    }
    if not found:
        raise InvalidInput(str(directory), "none of them", "files named " + ", ".join(SERVICE_ROLES))
    return found


async def _create(settings: DatabaseSettings) -> None:
    try:
        connection = await connect(settings, "leadline db migrate")
    except asyncpg.InvalidCatalogNameError:
        name, elsewhere = _at_maintenance(settings.url)
        await create_database(settings.model_copy(update={"url": elsewhere}), name)
    else:
        await connection.close()


def _at_maintenance(url: str) -> tuple[str, str]:
    """The name of a URL's database, and the URL of the one that is always there."""
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    name, mark, query = path.partition("?")
    if not name:
        raise InvalidInput("--dsn", url, "the name of a database in it")
    return unquote(name), f"{scheme}://{authority}/{MAINTENANCE_DATABASE}{mark}{query}"
