"""A live platform on the simulated market: days pass, the account rolls with them, and a second start goes on."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from leadline.local.local_postgres import LocalPostgres
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of
from leadline.runtime.database import connect
from tests.system.stack_run import MES, STARTED, last_words

# A trading day passes in half a minute.
RATE = 2880
LONGEST_SECONDS = 150
CME = calendar("cme")

pytestmark = pytest.mark.timeout(400)


@contextlib.asynccontextmanager
async def live(manifest: Path, data_dir: Path) -> AsyncIterator[str]:
    """A live platform that trades; yields its sentence about the tape. Told to stop at the end, which it does well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "leadline.cli.main", "up", "-f", str(manifest), "--data-dir", str(data_dir)),
        *("--live", "--shift-session", "--speed", str(RATE), "--no-live"),
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            while not said or STARTED not in said[-1]:
                said.append((await process.stderr.readline()).decode())
                assert said[-1], "".join(said)
        rest = asyncio.create_task(process.stderr.read())
        yield said[-1]
        process.send_signal(signal.SIGINT)
        said.append((await asyncio.wait_for(rest, 60)).decode())
        assert await process.wait() == 0, "".join(said) + last_words(data_dir)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def rows(data_dir: Path, sql: str) -> list[Any]:
    connection = await connect(LocalPostgres(data_dir / "postgres").settings("reader"), "test")
    try:
        found: list[Any] = await connection.fetch(sql)
    finally:
        await connection.close()
    return found


async def until_day(data_dir: Path, after: date, days: int) -> date:
    """The account's trading day when it is so many after another."""
    async with asyncio.timeout(LONGEST_SECONDS):
        while True:
            (row,) = await rows(data_dir, "SELECT trading_day FROM account_state WHERE tape = 'live'")
            if sum(CME.market(date.fromordinal(n)) is not None for n in between(after, row["trading_day"])) >= days:
                day: date = row["trading_day"]
                return day
            await asyncio.sleep(0.5)


def between(after: date, until: date) -> range:
    """The ordinals of the days behind one, up to another."""
    return range(after.toordinal() + 1, until.toordinal() + 1)


async def status(data_dir: Path) -> Any:
    return await told(data_dir, "status")


async def told(data_dir: Path, *words: str) -> Any:
    """What a command says of a data directory, as JSON."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "leadline.cli.main", *words, "--data-dir", str(data_dir), "--output", "json"),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return json.loads(out)


async def test_days_roll_on_a_live_tape_and_a_second_start_goes_on_with_it(tmp_path: Path) -> None:
    manifest = tmp_path / "mes.yaml"
    manifest.write_text(MES.read_text().replace("  bars: 5m", "  history: 1\n  bars: 5m"))
    data_dir = tmp_path / "data"
    async with live(manifest, data_dir) as began:
        assert "it has no end" in began
        (run,) = await rows(data_dir, "SELECT details, finished_at FROM run WHERE tape = 'live'")
        first = date.fromisoformat(run["details"]["trade_from"])
        second = await until_day(data_dir, first, 2)
        found = await status(data_dir)
        replayed = await told(data_dir, "digest", "--tape", "live", "--day", str(first), "--replay")
    assert found["feed"]["sources"][0]["state"] in {"connected", "closed"}
    assert found["feed"]["contracts"][0]["gaps"] == 0
    # The day is worked out anew from what was recorded: where nothing came between, to the last line.
    compared = {each["kind"]: each for each in replayed["kinds"]}
    for kind in ("bar", "signal"):
        assert compared[kind]["live"] > 0
        assert (compared[kind]["only_live"], compared[kind]["only_replay"]) == (0, 0), replayed
    assert replayed["equal"] or replayed["between"], replayed

    postgres = LocalPostgres(data_dir / "postgres")
    postgres.start()
    try:
        traded = await rows(data_dir, "SELECT ts_ns FROM fill WHERE tape = 'live' ORDER BY ts_ns")
        held = await rows(data_dir, "SELECT quantity FROM position WHERE tape = 'live' AND quantity <> 0")
        decided = await rows(data_dir, "SELECT DISTINCT trading_day FROM decision WHERE tape = 'live'")
    finally:
        postgres.stop()
    hours = instrument_of("MESZ2026").sessions["rth"]
    assert traded
    # Flat before each close: nothing is filled outside a session, and nothing is held between two.
    assert all(CME.session_at(row["ts_ns"], hours) is not None for row in traded)
    assert held == []
    assert len({row["trading_day"] for row in decided}) >= 2

    async with live(manifest, data_dir) as again:
        assert f"which began on {first}" in again
        await until_day(data_dir, second, 1)
        stored = await rows(
            data_dir, "SELECT count(*) AS prints, max(source_index) AS last, min(source_index) AS first FROM tick"
        )
        bars = await rows(data_dir, "SELECT trading_day, count(*) AS bars FROM candle GROUP BY 1 ORDER BY 1")
    assert stored[0]["prints"] == stored[0]["last"] + 1
    assert stored[0]["first"] == 0
    whole = {row["trading_day"]: row["bars"] for row in bars}
    assert all(whole[day] == 78 for day in whole if first <= day <= second and not is_short(day))


def is_short(day: date) -> bool:
    return day in CME.early_close
