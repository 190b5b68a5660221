"""The database of a data directory: the running stack's, else one that is started for the time of a question."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import asyncpg

from leadline.local.data_dir import DataDir, DataDirInUse
from leadline.local.local_postgres import LocalPostgres
from leadline.runtime.settings import DatabaseSettings, read_secret
from leadline.schema.migrate import NoSchema, require_schema
from leadline.views.stack import NotRunning


def dsn_of(settings: DatabaseSettings) -> str:
    """A connection string with its password, for this process's memory only."""
    separator = "&" if "?" in settings.url else "?"
    return f"{settings.url}{separator}password={quote(read_secret(settings.password_file), safe='')}"


@asynccontextmanager
async def database_of(data_dir: Path, service: str = "reader") -> AsyncIterator[DatabaseSettings]:
    """The database of a data directory: the running stack's, else started for the time of this command.

    service: with whose rights one connects. Raises NotRunning where no run has begun, and what says that the schema is
    not this release's.
    """
    async with any_database_of(data_dir) as (postgres, started):
        if started:
            await _require_ours(postgres.settings("reader"), data_dir)
        yield postgres.settings(service)


@asynccontextmanager
async def any_database_of(data_dir: Path) -> AsyncIterator[tuple[LocalPostgres, bool]]:
    """As `database_of`, whatever its schema is; and whether it was started for this command. Raises NotRunning."""
    data = DataDir(data_dir)
    if not (data.root / "postgres").is_dir():
        raise NotRunning(f"nothing has run in {data.root}: start it with `leadline up`, or give its --data-dir")
    postgres = LocalPostgres(data.postgres_dir)
    try:
        with data.hold():
            postgres.start()
            try:
                yield postgres, True
            finally:
                postgres.stop()
    except DataDirInUse:
        yield postgres, False


async def _require_ours(settings: DatabaseSettings, data_dir: Path) -> None:
    """Raises NotRunning where no start has come as far as to a schema, and what says that it is not this release's."""
    try:
        await require_schema(settings)
    except (NoSchema, asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError):
        raise NotRunning(f"no run has begun in {data_dir} yet") from None
