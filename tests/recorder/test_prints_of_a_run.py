"""The prints that a run has stored go into the catalog by trading day, whole or not at all."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from leadline.catalog.catalog import Catalog
from leadline.cli.data_import import Done
from leadline.cli.data_record import record
from leadline.ingestion.store import Store as Runs
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import RunId
from leadline.model.ticks import TickBatch, TickColumns
from leadline.recorder import rows
from leadline.recorder.store import Store
from leadline.runtime.database import Pool
from leadline.views import print_store
from leadline.views.print_store import PrintsMissing
from leadline.views.recorded_store import recorded_prints
from tests.catalog.builders import equal
from tests.recorder.builders import CONTRACT, DAY, OPEN_NS, TAPE, VENUE
from tests.stack import Database, pool_as

pytestmark = pytest.mark.integration

A_DAY = 86_400 * 10**9
NEXT = date(2025, 11, 21)


def prints(first: int, last: int, begins_ns: int = OPEN_NS) -> TickColumns:
    return TickColumns.of(
        ((begins_ns + i, 20_000 + i % 7, 1 + i % 3, i % 3 - 1) for i in range(first, last + 1)), first
    )


async def stored(pool: Pool, *parts: TickColumns) -> None:
    for ticks in parts:
        await Store(pool).write_ticks([TickBatch(TAPE, VENUE, CONTRACT, ticks, int(ticks.time_ns[-1]))])


async def begun(database: Database, *, ends: int = 0, failure: str = "") -> None:
    """A run. ends: how many prints its tape has, 0 while it goes on."""
    async with pool_as(database, "ingestion") as pool:
        await pool.execute(
            "INSERT INTO run (tape, code_version, content, launch, feed, details) "
            "VALUES ($1, 'v', 'c', 'l', 'push', '{}')",
            TAPE,
        )
        if ends or failure:
            await Runs(pool).finish_run(TAPE, failure, {CONTRACT: ends})
        await pool.executemany(
            "INSERT INTO kept_out (tape, contract, trading_day, reason, prints) VALUES ($1, $2, $3, $4, $5)",
            [
                (TAPE, CONTRACT, DAY, "off_grid", 2),
                (TAPE, CONTRACT, DAY, "outside_session", 40),
                (TAPE, CONTRACT, None, "overflow", 1),
            ],
        )


async def recorded(reader: Pool, catalog: Catalog) -> Done:
    done = Done()
    async with reader.acquire() as connection:
        await record(connection, TAPE, catalog, done, replace=False)
    return done


async def test_the_days_of_a_finished_run_are_kept(
    database: Database, pool: Pool, reader: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(print_store, "BLOCKS", 2)
    await begun(database, ends=25)
    await stored(pool, prints(0, 9), prints(10, 19), prints(20, 24, OPEN_NS + A_DAY))
    catalog = Catalog(tmp_path)
    done = await recorded(reader, catalog)
    assert [(entry.day, entry.prints, state) for entry, state in done.days] == [
        (DAY, 20, "written"),
        (NEXT, 5, "written"),
    ]
    assert (done.undated, done.left_out) == ({CONTRACT: {"overflow": 1}}, {})
    first = catalog.day(CONTRACT, DAY)
    assert (first.source, first.kept_out) == (f"run {TAPE}", {"off_grid": 2})
    assert equal(catalog.read(CONTRACT, DAY, verified=True), prints(0, 19))
    second = prints(20, 24, OPEN_NS + A_DAY)
    assert catalog.read(CONTRACT, NEXT, verified=True).price.tolist() == second.price.tolist()
    assert [state for _, state in (await recorded(reader, catalog)).days] == ["there already"] * 2


async def test_a_day_that_the_database_keeps_only_a_part_of_is_left_out_and_those_after_it_are_kept(
    database: Database, pool: Pool, reader: Pool, tmp_path: Path
):
    await begun(database)
    # The trading day of the 21st begins on the evening of the 20th, in UTC still the same date.
    evening = OPEN_NS + 9 * 3600 * 10**9
    await stored(pool, prints(0, 4), prints(5, 9, evening), prints(10, 14, OPEN_NS + A_DAY))
    await stored(pool, prints(15, 19, OPEN_NS + 4 * A_DAY), prints(20, 24, OPEN_NS + 5 * A_DAY))
    await pool.execute("SELECT drop_partition('tick_block', $1)", DAY)
    catalog = Catalog(tmp_path)
    done = await recorded(reader, catalog)
    assert catalog.dates(CONTRACT) == (date(2025, 11, 24),)
    assert done.left_out == {f"{CONTRACT} 2025-11-21": 5, f"{CONTRACT} 2025-11-25": 5}


async def test_late_prints_of_a_live_tape_stand_in_their_day_in_the_order_of_time(
    database: Database, pool: Pool, reader: Pool, tmp_path: Path
):
    await begun(database)
    late, too_late = prints(10, 11, OPEN_NS - 3), prints(15, 16, OPEN_NS)
    await stored(
        pool, prints(0, 9), late, prints(12, 14, OPEN_NS + A_DAY), too_late, prints(17, 18, OPEN_NS + 4 * A_DAY)
    )
    catalog = Catalog(tmp_path)
    done = await recorded(reader, catalog)
    kept = catalog.read(CONTRACT, DAY, verified=True)
    assert kept.time_ns.tolist() == sorted([*prints(0, 9).time_ns.tolist(), *late.time_ns.tolist()])
    assert len(catalog.read(CONTRACT, NEXT, verified=True)) == 3
    assert done.left_out == {f"{CONTRACT} 2025-11-24": 2, f"{CONTRACT} late for 2025-11-20": 2}


async def test_prints_of_a_time_are_those_of_the_blocks_that_it_cuts_in_the_order_of_time(
    pool: Pool, reader: Pool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rows, "BLOCK_PRINTS", 4)
    midnight = 1_763_683_200 * 10**9
    late, next_day = prints(14, 15, midnight - 16), prints(21, 22, midnight + A_DAY)
    parts = [prints(0, 9, midnight - 5), prints(10, 13, midnight), late, prints(16, 20, midnight), next_day]
    await stored(pool, *parts)
    times = np.concatenate([part.time_ns for part in parts])
    prices = np.concatenate([part.price for part in parts])
    order = np.argsort(times, kind="stable")
    for begins, ends in ((-5, 20), (-2, 21), (3, A_DAY + 23), (10, 10), (-9, -5), (A_DAY + 22, 2 * A_DAY)):
        async with reader.acquire() as connection:
            found = await recorded_prints(connection, TAPE, CONTRACT, midnight + begins, midnight + ends)
        wanted = [i for i in order if midnight + begins <= times[i] < midnight + ends]
        assert (found.time_ns.tolist(), found.price.tolist()) == (times[wanted].tolist(), prices[wanted].tolist())


async def test_prints_of_a_time_of_which_some_are_lost_are_told(pool: Pool, reader: Pool):
    await stored(pool, prints(0, 9))
    await Store(pool).skip_ticks(TAPE, CONTRACT, 10, 13)
    await stored(pool, prints(13, 20))
    async with reader.acquire() as connection:
        with pytest.raises(PrintsMissing, match="3 of the prints 5 to 20 of MESZ2025 are not stored"):
            await recorded_prints(connection, TAPE, CONTRACT, OPEN_NS + 5, OPEN_NS + 30)


async def test_the_last_stored_print_is_the_newest_and_no_late_one_that_came_behind_it(database: Database, pool: Pool):
    await stored(pool, prints(0, 9), prints(10, 11, OPEN_NS + A_DAY), prints(12, 13, OPEN_NS))
    async with pool_as(database, "ingestion") as own:
        runs = Runs(own)
        assert await runs.last_stored(TAPE, CONTRACT) == (13, OPEN_NS + A_DAY + 11, 20_000 + 11 % 7)
        for day in (DAY, NEXT):
            await pool.execute("SELECT drop_partition('tick_block', $1)", day)
        assert await runs.last_stored(TAPE, CONTRACT) == (13, -1, 0)


async def test_the_day_that_a_run_is_in_is_left_out(database: Database, pool: Pool, reader: Pool, tmp_path: Path):
    await begun(database)
    await stored(pool, prints(0, 9), prints(10, 14, OPEN_NS + A_DAY))
    catalog = Catalog(tmp_path)
    done = await recorded(reader, catalog)
    assert catalog.dates(CONTRACT) == (DAY,)
    assert done.left_out == {f"{CONTRACT} 2025-11-21": 5}


async def test_a_day_of_which_prints_were_lost_is_never_a_shorter_one(
    database: Database, pool: Pool, reader: Pool, tmp_path: Path
):
    await begun(database, ends=21)
    await stored(pool, prints(0, 9), prints(10, 14, OPEN_NS + A_DAY))
    await Store(pool).skip_ticks(TAPE, CONTRACT, 15, 18)
    await stored(pool, prints(18, 20, OPEN_NS + A_DAY))
    with pytest.raises(PrintsMissing, match="prints 15 to 17 of MESZ2025 are not stored"):
        await recorded(reader, Catalog(tmp_path))
    assert Catalog(tmp_path).contracts() == ()


async def test_the_last_day_of_a_run_that_is_not_stored_to_its_end_is_left_out(
    database: Database, pool: Pool, reader: Pool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    await begun(database, ends=16)
    await stored(pool, prints(0, 9), prints(10, 14, OPEN_NS + A_DAY))
    catalog = Catalog(tmp_path)
    done = await recorded(reader, catalog)
    assert catalog.dates(CONTRACT) == (DAY,)
    assert done.left_out == {f"{CONTRACT} 2025-11-21": 5}
    assert "5 prints so far, left out: of 16 of its tape 15 are stored" in capsys.readouterr().err
    await stored(pool, prints(15, 15, OPEN_NS + A_DAY))
    assert [state for _, state in (await recorded(reader, catalog)).days] == ["there already", "written"]


async def test_a_run_that_failed_is_no_source_of_days(database: Database, pool: Pool, reader: Pool, tmp_path: Path):
    await begun(database, ends=10, failure="too many prints were kept out")
    await stored(pool, prints(0, 9))
    with pytest.raises(InvalidInput, match=r"a run that has not failed \(too many prints were kept out\)"):
        await recorded(reader, Catalog(tmp_path))


async def test_a_run_that_is_not_there_is_unknown(reader: Pool, tmp_path: Path):
    async with reader.acquire() as connection:
        with pytest.raises(Unknown):
            await record(connection, RunId("none-1"), Catalog(tmp_path), Done(), replace=False)
