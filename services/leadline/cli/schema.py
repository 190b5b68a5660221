"""`leadline db migrate` and `leadline bus migrate`: bring a database and a bus to what this release needs."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.output import Output, OutputOption, print_json
from leadline.plan.nats_server import bus_accounts
from leadline.runtime.bus import open_bus
from leadline.runtime.settings import DatabaseSettings, NatsSettings
from leadline.schema.migrate import roles_sql
from leadline.schema.permissions import MIGRATE_USER, PLATFORM_USERS, trader_users
from leadline.schema.prepare import WAIT_SECONDS, prepare_database, read_role_passwords
from leadline.schema.streams import Feed, migrate_bus

WaitOption = Annotated[int, typer.Option("--wait-seconds", min=1, help="How long to wait for the server.")]

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
    create: Annotated[bool, typer.Option("--create", help="Make the database when it is not there.")] = False,
    role_passwords: Annotated[
        Path | None,
        typer.Option(
            "--role-passwords",
            help="Folder with a file for each service, with the password that its role shall have.",
            exists=True,
            file_okay=False,
            show_default="passwords stay as they are",
        ),
    ] = None,
    wait_seconds: WaitOption = int(WAIT_SECONDS),
    output: OutputOption = Output.TEXT,
) -> None:
    """Bring the schema to what this release needs: numbered files, each once, checked.

    Idempotent; several may do it at once; waits for the server. Where the user may not make roles, an administrator
    runs what `leadline db roles` prints.
    """
    settings = DatabaseSettings(url=dsn, password_file=password_file)
    passwords = None if role_passwords is None else read_role_passwords(role_passwords)
    applied = asyncio.run(prepare_database(settings, create=create, passwords=passwords, wait_s=wait_seconds))
    if output is Output.JSON:
        print_json({"applied": applied})
    else:
        print(f"applied: {', '.join(applied)}" if applied else "the database is up to date")


@database.command("roles", epilog="Example: leadline db roles --user leadline_migrator | psql service=admin")
def print_the_roles(
    user: Annotated[str, typer.Option("--user", help="Who will run `leadline db migrate`.")],
) -> None:
    """Print the SQL that makes the database's roles, for an administrator where the migrating user may not.

    It is run once, connected to the database. The login roles then need passwords.
    """
    print(roles_sql(user), end="")


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
    wait_seconds: WaitOption = int(WAIT_SECONDS),
    output: OutputOption = Output.TEXT,
) -> None:
    """Create the streams and durable consumers that are missing, and update those that differ.

    Idempotent; several may do it at once; waits for the server.
    """
    feed: Feed = "live" if live else "replay"
    settings = NatsSettings(servers=(url,), user=user, password_file=password_file)

    async def migrate() -> list[str]:
        connection = await open_bus(settings, patience_s=wait_seconds)
        try:
            return await migrate_bus(connection, feed=feed, replicas=replicas)
        finally:
            await connection.close()

    changed = asyncio.run(migrate())
    if output is Output.JSON:
        print_json({"changed": changed})
    else:
        print(f"changed: {', '.join(changed)}" if changed else "the bus is up to date")


@bus.command("users", epilog="Example: leadline bus users --namespaces default,team-a")
def print_the_users(
    namespaces: Annotated[str, typer.Option("--namespaces", help="Namespaces of traders, with commas between.")],
) -> None:
    """Print the accounts of the bus with their users and permissions, as a server's configuration spells them (JSON).

    For a NATS that is run elsewhere. Passwords are empty and to be filled in, the same as in the platform's secrets.
    """
    users = (*PLATFORM_USERS, *trader_users(filter(None, namespaces.split(","))))
    print_json({"accounts": bus_accounts(dict.fromkeys(users, ""))})
