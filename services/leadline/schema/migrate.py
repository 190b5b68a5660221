"""Brings a database to the schema of this code: numbered SQL files, each applied once, in one transaction, and checked.

Several may call it at the same time; one of them does the work. A file that was applied and then changed is refused,
because nobody can say what the database holds then. Migrations only add: a release works with the schema of the next.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from leadline.model.errors import LeadlineError
from leadline.runtime.database import Connection, connect
from leadline.runtime.settings import DatabaseSettings
from leadline.schema.roles import CONNECTION_LIMITS, DEFAULT_CONNECTION_LIMIT, OWNER_ROLE, SERVICE_ROLES, login_role

# Any number, as long as nobody else takes the same one.
_LOCK: Final = 0x1EAD_11E
_FILE: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_REQUIRES: Final = re.compile(r"^-- requires: ([a-z_]+)$", re.MULTILINE)
_SCRAM_ROUNDS: Final = 4096
_RIGHT_TO_SET: Final = 16

# No service makes temporary tables or large objects, which would fill the disk of all. Who may not take a right away is
# warned by the server and no more: then the database's administrator does it, with `leadline db roles`.
_NARROWING: Final = """DO $$ DECLARE named text; BEGIN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    FOR named IN SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^(lo_|lowrite$|loread$)'
        AND has_function_privilege('public', oid, 'EXECUTE')
    LOOP
        EXECUTE 'REVOKE EXECUTE ON FUNCTION ' || named || ' FROM PUBLIC';
    END LOOP;
END $$"""


class MigrationChanged(LeadlineError):
    """A migration that the database has had is not the one that this code holds."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"migration {self.name} was changed after it was applied: restore it and write a new one"


class SchemaIsNewer(LeadlineError):
    """The database has migrations that this code does not know: a newer release has used it."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(tuple(names))
        self.names = tuple(names)

    def __str__(self) -> str:
        return f"a newer release has used this database ({', '.join(self.names)}): run that release, or take another"


class NoSchema(LeadlineError):
    """The database has no schema at all."""


class SchemaIsOlder(LeadlineError):
    """The database lacks migrations that this code builds upon: an older release has used it."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(tuple(names))
        self.names = tuple(names)

    def __str__(self) -> str:
        lacks = ", ".join(self.names)
        return f"an older release has used this database, which lacks {lacks}: a start with `leadline up` adds them"


class MissingRole(LeadlineError):
    """The connecting role may not make the roles that the schema needs, and they are not there."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered SQL file. `requires` names an extension without which it is left out."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """A digest of its text: a changed migration has another."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def requires(self) -> str | None:
        """The extension that it is for, from its line `-- requires: name`."""
        found = _REQUIRES.search(self.sql)
        return found[1] if found else None


def package_migrations() -> tuple[Migration, ...]:
    """The migrations of this code, in order. Raises ValueError when a number or a name is not one."""
    found = []
    for entry in files("leadline.schema").joinpath("sql").iterdir():
        named = _FILE.fullmatch(entry.name)
        if named is None:
            raise ValueError(f"{entry.name} is not named like 0001_what_it_does.sql")
        found.append(Migration(int(named[1]), entry.name, entry.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.version)
    if len({migration.version for migration in found}) != len(found):
        raise ValueError("two migrations have one number")
    return tuple(found)


async def migrate_database(settings: DatabaseSettings, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Apply what is missing and return the names of what was applied. Idempotent.

    The connecting role must own the database, or be allowed to make roles. Raises MigrationChanged, MissingRole, and
    what asyncpg raises; then the failing file has changed nothing.
    """
    wanted = package_migrations() if migrations is None else tuple(migrations)
    connection = await connect(settings, "leadline db migrate")
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await _ensure_roles(connection)
        await connection.execute(f"SET ROLE {OWNER_ROLE}")
        return await _apply(connection, wanted)
    finally:
        await connection.close()


async def refuse_newer(settings: DatabaseSettings) -> None:
    """Raises SchemaIsNewer when the database was migrated by a newer release than this code."""
    known = {migration.version for migration in package_migrations()}
    connection = await connect(settings, "leadline db check")
    try:
        if await connection.fetchval("SELECT to_regclass('schema_version')") is None:
            return
        rows = await connection.fetch("SELECT version, name FROM schema_version ORDER BY version")
    finally:
        await connection.close()
    if newer := [row["name"] for row in rows if row["version"] not in known]:
        raise SchemaIsNewer(newer)


async def require_schema(settings: DatabaseSettings) -> None:
    """Raises NoSchema, SchemaIsNewer, SchemaIsOlder or MigrationChanged where this code cannot read the database."""
    await refuse_newer(settings)
    connection = await connect(settings, "leadline db check")
    try:
        if await connection.fetchval("SELECT to_regclass('schema_version')") is None:
            raise NoSchema("the database has no schema of Leadline")
        extensions = {row[0] for row in await connection.fetch("SELECT extname FROM pg_extension")}
        had = {row["version"]: row["checksum"] for row in await connection.fetch("SELECT * FROM schema_version")}
    finally:
        await connection.close()
    wanted = [each for each in package_migrations() if each.requires is None or each.requires in extensions]
    if missing := [each.name for each in wanted if each.version not in had]:
        raise SchemaIsOlder(missing)
    for migration in wanted:
        if had[migration.version] != migration.checksum:
            raise MigrationChanged(migration.name)


async def create_database(settings: DatabaseSettings, name: str) -> bool:
    """Make the database when it is not there; whether it was made. `settings` names any other database."""
    connection = await connect(settings, "leadline db create")
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            return False
        await connection.execute(f"CREATE DATABASE {_quoted(name)}")
        return True
    finally:
        await connection.close()


async def set_role_passwords(settings: DatabaseSettings, passwords: Mapping[str, str]) -> None:
    """Set the password of each login role. The server gets what proves a password, and never the password."""
    connection = await connect(settings, "leadline db roles")
    try:
        # Two that change one role at the same time would fail one of them.
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        async with connection.transaction():
            for role, password in passwords.items():
                await connection.execute(f"ALTER ROLE {_quoted(role)} PASSWORD '{scram_verifier(password)}'")
    finally:
        await connection.close()


def scram_verifier(password: str) -> str:
    """The verifier of a password in PostgreSQL (RFC 5802 and 7677; of ASCII, so that SASLprep changes nothing)."""
    if not password.isascii():
        raise ValueError("expected a password of ASCII characters")
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_SCRAM_ROUNDS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def roles_sql(user: str) -> str:
    """The SQL that an administrator runs once in the database, where `user` migrates but may not make roles."""
    statements = [f"CREATE ROLE {role} {kind}" for role, kind in _wanted_roles().items()]
    statements.append(f"GRANT {OWNER_ROLE} TO {_quoted(user)}")
    statements.append(f"GRANT CREATE, USAGE ON SCHEMA public TO {OWNER_ROLE}")
    statements.append(_NARROWING)
    return "".join(f"{statement};\n" for statement in statements)


def _wanted_roles() -> dict[str, str]:
    limits = {name: CONNECTION_LIMITS.get(name, DEFAULT_CONNECTION_LIMIT) for name in SERVICE_ROLES}
    logins = {login_role(name): f"LOGIN CONNECTION LIMIT {most}" for name, most in limits.items()}
    return {OWNER_ROLE: "NOLOGIN"} | logins


async def _ensure_roles(connection: Connection) -> None:
    """Make the roles that are missing, and let the owner make objects here."""
    wanted = _wanted_roles()
    there = {row[0] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
    missing = [role for role in wanted if role not in there]
    if missing:
        may = await connection.fetchval("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
        if not may:
            raise MissingRole(f"make these roles, this one may not: {', '.join(missing)}")
    for role in missing:
        await connection.execute(f"CREATE ROLE {role} {wanted[role]}")
    # Who makes a role may give it away since version 16, but not take it on unless it is given to him.
    right = "SET" if connection.get_server_version().major >= _RIGHT_TO_SET else "MEMBER"
    if not await connection.fetchval("SELECT pg_has_role(current_user, $1, $2)", OWNER_ROLE, right):
        await connection.execute(f"GRANT {OWNER_ROLE} TO CURRENT_USER")
    if not await connection.fetchval("SELECT has_schema_privilege($1, 'public', 'CREATE')", OWNER_ROLE):
        await connection.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {OWNER_ROLE}")
    await connection.execute(_NARROWING)


async def _apply(connection: Connection, wanted: Sequence[Migration]) -> list[str]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version (version int PRIMARY KEY, name text NOT NULL,"
        " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    await connection.execute("GRANT SELECT ON schema_version TO PUBLIC")
    had = {row["version"]: row["checksum"] for row in await connection.fetch("SELECT * FROM schema_version")}
    extensions = {row[0] for row in await connection.fetch("SELECT extname FROM pg_extension")}
    applied = []
    for migration in wanted:
        if migration.version in had:
            if had[migration.version] != migration.checksum:
                raise MigrationChanged(migration.name)
        elif migration.requires is None or migration.requires in extensions:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_version (version, name, checksum) VALUES ($1, $2, $3)",
                    migration.version,
                    migration.name,
                    migration.checksum,
                )
            applied.append(migration.name)
    return applied


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
