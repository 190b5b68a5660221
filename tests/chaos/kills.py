"""Parts that die, stop for a while, or come back while another one has taken their place."""

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Final

from tests.chaos.faults import Fault
from tests.chaos.platform import SERVERS, SERVICES, SUPERVISOR, Platform, environment

LONGEST_PAUSE_SECONDS: Final = 120.0
LOOP_SECONDS: Final = 30.0
LOOP_EACH_SECONDS: Final = 3.0
KINDS: Final = ("ingestion", "aggregation", "analysis", "risk", "execution", "recorder", "venue", *SERVERS)


def one_of(kind: str, rng: Random) -> str:
    """A part of a kind: of the two of an account each, one."""
    return rng.choice([part for part in (*SERVICES, *SERVERS) if part == kind or part.startswith(f"{kind}-")])


async def kill(platform: Platform, rng: Random, *, kind: str) -> None:
    """SIGKILL, at any moment."""
    platform.send(one_of(kind, rng), signal.SIGKILL)


async def kill_two(platform: Platform, rng: Random) -> None:
    """Two parts of different kinds at once."""
    for kind in rng.sample(KINDS, 2):
        platform.send(one_of(kind, rng), signal.SIGKILL)


async def kill_again(platform: Platform, rng: Random) -> None:
    """One part, each time that it has come back."""
    part, until = one_of(rng.choice(KINDS), rng), time.monotonic() + LOOP_SECONDS
    while time.monotonic() < until:
        platform.send(part, signal.SIGKILL)
        await asyncio.sleep(LOOP_EACH_SECONDS)


async def kill_supervisor(platform: Platform, rng: Random) -> None:
    """`leadline up` itself, which takes all with it, and the same command again."""
    platform.send(SUPERVISOR, signal.SIGKILL)
    await platform.ended()
    await platform.start()


async def freeze(platform: Platform, rng: Random, *, kind: str) -> None:
    """SIGSTOP for 5 to 120 seconds, mostly few, and SIGCONT."""
    part = one_of(kind, rng)
    pause_s = min(LONGEST_PAUSE_SECONDS, 5 + rng.expovariate(1 / 8))
    platform.send(part, signal.SIGSTOP)
    try:
        await asyncio.sleep(pause_s)
    finally:
        platform.send(part, signal.SIGCONT)


async def rival(platform: Platform, rng: Random) -> None:
    """Execution stops, another one that was started by hand takes the account over, and the first one goes on."""
    part = one_of("execution", rng)
    settings, name = platform.settings(part), f"{part}-rival"
    place = platform.data_dir / "volumes" / name
    place.mkdir(exist_ok=True)
    settings |= {
        "workload": name,
        "listen": "127.0.0.1:0",
        "metrics_listen": "127.0.0.1:0",
        "data_dir": str(place),
    }
    file = platform.folder / "rival.json"
    file.write_text(json.dumps(settings))
    platform.send(part, signal.SIGSTOP)
    with (platform.data_dir / "logs" / f"{name}.log").open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "leadline.cli.service", "execution", "--settings", str(file)),
            stdout=said,
            stderr=said,
            env=environment(),
        )
    try:
        await asyncio.sleep(rng.uniform(10, 20))
        platform.send(part, signal.SIGCONT)
        await asyncio.sleep(rng.uniform(1, 5))
    finally:
        platform.send(part, signal.SIGCONT)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(rng.choice((signal.SIGTERM, signal.SIGKILL)))
        await process.wait()


def _fault(name: str, what: str, inject: Callable[[Platform, Random], Awaitable[None]], heals_s: float = 60.0) -> Fault:
    return Fault(name, what, inject, heals_s=heals_s)


FAULTS: Final = (
    *(_fault(f"kill-{kind}", f"kill -9 of {kind}", partial(kill, kind=kind)) for kind in KINDS),
    _fault("kill-supervisor", "kill -9 of leadline up, and the same command again", kill_supervisor),
    _fault("kill-two", "kill -9 of two parts at once", kill_two),
    _fault("kill-again", "kill -9 of a part every 3 s for 30 s", kill_again, 90.0),
    *(_fault(f"freeze-{kind}", f"SIGSTOP of {kind} for 5 to 120 s", partial(freeze, kind=kind)) for kind in KINDS),
    _fault("rival", "SIGSTOP of execution while a rival takes the account over", rival, 90.0),
)
