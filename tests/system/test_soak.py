"""A simulated week of a live platform: the disk and the memory that it takes do not grow with the days."""

import asyncio
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import psutil
import pytest

from leadline.local.local_postgres import LocalPostgres
from leadline.runtime.database import connect
from leadline.schema.retention import keep
from tests.system.stack_run import MES
from tests.system.test_live import RATE, live, rows

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

DAYS: Final = 7
MIB: Final = 1 << 20
NEWEST: Final = "SELECT to_timestamp(max(last_ns) / 1e9)::date AS day FROM tick_block"


async def test_a_week_takes_no_more_disk_and_memory_than_its_last_days(tmp_path: Path) -> None:
    manifest = tmp_path / "mes.yaml"
    manifest.write_text(MES.read_text().replace("  bars: 5m", "  history: 1\n  bars: 1m"))
    data_dir = tmp_path / "data"
    memory: list[dict[str, int]] = []
    partitions: list[int] = []
    async with live(manifest, data_dir):
        await ages(data_dir, ticks=1, footprints=1)
        day = await newest(data_dir)
        for number in range(DAYS):
            day = await until(data_dir, day + timedelta(1))
            memory.append(resident(data_dir))
            (found,) = await rows(data_dir, "SELECT count(*) AS n FROM market_partition WHERE of_table = 'tick_block'")
            partitions.append(found["n"])
            sys.stdout.write(f"day {number + 1}: {day}, {partitions[-1]} partitions of prints, MiB {memory[-1]}\n")
            if number == DAYS // 2:
                kill(data_dir, "aggregation")
        kept = await rows(data_dir, "SELECT begins FROM market_partition WHERE of_table = 'tick_block' ORDER BY begins")
        bars = await rows(data_dir, "SELECT trading_day, count(*) AS n, sum(gap::int) AS gaps FROM candle GROUP BY 1")
    # Two days ahead, today, the day before, and at the most two that the recorder has not come to drop.
    assert partitions[-1] <= 6, partitions
    assert kept[0]["begins"] >= day - timedelta(4)
    # Bars are kept for ever, and the killed builder went on without a hole.
    whole = sorted(bars, key=lambda row: row["trading_day"])[1:-1]
    assert {(row["n"], row["gaps"]) for row in whole if row["trading_day"].weekday() < 5} <= {(390, 0), (210, 0)}, whole
    assert len(whole) >= DAYS - 3
    for service, most in memory[-1].items():
        settled = max(each[service] for each in memory[1:3])
        assert most <= settled * 1.25 + 15, f"{service} had {settled} MiB on the third day and has {most}"


async def newest(data_dir: Path) -> date:
    """The day of the newest print."""
    async with asyncio.timeout(300):
        while True:
            (row,) = await rows(data_dir, NEWEST)
            if row["day"] is not None:
                day: date = row["day"]
                return day
            await asyncio.sleep(0.5)


async def until(data_dir: Path, wanted: date) -> date:
    """The day of the newest print when it is one or later. A weekend has none."""
    async with asyncio.timeout(4 * 86_400 / RATE + 120):
        while True:
            if (day := await newest(data_dir)) >= wanted:
                return day
            await asyncio.sleep(0.5)


async def ages(data_dir: Path, **days: int) -> None:
    connection = await connect(LocalPostgres(data_dir / "postgres").settings("supervisor"), "test")
    try:
        await keep(connection, days)
    finally:
        await connection.close()


def services(data_dir: Path) -> dict[str, psutil.Process]:
    """The processes of a stack's services, by name."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "leadline.cli.service" in words and any(str(data_dir) in word for word in words):
            found[words[words.index("leadline.cli.service") + 1]] = process
    return found


def resident(data_dir: Path) -> dict[str, int]:
    """Resident memory of each service, MiB."""
    return {name: process.memory_info().rss // MIB for name, process in sorted(services(data_dir).items())}


def kill(data_dir: Path, service: str) -> None:
    services(data_dir)[service].kill()
