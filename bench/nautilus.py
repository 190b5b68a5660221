"""One order-flow strategy over one session of prints, in Leadline and in NautilusTrader: fills, speed, memory.

    python -m bench.nautilus [--trades N] [--rounds N] [--python PATH] [--keep FOLDER]

A tape of N generated trades (2,000,000 by default) of one regular session: a random walk with sweeps. Both read it,
make a footprint of each five minutes, enter at the market on three stacked imbalances (300 %, an empty other side
counts as 0, at least 10 contracts) with a stop of 16 and a target of 24 ticks, one contract at a time, and close before
the session does. Leadline fills by the rule of its name for that version (docs/reference/venues.md). The fills must be
the same, price by price, and the result to the cent; else the differences are shown and the bench fails.

NautilusTrader is installed by pip in an environment of its own (~/.cache/leadline/nautilus-PYTHON, some 600 MB; without
that folder it is made anew), the newest release that the Python of that environment can have: the newest Python that is
found, or the one of --python. Each run is a process of its own; the two take turns, and the medians of the rounds are
shown.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import zip_longest
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np

from leadline.model.ids import ContractId
from leadline.model.market.contracts import instrument_of
from leadline.model.market.sessions import calendar_of
from scripts.pythons import environment, pythons, version_of

CONTRACT: Final = ContractId("MESH2025")
DAY: Final = date(2025, 3, 4)
SEED: Final = 20_250_304
AGAINST: Final = 0.02
"""Share of the prints at a new price whose aggressor is the one who would not have moved it there."""
SWEEP: Final = 24
"""Prints of a sweep, each a tick further than the one before."""
SWEEPS: Final = 1_000
"""Prints for each of which there is one sweep in so many."""
SHOWN: Final = 20
HERE: Final = Path(__file__).parent

Fill = tuple[str, str, int, str, int]
"""Kind of the order, side, contracts, price, time in ns UTC."""


@dataclass(frozen=True, slots=True)
class Run:
    """One process: the seconds and CPU seconds of its backtest, the seconds before it, those of all; its peak in MB."""

    engine: str
    seconds: float
    cpu: float
    build: float
    whole: float
    peak: float
    net: str
    fills: tuple[Fill, ...]


def main() -> int:
    """Print the tables; 1 where the fills differ."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trades", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", default=None, help="the Python that runs NautilusTrader")
    parser.add_argument("--keep", type=Path, default=None, help="a folder for the tape and the results")
    options = parser.parse_args()
    found = pythons()
    python = nautilus(options.python or found[max(found)])
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        tape = folder / "tape.npz"
        write_tape(tape, options.trades)
        strategy = (str(python), "-P", "-W", "ignore", str(HERE / "_nautilus_strategy.py"))
        own = (sys.executable, "-m", "bench._leadline_run")
        theirs, ours = [], []
        for _ in range(options.rounds):
            theirs.append(run(strategy, tape, folder / "nautilus.json"))
            ours.append(run(own, tape, folder / "leadline.json"))
    return report(theirs, ours, options.trades)


def nautilus(python: str) -> Path:
    """The Python of an environment that has NautilusTrader."""

    def fill(inside: Path) -> None:
        if subprocess.run([inside, "-m", "pip", "install", "--quiet", "nautilus_trader"], check=False).returncode:
            sys.exit(f"bench.nautilus: pip could not install nautilus_trader for {python} (above)")

    return environment(f"nautilus-{version_of(python)}", python, fill)


def write_tape(path: Path, count: int) -> None:
    """One session of trades: a lazy random walk by ticks, aggressors that last and mostly go with it, sizes 1 to 20."""
    random = np.random.default_rng(SEED)
    hours = instrument_of(CONTRACT).sessions["rth"]
    session = calendar_of(instrument_of(CONTRACT), hours).session(DAY, hours)
    assert session is not None
    room = session.close_ns - session.open_ns
    # No two trades share an instant, so that no engine has to say which of them came first.
    times = session.open_ns + np.sort(random.choice(room // 1000, count, replace=False)).astype(np.int64) * 1000
    steps = random.choice(np.array([-1, 0, 0, 1]), count)
    for start in random.choice(count - SWEEP, count // SWEEPS, replace=False):
        steps[start : start + SWEEP] = random.choice(np.array([-1, 1]))
    lasting = np.repeat(random.choice(np.array([-1, 1]), count // 12 + 1), 12)[:count]
    against = np.where(random.random(count) < AGAINST, -1, 1)
    np.savez(
        path,
        time_ns=times,
        price=(20_000 + np.cumsum(steps)).astype(np.int64),
        size=np.minimum(random.geometric(0.25, count), 20).astype(np.int64),
        aggressor=np.where(steps != 0, steps * against, lasting).astype(np.int8),
        session=np.array([session.open_ns, session.close_ns]),
    )


def run(command: Sequence[str], tape: Path, result: Path) -> Run:
    """A run in a process of its own."""
    began = perf_counter()
    subprocess.run([*command, str(tape), str(result)], check=True)
    whole = perf_counter() - began
    found = json.loads(result.read_bytes())
    return Run(**{**found, "whole": whole, "fills": tuple(tuple(each) for each in found["fills"])})


def report(theirs: Sequence[Run], ours: Sequence[Run], trades: int) -> int:
    """Print the figures and whatever differs; 1 where something does."""
    assert len({each.fills for each in theirs}) == len({each.fills for each in ours}) == 1, "two runs of one differ"
    print(f"{trades:,} trades of one session; medians of {len(ours)} runs in turns")
    print()
    print("| engine | fills | net | s | M trades/s | CPU s | whole process, s | peak MB |")
    print("|:---|---:|---:|---:|---:|---:|---:|---:|")
    medians = [[_median(runs, name) for name in ("seconds", "cpu", "whole", "peak")] for runs in (theirs, ours)]
    for runs, (seconds, cpu, whole, peak) in zip((theirs, ours), medians, strict=True):
        one = runs[0]
        rate = trades / seconds / 1e6
        print(
            f"| {one.engine} | {len(one.fills)} | {one.net} | {seconds:.3f} | {rate:.2f} | {cpu:.3f} | {whole:.2f} |"
            f" {peak:.0f} |"
        )
    seconds, cpu, whole, peak = (theirs_ / ours_ for theirs_, ours_ in zip(*medians, strict=True))
    print(f"| ratio | | | {seconds:.0f} | | {cpu:.0f} | {whole:.1f} | {peak:.1f} |")
    print()
    return compare(theirs[0], ours[0])


def compare(theirs: Run, ours: Run) -> int:
    """Whether the fills and the results are the same; a table of those that are not.

    The time of an exit by stop or target counts too. A fill at the market is booked by Leadline with the print after.
    """
    pairs = [
        (number, left, right)
        for number, (left, right) in enumerate(zip_longest(theirs.fills, ours.fills), start=1)
        if left is None or right is None or compared(left) != compared(right)
    ]
    if not pairs and float(theirs.net) == float(ours.net):
        print(f"{len(ours.fills)} fills are the same, price by price, and so is the result to the cent.")
        return 0
    print(f"{len(pairs)} fills differ; the result is {theirs.net} in NautilusTrader and {ours.net} in Leadline.")
    print()
    print("| fill | NautilusTrader | Leadline |")
    print("|---:|:---|:---|")
    for number, left, right in pairs[:SHOWN]:
        print(f"| {number} | {_shown(left)} | {_shown(right)} |")
    return 1


def compared(fill: Fill) -> tuple[object, ...]:
    """The parts of a fill that are compared."""
    kind, side, quantity, price, time_ns = fill
    return (kind, side, quantity, price, None if kind == "market" else time_ns)


def _shown(fill: Fill | None) -> str:
    return "none" if fill is None else " ".join(map(str, fill))


def _median(runs: Sequence[Run], name: str) -> float:
    return float(statistics.median(getattr(each, name) for each in runs))


if __name__ == "__main__":
    sys.exit(main())
