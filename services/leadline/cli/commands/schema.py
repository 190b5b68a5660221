"""`leadline db ...` and `leadline bus ...`: what this release needs of a database and of a bus."""

from pathlib import Path
from typing import Annotated, Final

import typer

from leadline.cli.options import DataDirOption, Output, OutputOption
from leadline.schema.permissions import MIGRATE_USER

WAIT_SECONDS: Final = 300

WaitOption = Annotated[
    int, typer.Option("--wait-seconds", metavar="SECONDS", min=1, help="How long to wait for the server.")
]

database = typer.Typer(help="The schema of the database.", no_args_is_help=True)
bus = typer.Typer(help="Streams and consumers of the bus.", no_args_is_help=True)


@database.callback()
def _database() -> None:
    """The schema of the database."""


@database.command(
    "migrate",
    short_help="Bring the schema to what this release needs.",
    epilog="Example: leadline db migrate --dsn postgresql://owner@db/leadline --password-file /run/db",
)
def migrate_the_database(
    dsn: Annotated[
        str, typer.Option("--dsn", metavar="URL", help="Database, postgresql://user@host/name, without a password.")
    ],
    password_file: Annotated[
        Path, typer.Option("--password-file", metavar="FILE", help="File with the user's password.", exists=True)
    ],
    create: Annotated[bool, typer.Option("--create", help="Make the database when it is not there.")] = False,
    role_passwords: Annotated[
        Path | None,
        typer.Option(
            "--role-passwords",
            metavar="FOLDER",
            help="Folder with a file for each service, with the password that its role shall have.",
            exists=True,
            file_okay=False,
            show_default="passwords stay as they are",
        ),
    ] = None,
    wait_seconds: WaitOption = WAIT_SECONDS,
    output: OutputOption = Output.TEXT,
) -> None:
    """Bring the schema to what this release needs: numbered files, each once, checked.

    Idempotent; several may do it at once; waits for the server. Where the user may not make roles, an administrator
    runs what `leadline db roles` prints.
    """
    from leadline.cli.schema import migrate_the_schema

    migrate_the_schema(dsn, password_file, role_passwords, output, create=create, wait_s=wait_seconds)


@database.command(
    "roles",
    short_help="Print the SQL that makes the roles.",
    epilog="Example: leadline db roles --user leadline_migrator | psql service=admin",
)
def print_the_roles(
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="The user that will run `leadline db migrate`.")],
) -> None:
    """Print the SQL that makes the database's roles, for an administrator where the migrating user may not.

    It is run once, connected to the database. The login roles then need passwords.
    """
    from leadline.schema.migrate import roles_sql

    print(roles_sql(user), end="")


@database.command(
    "retention",
    short_help="Show or set how long market data is kept.",
    epilog="Example: leadline db retention --keep ticks=30d,footprints=90d,bars=forever",
)
def show_the_retention(
    data_dir: DataDirOption,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep",
            metavar="KIND=AGE,...",
            help="Keep ticks, footprints, bars or signals for so many days (30d) or forever.",
            show_default="shows what is set",
        ),
    ] = None,
    dsn: Annotated[
        str | None,
        typer.Option(
            "--dsn",
            metavar="URL",
            help="Another database, postgresql://user@host/name, without a password.",
            show_default="the data directory's",
        ),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", metavar="FILE", help="File with the password of --dsn's user.", exists=True),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show how long prints, footprints, bars and signals are kept, and what of them is there; with --keep, set it.

    The recorder drops what is older once a day, whole days or months at a time. Of orders and of the book nothing is
    ever dropped. Old days that a replay has written count from the day of their writing.
    """
    from leadline.cli.retention import show_retention

    show_retention(data_dir, keep, dsn, password_file, output)


@bus.callback()
def _bus() -> None:
    """Streams and consumers of the bus."""


@bus.command(
    "migrate",
    short_help="Create or update streams and consumers.",
    epilog="Example: leadline bus migrate --url nats://nats:4222 --password-file /run/bus",
)
def migrate_the_bus(
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Server, nats://host:port, without a password.")],
    password_file: Annotated[
        Path, typer.Option("--password-file", metavar="FILE", help="File with the user's password.", exists=True)
    ],
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="User that may manage streams.")] = MIGRATE_USER,
    live: Annotated[bool, typer.Option("--live", help="The feed is a venue: old prints make way.")] = False,
    replicas: Annotated[
        int, typer.Option("--replicas", metavar="NUMBER", min=1, max=5, help="Copies of each stream.")
    ] = 1,
    wait_seconds: WaitOption = WAIT_SECONDS,
    output: OutputOption = Output.TEXT,
) -> None:
    """Create the streams and durable consumers that are missing, and update those that differ.

    Idempotent; several may do it at once; waits for the server.
    """
    from leadline.cli.schema import migrate_the_streams

    migrate_the_streams(url, user, password_file, output, live=live, replicas=replicas, wait_s=wait_seconds)


@bus.command(
    "users",
    short_help="Print the users and their permissions.",
    epilog="Example: leadline bus users --namespaces default,team-a",
)
def print_the_users(
    namespaces: Annotated[
        str, typer.Option("--namespaces", metavar="NAMES", help="Namespaces of traders, with commas between.")
    ],
) -> None:
    """Print the accounts of the bus with their users and permissions, as a server's configuration spells them (JSON).

    For a NATS that is run elsewhere. Passwords are empty and to be filled in, the same as in the platform's secrets.
    """
    from leadline.cli.schema import print_bus_users

    print_bus_users(namespaces)
