"""A sweep over days of the catalog, against as many backtests: what is worked out once, and what a variant costs.

    python -m bench.study [DAYS] [--keep FOLDER]

Sweeps 100 variants of `bench/year.yaml` (five strengths of the router, which change the signals, and twenty of slippage
and day target, which do not) over DAYS generated days (20 by default) of `bench.backtest`, in FOLDER where they are
kept. First in this process, with a count of each step that a backtest takes for a day; then `leadline study sweep` in
one process for each core, as a user does. Both must keep the same rows. A few of the variants are backtested one by one
beside it: their digests must be those of the sweep, and their CPU seconds are what a variant costs alone.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from functools import wraps
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any, Final
from unittest.mock import patch

from bench.backtest import FIRST, LOOK_SECONDS, MANIFESTS, ROOT, generate, look_at
from leadline.backtest import market
from leadline.backtest.account import AccountRun
from leadline.backtest.catalog_prints import CatalogPrints
from leadline.backtest.gathered import Gathered
from leadline.backtest.results import result_of
from leadline.backtest.run import run_backtest
from leadline.catalog.catalog import Catalog
from leadline.model.manifest.manifests import load_manifests
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.manifest.sweep import Variant, swept_field, variants_of
from leadline.model.manifest.sweep_spec import Sweep
from leadline.runtime.processors import processors
from leadline.study.sweep import Source, run_sweep

FIELDS: Final = (
    "strategy.spec.strategy.router.minStrength=0.3,0.4,0.5,0.6,0.7",
    "account.spec.paper.slippageTicks=0..3/1",
    "account.spec.limits.dayTarget=1000..5000/1000",
)
ALONE: Final = (1, 37, 64, 100)
"""Variants that are backtested one by one."""
STEPS: Final[tuple[tuple[Any, str, str], ...]] = (
    (CatalogPrints, "read", "prints of a day decoded"),
    (market, "day_bars", "bars of a contract day made"),
    (market, "day_signals", "signals of a day made"),
    (AccountRun, "go_on", "days of an account"),
)
"""Functions by where they are, with the step that each call is."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("days", nargs="?", type=int, default=20)
    parser.add_argument("--keep", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as scratch:
        folder = options.keep or Path(scratch)
        last = generate(Catalog(folder), options.days)[-1]
        variants = swept()
        alone = [one(variants[number - 1], folder, last) for number in ALONE]
        single = sum(cpu for cpu, _, _ in alone) / len(alone)
        counts, cpu, rows = here(variants, folder, last, Path(scratch) / "here")
        assert [rows[number] for number in ALONE] == [digest for _, digest, _ in alone], "the digests differ"
        print_steps(counts, alone[0][2], len(variants))
        print("| | processes | seconds | CPU seconds | a variant | of a backtest alone | memory, MB |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        print(f"| a backtest alone | 1 | | {single:.2f} | {single:.2f} | | |")
        each = cpu / len(variants)
        print(f"| the sweep in this process | 1 | | {cpu:.1f} | {each:.2f} | {each / single:.0%} | |", flush=True)
        workers = processors()
        seconds, cpu, memory, kept = command(folder, last, workers, Path(scratch) / "command")
        assert kept == files(Path(scratch) / "here"), "the rows differ"
        each = cpu / len(variants)
        used = f"{cpu:.1f} | {each:.2f} | {each / single:.0%}"
        print(f"| the command | {workers} | {seconds:.1f} | {used} | {memory:.0f} |")


def swept() -> tuple[Variant, ...]:
    """The variants."""
    manifests = load_manifests(MANIFESTS)
    accounts = [each for each in manifests if isinstance(each, TradingAccount)]
    strategies = [each for each in manifests if isinstance(each, TradingStrategy)]
    return variants_of(Sweep(fields=tuple(map(swept_field, FIELDS))), accounts, strategies)


def one(variant: Variant, folder: Path, last: date) -> tuple[float, str, Counter[str]]:
    """One backtest: CPU seconds, digest, and how often it took each step."""
    prints = CatalogPrints(folder, (ROOT,), FIRST)
    with counted() as counts:
        began, gathered = process_time(), Gathered(variant.strategies)
        outcome = run_backtest(variant.accounts, variant.strategies, prints, FIRST, last, gathered.seen)
        digest = result_of(outcome, gathered).digest
        return process_time() - began, digest, Counter(counts)


def here(
    variants: Sequence[Variant], folder: Path, last: date, root: Path
) -> tuple[Counter[str], float, dict[int, str]]:
    """The sweep in this process: how often it took each step, CPU seconds, and the digest of each variant."""
    prints = CatalogPrints(folder, (ROOT,), FIRST)
    with counted() as counts:
        began = process_time()
        found = run_sweep(
            variants, range(len(variants)), Source(prints, FIRST, last, "catalog", {}), 1, root, lambda _line: None
        )
        cpu = process_time() - began
    return counts, cpu, {row.number: row.digest for row in found.rows}


def command(folder: Path, last: date, workers: int, root: Path) -> tuple[float, float, float, dict[str, bytes]]:
    """`leadline study sweep`: seconds, CPU seconds, memory in MB, and the rows that it keeps."""
    leadline = Path(sys.executable).with_name("leadline")
    feed = ("--feed", "catalog", "--catalog", str(folder), "--from", str(FIRST), "--to", str(last))
    fields = (word for field in FIELDS for word in ("--set", field))
    options = ("--workers", workers, "--folder", root)
    words = (leadline, "study", "sweep", "-f", MANIFESTS, *fields, *feed, *options)
    began, used, most = perf_counter(), dict[int, float](), 0.0
    with subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, look_at(process.pid, used))
            sleep(LOOK_SECONDS)
    assert process.returncode == 0, "the sweep failed"
    return perf_counter() - began, sum(used.values()), most / 2**20, files(root)


def files(root: Path) -> dict[str, bytes]:
    """The kept rows of the one sweep of a folder."""
    return {path.name: path.read_bytes() for path in sorted(root.glob("*/variants/*.json"))}


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """The number of calls of each step within."""
    counts: Counter[str] = Counter()

    def watched(function: Callable[..., Any], step: str) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            counts[step] += 1
            return function(*args, **options)

        return call

    with ExitStack() as stack:
        for owner, name, step in STEPS:
            stack.enter_context(patch.object(owner, name, watched(getattr(owner, name), step)))
        yield counts


def print_steps(swept: Counter[str], alone: Counter[str], variants: int) -> None:
    """Print how often each step was taken."""
    print(f"{variants} variants, by steps in one process")
    print()
    print("| step | a backtest | as many backtests | the sweep | share |")
    print("|---|---:|---:|---:|---:|")
    for _, _, step in STEPS:
        many = alone[step] * variants
        print(f"| {step} | {alone[step]} | {many:,} | {swept[step]:,} | {swept[step] / many:.1%} |")
    print(flush=True)


if __name__ == "__main__":
    main()
