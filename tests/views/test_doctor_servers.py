"""Faults of real servers and files are found: the facts are gathered from them."""

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from leadline.local.data_dir import DataDir
from leadline.local.local_nats import LocalNats
from leadline.model.manifest.own_markets import OwnMarkets, put_in_force, read_own
from leadline.model.manifest.specs import StrategySpec, TradingAccount
from leadline.schema.grants import declared_grants
from leadline.schema.migrate import package_migrations
from leadline.schema.permissions import MIGRATE_USER
from leadline.schema.streams import migrate_bus, stream_definitions
from leadline.views import doctor_store
from leadline.views.database import dsn_of
from leadline.views.doctor import gather_servers, machine, servers, trading
from leadline.views.doctor.checkup import findings_here
from leadline.views.doctor.facts import Bus, Finding
from leadline.views.doctor.facts import Database as Asked
from leadline.views.doctor.gather import gather_here, trading_of
from leadline.views.doctor.gather_machine import machine as this_machine
from tests.own_markets import ETHER, EVENINGS, file_of
from tests.stack import Database, bus_as, run_sql

pytestmark = pytest.mark.integration
MIGRATIONS = package_migrations()


@asynccontextmanager
async def reader(database: Database) -> Any:
    connection = await asyncpg.connect(dsn_of(database.settings("reader")))
    try:
        yield connection
    finally:
        await connection.close()


async def asked(database: Database) -> Asked:
    async with reader(database) as connection:
        return await doctor_store.database(connection)


async def bus_of(server: LocalNats) -> Bus:
    return await gather_servers.bus(server.settings(MIGRATE_USER), server.store.parent / "server.conf")


def wrong(findings: Any) -> list[Finding]:
    return [each for each in findings if each.state != "OK"]


async def test_the_rights_that_are_declared_are_those_of_a_migrated_database(database: Database):
    found = await asked(database)
    assert found.grants == declared_grants(MIGRATIONS)
    assert wrong(servers.roles(found, MIGRATIONS)) == []
    assert wrong(servers.schema(found, MIGRATIONS)) == []
    assert wrong(servers.database_version(found)) == []
    assert wrong(servers.clock_offset("database", found.offset_ns, found.uncertain_ns)) == []


async def test_a_grant_that_is_gone_and_one_too_many_are_found(database: Database):
    await run_sql(
        database.admin_settings(),
        "REVOKE INSERT ON fill FROM leadline_execution",
        "REVOKE UPDATE (published) ON order_event FROM leadline_execution",
        "GRANT DELETE ON candle TO leadline_reader",
    )
    lacks, beyond = servers.roles(await asked(database), MIGRATIONS)
    assert lacks.text == (
        "a right is missing: INSERT on fill for leadline_execution, "
        "UPDATE on order_event.published for leadline_execution"
    )
    assert beyond.advice == "REVOKE DELETE ON candle FROM leadline_reader;"
    for statement in (lacks.advice + beyond.advice).split(";")[:-1]:
        await run_sql(database.admin_settings(), statement)
    assert wrong(servers.roles(await asked(database), MIGRATIONS)) == []


async def test_a_server_that_does_not_sync_and_one_role_that_does_not_wait_are_found(database: Database):
    # The server of the tests runs without fsync.
    assert [each.subject for each in wrong(servers.database_durability(await asked(database)))] == [
        "fsync",
        "full_page_writes",
    ]
    await run_sql(database.admin_settings(), f"ALTER DATABASE {database.name} SET synchronous_commit = off")
    assert "synchronous_commit" in [each.subject for each in servers.database_durability(await asked(database))]


async def test_a_schema_that_was_changed_or_never_made_is_found(database: Database):
    await run_sql(database.admin_settings(), "UPDATE schema_version SET checksum = 'other' WHERE version = 3")
    [found] = servers.schema(await asked(database), MIGRATIONS)
    assert (found.state, "another text of 0003_execution.sql" in found.text) == ("WRONG", True)
    await run_sql(database.admin_settings(), "DROP OWNED BY leadline_owner CASCADE")
    [found] = servers.schema(await asked(database), MIGRATIONS)
    assert found.text == "the database has no schema yet"


async def test_halts_and_dead_letters_that_are_open_are_found(database: Database):
    await run_sql(
        database.admin_settings(),
        "INSERT INTO halt "
        "(account, number, source, reason, halted_by, at, cleared_by, cleared_at, clear_reason) VALUES "
        "('default/paper', 1, 'PERSON', 'lunch', 'ann', now(), 'ann', now(), 'fed'), "
        "('default/paper', 2, 'DIFFERENCE', 'book and venue differ', 'execution', now(), NULL, NULL, NULL)",
        "INSERT INTO dead_letter "
        "(reader, stream, subject, sequence, message_id, digest, bytes, payload, reason, detail)"
        " SELECT 'recorder', 'BARS', 's', n, '', n::text, 1, '', 'unreadable', '' FROM generate_series(1, 3) n",
    )
    found = await asked(database)
    [halt] = servers.halts(found)
    assert halt.text == "default/paper is halted by halt 2 (difference): book and venue differ"
    [letters] = servers.dead_letters(found)
    assert letters.text == "recorder has put aside 3 messages as unreadable"


async def test_a_bus_as_it_is_made_is_sound(nats_server: LocalNats):
    found = await bus_of(nats_server)
    assert found.sync_seconds == 120.0
    assert wrong(servers.streams(found, stream_definitions("replay"))) == []
    for check in (servers.bus_version, servers.bus_durability, servers.consumers):
        assert wrong(check(found)) == []
    assert wrong(servers.clock_offset("bus", found.offset_ns, found.uncertain_ns)) == []
    assert abs(found.offset_ns) < 3_600 * 1_000_000_000


async def test_a_stream_with_another_limit_and_a_consumer_that_is_gone_are_found(nats_server: LocalNats):
    async with bus_as(nats_server, MIGRATE_USER) as bus:
        config = (await bus.api("STREAM.INFO.SIGNALS"))["config"]
        await bus.api("STREAM.UPDATE.SIGNALS", {**config, "max_age": 3_600_000_000_000})
        await bus.api("CONSUMER.DELETE.BARS.recorder")
        await bus.api("STREAM.DELETE.RUNS")
        found = await bus_of(nats_server)
        broken = wrong(servers.streams(found, stream_definitions("replay")))
        assert [each.subject for each in broken] == ["SIGNALS", "RUNS"]
        assert "max_age is 3600000000000, declared 2592000000000000" in broken[0].text
        assert [each.subject for each in wrong(servers.consumers(found))] == ["BARS/recorder"]
        await migrate_bus(bus)  # as the advice says
        assert wrong(servers.streams(await bus_of(nats_server), stream_definitions("replay"))) == []


async def test_a_stream_in_memory_is_found(nats_server: LocalNats):
    async with bus_as(nats_server, MIGRATE_USER) as bus:
        await bus.api("STREAM.DELETE.RUNS")
        await bus.api("STREAM.CREATE.RUNS", {"name": "RUNS", "subjects": ["ll.run"], "storage": "memory"})
        [found] = servers.bus_durability(await bus_of(nats_server))
        await bus.api("STREAM.DELETE.RUNS")
    assert (found.subject, found.state) == ("RUNS", "WRONG")


def test_a_key_that_others_may_read_is_found(tmp_path: Path):
    data = DataDir(tmp_path / "data")
    data.root.mkdir(mode=0o700)
    data.ensure_token_key()
    assert wrong(machine.permissions(this_machine(data))) == []
    data.token_key_file.chmod(0o640)
    [found] = wrong(machine.permissions(this_machine(data)))
    assert found.advice == f"chmod 0600 {data.token_key_file}"


def test_this_machine_has_what_leadline_needs(tmp_path: Path):
    found = this_machine(DataDir(tmp_path / "not" / "yet"))
    assert found.folder == str(tmp_path)
    assert "asyncpg" in found.wanted
    for check in (machine.python, machine.packages, machine.extras, machine.disk, machine.ports):
        assert wrong(check(found)) == []
    missing = replace(found, wanted={**found.wanted, "asyncpg": "999.0"})
    assert [each.subject for each in wrong(machine.packages(missing))] == ["asyncpg"]


async def test_a_database_that_cannot_start_is_wrong_and_told_in_one_line(tmp_path: Path):
    (tmp_path / "data" / "postgres" / "data").mkdir(parents=True)
    for folder in (tmp_path / "data", tmp_path / "data" / "postgres", tmp_path / "data" / "postgres" / "data"):
        folder.chmod(0o700)
    (tmp_path / "data" / "postgres" / "data" / "PG_VERSION").write_text("junk")
    here = await gather_here(tmp_path / "data")
    first, *others = [each for each in findings_here(here) if each.subject == "database"]
    assert (first.check, first.state) == ("database-version", "WRONG")
    assert "postgres ended with code" in first.text
    assert "\n" not in first.text
    assert {each.state for each in others} == {"UNKNOWN"}


async def test_of_a_place_where_nothing_has_run_it_is_said_what_cannot_be_known(tmp_path: Path):
    here = await gather_here(tmp_path / "data")
    assert not here.running
    assert not (tmp_path / "data").exists()


def test_a_calendar_of_ones_own_that_ends_soon_and_a_margin_that_is_nowhere_are_found(tmp_path: Path):
    ending = {**EVENINGS, "valid_through": "2026-12-18"}
    file = file_of(tmp_path, {"ETHUSDT": {**ETHER, "calendar": "evenings"}}, {"evenings": ending})
    put_in_force(read_own([file]))
    try:
        account = TradingAccount.from_manifest(
            {
                "apiVersion": "leadline.dev/v1alpha1",
                "kind": "TradingAccount",
                "metadata": {"name": "coins"},
                "spec": {"tiers": [], "marginLimits": {"ETHUSDT": "50"}},
            }
        )
        spec = StrategySpec(instrument="ETHUSDT")
        found = trading_of([account], [(account.full_name, spec)], (), date(2026, 11, 28))
    finally:
        put_in_force(OwnMarkets())
    [ends] = trading.calendar_horizon(found)
    assert (ends.state, ends.text) == (
        "WARNING",
        "the calendar evenings of ETHUSDT ends in 20 days, with 2026-12-18",
    )
    [unknown] = trading.margins(found)
    assert (unknown.subject, unknown.state) == ("default/coins ETHUSDT", "WRONG")
    assert [(each.contract, each.last_day) for each in found.contracts] == [("ETHUSDT", None)]
