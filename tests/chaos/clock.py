"""Clocks that are set while a service runs. The machine's own clock is never touched."""

import asyncio
import os
import sys
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from tests.chaos.faults import Fault
from tests.chaos.platform import SERVICES, Platform
from tests.system.stack_run import ROOT

CLOCKS: Final = Path(__file__).with_name("clocks")
HOUR_NS: Final = 3600 * 1_000_000_000
FROZEN: Final = "frozen"
# After a step an account does not believe its clock for a minute.
HEALS_SECONDS: Final = 150.0


async def give_clocks(platform: Platform) -> None:
    """Start the platform again, with clocks that can be set."""
    folder = platform.folder / "clocks"
    if folder.exists():
        return
    folder.mkdir()
    platform.environment |= {
        "PYTHONPATH": os.pathsep.join((str(CLOCKS), str(ROOT))),
        "LEADLINE_CHAOS_CLOCKS": str(folder),
    }
    await platform.stop()
    await platform.start()


async def set_clock(platform: Platform, rng: Random, *, by_ns: int | None) -> None:
    """Set the clock of a service, or have it stand still, and set it right again after 5 to 20 seconds."""
    service = rng.choice([service for service in SERVICES if service != "ingestion"])
    sys.stderr.write(f"     clock of {service}\n")
    file = platform.folder / "clocks" / service
    file.write_text(f"frozen {time.time_ns()}" if by_ns is None else f"offset {by_ns}")
    await asyncio.sleep(rng.uniform(5, 20))
    file.unlink()


def _fault(name: str, what: str, by_ns: int | None) -> Fault:
    inject = partial(set_clock, by_ns=by_ns)
    return Fault(name, f"the clock of a part {what} for 5 to 20 s", inject, give_clocks, HEALS_SECONDS)


FAULTS: Final = (
    _fault("clock-ahead", "is one hour ahead", HOUR_NS),
    _fault("clock-behind", "is one hour behind", -HOUR_NS),
    _fault("clock-offset", "is 200 ms ahead", HOUR_NS // 18_000),
    _fault("clock-frozen", "stands still", None),
)
