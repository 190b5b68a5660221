"""The prints that a run has stored go into the catalog by trading day, whole or not at all."""

from datetime import date
from pathlib import Path

import pytest

from leadline.catalog.catalog import Catalog
from leadline.cli.data_import import Done
from leadline.cli.data_record import record
from leadline.ingestion.store import Store as Runs
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import RunId
from leadline.model.ticks import TickBatch, TickColumns
from leadline.recorder.store import Store
from leadline.runtime.database import Pool
from leadline.views import print_store
from leadline.views.print_store import PrintsMissing
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
    monkeypatch.setattr(print_store, "ROWS", 7)
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
    await pool.execute("SELECT drop_partition('tick_row', $1)", DAY)
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
    with pytest.raises(PrintsMissing, match="print 15 of MESZ2025 is not stored, nor are 2 of the 21 from 0 on"):
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
