"""Simulated schedules of an account's whole order path, many or one.

    python -m tests.simulation [--seeds N] [--from N] [--workers N]
    python -m tests.simulation --seed N [--trace]
    python -m tests.simulation --planted [--only WORDS]

Without --seed it runs many on as many processes as there are processors, and prints the findings, each with the command
that runs it alone. With --seed it runs one, and shrinks it where something does not hold.
"""

import argparse
import gc
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Final

from tests.simulation.planted import PLANTED, planted
from tests.simulation.points import Point, points, text_of
from tests.simulation.run import Outcome, broken, quiet, run
from tests.simulation.schedule import draw
from tests.simulation.shrink import shrunk

CHUNK: Final = 50


def say(line: str) -> None:
    """A line of the result."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_chunk(first: int, count: int) -> list[Outcome]:
    """Some schedules, one after the other; one that breaks the simulation itself is a finding as well."""
    with quiet() as folder:
        found = []
        for seed in range(first, first + count):
            try:
                found.append(run(draw(seed), folder))
            except Exception as error:  # noqa: BLE001 - the others go on, and this one is told with its seed
                found.append(broken(seed, error))
            if seed % 10 == 0:
                gc.collect()
        return found


def run_many(first: int, count: int, workers: int) -> int:
    """Run schedules, show how it goes, and return how many have violated something."""
    began = time.monotonic()
    killed: Counter[Point] = Counter()
    done = struck = kills = sent = fills = failed = 0
    with ProcessPoolExecutor(workers) as pool:
        chunks = [
            pool.submit(run_chunk, at, min(CHUNK, first + count - at)) for at in range(first, first + count, CHUNK)
        ]
        for chunk in as_completed(chunks):
            for outcome in chunk.result():
                done += 1
                struck += outcome.struck
                kills += outcome.kills
                sent += outcome.sent
                fills += outcome.fills
                killed.update(outcome.killed_at)
                if outcome.violations:
                    failed += 1
                    first_one = outcome.violations[0]
                    say(f"  make sim SEED={outcome.seed}  {first_one.invariant}: {first_one.found}")
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{done} of {count}, {failed} findings")
    seconds = time.monotonic() - began
    at = [point for point in points() if killed[point]]
    say(f"schedules         {done} in {seconds:.1f} s on {workers} processes, {done / seconds:.1f} a second")
    say(f"faults            {struck / done:.2f} a schedule, of which {kills / done:.2f} kills")
    say(f"orders and fills  {sent} sent, {fills} filled")
    say(f"await points      {len(at)} of {len(points())} died at, {sum(killed.values())} times in all")
    for point in points():
        if not killed[point]:
            say(f"  never died at   {text_of(point)}")
    say(f"findings          {failed}")
    return failed


def seeds_for(name: str, most: int) -> tuple[str, int, str]:
    """A planted fault, the seeds that were needed to find it (0 where they were not enough), and what was violated."""
    with planted(name), quiet() as folder:
        for seed in range(1, most + 1):
            found = run(draw(seed), folder).violations
            if found:
                return name, seed, f"{found[0].invariant}: {found[0].found}"
            if seed % 10 == 0:
                gc.collect()
    return name, 0, ""


def run_planted(most: int, workers: int, names: list[str]) -> int:
    """Find each planted fault, print how many seeds that took, and return how many were not found."""
    say("| planted fault | seeds | found as |")
    say("| --- | --- | --- |")
    found: list[tuple[str, int, str]] = []
    with ProcessPoolExecutor(workers) as pool:
        for each in as_completed([pool.submit(seeds_for, name, most) for name in names]):
            name, seeds, violated = each.result()
            found.append((name, seeds, violated))
            say(f"| {name} | {seeds or f'not in {most}'} | {violated.partition(':')[0]} |")
    counts = sorted(seeds for _, seeds, _ in found if seeds)
    say(f"{len(counts)} of {len(found)} found, half of them within {counts[len(counts) // 2] if counts else 0} seeds")
    return len(found) - len(counts)


def run_one(seed: int, *, with_trace: bool) -> int:
    """Run one schedule alone; where it fails, look for fewer faults with which it does."""
    with quiet() as folder:
        schedule = draw(seed)
        outcome = run(schedule, folder, with_lines=True)
        if outcome.violations:
            schedule = shrunk(schedule, folder)
            outcome = run(schedule, folder, with_lines=True)
    if with_trace or outcome.violations:
        say("\n".join(outcome.lines))
    say(f"trace             {outcome.trace}, {outcome.steps} steps, {outcome.seconds:.1f} s of its own time")
    for each in schedule.faults:
        say(f"  fault           {each.text()}")
    for violation in outcome.violations:
        say(f"  violated        {violation.invariant}: {violation.found}")
    return len(outcome.violations)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1000, help="how many schedules (1000)")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first of their seeds (1)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="on how many processes")
    parser.add_argument("--seed", type=int, help="run this schedule alone")
    parser.add_argument("--planted", action="store_true", help="plant faults in the code, and find each")
    parser.add_argument("--only", default="", help="with --planted: faults whose name has this in it")
    parser.add_argument("--trace", action="store_true", help="with --seed: print what happens")
    asked = parser.parse_args()
    if asked.seed is not None:
        return min(1, run_one(asked.seed, with_trace=asked.trace))
    if asked.planted:
        names = [name for name in PLANTED if asked.only in name]
        return min(1, run_planted(asked.seeds, asked.workers, names))
    return min(1, run_many(asked.first, asked.seeds, asked.workers))


if __name__ == "__main__":
    raise SystemExit(main())
