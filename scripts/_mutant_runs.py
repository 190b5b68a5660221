"""Run a module's tests on its mutants: the tests are collected once, and each mutant is a forked child of that process.

In the child the changed function gets its new code in place, so that nothing is imported again. A change outside of
functions (a constant, a table, a default) takes the way round: the child forgets the module and all who import it, and
collects the tests anew.
"""

import ast
import functools
import importlib.abc
import importlib.machinery
import inspect
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

import pytest
from hypothesis import Phase, settings

PHASES: Final = (Phase.explicit, Phase.generate)
_SETTINGS: Final = "_hypothesis_internal_use_settings"
"""Where hypothesis keeps what a test's own `@settings` say; there is no other way to change them."""

KILLED, ALIVE, ENDLESS = "killed", "alive", "endless"

_OPTIONS: Final = (
    "-q",
    "-m",
    "not integration",
    "-p",
    "no:cacheprovider",
    "--assert=plain",
    "--capture=sys",
    "--hypothesis-profile=mutants",
    "-m",
    "not integration",
)
_LEAST_SECONDS: Final = 5
"""Computing for this long, or five times as long as the tests do, is an endless loop. It is noticed."""
_WAITING: Final = 60
"""A child that neither computes nor ends for this many seconds waits for something that never comes."""
_MORE_MEMORY: Final = 2 << 30
"""Bytes of address space beyond what is there: a loop that grows a list for ever ends before the machine does."""


Outcome = tuple[str, str]
"""KILLED, ALIVE or ENDLESS, and the test that noticed where it is known."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change: the function that it is in, the module's tree with it, and the test that noticed it the last time."""

    place: str
    tree: Callable[[], ast.Module]
    noticed_by: str


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module another tree."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self._name, self._path, self._tree = name, path, tree

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the protocol's
        target: ModuleType | None = None,  # noqa: ARG002 - the protocol's
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(fullname, self) if fullname == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._path)
        exec(compile(self._tree, self._path, "exec"), module.__dict__)  # noqa: S102 - it is our own code, changed


@cache
def importers(name: str) -> set[str]:
    """The loaded modules of ours that import a module, directly or not, and the module itself."""
    direct: dict[str, set[str]] = {}
    for other, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is None or not other.startswith(("leadline.", "tests.")):
            continue
        imports = [node for node in ast.walk(ast.parse(Path(file).read_text())) if isinstance(node, ast.ImportFrom)]
        direct[other] = {node.module for node in imports if node.module}
        direct[other] |= {f"{node.module}.{each.name}" for node in imports for each in node.names}
    found = {name}
    while more := {other for other, names in direct.items() if other not in found and names & found}:
        found |= more
    return found


def _functions(code: CodeType) -> Iterator[CodeType]:
    """The code of a module's functions and methods, without the functions inside of them."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_flags & 0x2:  # CO_NEWLOCALS: a function; the body of a class has not got it
                yield inner
            else:
                yield from _functions(inner)


def _live(space: dict[str, Any], module: str) -> Iterator[FunctionType]:
    """The functions of a loaded module, and of its classes, under whatever wraps them."""
    for value in list(space.values()):
        if isinstance(value, type) and value.__module__ == module:
            yield from _live(dict(value.__dict__), module)
            continue
        parts = (value.fget, value.fset) if isinstance(value, property) else (value,)
        for part in parts:
            if isinstance(part, functools.cached_property):
                part = part.func  # noqa: PLW2901
            part = getattr(part, "__func__", part)  # noqa: PLW2901 - a static method or one of the class
            part = inspect.unwrap(part) if callable(part) else part  # noqa: PLW2901
            if isinstance(part, FunctionType) and part.__module__ == module:
                yield part


@cache
def _compiled(path: Path) -> CodeType:
    return compile(ast.parse(path.read_text()), path, "exec")


def changed_in_place(name: str, path: Path, tree: ast.Module) -> Callable[[], None] | None:
    """What gives the loaded module the one function that a tree changes; None where it changes something else."""

    def known(code: CodeType) -> dict[tuple[str, int], CodeType]:
        return {(each.co_qualname, each.co_firstlineno): each for each in _functions(code)}

    old = known(_compiled(path))
    new = known(compile(tree, path, "exec"))
    differing = [key for key, code in new.items() if key in old and old[key] != code]
    if len(differing) != 1 or old.keys() != new.keys():
        return None
    key, space = differing[0], sys.modules[name].__dict__
    places = [each for each in _live(space, name) if (each.__code__.co_qualname, each.__code__.co_firstlineno) == key]
    if not places or any(each.__code__.co_freevars != new[key].co_freevars for each in places):
        return None

    def change() -> None:
        for each in places:
            each.__code__ = new[key]
        for other, module in list(sys.modules.items()):
            for value in list(vars(module).values()) if other.startswith("leadline.") else ():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()

    return change


class _Forks:
    """The plugin that does its own work where the tests would run: it runs them in forks, by `outcome`."""

    def __init__(self, work: Callable[["_Forks"], None]) -> None:
        self._work = work
        self._failed = False
        self._took: dict[str, float] = {}
        self._noticed: dict[str, int] = {}
        self._noticed_in: dict[str, str] = {}
        self.items: list[pytest.Item] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed = self._failed or report.failed

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Let a property draw fewer examples than its test asks for: one test must not take as long as all others."""
        test = getattr(item, "obj", None)
        own = getattr(test, _SETTINGS, None)
        if own is not None:
            fewer = min(own.max_examples, settings.get_profile("mutants").max_examples)
            setattr(test, _SETTINGS, settings(own, max_examples=fewer, phases=PHASES, derandomize=True, database=None))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = list(session.items)
        self._work(self)
        return True

    @property
    def seconds(self) -> float:
        """Processor time of all the tests, with the code as it is."""
        return sum(self._took.values())

    def outcome(self, mutant: Mutant, change: Callable[[], None]) -> Outcome:
        """What the tests say of a change. Asked first is who noticed it before, or the last one in the same place."""
        first = {mutant.noticed_by: 0, self._noticed_in.get(mutant.place, ""): 1}
        self.items.sort(key=lambda item: (first.get(item.nodeid, 2), self._price(item.nodeid)))
        outcome, told = self._child(change)
        test = self.items[int(told)].nodeid if told else ""
        if test:
            self._noticed[test] = self._noticed.get(test, 0) + 1
            self._noticed_in[mutant.place] = test
        return outcome, test

    def without_change(self) -> bool:
        """Whether the tests pass with the code as it is. Notes how long each computes."""
        outcome, told = self._child(None)
        if outcome == ALIVE:
            self._took = json.loads(told)
        return outcome == ALIVE

    def _child(self, change: Callable[[], None] | None) -> tuple[str, str]:
        """Run the tests in a child, with a change: the outcome and the number of the test that fails, in text.

        Without a change it is what each test takes, in JSON. The parent itself runs none: some tests leave traces.
        """
        answer, writes = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(answer)
            if change is not None:
                _bounded(self.seconds)
            self._run_and_exit(change, writes)
        os.close(writes)
        with os.fdopen(answer, "rb") as told:
            if change is None:
                text = told.read()  # more than a pipe holds
                return _awaited(child), text.decode()
            return _awaited(child), told.read().decode()

    def _price(self, test: str) -> float:
        return self._took.get(test, 0.0) / (1 + self._noticed.get(test, 0))

    def _run_and_exit(self, change: Callable[[], None] | None, writes: int) -> None:
        code, took = 99, {}
        try:
            if change is not None:
                change()
            code = 0
            for at, (item, following) in enumerate(zip(self.items, [*self.items[1:], None], strict=True)):
                began = time.process_time()
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                took[item.nodeid] = time.process_time() - began
                if self._failed:
                    os.write(writes, str(at).encode())
                    code = 1
                    break
            else:
                if change is None:
                    os.write(writes, json.dumps(took).encode())
        finally:
            os._exit(code)


def _silenced() -> None:
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)


def _bounded(seconds: float) -> None:
    computing = int(max(_LEAST_SECONDS, 5 * seconds)) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (computing, computing + 5))
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # no such file on a Mac: the bound of the processor's time has to do
        return
    most = pages * resource.getpagesize() + _MORE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _awaited(child: int) -> str:
    """Wait for a child, unless it waits itself for what never comes."""
    used, since = -1.0, time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return ALIVE if code == 0 else ENDLESS if code in {-signal.SIGXCPU, -signal.SIGKILL} else KILLED
        now = _processor_seconds(child)
        if now != used:
            used, since = now, time.monotonic()
        elif time.monotonic() - since > _WAITING:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


def _processor_seconds(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return float(fields[11]) + float(fields[12])


def run(
    name: str, path: Path, tests: Sequence[str], mutants: Sequence[Mutant], told: Callable[[int, Outcome], None]
) -> bool:
    """Try the mutants of a module; False where the tests fail without any.

    `told` is given the number of each mutant and its outcome, in a process of its own that ends with this call.
    """

    def work(forks: _Forks) -> None:
        importers(name)  # looked up here once, with the tests loaded, and not in every child
        same = Mutant("", lambda: ast.parse(path.read_text()), "")
        if not forks.without_change() or forks.outcome(same, lambda: None)[0] != ALIVE:
            os._exit(1)
        for number, mutant in enumerate(mutants):
            tree = mutant.tree()
            change = changed_in_place(name, path, tree)
            if change is None:
                told(number, (_anew(name, path, tree, tests, forks.seconds), ""))
            else:
                told(number, forks.outcome(mutant, change))
        os._exit(0)

    child = os.fork()
    if child == 0:
        try:
            _silenced()
            pytest.main([*_OPTIONS, *tests], plugins=[_Forks(work)])
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def _anew(name: str, path: Path, tree: ast.Module, tests: Sequence[str], seconds: float) -> str:
    """The outcome where the module, all who import it and the tests are loaded anew."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            _bounded(seconds + 3)
            for other in importers(name):
                sys.modules.pop(other, None)
                package, _, leaf = other.rpartition(".")
                vars(sys.modules.get(package, ModuleType(""))).pop(leaf, None)  # whence it would be taken as it was
            sys.meta_path.insert(0, _Changed(name, path, tree))
            code = int(pytest.main(["-x", *_OPTIONS, *tests]))
        finally:
            os._exit(code)
    return _awaited(child)
