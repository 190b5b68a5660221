"""Bring a database and a bus to what this release needs, and say what it came to."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from leadline.cli.options import Output
from leadline.cli.output import print_json
from leadline.local.nats_server import bus_accounts
from leadline.model.errors import InvalidInput
from leadline.runtime.bus.bus import open_bus
from leadline.runtime.settings import DatabaseSettings, NatsSettings, refusal
from leadline.schema.permissions import PLATFORM_USERS, trader_users
from leadline.schema.prepare import prepare_database, read_role_passwords
from leadline.schema.streams import Feed, migrate_bus


def migrate_the_schema(
    dsn: str, password_file: Path, role_passwords: Path | None, output: Output, *, create: bool, wait_s: float
) -> None:
    """Migrate the database, and say which migrations were applied."""
    try:
        settings = DatabaseSettings(url=dsn, password_file=password_file)
    except ValidationError as error:
        raise as_options(error, {"url": "--dsn"}) from None
    passwords = None if role_passwords is None else read_role_passwords(role_passwords)
    applied = asyncio.run(prepare_database(settings, create=create, passwords=passwords, wait_s=wait_s))
    if output is Output.JSON:
        print_json({"applied": applied})
    else:
        print(f"applied: {', '.join(applied)}" if applied else "the database is up to date")


def as_options(error: ValidationError, options: Mapping[str, str]) -> InvalidInput:
    """The refusal of settings, by the option that each field comes from."""
    found = refusal(error, "")
    return InvalidInput(options[str(error.errors()[0]["loc"][0])], found.value, found.expected)


def migrate_the_streams(
    url: str, user: str, password_file: Path, output: Output, *, live: bool, replicas: int, wait_s: float
) -> None:
    """Migrate the bus, and say which streams and consumers changed."""
    try:
        settings = NatsSettings(servers=(url,), user=user, password_file=password_file)
    except ValidationError as error:
        raise as_options(error, {"servers": "--url", "user": "--user"}) from None
    feed: Feed = "live" if live else "replay"

    async def migrate() -> list[str]:
        connection = await open_bus(settings, timeout_s=wait_s)
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
