"""Prints through the whole stack as real processes, until the last is stored and the last bar is analysed.

    python -m bench.pipe [--prints 750000] [--rates 1000 10000] [--seconds 20] [--sessions 10] [--keep FOLDER]
                         [--output json]

`leadline up` on a generated session of so many prints, at full speed: ingestion, NATS, aggregation, analysis, risk,
execution with the paper venue, and the recorder, which stores each print in PostgreSQL. The time goes from the first
message on the bus to the later of two: the last print is stored, the last bar is analysed. Beside it: seconds of a
processor that each process used for a million prints.

Then the same live: a client pushes so many prints a second for so many seconds. The lag of a hop is the time from the
print's being handed to ingestion to the moment in which the bus has stored the message of that hop; that of the
recorder is the age of the oldest print that is not stored, asked for 50 times a second. Nothing may be lost.

At last memory: of a stack that waits for its feed, and of one that has played so many sessions (0: not at all).
"""

import argparse
import asyncio
import json
import sys
from datetime import date
from pathlib import Path
from time import time, time_ns
from typing import Any, Final

import numpy as np

from bench._whole_stack import CONTRACT, Pushed, Stack, load, memory, quantile, scratch, wait_until
from bench.backtest import FIRST, generated
from leadline.catalog.catalog import Catalog
from leadline.ingestion.months import market_of
from leadline.ingestion.runs import previous_days, traded_days
from leadline.model.market.contracts import resolve_contract
from leadline.model.subjects import BARS, SIGNALS, TICKS
from leadline.model.wire.bars import decode_bar
from leadline.model.wire.signals import decode_signal
from leadline.model.wire.ticks import decode_tick_batch

REPLAYED: Final = Path(__file__).with_name("pipe.yaml")
LIVE: Final = Path(__file__).with_name("latency.yaml")
LONGEST_SECONDS: Final = 300
SECONDS_TO_STORE: Final = 30
BAR_PRINTS: Final = 200
HISTORY_PRINTS: Final = 60_000
"""Prints of the session before the first, which warms the strategy up. They go the same way, and count."""
_STORED: Final = "SELECT coalesce(sum(last_index + 1), 0)::bigint FROM tick_position"
_STORED_ALL: Final = "SELECT coalesce(sum(last_index + 1), 0) >= $1 FROM tick_position"
_FINISHED: Final = "SELECT coalesce(bool_and(finished), false) FROM account_state"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--prints", type=int, default=750_000)
    parser.add_argument("--rates", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--output", choices=("text", "json"), default="text")
    parser.add_argument("--keep", type=Path, default=None)
    options = parser.parse_args()
    show = print if options.output == "text" else lambda *_, **__: None
    document: dict[str, Any] = {"machine": load()}
    show(document["machine"])
    with scratch() as folder:
        document["replay"] = replay(folder, options.keep or folder / "catalog", options.prints, 1)
        show_replay(document["replay"], show)
    document["live"] = []
    for rate in options.rates:
        with scratch() as folder:
            document["live"].append(live(folder, rate, options.seconds))
            show_live(document["live"][-1], show)
    if options.sessions:
        with scratch() as folder:
            document["memory"] = {"idle": idle(folder)}
            document["memory"]["sessions"] = options.sessions
            kept = options.keep or folder / "catalog"
            document["memory"]["after"] = replay(folder, kept, options.prints, options.sessions)["memory"]
        show_memory(document["memory"], show)
    if options.output == "json":
        json.dump(document, sys.stdout, indent=2)


def replay(folder: Path, kept: Path, prints: int, sessions: int) -> dict[str, Any]:
    """Play generated sessions at full speed. kept: where they are, or are put."""
    catalog = Catalog(kept)
    market = market_of(resolve_contract("MES", FIRST))
    days = list(traded_days(market, FIRST, sessions))
    for day, count in ((previous_days(market, FIRST, 1)[0], HISTORY_PRINTS), *((day, prints) for day in days)):
        contract = resolve_contract("MES", day)
        if not catalog.has(contract, day):
            catalog.write(contract, day, generated(contract, day, count), source="generated")
    feed = ("--feed", "catalog", "--catalog", kept, "--trade-from", FIRST, "--sessions", sessions)
    with Stack(folder / "stack", "-f", REPLAYED, *feed) as stack:
        return asyncio.run(_replayed(stack, HISTORY_PRINTS + prints * sessions, days))


async def _replayed(stack: Stack, prints: int, days: list[date]) -> dict[str, Any]:
    database = await stack.database()
    stored_s = 0.0
    async with asyncio.timeout(LONGEST_SECONDS):
        while not stored_s or not await database.fetchval(_FINISHED):
            if not stored_s and await database.fetchval(_STORED) == prints:
                stored_s = time()
            await asyncio.sleep(0.02)
    booked_s = time()
    assert await database.fetchval("SELECT count(*) FROM tick") == prints, "prints are missing"
    gaps = await database.fetchval("SELECT count(*) FROM tick_gap")
    assert gaps == 0, f"{gaps} gaps"
    await database.close()
    began_s = (await stack.messages(TICKS))[0][0] / 1e9
    said = [(at_ns / 1e9, decode_signal(payload)) for at_ns, payload in await stack.messages(SIGNALS)]
    analysed_s = max(at_s for at_s, message in said if message.bar is not None)
    ended_s = max(stored_s, analysed_s)
    await asyncio.sleep(0.3)
    used = stack.watch.between(began_s, max(ended_s, booked_s))
    return {
        "prints": prints,
        "days": len(days),
        "bars": sum(message.bar is not None for _, message in said),
        "seconds": ended_s - began_s,
        "prints_per_second": prints / (ended_s - began_s),
        "stored_seconds": stored_s - began_s,
        "analysed_seconds": analysed_s - began_s,
        "account_seconds": booked_s - began_s,
        "cpu_seconds_per_million": {name: each / prints * 1e6 for name, each in used.items()},
        "memory": memory(stack.data),
    }


def show_replay(found: dict[str, Any], show: Any) -> None:
    """The table of a replay."""
    show(
        f"\n{found['prints']:,} prints at full speed, {found['bars']} bars: {found['prints_per_second']:,.0f} prints/s"
    )
    show(f"last print stored after {found['stored_seconds']:.2f} s, last bar analysed after ", end="")
    show(f"{found['analysed_seconds']:.2f} s, account at the end after {found['account_seconds']:.2f} s\n")
    show("| process | CPU seconds a million prints |\n|---|---:|")
    for name, used in found["cpu_seconds_per_million"].items():
        show(f"| {name} | {used:.2f} |")
    show(f"| all | {sum(found['cpu_seconds_per_million'].values()):.2f} |", flush=True)


def live(folder: Path, rate: int, seconds: float) -> dict[str, Any]:
    """Push so many prints a second through a live stack."""
    with Stack(folder / "stack", "-f", LIVE, "--live", "--feed", "push") as stack:
        return asyncio.run(_live(stack, rate, seconds))


async def _live(stack: Stack, rate: int, seconds: float) -> dict[str, Any]:
    pushed, database = Pushed(rate, seconds), await stack.database()
    pushing, ages, began_s = asyncio.create_task(pushed.push(stack.data)), [], time()
    while not pushing.done():
        stored = await database.fetchval(_STORED)
        now_ns, sent = time_ns(), pushed.sent_ns
        ages.append((now_ns - sent[stored]) / 1e6 if stored < len(sent) else 0.0)
        await asyncio.sleep(0.02)
    answer, ended_s = await pushing, time()
    prints = len(pushed.sent_ns)
    await wait_until(lambda: database.fetchval(_STORED_ALL, prints), SECONDS_TO_STORE)
    stored = await database.fetchval("SELECT count(*) FROM tick")
    assert answer.accepted == stored == prints, f"{prints} pushed, {answer.accepted} accepted, {stored} stored"
    bars = await database.fetchval("SELECT count(*) FROM candle")
    await database.close()
    lags: dict[str, list[float]] = {"prints on the bus": [], "bar on the bus": [], "signals on the bus": []}
    for at_ns, payload in await stack.messages(TICKS):
        if len(times := decode_tick_batch(payload).ticks.time_ns):
            lags["prints on the bus"].append((at_ns - int(times[-1])) / 1e6)
    for at_ns, payload in await stack.messages(BARS):
        if (bar := decode_bar(payload).bar) is not None:
            lags["bar on the bus"].append((at_ns - bar.known_at_ns) / 1e6)
    for at_ns, payload in await stack.messages(SIGNALS):
        if (said := decode_signal(payload).bar) is not None:
            lags["signals on the bus"].append((at_ns - said.known_at_ns) / 1e6)
    lags["oldest print not stored"] = ages
    used = stack.watch.between(began_s, ended_s)
    return {
        "rate": rate,
        "seconds": ended_s - began_s,
        "prints": prints,
        "lost": prints - stored,
        "bars": bars,
        "bars_of_all": prints // BAR_PRINTS,
        "lag_ms": {
            name: {"p50": quantile(each, 0.5), "p99": quantile(each, 0.99), "worst": float(np.max(each))}
            for name, each in lags.items()
        },
        "cpu_share": {name: each / (ended_s - began_s) for name, each in used.items()},
    }


def show_live(found: dict[str, Any], show: Any) -> None:
    """The tables of a rate."""
    show(f"\n{CONTRACT} live at {found['rate']:,} prints/s, {found['prints']:,} prints, {found['lost']} lost")
    show(f"{found['bars']} of {found['bars_of_all']} bars: what comes more than a second late is stored, and in none\n")
    show("| lag, ms | p50 | p99 | worst |\n|---|---:|---:|---:|")
    for name, lag in found["lag_ms"].items():
        show(f"| {name} | {lag['p50']:.1f} | {lag['p99']:.1f} | {lag['worst']:.1f} |")
    show("\n| process | share of a processor |\n|---|---:|")
    for name, share in found["cpu_share"].items():
        show(f"| {name} | {share:.1%} |")
    show(f"| all | {sum(found['cpu_share'].values()):.1%} |", flush=True)


def idle(folder: Path) -> dict[str, float]:
    """Memory of a live stack to which nobody pushes."""
    with Stack(folder / "stack", "-f", LIVE, "--live", "--feed", "push") as stack:
        asyncio.run(asyncio.sleep(5))
        return memory(stack.data)


def show_memory(found: dict[str, Any], show: Any) -> None:
    """The table of memory."""
    show(f"\n| process | MB idle | MB after {found['sessions']} sessions |\n|---|---:|---:|")
    for name in sorted({*found["idle"], *found["after"]}):
        show(f"| {name} | {found['idle'].get(name, 0):.0f} | {found['after'].get(name, 0):.0f} |")


if __name__ == "__main__":
    main()
