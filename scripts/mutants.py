"""Change the code of the money path in one small place at a time, and see whether its tests notice: `make mutants`.

Each mutant lives in a forked child that has the module changed in memory and runs the module's tests until the first
one fails (`_mutant_runs.py`); nothing is written to the sources. What was found is kept in `build/mutants.jsonl` by the
content of module and tests, so that a run that was stopped goes on where it was. `scripts/mutants.toml` says which
tests belong to which module, and names the mutants that no test can tell from the code, each with its reason.
"""

import argparse
import ast
import hashlib
import importlib
import json
import os
import random
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from hypothesis import settings

from scripts._mutant_runs import ALIVE, ENDLESS, PHASES, Mutant, Outcome
from scripts._mutant_runs import run as run_mutants
from scripts._mutations import Mutation, mutated, mutations

ROOT: Final = Path(__file__).resolve().parent.parent
CODE: Final = ROOT / "services" / "leadline"
CONFIG: Final = ROOT / "scripts" / "mutants.toml"
MEMORY: Final = ROOT / "build" / "mutants.jsonl"

_LOADED: Final = (
    "pytest",
    "pytest_asyncio.plugin",
    "pytest_timeout",
    "xdist.plugin",
    "xdist.scheduler",
    "_hypothesis_pytestplugin",
    "tests.stack",
    "tests.kube.fixtures",
)
"""What every child would load by itself: the plugins of pytest and what the tests share."""


@dataclass(frozen=True, slots=True)
class Target:
    """A module of the path: its file below `services/leadline`, its tests, and the share that they have to notice."""

    module: str
    tests: tuple[str, ...]
    least: int
    equivalents: Mapping[tuple[str, str], str]

    @property
    def name(self) -> str:
        """The module as Python imports it."""
        return "leadline." + self.module.removesuffix(".py").replace("/", ".")

    @property
    def source(self) -> str:
        """The module's text."""
        return (CODE / self.module).read_text()

    @property
    def state(self) -> str:
        """What a result depends on: the text of the module and of its tests."""
        told = hashlib.sha256(self.source.encode())
        for test in self.tests:
            told.update((ROOT / test.partition("::")[0]).read_bytes())
        return told.hexdigest()[:16]


def targets() -> list[Target]:
    """The modules that the file names, in its order."""
    told = tomllib.loads(CONFIG.read_text())
    found = []
    for module, about in told["modules"].items():
        same = {(each["in"], each["change"]): each["reason"] for each in about.get("equivalent", ())}
        found.append(Target(module, tuple(about["tests"]), about["least"], same))
    return found


def prepare(chosen: Sequence[Target]) -> None:
    """Load what every child needs, once."""
    os.environ["CI"] = "1"  # hypothesis draws the same examples each time
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    for name in _LOADED:
        importlib.import_module(name)

    settings.register_profile("mutants", deadline=None, derandomize=True, database=None, max_examples=25, phases=PHASES)
    for target in chosen:
        for test in target.tests:
            for node in ast.walk(ast.parse((ROOT / test.partition("::")[0]).read_text())):
                if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("tests.kube"):
                    importlib.import_module(node.module)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one mutant."""

    target: Target
    mutation: Mutation
    outcome: str

    @property
    def reason(self) -> str | None:
        """Why no test can tell it from the code; None where one should."""
        return self.target.equivalents.get((self.mutation.place, self.mutation.text))


def chosen_mutations(target: Target, sample: int, seed: int) -> list[Mutation]:
    """All of a module's mutations, or as many of them as asked for, the same for the same seed."""
    found = mutations(target.source)
    if not sample or len(found) <= sample:
        return found
    picked = random.Random(f"{seed} {target.module}").sample(range(len(found)), sample)  # noqa: S311 - no secret
    return [found[index] for index in sorted(picked)]


def run(target: Target, wanted: Sequence[Mutation]) -> Iterator[Result]:
    """Try the mutations that are not remembered, and say what became of each."""
    state = target.state
    known = {(each["place"], each["text"]): each for each in _remembered() if each["module"] == target.module}
    valid = {key: each for key, each in known.items() if each["state"] == state}
    missing = [mutation for mutation in wanted if (mutation.place, mutation.text) not in valid]
    MEMORY.parent.mkdir(exist_ok=True)

    def told(number: int, outcome: Outcome) -> None:
        mutation = missing[number]
        line = {"module": target.module, "state": state, "place": mutation.place, "text": mutation.text}
        with MEMORY.open("a") as memory:
            memory.write(json.dumps({**line, "outcome": outcome[0], "by": outcome[1]}) + "\n")

    mutants = [
        Mutant(each.place, partial(mutated, target.source, each), known.get((each.place, each.text), {}).get("by", ""))
        for each in missing
    ]
    if mutants and not run_mutants(target.name, CODE / target.module, target.tests, mutants, told):
        raise SystemExit(f"mutants: the tests of {target.module} fail without any change: {' '.join(target.tests)}")
    outcomes = {
        (each["place"], each["text"]): each["outcome"]
        for each in _remembered()
        if each["module"] == target.module and each["state"] == state
    }
    for mutation in wanted:
        yield Result(target, mutation, outcomes[mutation.place, mutation.text])


def _remembered() -> list[dict[str, str]]:
    if not MEMORY.exists():
        return []
    return [json.loads(line) for line in MEMORY.read_text().splitlines() if line.endswith("}")]


def table(results: Sequence[Result], chosen: Sequence[Target]) -> tuple[str, bool]:
    """The results by module, and whether each has the share that it must have."""
    lines = ["| module | mutants | noticed | of these endless | equivalent | alive | noticed, of those that differ |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    enough = True
    for target in chosen:
        own = [result for result in results if result.target is target]
        equivalent = [each for each in own if each.outcome == ALIVE and each.reason is not None]
        alive = [each for each in own if each.outcome == ALIVE and each.reason is None]
        noticed = len(own) - len(equivalent) - len(alive)
        differ = noticed + len(alive)
        share = 100 * noticed / differ if differ else 100.0
        enough = enough and share >= target.least
        endless = sum(each.outcome == ENDLESS for each in own)
        row = (target.module, len(own), noticed, endless, len(equivalent), len(alive))
        lines.append(f"| {' | '.join(str(cell) for cell in row)} | {share:.1f} % (at least {target.least}) |")
    return "\n".join(lines), enough


def main() -> int:
    """Run the chosen modules' mutants and print what was not noticed, and the table."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--module", action="append", default=[], help="a module or a room, such as risk/limits.py or risk"
    )
    parser.add_argument("--sample", type=int, default=0, help="mutants of each module, at random; all where absent")
    parser.add_argument("--seed", type=int, default=1, help="which ones a sample has")
    arguments = parser.parse_args()
    known = targets()
    chosen = [
        target
        for target in known
        if not arguments.module or any(f"{target.module}/".startswith(f"{each}/") for each in arguments.module)
    ]
    if not chosen:
        parser.error(f"--module: known are {', '.join(target.module for target in known)}")
    prepare(chosen)
    results: list[Result] = []
    for target in chosen:
        wanted = chosen_mutations(target, arguments.sample, arguments.seed)
        for result in run(target, wanted):
            results.append(result)
            if result.outcome == ALIVE and result.reason is None:
                mutation = result.mutation
                print(f"alive: {target.module}:{mutation.line} in {mutation.place or 'the module'}: {mutation.text}")
        print(f"{target.module}: {len(wanted)} mutants", flush=True)
    text, enough = table(results, chosen)
    print(f"\n{text}")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
