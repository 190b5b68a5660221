"""Partitions on a real server: made where rows come, dropped when they are old, and never under somebody's hands."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import asyncpg
import pytest

from leadline.local.local_nats import LocalNats
from leadline.model.ticks import TickBatch, TickColumns
from leadline.recorder.keeping import TapeClock, keep_tables
from leadline.recorder.metrics import TABLES
from leadline.recorder.partition_store import AHEAD_DAYS, Partitions, date_of, wall_today
from leadline.recorder.store import Store
from leadline.runtime.database import Pool
from leadline.runtime.runs import LIVE_TAPE, Run, announce_run
from leadline.schema.retention import keep
from tests.measured import value
from tests.recorder.builders import CONTRACT, DAY, OPEN_NS, TAPE, VENUE, bar_message, signal_message, tick_batch
from tests.recorder.test_service import until
from tests.recorder.test_store import position, stored_indices
from tests.stack import Database, bus_as, pool_as

pytestmark = pytest.mark.integration

NS_PER_DAY = 86_400_000_000_000
TODAY = DAY + timedelta(3)


def of_days(first_index: int, *days: int) -> TickBatch:
    """A print on each of these days after `DAY`."""
    ticks = TickColumns.of([(OPEN_NS + day * NS_PER_DAY, 20_000, 1, 1) for day in days], first_index)
    return TickBatch(TAPE, VENUE, CONTRACT, ticks, OPEN_NS)


async def names(pool: Pool, table: str) -> list[str]:
    rows = await pool.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = to_regclass($1) ORDER BY 1", table
    )
    return [row["name"] for row in rows]


async def ages(database: Database, **days: int | None) -> None:
    async with pool_as(database, "supervisor") as pool, pool.acquire() as connection:
        await keep(connection, days)


class Calendar:
    """The date by which partitions grow old, set by hand."""

    def __init__(self, today: date = TODAY) -> None:
        self.today = today

    def __call__(self) -> date:
        return self.today


@pytest.fixture
async def bare(database: Database, pool: Pool) -> Pool:
    """The recorder's connections to a database without the partitions that its migration made ahead."""
    async with pool_as(database, "recorder") as own:
        for row in await own.fetch("SELECT of_table, begins FROM market_partition"):
            await own.execute("SELECT drop_partition($1, $2)", row["of_table"], row["begins"])
    return pool


async def test_the_migration_makes_the_partitions_of_the_days_that_come(pool: Pool):
    ahead = [wall_today() + timedelta(days) for days in range(3)]
    made = await names(pool, "tick_block")
    # The template of these databases may be of yesterday, at midnight.
    assert {f"tick_block_{day:%Y%m%d}" for day in ahead[:2]} <= set(made)
    assert len(made) == 3
    assert f"candle_{ahead[0]:%Y%m}" in await names(pool, "candle")


async def test_rows_go_to_the_partition_of_their_date_which_is_made_as_they_come(bare: Pool):
    store = Store(bare, Partitions(bare, Calendar()))
    await store.write_ticks([of_days(0, 0, 0, 1), of_days(3, 1, 5)])
    await store.write_bars([bar_message(1)])
    await store.write_signals([signal_message(1)])
    assert await names(bare, "tick_block") == ["tick_block_20251120", "tick_block_20251121", "tick_block_20251125"]
    there = "SELECT sum(last_index - first_index + 1) FROM tick_block WHERE tableoid = 'tick_block_20251121'::regclass"
    assert await bare.fetchval(there) == 2
    assert await names(bare, "footprint") == ["footprint_20251120"]
    assert (await names(bare, "candle"), await names(bare, "signal")) == (["candle_202511"], ["signal_202511"])
    assert await stored_indices(bare) == [0, 1, 2, 3, 4]


async def test_late_prints_go_to_the_partition_of_their_own_time(bare: Pool):
    store = Store(bare, Partitions(bare, Calendar()))
    await store.write_ticks([of_days(0, 1), replace(of_days(1, 0), late=True), of_days(2, 1)])
    rows = await bare.fetch("SELECT first_index, tableoid::regclass::text AS name FROM tick_block ORDER BY 1")
    assert [tuple(row) for row in rows] == [
        (0, "tick_block_20251121"),
        (1, "tick_block_20251120"),
        (2, "tick_block_20251121"),
    ]


async def test_a_partition_as_old_as_its_table_keeps_goes_whole_and_the_position_stays(bare: Pool, database: Database):
    calendar = Calendar(DAY)
    store = Store(bare, partitions := Partitions(bare, calendar))
    await store.write_ticks([of_days(0, 0)])
    calendar.today += timedelta(1)
    await store.write_ticks([of_days(1, 1)])
    await store.write_bars([bar_message(1)])
    await ages(database, ticks=2, footprints=1)
    calendar.today = DAY + timedelta(2)
    assert await partitions.drop_old() == ({}, [])
    calendar.today = DAY + timedelta(3)
    assert await partitions.drop_old() == ({"tick_block": 1, "footprint": 1}, [])
    assert await stored_indices(bare) == [1]
    assert await bare.fetchval("SELECT count(*) FROM candle") == 1
    assert await position(bare) == 1
    # A print of a day that is gone has a place all the same.
    await store.write_ticks([of_days(2, 0)])
    assert await stored_indices(bare) == [1, 2]


async def test_what_a_replay_of_old_days_writes_grows_old_from_its_writing(bare: Pool, database: Database):
    await ages(database, ticks=1)
    calendar = Calendar(DAY + timedelta(400))
    store = Store(bare, partitions := Partitions(bare, calendar))
    await store.write_ticks([of_days(0, 0)])
    assert await partitions.drop_old() == ({}, [])
    calendar.today += timedelta(1)
    await store.write_ticks([of_days(1, 0)])
    calendar.today += timedelta(1)
    assert await partitions.drop_old() == ({}, [])
    calendar.today += timedelta(1)
    assert await partitions.drop_old() == ({"tick_block": 1}, [])


async def test_nothing_goes_that_is_kept_for_ever(bare: Pool, database: Database):
    await ages(database, ticks=None, footprints=None)
    calendar = Calendar()
    store = Store(bare, partitions := Partitions(bare, calendar))
    await store.write_ticks([of_days(0, 0)])
    await store.write_bars([bar_message(1)])
    await store.write_signals([signal_message(1)])
    calendar.today += timedelta(5000)
    assert await partitions.drop_old() == ({}, [])


async def test_a_partition_that_somebody_reads_is_left_for_the_next_time(bare: Pool, database: Database):
    store = Store(bare, partitions := Partitions(bare, calendar := Calendar()))
    await store.write_ticks([tick_batch(0, 3)])
    await ages(database, ticks=1)
    calendar.today += timedelta(5)
    async with pool_as(database, "reader") as reader, reader.acquire() as connection:
        async with connection.transaction():
            await connection.fetchval("SELECT count(*) FROM tick_block")
            assert await partitions.drop_old() == ({}, ["tick_block_20251120"])
            assert await stored_indices(bare) == [0, 1, 2, 3]
        assert await partitions.drop_old() == ({"tick_block": 1}, [])


async def test_a_database_that_was_put_back_to_before_a_partition_gets_it_again(bare: Pool):
    store = Store(bare, Partitions(bare, Calendar()))
    await store.write_ticks([tick_batch(0, 3)])
    await bare.execute("SELECT drop_partition('tick_block', $1)", DAY)
    await store.write_ticks([tick_batch(4, 5)])
    assert await stored_indices(bare) == [4, 5]


async def test_two_that_need_a_partition_at_once_make_it_once(bare: Pool):
    both = [Partitions(bare, Calendar()) for _ in range(4)]
    await asyncio.gather(*(each.use({"tick_block": [DAY], "candle": [DAY]}) for each in both))
    assert await names(bare, "tick_block") == ["tick_block_20251120"]


async def test_a_row_that_the_table_refuses_is_refused_and_not_written_twice(bare: Pool):
    batch = TickBatch(TAPE, VENUE, CONTRACT, TickColumns.of([(OPEN_NS, 20_000, -1, 1)]), OPEN_NS)
    with pytest.raises(asyncpg.CheckViolationError):
        await Store(bare, Partitions(bare, Calendar())).write_ticks([batch])


@pytest.mark.parametrize("service", ["aggregation", "execution", "reader", "supervisor"])
async def test_only_the_recorder_makes_and_drops_partitions(database: Database, service: str):
    async with pool_as(database, service) as pool:
        for forbidden in (
            "drop_partition('tick_block', current_date)",
            "use_partition('tick_block', '2020-1-1', now()::date)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await pool.execute(f"SELECT {forbidden}")


async def test_nothing_but_the_markets_tables_has_partitions_to_drop(pool: Pool):
    with pytest.raises(asyncpg.PostgresError):
        await pool.execute("SELECT use_partition('fill', current_date, current_date)")
    assert {row[0] for row in await pool.fetch("SELECT of_table FROM retention")} == set(TABLES)


async def _is_there(pool: Pool, name: str) -> bool:
    return await pool.fetchval("SELECT to_regclass($1)", name) is not None


@pytest.mark.moves("leadline_recorder_partitions_dropped_total")
async def test_the_recorder_keeps_its_tables_as_the_days_of_the_tape_go_by(
    nats_server: LocalNats, bare: Pool, database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("leadline.recorder.keeping.LOOK_SECONDS", 0.02)
    await ages(database, ticks=2)
    clock, stopping = TapeClock(), asyncio.Event()
    partitions = Partitions(bare, lambda: date_of(clock.now_ns()))
    before = value("leadline_recorder_partitions_dropped_total", table="tick_block")
    async with bus_as(nats_server, "recorder") as bus, bus_as(nats_server, "ingestion") as ingestion:
        following = asyncio.create_task(clock.follow(bus))
        keeping = asyncio.create_task(keep_tables(partitions, stopping))
        try:
            for days in range(0, 30, 3):
                run = Run(
                    LIVE_TAPE, "simulated", {CONTRACT: VENUE}, DAY, 5, (), (), 0, clock_offset_ns=days * NS_PER_DAY
                )
                await announce_run(ingestion, run)
                newest = f"tick_block_{wall_today() + timedelta(days + AHEAD_DAYS):%Y%m%d}"
                await until(partial(_is_there, bare, newest))
        finally:
            stopping.set()
            await asyncio.wait_for(keeping, 10)
            following.cancel()
    # Two days back, today, and two ahead; the last days were written three days apart.
    assert len(await names(bare, "tick_block")) <= 2 + 1 + AHEAD_DAYS + 3
    assert value("leadline_recorder_partitions_dropped_total", table="tick_block") > before
