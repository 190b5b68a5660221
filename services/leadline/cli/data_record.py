"""`leadline data record`: the prints that a run has stored into the catalog."""

import asyncio
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg

from leadline.catalog.catalog import Catalog
from leadline.cli.data import progress
from leadline.cli.data_import import Done, put, say
from leadline.cli.options import Output
from leadline.ingestion.importing import DaySplitter, imported, of_day
from leadline.ingestion.tally import OUTSIDE
from leadline.local.data_dir import placed_at
from leadline.model.counted import counted
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId, RunId
from leadline.views.database import database_of, dsn_of
from leadline.views.print_store import StoredContract, StoredRun, stored_prints, stored_run
from leadline.views.stack import NotRunning
from leadline.views.store import latest_tape


def run_record(data_dir: Path, tape: str | None, folder: Path, output: Output, *, replace: bool) -> None:
    """Put the days of a run in, the newest where none is named, and say what became of each."""
    catalog, done = Catalog(placed_at(folder)), Done()
    asyncio.run(_record(data_dir, tape, catalog, done, replace=replace))
    say(catalog, done, output)


async def _record(data_dir: Path, tape: str | None, catalog: Catalog, done: Done, *, replace: bool) -> None:
    async with database_of(data_dir) as settings:
        dsn = dsn_of(settings)
        named = RunId(tape) if tape is not None else await latest_tape(dsn)
        if named is None:
            raise NotRunning(f"no run has begun in {data_dir} yet")
        connection = await asyncpg.connect(dsn)
        try:
            await record(connection, named, catalog, done, replace=replace)
        finally:
            await connection.close()


async def record(connection: Any, tape: RunId, catalog: Catalog, done: Done, *, replace: bool) -> None:
    """Put the days of a run in that are over and stored whole.

    Raises Unknown for a run that is not there, InvalidInput for one that has failed, PrintsMissing.
    """
    run = await stored_run(connection, tape, OUTSIDE)
    if run.failure:
        raise InvalidInput("tape", tape, f"a run that has not failed ({run.failure})")
    for contract in run.contracts:
        await _record_contract(connection, run, contract, catalog, done, replace=replace)


async def _record_contract(
    connection: Any, run: StoredRun, of: StoredContract, catalog: Catalog, done: Done, *, replace: bool
) -> None:
    splitter, source, begun = DaySplitter(of.contract), f"run {run.tape}", of.first == 0
    async for ticks in stored_prints(connection, of):
        for day, whole in splitter.take(ticks):
            if not begun:
                # The database keeps days of UTC: of the first trading day the evening before may be gone.
                _leave_out(done, of.contract, day, len(whole), "the database keeps no more than a part of it")
                begun = True
                continue
            done.days.append(put(catalog, imported(of.contract, day, whole, source, of.kept_out), replace=replace))
    for day, whole in splitter.finish():
        if of.prints == of.of:
            done.days.append(put(catalog, imported(of.contract, day, whole, source, of.kept_out), replace=replace))
        else:
            why = f"of {of.of:,} of its tape {of.prints:,} are stored" if of.of else "the run is in this day"
            _leave_out(done, of.contract, day, len(whole), why)
    for day, count in sorted(splitter.too_late.items()):
        _leave_out(done, of.contract, f"late for {day}", count, "they came when the day was over")
    if undated := of_day(of.kept_out, None):
        done.undated[of.contract] = undated


def _leave_out(done: Done, contract: ContractId, day: date | str, count: int, why: str) -> None:
    done.left_out[f"{contract} {day}"] = count
    progress(f"{contract} {day}: {counted(count, 'print')} so far, left out: {why}")
