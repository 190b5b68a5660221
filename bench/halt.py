"""How long a halt takes until it is answered: while all is well, and while everything but execution stands still.

    python -m bench.halt [HALTS]

A whole stack trades a simulated session. A trader's call halts its account again and again, each time with another
reason, so that each answer waits for a sync of the disk. Then the database, the bus, risk, the venue and the supervisor
are stopped (SIGSTOP), a command waits in the account's loop, and the same is done once more. The peer is what has to be
done in any case: a small file written anew, synced and renamed, and its directory synced.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import orjson

from leadline.execution.v1 import execution_pb2 as pb
from leadline.views.opening import open_stack
from leadline.views.place import Place
from tests.plan.running import Up, processes_of

EXECUTION: Final = "execution-default-paper"


async def halt(stub: Any, calls: int, why: str) -> list[float]:
    """Times of so many halts, one after the other, in milliseconds."""
    times = []
    for number in range(calls):
        started = perf_counter()
        await stub.Halt(pb.HaltRequest(reason=f"{why} {number}"), timeout=30)
        times.append(1000 * (perf_counter() - started))
    return times


def synced(folder: Path, calls: int) -> list[float]:
    """Times of so many synced replacements of a file, in milliseconds."""
    times = []
    for number in range(calls):
        started = perf_counter()
        fresh = folder / "halts.new"
        with fresh.open("wb") as file:
            file.write(orjson.dumps({"last": number, "halts": [{"number": number, "reason": "why"}]}))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / "halts.json")
        directory = os.open(folder, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        times.append(1000 * (perf_counter() - started))
    return times


def shown(name: str, times: list[float]) -> str:
    """A line of the table."""
    times = sorted(times)
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    return f"{name:34} p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  worst {times[-1]:7.2f} ms"


async def measure(data: Path, calls: int) -> None:
    """Print the table."""
    async with open_stack(Place(data), "cli-trader") as (stack, services):
        [account] = stack.accounts
        stub = services.execution(stack.execution_of(account), account)
        await halt(stub, 3, "first")
        well = await halt(stub, calls, "all is well")
        named = processes_of(data)
        execution = named.pop(EXECUTION)
        [database] = [process for process in named.values() if process.name() == "postgres"]
        frozen = [*named.values(), *database.children(recursive=True)]
        assert execution not in frozen
        for process in frozen:
            process.suspend()
        try:
            waiting = asyncio.ensure_future(stub.SetLimits(pb.SetLimitsRequest(max_open_trades=1), timeout=60))
            still = await halt(stub, calls, "all stands still")
            assert not waiting.done()
            waiting.cancel()
        finally:
            for process in frozen:
                process.resume()
    disk = synced(data, calls)
    print(shown("the disk alone", disk))
    print(shown("all is well", well))
    print(shown(f"{len(frozen)} other processes stand still", still))


def main(calls: int) -> None:
    """Start the stack and measure."""
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
        data = Path(folder) / "data"
        with Up(data, "--speed", "200"):
            asyncio.run(measure(data, calls))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
