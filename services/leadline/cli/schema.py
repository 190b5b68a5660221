"""Bring a database and a bus to what this release needs, and say what it came to."""

import asyncio
from pathlib import Path

from leadline.cli.options import Output
from leadline.cli.output import print_json
from leadline.plan.nats_server import bus_accounts
from leadline.runtime.bus import open_bus
from leadline.runtime.settings import DatabaseSettings, NatsSettings
from leadline.schema.permissions import PLATFORM_USERS, trader_users
from leadline.schema.prepare import prepare_database, read_role_passwords
from leadline.schema.streams import Feed, migrate_bus


def migrate_the_schema(
    dsn: str, password_file: Path, role_passwords: Path | None, output: Output, *, create: bool, wait_s: float
) -> None:
    """Migrate the database, and say which migrations were applied."""
    settings = DatabaseSettings(url=dsn, password_file=password_file)
    passwords = None if role_passwords is None else read_role_passwords(role_passwords)
    applied = asyncio.run(prepare_database(settings, create=create, passwords=passwords, wait_s=wait_s))
    if output is Output.JSON:
        print_json({"applied": applied})
    else:
        print(f"applied: {', '.join(applied)}" if applied else "the database is up to date")


def migrate_the_streams(settings: NatsSettings, output: Output, *, live: bool, replicas: int, wait_s: float) -> None:
    """Migrate the bus, and say which streams and consumers changed."""
    feed: Feed = "live" if live else "replay"

    async def migrate() -> list[str]:
        connection = await open_bus(settings, patience_s=wait_s)
        try:
            return await migrate_bus(connection, feed=feed, replicas=replicas)
        finally:
            await connection.close()

    changed = asyncio.run(migrate())
    if output is Output.JSON:
        print_json({"changed": changed})
    else:
        print(f"changed: {', '.join(changed)}" if changed else "the bus is up to date")


def print_bus_users(namespaces: str) -> None:
    """Print the accounts of the bus. namespaces: of traders, with commas between."""
    users = (*PLATFORM_USERS, *trader_users(filter(None, namespaces.split(","))))
    print_json({"accounts": bus_accounts(dict.fromkeys(users, ""))})
