"""One schedule from its beginning to its judgement."""

import errno
import gc
import logging
import random
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import structlog

from leadline.execution.adapters import journal, kill_switch
from leadline.execution.adapters.disk import AccountDisk
from leadline.runtime import clock
from tests.simulation.faults import Fault
from tests.simulation.loop import OWNER, Restless
from tests.simulation.points import Point
from tests.simulation.schedule import Schedule, draw
from tests.simulation.tape_clock import WALL_NS
from tests.simulation.world import Violation, World

USUAL_SEEDS = range(1, 7)


@dataclass(frozen=True)
class Outcome:
    """What became of a schedule."""

    seed: int
    trace: str
    violations: tuple[Violation, ...]
    struck: int
    kills: int
    sent: int
    fills: int
    steps: int
    seconds: float
    killed_at: "Counter[Point]"
    lines: tuple[str, ...] = ()


@cache
def usual_points() -> frozenset[Point]:
    """The awaits to which days lead on which nothing goes wrong, of tapes that end and of live ones."""
    met: set[Point] = set()
    with tempfile.TemporaryDirectory() as name:
        for seed in USUAL_SEEDS:
            random.seed(seed)
            world = World(replace(draw(seed), faults=()), Path(name) / str(seed))
            world.wire.met = met
            with _world_time(world), _world_disk(world), closing(world):
                world.loop.run(world.main())
    return frozenset(met)


def run(schedule: Schedule, folder: Path, *, with_lines: bool = False) -> Outcome:
    """Run a schedule in a fresh folder."""
    seldom = any(each.fault is Fault.KILL_SELDOM for each in schedule.faults)
    usual = usual_points() if seldom else frozenset()
    random.seed(schedule.seed)  # the pauses of a library that tries again are drawn from here
    place = folder / f"seed-{schedule.seed}"
    world = World(schedule, place)
    world.wire.usual = usual
    if with_lines:
        world.loop.lines = []
    try:
        with _world_time(world), _world_disk(world):
            try:
                world.loop.run(world.main())
            except Restless as error:
                world.violates("liveness", str(error))
        for message in world.loop.errors:
            world.violates("error", message)
        return Outcome(
            schedule.seed,
            world.loop.trace,
            tuple(world.violations),
            len(world.plan.struck),
            world.kills,
            len(world.sent),
            sum(event.fill is not None for event in world.market.events_after(0)),
            world.loop.steps,
            world.loop.time(),
            world.points.killed,
            tuple(world.loop.lines or ()),
        )
    finally:
        world.close()
        shutil.rmtree(place, ignore_errors=True)


def broken(seed: int, error: Exception) -> Outcome:
    """What is told of a schedule in which the simulation itself has met an error, and where that was raised."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    found = f"{type(error).__name__}: {error}, at {Path(at.filename).name}:{at.lineno}"
    return Outcome(seed, "", (Violation("simulation", found),), 0, 0, 0, 0, 0, 0.0, Counter())


@contextmanager
def _world_time(world: World) -> Iterator[None]:
    """The clocks of the product show the world's time."""
    read: Any = clock
    real = read.time
    read.time = SimpleNamespace(
        time_ns=lambda: WALL_NS + int((world.loop.time() + world.clock_ahead_s) * 1e9),
        monotonic=world.loop.time,
        thread_time=real.thread_time,
    )
    try:
        yield
    finally:
        read.time = real


@contextmanager
def _world_disk(world: World) -> Iterator[None]:
    """The disk of the product takes nothing while the plan says so."""
    halts: Any = kill_switch
    append, write = journal._append, halts.write_whole

    def taken() -> None:
        if OWNER.get() is not None and world.plan.outage("disk", world.loop.time()):
            world.loop.tell("the disk is full")
            raise OSError(errno.ENOSPC, "no space left on device")

    def full_append(*args: Any) -> None:
        taken()
        append(*args)

    def full_write(*args: Any, **options: Any) -> None:
        taken()
        write(*args, **options)

    def doubt(_: AccountDisk) -> str:
        return "the disk is full" if world.plan.outage("disk", world.loop.time()) else ""

    with (
        patch.object(journal, "_append", full_append),
        patch.object(kill_switch, "write_whole", full_write),
        patch.object(AccountDisk, "_look", doubt),
    ):
        yield


@contextmanager
def quiet() -> Iterator[Path]:
    """A folder in memory for the files of processes; nothing is logged, and garbage is collected at the end."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="leadline-simulation-") as name:
        gc.disable()
        try:
            yield Path(name)
            gc.collect()
        finally:
            gc.enable()
            structlog.reset_defaults()
