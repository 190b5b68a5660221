"""The places at which a process can die: every `await` of the order path, from its code, and those it died at."""

import ast
import asyncio
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, Final

import leadline.execution
from leadline.execution import service
from leadline.execution.adapters import outbox
from leadline.execution.loop import account_halts, account_loop, bookkeeper, order_sender, reconciliation
from leadline.execution.venues import both_ports, live_time
from leadline.execution.venues.paper import live as paper_live

MODULES: Final = (
    account_halts,
    account_loop,
    bookkeeper,
    order_sender,
    reconciliation,
    both_ports,
    live_time,
    paper_live,
    outbox,
    service,
)
NOT_RUN: Final = frozenset(
    {
        ("account_loop", "recover"),  # a replay's way in: the service reads the book and leaves the rest to the step
        ("service", "run"),
        ("service", "_lease_is_fresh"),
        ("service", "_prints_come"),
        ("outbox", "again_after"),
        ("outbox", "unpublished"),
        ("outbox", "published"),
        ("outbox", "read_events"),
    }
)
"""Functions that no schedule calls: they start a process, tell whether it is ready, or are those of a model's part."""

Point = tuple[str, int, int]
"""A file of `leadline.execution`, and the first and the last line of an expression that waits."""


@cache
def points() -> tuple[Point, ...]:
    """Every await of the modules, in the order of their names and lines."""
    found: list[Point] = []
    for module in MODULES:
        path = Path(str(module.__file__))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        left_out = {
            id(node)
            for function in ast.walk(tree)
            if isinstance(function, ast.AsyncFunctionDef)
            and (path.stem, function.name) in NOT_RUN
            and (function.name != "run" or function in tree.body)
            for node in ast.walk(function)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith) and id(node) not in left_out:
                last = node.end_lineno if isinstance(node, ast.Await) else node.lineno
                found.append((_name(path), node.lineno, last or node.lineno))
    return tuple(sorted(set(found)))


def text_of(point: Point) -> str:
    """A point as people read it: its file and line."""
    return f"{point[0]}:{point[1]}"


def _name(path: Path) -> str:
    return str(path.relative_to(Path(str(leadline.execution.__file__)).parent))


class Points:
    """How often processes died at each point."""

    def __init__(self) -> None:
        self.killed: Counter[Point] = Counter()

    def note(self, tasks: "list[asyncio.Task[Any]]") -> None:
        """A process dies, and its tasks wait where they wait."""
        for task in tasks:
            if not task.done():
                self._note(task.get_coro())

    def _note(self, waiting: Any) -> None:
        while waiting is not None:
            frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "ag_frame", None)
            point = None if frame is None else _point_of(frame.f_code.co_filename, frame.f_lineno)
            if point is not None:
                self.killed[point] += 1
            waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "ag_await", None)


def here() -> list[Point]:
    """The points at which the code that is running now is about to wait, from the inside out."""
    found: list[Point] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        point = _point_of(frame.f_code.co_filename, frame.f_lineno)
        if point is not None:
            found.append(point)
        frame = frame.f_back
    return found


@cache
def _point_of(file: str, line: int) -> Point | None:
    path = Path(file)
    if "execution" not in path.parts:
        return None
    try:
        name = _name(path)
    except ValueError:
        return None
    at = [point for point in points() if point[0] == name and point[1] <= line <= point[2]]
    return min(at, key=lambda point: point[2] - point[1], default=None)
