"""A year of a busy contract from the catalog on disk to the result: prints, bars, signals, risk, account, paper market.

    python -m bench.backtest [DAYS] [--keep FOLDER]

Makes DAYS generated days (20 by default; 198 of them have 120 million prints) of 606,000 prints each, lead month after
lead month, with the history before each, in a catalog: in FOLDER, where they are kept and used again, or in a folder
that goes. Then it runs `leadline backtest` of `bench/year.yaml` on them, as a user does, in one process and in one for
each core: all detectors, the regime, tiers, digest and results. The documents must be equal. Seconds are of the clock,
from the start of the command to its end, CPU seconds of all its processes together, and memory is the largest sum of
what they had at one time (proportional set size: what they share counts once).

A second table takes the first days through this process with a clock at each stage.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import wraps
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any, Final

import numpy as np
import psutil

from leadline.backtest import market
from leadline.backtest.account import AccountRun
from leadline.backtest.catalog_prints import CatalogPrints
from leadline.backtest.digest import RunningDigest
from leadline.backtest.gathered import Gathered
from leadline.backtest.results import result_of
from leadline.backtest.run import run_backtest
from leadline.catalog.catalog import Catalog
from leadline.ingestion.months import market_of
from leadline.ingestion.runs import previous_days, traded_days
from leadline.model.ids import ContractId
from leadline.model.manifest.manifests import load_manifests
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.market.contracts import resolve_contract
from leadline.model.ticks import TickColumns
from leadline.runtime.processors import processors

ROOT: Final = "MES"
FIRST: Final = date(2025, 1, 13)
PRINTS_A_DAY: Final = 606_000
REGULAR: Final = 0.85
"""The share of a day's prints that lie in the regular session."""
MANIFESTS: Final = Path(__file__).with_name("year.yaml")
LOOK_SECONDS: Final = 0.1
STAGE_DAYS: Final = 20
"""Days that are taken through the stages."""
STAGES: Final[tuple[tuple[Any, str, str], ...]] = (
    (CatalogPrints, "read", "decode"),
    (market, "day_bars", "bars"),
    (market, "day_signals", "signals"),
    (market, "line_of", "digest"),
    (market, "bar_row", "digest"),
    (market, "signal_row", "digest"),
    (RunningDigest, "bars", "digest"),
    (RunningDigest, "said", "digest"),
    (RunningDigest, "booked", "digest"),
    (RunningDigest, "complete", "digest"),
    (RunningDigest, "finish", "digest"),
    (AccountRun, "go_on", "account"),
    (Gathered, "seen", "results"),
)
"""Functions by where they are, with the stage that each is a part of."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One backtest: seconds of the clock and of all processors, memory in MB, and its document."""

    seconds: float
    cpu: float
    memory: float
    document: str


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("days", nargs="?", type=int, default=20)
    parser.add_argument("--keep", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as scratch:
        folder = options.keep or Path(scratch)
        days = generate(Catalog(folder), options.days)
        found = {number: measure(folder, days[-1], number) for number in dict.fromkeys((1, processors()))}
        assert len({each.document for each in found.values()}) == 1, "the results differ"
        document = json.loads(found[1].document)
        (account,) = document["accounts"]
        trades, decisions = account["trade_count"], account["decisions"]
        print(f"{document['days']} days, {document['prints']:,} prints with their history, ", end="")
        print(f"{decisions:,} decisions, {trades:,} trades, digest {document['digest'][:8]}", end="\n\n")
        print("| processes | seconds | million prints/s | CPU seconds | memory, MB |")
        print("|---:|---:|---:|---:|---:|")
        for number, each in found.items():
            rate = document["prints"] / each.seconds / 1e6
            print(f"| {number} | {each.seconds:.1f} | {rate:.1f} | {each.cpu:.1f} | {each.memory:.0f} |")
        print(flush=True)
        print_stages(folder, days[:STAGE_DAYS][-1])


def measure(folder: Path, last: date, workers: int) -> Measured:
    """One `leadline backtest` of all days of a catalog up to one."""
    leadline = Path(sys.executable).with_name("leadline")
    feed = ("--feed", "catalog", "--catalog", str(folder), "--from", str(FIRST), "--to", str(last))
    options = ("--workers", str(workers), "--output", "json")
    began, used, most = perf_counter(), dict[int, float](), 0.0
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryFile("w+") as output:
        command = (leadline, "backtest", "-f", str(MANIFESTS), *feed, *options, "--data-dir", data)
        process = subprocess.Popen(command, stdout=output)
        while process.poll() is None:
            most = max(most, look_at(process.pid, used))
            sleep(LOOK_SECONDS)
        seconds = perf_counter() - began
        output.seek(0)
        document = output.read()
    assert process.returncode == 0, "the backtest failed"
    return Measured(seconds, sum(used.values()), most / 2**20, document)


def look_at(pid: int, used: dict[int, float]) -> float:
    """Bytes of a process and those that it has started; what they share counts once. Notes what each of them has used.

    used: seconds of processors by process; the last `LOOK_SECONDS` of each may be missing.
    """
    total = 0
    with suppress(psutil.Error):
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            with suppress(psutil.Error):
                used[process.pid] = sum(process.cpu_times()[:2])
                total += process.memory_full_info().pss
    return total


def print_stages(folder: Path, last: date) -> None:
    """A backtest of the days up to one in this process, and what each stage has taken."""
    clock = Clock()
    for owner, name, stage in STAGES:
        clock.watch(owner, name, stage)
    strategies = [each for each in load_manifests(MANIFESTS) if isinstance(each, TradingStrategy)]
    accounts = [each for each in load_manifests(MANIFESTS) if isinstance(each, TradingAccount)]
    began, gathered = process_time(), Gathered(strategies)
    outcome = run_backtest(
        accounts, strategies, CatalogPrints(folder, (ROOT,), FIRST), FIRST, last, gathered.seen, workers=1
    )
    clock.run("results", lambda: result_of(outcome, gathered))
    whole, days = process_time() - began, len(outcome.days.traded)
    print(f"{days} days by stages, in one process; CPU time")
    print()
    print("| stage | ms a day | share | million prints/s |")
    print("|---|---:|---:|---:|")
    rest = whole - sum(clock.seconds.values())
    for stage, seconds in (*clock.seconds.items(), ("the rest", rest), ("all", whole)):
        rate = outcome.days.prints / seconds / 1e6
        print(f"| {stage} | {seconds / days * 1e3:.1f} | {seconds / whole:.0%} | {rate:,.0f} |")


class Clock:
    """CPU seconds of this process by stage; a stage within another is not counted in that."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner = 0.0

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Count the calls of a function, where it is looked up, as a stage."""
        function = getattr(owner, name)
        watched = self._coroutine if function.__code__.co_flags & 0x80 else self._function
        setattr(owner, name, watched(function, stage))

    def run(self, stage: str, work: Callable[[], Any]) -> None:
        """Count one call."""
        self._function(work, stage)()

    def _function(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @wraps(function)
        def counted(*args: Any, **options: Any) -> Any:
            began, outer, self._inner = process_time(), self._inner, 0.0
            try:
                return function(*args, **options)
            finally:
                self._count(stage, process_time() - began, outer)

        return counted

    def _coroutine(self, function: Callable[..., Awaitable[Any]], stage: str) -> Callable[..., Awaitable[Any]]:
        @wraps(function)
        async def counted(*args: Any, **options: Any) -> Any:
            began, outer, self._inner = process_time(), self._inner, 0.0
            try:
                return await function(*args, **options)
            finally:
                self._count(stage, process_time() - began, outer)

        return counted

    def _count(self, stage: str, seconds: float, outer: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds - self._inner
        self._inner = outer + seconds


def generate(catalog: Catalog, count: int) -> list[date]:
    """Put what a catalog has not yet of so many days, and of their history, into it; the days."""
    days = wanted(count)
    for place, (contract, day) in enumerate(days):
        if not catalog.has(contract, day):
            print(f"\rmaking day {place + 1} of {len(days)}", end="", file=sys.stderr, flush=True)
            catalog.write(contract, day, generated(contract, day), source="generated")
    print(file=sys.stderr)
    return list(traded_days(market_of(resolve_contract(ROOT, FIRST)), FIRST, count))


def wanted(count: int) -> list[tuple[ContractId, date]]:
    """The contract days: each traded day of its lead month, and five days of history before a month's first."""
    market = market_of(resolve_contract(ROOT, FIRST))
    found: dict[tuple[ContractId, date], None] = {}
    for day in traded_days(market, FIRST, count):
        contract = resolve_contract(ROOT, day)
        for each in (*previous_days(market, day, 5), day):
            found[contract, each] = None
    return sorted(found)


def generated(contract: ContractId, day: date, prints: int = PRINTS_A_DAY) -> TickColumns:
    """A day of so many prints: a lazy random walk of the price, aggressors that go with it, sizes from 1 to 20."""
    random = np.random.default_rng([day.toordinal(), sum(contract.encode())])
    opens, closes = market_of(contract).market(day) or (0, 0)
    hour = 3_600_000_000_000
    regular = (closes - 7 * hour - hour // 2, closes - hour)
    inside = int(prints * REGULAR)
    times = np.concatenate([random.integers(*regular, inside), random.integers(opens, closes, prints - inside)]).astype(
        np.int64
    )
    times.sort()
    steps = random.choice(np.array([-1, 0, 0, 0, 0, 0, 0, 0, 0, 1]), prints)
    side = np.where(steps != 0, steps, np.repeat(random.choice(np.array([-1, 1]), prints // 6), 6)[:prints])
    size = np.minimum(random.geometric(0.35, prints), 20)
    price = 20_000 + np.cumsum(steps)
    return TickColumns(times, price.astype(np.int64), size.astype(np.int64), side.astype(np.int8))


if __name__ == "__main__":
    main()
