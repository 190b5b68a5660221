"""A year of a busy contract from the catalog on disk to the result: prints, bars, signals, risk, account, paper market.

    python -m bench.backtest [DAYS] [--keep FOLDER]

Makes DAYS generated days (20 by default; 198 of them have 120 million prints) of 606,000 prints each, lead month after
lead month, with the history before each. Then it backtests `examples/mes-orderflow.yaml` on them in one process and in
one for each core. The digests must be equal. Seconds are of the clock, CPU seconds of all processes together. The
generated catalog is kept in FOLDER and used again where it is there.
"""

import argparse
import os
import resource
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np

from leadline.backtest.catalog_prints import CatalogPrints
from leadline.backtest.run import run_backtest
from leadline.catalog.catalog import Catalog
from leadline.ingestion.months import market_of
from leadline.ingestion.runs import previous_days, traded_days
from leadline.model.ids import ContractId
from leadline.model.manifest.manifests import load_manifests
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.market.contracts import resolve_contract
from leadline.model.ticks import TickColumns

ROOT: Final = "MES"
FIRST: Final = date(2025, 1, 13)
PRINTS_A_DAY: Final = 606_000
REGULAR: Final = 0.85
"""The share of a day's prints that lie in the regular session."""
MANIFESTS: Final = Path(__file__).parents[1] / "examples" / "mes-orderflow.yaml"


@dataclass(frozen=True, slots=True)
class Measured:
    """One backtest: seconds of the clock and of all processors, and the digest."""

    seconds: float
    cpu: float
    digest: str
    trades: int


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("days", nargs="?", type=int, default=20)
    parser.add_argument("--keep", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as scratch:
        folder = options.keep or Path(scratch)
        count = generate(Catalog(folder), options.days)
        size = sum(file.stat().st_size for file in folder.rglob("*.parquet"))
        workers = os.cpu_count() or 1
        found = {number: measure(folder, number) for number in dict.fromkeys((1, workers))}
    assert len({each.digest for each in found.values()}) == 1, "the digests differ"
    print(f"{options.days} days, {count:,} prints with their history, {size / count:.1f} bytes each")
    print()
    print("| processes | seconds | million prints/s | CPU seconds | trades | largest process, MB |")
    print("|---:|---:|---:|---:|---:|---:|")
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    for number, each in found.items():
        rate = count / each.seconds / 1e6
        print(f"| {number} | {each.seconds:.1f} | {rate:.1f} | {each.cpu:.1f} | {each.trades} | {peak:.0f} |")


def measure(folder: Path, workers: int) -> Measured:
    """One backtest of all days of a catalog."""
    strategies = [each for each in load_manifests(MANIFESTS) if isinstance(each, TradingStrategy)]
    accounts = [each for each in load_manifests(MANIFESTS) if isinstance(each, TradingAccount)]
    began, cpu = perf_counter(), processors()
    prints = CatalogPrints(folder, (ROOT,), FIRST)
    outcome = run_backtest(accounts, strategies, prints, FIRST, workers=workers)
    trades = sum(len(run.records.fills) for run in outcome.accounts.values()) // 2
    return Measured(perf_counter() - began, processors() - cpu, outcome.digest, trades)


def processors() -> float:
    """Seconds of processors that this process and those that it started and that have ended have used."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def generate(catalog: Catalog, count: int) -> int:
    """Put the days into a catalog that has them not yet; the number of all prints."""
    total = 0
    for contract, day in wanted(count):
        if not catalog.has(contract, day):
            catalog.write(contract, day, generated(contract, day), source="generated")
        total += catalog.day(contract, day).prints
    return total


def wanted(count: int) -> Iterable[tuple[ContractId, date]]:
    """The contract days: each traded day of its lead month, and five days of history before a month's first."""
    market = market_of(resolve_contract(ROOT, FIRST))
    found: dict[tuple[ContractId, date], None] = {}
    for day in traded_days(market, FIRST, count):
        contract = resolve_contract(ROOT, day)
        for each in (*previous_days(market, day, 5), day):
            found[contract, each] = None
    return sorted(found)


def generated(contract: ContractId, day: date) -> TickColumns:
    """A day of prints: a lazy random walk of the price, aggressors that go with it, sizes from 1 to 20."""
    random = np.random.default_rng([day.toordinal(), sum(contract.encode())])
    opens, closes = market_of(contract).market(day) or (0, 0)
    hour = 3_600_000_000_000
    regular = (closes - 7 * hour - hour // 2, closes - hour)
    inside = int(PRINTS_A_DAY * REGULAR)
    times = np.concatenate(
        [random.integers(*regular, inside), random.integers(opens, closes, PRINTS_A_DAY - inside)]
    ).astype(np.int64)
    times.sort()
    steps = random.choice(np.array([-1, 0, 0, 0, 0, 0, 0, 0, 0, 1]), PRINTS_A_DAY)
    side = np.where(steps != 0, steps, np.repeat(random.choice(np.array([-1, 1]), PRINTS_A_DAY // 6), 6)[:PRINTS_A_DAY])
    size = np.minimum(random.geometric(0.35, PRINTS_A_DAY), 20)
    price = 20_000 + np.cumsum(steps)
    return TickColumns(times, price.astype(np.int64), size.astype(np.int64), side.astype(np.int8))


if __name__ == "__main__":
    main()
