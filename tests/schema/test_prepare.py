import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leadline.cli.commands import schema
from leadline.local.local_postgres import LocalPostgres
from leadline.model.errors import InvalidInput
from leadline.runtime.database import connect
from leadline.runtime.settings import DatabaseSettings
from leadline.schema.migrate import MissingRole, package_migrations, roles_sql
from leadline.schema.prepare import (
    DatabaseRefused,
    DatabaseUnavailable,
    prepare_database,
    read_role_passwords,
)
from leadline.schema.roles import CONNECTION_LIMITS, OWNER_ROLE, SERVICE_ROLES, login_role
from tests.stack import run_sql

pytestmark = pytest.mark.integration

ALL = [migration.name for migration in package_migrations()]
_numbers = itertools.count(1)


@pytest.fixture
async def name(postgres: LocalPostgres) -> AsyncIterator[str]:
    """The name of a database that is not there yet, dropped after the test."""
    chosen = f"fresh_{next(_numbers)}"
    yield chosen
    await run_sql(postgres.admin_settings("postgres"), f'DROP DATABASE IF EXISTS "{chosen}" WITH (FORCE)')


def as_role(settings: DatabaseSettings, role: str, password_file: Path) -> DatabaseSettings:
    url = settings.url.replace("user=postgres", f"user={role}")
    return settings.model_copy(update={"url": url, "password_file": password_file})


def password_folder(directory: Path, **passwords: str) -> Path:
    directory.mkdir()
    for service, password in passwords.items():
        (directory / service).write_text(password + "\n")
    return directory


async def test_several_at_once_make_one_database_with_the_passwords_of_the_files(
    postgres: LocalPostgres, name: str, tmp_path: Path
):
    folder = password_folder(tmp_path / "database", reader="one for the reader", owner="not a service")
    settings = postgres.admin_settings(name)
    passwords = read_role_passwords(folder)
    assert passwords == {"leadline_reader": "one for the reader"}
    try:
        applied = await asyncio.gather(
            *(prepare_database(settings, create=True, passwords=passwords) for _ in range(6))
        )
        assert sorted(applied, key=len) == [[], [], [], [], [], ALL]
        connection = await connect(as_role(settings, login_role("reader"), folder / "reader"), "test")
        await connection.close()
    finally:
        await prepare_database(settings, create=True, passwords=postgres.passwords())


async def test_a_server_that_comes_later_is_waited_for(postgres: LocalPostgres, name: str, monkeypatch):
    monkeypatch.setattr("leadline.schema.prepare.RETRY_SECONDS", 0.05)
    settings = postgres.admin_settings(name)
    postgres.stop()
    preparing = asyncio.create_task(prepare_database(settings, create=True))
    done, _ = await asyncio.wait({preparing}, timeout=0.3)
    assert not done
    postgres.start()  # in this thread, whose end would be the end of the server
    assert await preparing == ALL


async def test_a_server_that_never_comes_is_given_up_with_the_reason(tmp_path: Path):
    (tmp_path / "password").write_text("x")
    url = "postgresql://postgres@leadline-postgresql.nowhere.invalid/leadline"
    settings = DatabaseSettings(url=url, password_file=tmp_path / "password")
    with pytest.raises(DatabaseUnavailable, match="did not answer for 0 s"):
        await prepare_database(settings, wait_s=0)


async def test_without_being_told_to_nobody_makes_a_database(postgres: LocalPostgres, name: str):
    with pytest.raises(DatabaseRefused, match=f'database "{name}" does not exist'):
        await prepare_database(postgres.admin_settings(name))


async def test_a_user_that_may_make_roles_and_databases_needs_no_other_right(
    postgres: LocalPostgres, name: str, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr("leadline.schema.migrate.OWNER_ROLE", "other_owner")
    monkeypatch.setattr("leadline.schema.migrate.SERVICE_ROLES", ())
    admin = postgres.admin_settings("postgres")
    await run_sql(admin, "CREATE ROLE tenant LOGIN CREATEROLE CREATEDB PASSWORD 'x'")
    (tmp_path / "tenant").write_text("x")
    settings = as_role(postgres.admin_settings(name), "tenant", tmp_path / "tenant")
    plain = [migration for migration in package_migrations() if migration.version == 1]
    monkeypatch.setattr("leadline.schema.migrate.package_migrations", lambda: plain)
    try:
        assert await prepare_database(settings, create=True) == [plain[0].name]
        assert await prepare_database(settings, create=True) == []
    finally:
        await run_sql(admin, f'DROP DATABASE "{name}" WITH (FORCE)', "DROP ROLE other_owner", "DROP ROLE tenant")


async def test_where_roles_are_an_administrators_to_make_the_printed_sql_is_enough(
    postgres: LocalPostgres, name: str, tmp_path: Path, monkeypatch
):
    admin = postgres.admin_settings("postgres")
    await run_sql(admin, "CREATE ROLE migrator LOGIN PASSWORD 'x'", f'CREATE DATABASE "{name}"')
    (tmp_path / "migrator").write_text("x")
    settings = as_role(postgres.admin_settings(name), "migrator", tmp_path / "migrator")
    with monkeypatch.context() as patched:
        patched.setattr("leadline.schema.migrate.SERVICE_ROLES", ("newcomer",))
        with pytest.raises(MissingRole, match="leadline_newcomer"):
            await prepare_database(settings)
    statements = CliRunner().invoke(schema.database, ["roles", "--user", "migrator"]).stdout
    assert statements == roles_sql("migrator")
    # The roles are there from the other tests: what is left is to give them to the one who migrates.
    roles, _, narrowing = statements.partition("DO $$")
    grants = [line for line in roles.splitlines() if line.startswith("GRANT")]
    assert len(roles.splitlines()) == len(SERVICE_ROLES) + 1 + len(grants)
    await run_sql(postgres.admin_settings(name), *grants, f"DO $${narrowing}")
    try:
        assert await prepare_database(settings) == ALL
        narrow = await connect(postgres.admin_settings(name), "test")
        try:
            for role in ("leadline_reader", "leadline_execution"):
                assert not await narrow.fetchval("SELECT has_database_privilege($1, current_database(), 'TEMP')", role)
                for function in ("lo_create(oid)", "lo_from_bytea(oid, bytea)", "lowrite(int, bytea)"):
                    assert not await narrow.fetchval("SELECT has_function_privilege($1, $2, 'EXECUTE')", role, function)
            query = "SELECT rolname, rolconnlimit FROM pg_roles WHERE rolname LIKE 'leadline_%' AND rolcanlogin"
            limits = {row[0]: row[1] for row in await narrow.fetch(query)}
        finally:
            await narrow.close()
        assert limits == {login_role(service): CONNECTION_LIMITS[service] for service in SERVICE_ROLES}
        assert sum(limits.values()) < 97
    finally:
        await run_sql(admin, f'DROP DATABASE "{name}" WITH (FORCE)', f"REVOKE {OWNER_ROLE} FROM migrator")
        await run_sql(admin, "DROP ROLE migrator")


def test_a_folder_without_any_roles_password_is_a_mistake(tmp_path: Path):
    with pytest.raises(InvalidInput, match="files named ingestion"):
        read_role_passwords(password_folder(tmp_path / "database", owner="x"))
