"""Change the code of the money path in one small place at a time, and see whether its tests notice: `make mutants`.

Each mutant lives in a forked child that has the module changed in memory and runs the module's tests until the first
one fails; nothing is written to the sources. What was found is kept in `build/mutants.jsonl` by the content of module
and tests, so that a run that was stopped goes on where it was. `scripts/mutants.toml` says which tests belong to which
module, and names the mutants that no test can tell from the code, each with its reason.
"""

import argparse
import ast
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import random
import signal
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from scripts._mutations import Mutation, mutated, mutations

ROOT: Final = Path(__file__).resolve().parent.parent
CODE: Final = ROOT / "services" / "leadline"
CONFIG: Final = ROOT / "scripts" / "mutants.toml"
MEMORY: Final = ROOT / "build" / "mutants.jsonl"
LEAST_SECONDS: Final = 20
"""A mutant that takes this long, or ten times its tests' time, never ends: it is noticed."""

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

KILLED, ALIVE, ENDLESS = "killed", "alive", "endless"


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


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module another tree."""

    def __init__(self, target: Target, tree: ast.Module) -> None:
        self._target = target
        self._tree = tree

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the protocol's
        target: ModuleType | None = None,  # noqa: ARG002 - the protocol's
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(fullname, self) if fullname == self._target.name else None

    def exec_module(self, module: ModuleType) -> None:
        path = str(CODE / self._target.module)
        module.__file__ = path
        exec(compile(self._tree, path, "exec"), module.__dict__)  # noqa: S102 - it is our own code, changed


@cache
def importers(name: str) -> set[str]:
    """The loaded modules of ours that import a module, directly or not, and the module itself."""
    direct: dict[str, set[str]] = {}
    for other, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is None or not other.startswith(("leadline.", "tests.")):
            continue
        tree = ast.parse(Path(file).read_text())
        names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        names |= {
            f"{node.module}.{each.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for each in node.names
        }
        direct[other] = names
    found = {name}
    while more := {other for other, names in direct.items() if other not in found and names & found}:
        found |= more
    return found


def _try(target: Target, tree: ast.Module | None, seconds: float) -> tuple[str, float]:
    """The outcome of the tests with this tree (None: as the module is), and how long they took."""
    importers(target.name)  # looked up here once, and not in every child
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _run_and_exit(target, tree)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return (ALIVE if os.waitstatus_to_exitcode(status) == 0 else KILLED), time.monotonic() - began
        if time.monotonic() - began > seconds:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return ENDLESS, seconds
        time.sleep(0.02)


def _run_and_exit(target: Target, tree: ast.Module | None) -> None:
    """In the child: put the tree in the module's place, forget who has the old one, and run the tests."""
    code = 99
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        if tree is not None:
            for name in importers(target.name):
                sys.modules.pop(name, None)
            sys.meta_path.insert(0, _Changed(target, tree))
        import pytest  # noqa: PLC0415 - loaded long since; the child has its own

        options = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "--hypothesis-profile=mutants"]
        code = int(pytest.main([*options, *target.tests]))
    finally:
        os._exit(code)


def prepare(chosen: Sequence[Target]) -> None:
    """Load what every child needs, once."""
    os.environ["CI"] = "1"  # hypothesis draws the same examples each time
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    import hypothesis  # noqa: PLC0415 - only a run needs it

    for name in _LOADED:
        importlib.import_module(name)

    hypothesis.settings.register_profile("mutants", deadline=None, derandomize=True, max_examples=60, phases=_PHASES())
    for target in chosen:
        for test in target.tests:
            for node in ast.walk(ast.parse((ROOT / test.partition("::")[0]).read_text())):
                if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("tests.kube"):
                    importlib.import_module(node.module)


def _PHASES() -> list[Any]:  # noqa: N802
    from hypothesis import Phase  # noqa: PLC0415

    return [Phase.explicit, Phase.generate]


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
    known = {(each["place"], each["text"]): each["outcome"] for each in _remembered() if each["state"] == state}
    missing = [mutation for mutation in wanted if (mutation.place, mutation.text) not in known]
    seconds = 0.0
    if missing:
        outcome, seconds = _try(target, None, 600)
        if outcome != ALIVE:
            raise SystemExit(f"mutants: the tests of {target.module} fail without any change: {' '.join(target.tests)}")
    MEMORY.parent.mkdir(exist_ok=True)
    with MEMORY.open("a") as memory:
        for mutation in wanted:
            outcome = known.get((mutation.place, mutation.text), "")
            if not outcome:
                tree = mutated(target.source, mutation)
                outcome, _ = _try(target, tree, max(LEAST_SECONDS, 10 * seconds))
                line = {"state": state, "place": mutation.place, "text": mutation.text, "outcome": outcome}
                memory.write(json.dumps(line) + "\n")
                memory.flush()
            yield Result(target, mutation, outcome)


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
