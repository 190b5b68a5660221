"""The prints that a run has stored go into the catalog by trading day, whole or not at all."""

from datetime import date
from pathlib import Path

import pytest

from leadline.catalog.catalog import Catalog
from leadline.cli.data_import import Done
from leadline.cli.data_record import record
from leadline.model.errors import Unknown
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


async def begun(database: Database, *, finished: bool) -> None:
    async with pool_as(database, "ingestion") as pool:
        await pool.execute(
            "INSERT INTO run (tape, code_version, content, launch, feed, details, finished_at) "
            "VALUES ($1, 'v', 'c', 'l', 'push', '{}', CASE WHEN $2 THEN now() END)",
            TAPE,
            finished,
        )
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
    await begun(database, finished=True)
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


async def test_the_day_that_a_run_is_in_is_left_out(database: Database, pool: Pool, reader: Pool, tmp_path: Path):
    await begun(database, finished=False)
    await stored(pool, prints(0, 9), prints(10, 14, OPEN_NS + A_DAY))
    catalog = Catalog(tmp_path)
    done = await recorded(reader, catalog)
    assert catalog.dates(CONTRACT) == (DAY,)
    assert done.left_out == {f"{CONTRACT} 2025-11-21": 5}


async def test_a_day_of_which_prints_were_lost_is_never_a_shorter_one(
    database: Database, pool: Pool, reader: Pool, tmp_path: Path
):
    await begun(database, finished=True)
    await stored(pool, prints(0, 9), prints(10, 14, OPEN_NS + A_DAY))
    await Store(pool).skip_ticks(TAPE, CONTRACT, 15, 18)
    await stored(pool, prints(18, 20, OPEN_NS + A_DAY))
    with pytest.raises(PrintsMissing, match="print 15 of MESZ2025 is not stored, nor are 2 of the 21 from 0 on"):
        await recorded(reader, Catalog(tmp_path))
    assert Catalog(tmp_path).contracts() == ()


async def test_a_run_that_is_not_there_is_unknown(reader: Pool, tmp_path: Path):
    async with reader.acquire() as connection:
        with pytest.raises(Unknown):
            await record(connection, RunId("none-1"), Catalog(tmp_path), Done(), replace=False)
