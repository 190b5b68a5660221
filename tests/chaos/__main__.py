"""Faults on a live platform of real processes, and a table of what they did.

    python -m tests.chaos [--faults NAMES] [--times N] [--seed N] [--folder PATH] [--output text|json]

NAMES are separated by commas, and a name may end in `*`. Without it every fault is done. Progress goes to standard
error. Exit code 1: something did not hold; the logs and ledgers of such a round are kept in the folder.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.chaos.faults import Fault, all_faults
from tests.chaos.platform import SPEED
from tests.chaos.recovery import percentile
from tests.chaos.runner import Round, Runner, Tally

DUPLICATES = frozenset({"duplicate", "crossed", "invented"})
LOST = frozenset({"lost", "fill"})
COLUMNS = (
    ("fault", 44),
    ("times", 5),
    ("duplicates", 10),
    ("lost fills", 10),
    ("book = venue", 12),
    ("given up", 8),
    ("without stop, s", 15),
    ("ready p50/p99, s", 16),
    ("trading p50/p99, s", 18),
    ("failed", 6),
)


def chosen(names: str) -> list[Fault]:
    """The faults of these names and patterns. Raises SystemExit for one that fits none."""
    known = all_faults()
    found: dict[str, Fault] = {}
    for name in names.split(","):
        fits = {each: fault for each, fault in known.items() if fnmatchcase(each, name)}
        if not fits:
            raise SystemExit(f"--faults {name}: expected some of {', '.join(known)}")
        found |= fits
    return list(found.values())


def row(what: str, rounds: Sequence[Round]) -> tuple[str, ...]:
    """A fault's line of the table."""
    kinds = [wrong.kind for each in rounds for wrong in each.wrong]
    other = [kind for kind in kinds if kind not in DUPLICATES | LOST | {"healed", "calm", "market", "halt"}]
    ready = [each.recovered.ready_s for each in rounds if each.recovered.ready_s is not None]
    trading = [each.recovered.trading_s for each in rounds if each.recovered.trading_s is not None]
    bare = max((each.recovered.bare_s for each in rounds), default=0.0)
    return (
        what,
        f"{len(rounds)}",
        f"{sum(kind in DUPLICATES for kind in kinds)}",
        f"{sum(kind in LOST for kind in kinds)}",
        "no" if other else "yes",
        f"{sum(each.given_up for each in rounds)}",
        f"{bare:.2f}",
        _both(ready),
        _both(trading),
        f"{sum(bool(each.wrong) for each in rounds)}",
    )


def _both(values: Sequence[float]) -> str:
    return f"{percentile(values, 0.5):.1f} / {percentile(values, 0.99):.1f}" if values else "never"


def table(faults: Sequence[Fault], tally: Tally) -> str:
    """The table as Markdown."""
    lines = [tuple(name for name, _ in COLUMNS), tuple("---" for _ in COLUMNS)]
    for fault in faults:
        rounds = [each for each in tally.rounds if each.fault == fault.name]
        if rounds:
            lines.append(row(fault.what, rounds))
    traded = f"{len(tally.rounds)} faults on {tally.platforms} platforms, {tally.orders} orders, {tally.fills} fills"
    return "\n".join(["| " + " | ".join(line) + " |" for line in lines] + ["", traded])


def document(faults: Sequence[Fault], tally: Tally) -> dict[str, Any]:
    """The table and every round as plain values."""
    names = [name for name, _ in COLUMNS]
    rows = {
        fault.name: dict(zip(names, row(fault.what, rounds), strict=True))
        for fault in faults
        if (rounds := [each for each in tally.rounds if each.fault == fault.name])
    }
    return {"table": rows, **tally.document()}


async def until_told(work: Coroutine[Any, Any, Tally]) -> None:
    """Work that SIGTERM ends as Ctrl-C does, so that no platform is left behind."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


def main() -> int:
    """Run what was asked for; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", default="*", help="names of faults, as `kill-*,rival`")
    parser.add_argument("--times", type=int, default=20, help="how often each one is done")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn")
    parser.add_argument("--speed", type=int, default=SPEED, help="seconds of the tape in a second")
    parser.add_argument(
        "--patience", type=float, default=1.0, help="of a busy machine: all may take so many times as long"
    )
    parser.add_argument("--folder", type=Path, help="where platforms run, and what failed is kept")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    parser.add_argument("--list", action="store_true", help="name the faults, and do nothing")
    given = parser.parse_args()
    faults = chosen(given.faults)
    if given.list:
        sys.stdout.write("".join(f"{fault.name:20} {fault.what}\n" for fault in faults))
        return 0
    folder = given.folder or Path(tempfile.mkdtemp(prefix="leadline-chaos-"))
    runner = Runner(folder, given.seed, speed=given.speed, patience=given.patience)
    try:
        asyncio.run(until_told(runner.run(faults, given.times)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("stopped\n")
    finally:
        found = document(faults, runner.tally)
        text = json.dumps(found, indent=1) if given.output == "json" else table(faults, runner.tally)
        sys.stdout.write(f"{text}\n")
    return int(any(each.wrong for each in runner.tally.rounds))


if __name__ == "__main__":
    sys.exit(main())
