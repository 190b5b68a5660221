"""`leadline db migrate` and `leadline bus migrate`: bring a database and a bus to what this release needs."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.output import Output, OutputOption, print_json
from leadline.runtime.bus import open_bus
from leadline.runtime.settings import DatabaseSettings, NatsSettings
from leadline.schema.migrate import migrate_database
from leadline.schema.permissions import MIGRATE_USER
from leadline.schema.streams import Feed, migrate_bus

database = typer.Typer(help="The schema of the database.", no_args_is_help=True)
bus = typer.Typer(help="Streams and consumers of the bus.", no_args_is_help=True)


@database.callback()
def _database() -> None:
    """The schema of the database."""


@database.command(
    "migrate", epilog="Example: leadline db migrate --dsn postgresql://owner@db/leadline --password-file /run/db"
)
def migrate_the_database(
    dsn: Annotated[str, typer.Option("--dsn", help="Database, postgresql://user@host/name, without a password.")],
    password_file: Annotated[Path, typer.Option("--password-file", help="File with the user's password.", exists=True)],
    output: OutputOption = Output.TEXT,
) -> None:
    """Bring the schema to what this release needs: numbered files, each once, checked. Idempotent."""
    applied = asyncio.run(migrate_database(DatabaseSettings(url=dsn, password_file=password_file)))
    if output is Output.JSON:
        print_json({"applied": applied})
    else:
        print(f"applied: {', '.join(applied)}" if applied else "the database is up to date")


@bus.callback()
def _bus() -> None:
    """Streams and consumers of the bus."""


@bus.command("migrate", epilog="Example: leadline bus migrate --url nats://nats:4222 --password-file /run/bus")
def migrate_the_bus(
    url: Annotated[str, typer.Option("--url", help="Server, nats://host:port, without a password.")],
    password_file: Annotated[Path, typer.Option("--password-file", help="File with the user's password.", exists=True)],
    user: Annotated[str, typer.Option("--user", help="User that may manage streams.")] = MIGRATE_USER,
    live: Annotated[bool, typer.Option("--live", help="The feed is a venue: old prints make way.")] = False,
    replicas: Annotated[int, typer.Option("--replicas", min=1, max=5, help="Copies of each stream.")] = 1,
    output: OutputOption = Output.TEXT,
) -> None:
    """Create the streams and durable consumers that are missing, and update those that differ. Idempotent."""
    feed: Feed = "live" if live else "replay"
    settings = NatsSettings(servers=(url,), user=user, password_file=password_file)

    async def migrate() -> list[str]:
        connection = await open_bus(settings)
        try:
            return await migrate_bus(connection, feed=feed, replicas=replicas)
        finally:
            await connection.close()

    changed = asyncio.run(migrate())
    if output is Output.JSON:
        print_json({"changed": changed})
    else:
        print(f"changed: {', '.join(changed)}" if changed else "the bus is up to date")
