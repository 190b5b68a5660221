"""`make fuzz`: every target for a while, and a table of what was found."""

import argparse
import sys
from typing import Final

from tests.fuzz.runs import Tally, try_for
from tests.fuzz.targets import TARGETS

LONGEST_STORY: Final = 6_000
_HEAD: Final = ("target", "cases tried", "refused", "taken", "slowest, ms", "findings")


def main() -> int:
    """Try all targets, or those that are named; 1 when there is a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds-each", type=float, default=60, help="time for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only this one; may stand again")
    options = parser.parse_args()
    names = options.target or list(TARGETS)
    tallies: dict[str, Tally] = {}
    for name in names:
        tallies[name] = try_for(TARGETS[name], options.seed * 1_000_000, options.seconds_each)
        for place, story in tallies[name].findings.items():
            sys.stdout.write(f"\n{name}: {place}\n{story[-LONGEST_STORY:]}\n")
    sys.stdout.write(table(tallies))
    return any(tally.findings for tally in tallies.values())


def table(tallies: dict[str, Tally]) -> str:
    """The table as the pages have it."""
    rows = [_HEAD, tuple("---" for _ in _HEAD)]
    for name, tally in tallies.items():
        counts = (tally.tried, tally.refused, tally.taken, round(1000 * tally.slowest_s), len(tally.findings))
        rows.append((f"`{name}`", *(f"{count:,}" for count in counts)))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
