import asyncio
import dataclasses

import asyncpg
import pytest

from leadline.local.local_postgres import LocalPostgres
from leadline.runtime.database import MINIMUM_SCHEMA, connect, schema_version
from leadline.schema.migrate import (
    Migration,
    MigrationChanged,
    MissingRole,
    NoSchema,
    SchemaIsNewer,
    SchemaIsOlder,
    create_database,
    migrate_database,
    package_migrations,
    refuse_newer,
    require_schema,
    scram_verifier,
    set_role_passwords,
)
from leadline.schema.roles import OWNER_ROLE, SERVICE_ROLES, login_role
from tests.stack import Database, pool_as, run_sql

pytestmark = pytest.mark.integration


@pytest.fixture
async def empty(postgres: LocalPostgres):
    """A database without a schema."""
    await create_database(postgres.admin_settings("postgres"), "empty")
    yield Database(postgres, "empty")
    await run_sql(postgres.admin_settings("postgres"), "DROP DATABASE empty WITH (FORCE)")


async def tables(database: Database) -> set[str]:
    connection = await connect(database.admin_settings(), "test")
    try:
        rows = await connection.fetch("""
            SELECT relname FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
        """)
    finally:
        await connection.close()
    return {row[0] for row in rows}


async def test_an_empty_database_gets_every_migration_once(empty: Database):
    names = [migration.name for migration in package_migrations()]
    assert await migrate_database(empty.admin_settings()) == names
    assert await migrate_database(empty.admin_settings()) == []


async def test_two_migrations_at_the_same_time_do_the_work_once(empty: Database):
    applied = await asyncio.gather(*(migrate_database(empty.admin_settings()) for _ in range(3)))
    assert sorted(map(len, applied)) == [0, 0, len(package_migrations())]


async def test_the_newest_migration_is_the_schemas_version(empty: Database):
    connection = await connect(empty.admin_settings(), "test")
    assert await schema_version(connection) == 0
    await migrate_database(empty.admin_settings())
    assert await schema_version(connection) == package_migrations()[-1].version
    await connection.close()


async def test_a_migration_that_was_changed_after_it_was_applied_is_refused(empty: Database):
    first = Migration(1, "0001_first.sql", "CREATE TABLE a ()")
    await migrate_database(empty.admin_settings(), [first])
    changed = dataclasses.replace(first, sql="CREATE TABLE a (b int)")
    with pytest.raises(MigrationChanged, match=r"0001_first\.sql"):
        await migrate_database(empty.admin_settings(), [changed])


async def test_a_database_of_a_newer_release_is_refused(empty: Database):
    await refuse_newer(empty.admin_settings())
    await migrate_database(empty.admin_settings())
    await refuse_newer(empty.admin_settings())
    await run_sql(
        empty.admin_settings(),
        "INSERT INTO schema_version (version, name, checksum) VALUES (9999, '9999_later.sql', '')",
    )
    with pytest.raises(SchemaIsNewer, match=r"a newer release has used this database \(9999_later.sql\)"):
        await refuse_newer(empty.admin_settings())


async def test_what_reads_a_database_of_an_older_release_or_another_build_is_told_so(empty: Database):
    with pytest.raises(NoSchema):
        await require_schema(empty.admin_settings())
    await migrate_database(empty.admin_settings())
    await require_schema(empty.admin_settings())
    last = package_migrations()[-1]
    await run_sql(empty.admin_settings(), f"UPDATE schema_version SET checksum = 'x' WHERE version = {last.version}")
    with pytest.raises(MigrationChanged, match=last.name):
        await require_schema(empty.admin_settings())
    await run_sql(empty.admin_settings(), f"DELETE FROM schema_version WHERE version = {last.version}")
    with pytest.raises(SchemaIsOlder, match=rf"lacks {last.name}: a start with `leadline up` adds them"):
        await require_schema(empty.admin_settings())


async def test_a_migration_that_fails_leaves_nothing_of_itself_and_those_before_it(empty: Database):
    good = Migration(1, "0001_good.sql", "CREATE TABLE good ()")
    bad = Migration(2, "0002_bad.sql", "CREATE TABLE half (); SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate_database(empty.admin_settings(), [good, bad])
    assert await tables(empty) == {"schema_version", "good"}
    assert await migrate_database(empty.admin_settings(), [good, dataclasses.replace(bad, sql="SELECT 1")]) == [
        "0002_bad.sql"
    ]


async def test_a_migration_for_an_extension_waits_until_the_database_has_it(empty: Database):
    plain = Migration(1, "0001_plain.sql", "CREATE TABLE plain ()")
    trigram = Migration(2, "0002_trigram.sql", "-- requires: pg_trgm\nCREATE INDEX ON words USING gin (w gin_trgm_ops)")
    words = Migration(3, "0003_words.sql", "CREATE TABLE words (w text)")
    assert await migrate_database(empty.admin_settings(), [plain, trigram, words]) == [
        "0001_plain.sql",
        "0003_words.sql",
    ]
    await run_sql(empty.admin_settings(), "CREATE EXTENSION pg_trgm")
    assert await migrate_database(empty.admin_settings(), [plain, trigram, words]) == ["0002_trigram.sql"]


async def test_the_owner_of_the_schema_owns_every_table_and_cannot_log_in(database: Database):
    connection = await connect(database.admin_settings(), "test")
    owners = await connection.fetch("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    may_log_in = await connection.fetchval("SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", OWNER_ROLE)
    await connection.close()
    assert [row[0] for row in owners] == [OWNER_ROLE]
    assert may_log_in is False


async def test_the_owner_of_a_database_can_migrate_it_when_the_roles_are_there(empty: Database, tmp_path):
    role = "some_tenant"
    await run_sql(
        empty.admin_settings(),
        f"CREATE ROLE {role} LOGIN PASSWORD '{scram_verifier('x')}' IN ROLE {OWNER_ROLE}",
        f"ALTER DATABASE empty OWNER TO {role}",
    )
    (tmp_path / role).write_text("x")
    settings = empty.admin_settings()
    url = settings.url.replace("user=postgres", f"user={role}")
    mine = settings.model_copy(update={"url": url, "password_file": tmp_path / role})
    assert len(await migrate_database(mine)) == len(package_migrations())
    await run_sql(empty.admin_settings(), "ALTER DATABASE empty OWNER TO postgres", f"DROP ROLE {role}")


async def test_a_role_that_may_not_make_roles_says_which_are_missing(empty: Database, monkeypatch):
    monkeypatch.setattr("leadline.schema.migrate.SERVICE_ROLES", ("newcomer",))
    settings = empty.settings("execution")
    with pytest.raises(MissingRole, match="leadline_newcomer"):
        await migrate_database(settings)


async def test_a_password_is_changed_without_the_server_ever_seeing_it(database: Database, tmp_path):
    role = login_role("reader")
    await set_role_passwords(database.admin_settings(), {role: "correct horse"})
    (tmp_path / "password").write_text("correct horse")
    fresh = database.settings("reader").model_copy(update={"password_file": tmp_path / "password"})
    connection = await connect(fresh, "test")
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(database.settings("reader"), "test")
    await set_role_passwords(database.admin_settings(), database.server.passwords())


def test_the_services_ask_for_no_schema_that_this_code_cannot_make():
    assert package_migrations()[-1].version >= MINIMUM_SCHEMA


WRITERS = {
    "ingestion": {"run", "kept_out"},
    "aggregation": set[str](),
    "recorder": {
        "tick_position",
        "tick_block",
        "tick_gap",
        "candle",
        "unfinished_bar",
        "footprint",
        "signal",
        "dead_letter",
    },
    "execution": {
        "lease",
        "account_state",
        "strategy_state",
        "decision",
        "intent",
        "fill",
        "position",
        "halt",
        "order_event",
        # The one table of two writers: each keeps what it refused itself, under its own name.
        "dead_letter",
    },
    "supervisor": {"demand", "retention"},
    "reader": set[str](),
}


async def test_every_table_has_exactly_one_service_that_writes_it(database: Database):
    # Functions of the owner write down which partitions there are.
    everything = await tables(database) - {"schema_version", "market_partition"}
    connection = await connect(database.admin_settings(), "test")
    found = {
        service: {
            table
            for table in everything
            if await connection.fetchval(
                "SELECT has_table_privilege($1, $2, 'INSERT') OR has_table_privilege($1, $2, 'UPDATE')"
                " OR has_table_privilege($1, $2, 'DELETE') OR has_table_privilege($1, $2, 'TRUNCATE')",
                login_role(service),
                table,
            )
        }
        for service in SERVICE_ROLES
    }
    await connection.close()
    assert found == WRITERS
    assert set().union(*found.values()) == everything


async def test_a_service_cannot_write_what_is_not_its_own(database: Database):
    async with pool_as(database, "aggregation") as pool:
        assert await pool.fetch("SELECT * FROM demand") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute("DELETE FROM demand")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.fetch("SELECT * FROM intent")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute("CREATE TABLE mine ()")


async def test_the_audit_can_be_added_to_and_marked_as_published_but_not_rewritten(database: Database):
    async with pool_as(database, "execution") as pool:
        await pool.execute(
            "INSERT INTO order_event (tape, account, event, kind, key, version, instant_ns, body)"
            " VALUES ('r', 'a', 1, 'order', 'L1', 1, 0, '{}')"
        )
        await pool.execute("UPDATE order_event SET published = true")
        for forbidden in ("UPDATE order_event SET body = '{}'", "DELETE FROM order_event", "TRUNCATE order_event"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await pool.execute(forbidden)


async def test_ingestion_numbers_its_runs(database: Database):
    async with pool_as(database, "ingestion") as pool:
        numbers = [await pool.fetchval("SELECT nextval(pg_get_serial_sequence('run', 'number'))") for _ in range(2)]
    assert numbers == [1, 2]


@pytest.mark.parametrize(
    ("row", "fits"),
    [
        (("MESZ6", "rth", {"open": "09:30"}, "5m", 1), True),
        (("MESZ6", None, None, None, None), True),
        (("MESZ6", "rth", {"open": "09:30"}, None, None), False),
        (("MESZ6", "rth", {"open": "09:30"}, "5m", 0), False),
    ],
)
async def test_a_row_of_the_demand_asks_for_bars_or_for_prints_only(database: Database, row, fits: bool):
    insert = (
        "INSERT INTO demand (account, strategy, venue, contract, session, hours, bars, ticks_per_row)"
        " VALUES ('default/paper', '', 'sim', $1, $2, $3, $4, $5)"
    )
    async with pool_as(database, "supervisor") as pool:
        if fits:
            await pool.execute(insert, *row)
            assert await pool.fetchval("SELECT ticks_only FROM demand") is (row[3] is None)
            with pytest.raises(asyncpg.UniqueViolationError):
                await pool.execute(insert, *row)
        else:
            with pytest.raises(asyncpg.CheckViolationError):
                await pool.execute(insert, *row)
