"""How long risk's `Decide` takes while others watch its health, read, and ask the dearest questions that there are.

    python -m bench.calls [CALLS]

A server of risk in a process of its own. 256 callers without a token watch its health; 200 readers ask `Evaluate` with
a question of as many signals, tiers, news and contracts as risk takes, again and again, and wait when they are told to.
Three kinds of rounds take turns, so that the machine's own weather falls on all; each figure is the median over them.
`quiet`: there is no crowd. `beside`: the crowd is there, at another server of risk, and takes its part of the machine.
`loaded`: it is at the server that decides. What the crowd does to a decision is the step from `beside` to `loaded`.

Two figures a call. `work` is the processor time that the server spends from a decision's leaving its caller to the
answer's coming back: the decision's own, and that of whatever it had to let pass. Whoever else uses the machine, the
crowd itself above all, is not in it. `clock` is the time that the caller sees, and everybody's load is in it.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from leadline.risk.bounds import MOST_NEWS, MOST_ROOTS, MOST_SIGNALS, MOST_TIERS
from leadline.risk.v1 import risk_pb2 as pb
from leadline.risk.v1 import risk_pb2_grpc as rpc
from leadline.runtime.rpc.auth import one_key, token_source
from leadline.runtime.rpc.errors import again_after
from leadline.runtime.rpc.grpc_client import open_channel
from tests.risk.questions import whole_inputs

KEY: Final = "k" * 32
WATCHERS: Final = 256
READERS: Final = 200
ROUNDS: Final = 7
PAUSE_SECONDS: Final = 0.003
"""Between two decisions: what has come meanwhile is not always behind the next one."""
_SERVER: Final = """
import asyncio
from leadline.risk.service import RiskServicer
from leadline.risk.v1 import risk_pb2 as pb, risk_pb2_grpc as rpc
from leadline.runtime.rpc.auth import one_key
from leadline.runtime.rpc.grpc_server import GrpcServer
async def main():
    server = GrpcServer("127.0.0.1:0", one_key("k" * 32), to="risk")
    name = pb.DESCRIPTOR.services_by_name["RiskService"].full_name
    server.add_service(rpc.add_RiskServiceServicer_to_server, RiskServicer(), name)
    port = await server.start()
    server.set_ready(True)
    print(port, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def dearest() -> pb.DecisionInputs:
    """As much of everything as a question may have."""
    inputs = whole_inputs()
    inputs.bar.signals.extend([inputs.bar.signals[0]] * (MOST_SIGNALS - len(inputs.bar.signals)))
    inputs.account.tiers.extend([inputs.account.tiers[0]] * (MOST_TIERS - len(inputs.account.tiers)))
    strategy = inputs.strategy
    strategy.news.extend([strategy.news[0]] * (MOST_NEWS - len(strategy.news)))
    strategy.execute.extend([strategy.execute[0]] * (MOST_ROOTS - len(strategy.execute)))
    return inputs


SETTLE_SECONDS: Final = 2.0


@dataclass
class Round:
    """Times of one round of decisions, milliseconds."""

    work: list[float]
    clock: list[float]


async def decide(address: str, calls: int, server: int) -> Round:
    """So many decisions of the server with a process id, one after the other."""
    # The clock of another process's processor time, as clock_getcpuclockid(3) makes it.
    work_clock = (~server << 3) | 2
    async with open_channel(address, token_source(one_key(KEY), "execution", "bench", "risk")) as channel:
        stub: Any = rpc.RiskServiceStub(channel)
        request = pb.DecideRequest(inputs=whole_inputs())
        work, clock = [], []
        for _ in range(calls):
            started, worked = time.perf_counter(), time.clock_gettime(work_clock)
            await stub.Decide(request, timeout=5)
            work.append(1000 * (time.clock_gettime(work_clock) - worked))
            clock.append(1000 * (time.perf_counter() - started))
            await asyncio.sleep(PAUSE_SECONDS)
    return Round(work, clock)


async def read(address: str, inputs: pb.DecisionInputs, count: Callable[[str], None]) -> None:
    """Ask, and wait for as long as one is told to."""
    async with open_channel(address, token_source(one_key(KEY), "cli-viewer", "bench", "risk")) as channel:
        stub: Any = rpc.RiskServiceStub(channel)
        while True:
            try:
                await stub.Evaluate(pb.EvaluateRequest(inputs=inputs), timeout=30)
                count("answered")
            except grpc.aio.AioRpcError as error:
                count("refused")
                await asyncio.sleep(again_after(error) or 1)


async def crowd(address: str) -> None:
    """Watchers and readers, in a process of their own, until its input ends: what they got is its last line."""
    os.nice(10)
    counts: dict[str, int] = {}
    inputs = dearest()
    channel = grpc.aio.insecure_channel(address)
    watches = [health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()) for _ in range(WATCHERS)]
    first = [asyncio.ensure_future(watch.read()) for watch in watches]

    def count(kind: str) -> None:
        counts[kind] = counts.get(kind, 0) + 1

    readers = [asyncio.create_task(read(address, inputs, count)) for _ in range(READERS)]
    # What two hundred callers cost who come at once, they cost once.
    await asyncio.sleep(SETTLE_SECONDS)
    counts.clear()
    answers = [each.result() for each in first if each.done() and each.exception() is None]
    print(sum(isinstance(answer, health_pb2.HealthCheckResponse) for answer in answers), flush=True)
    began = time.perf_counter()
    await asyncio.to_thread(sys.stdin.read)
    took = time.perf_counter() - began
    for reader in readers:
        reader.cancel()
    print(*(round(counts.get(kind, 0) / took) for kind in ("answered", "refused")), flush=True)
    os._exit(0)


def at(times: list[float], share: float) -> float:
    """The time that so large a share of the calls did not exceed."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def shown(name: str, rounds: list[Round]) -> str:
    """A line of the table."""

    def over(kind: str, share: float) -> float:
        return median(at(getattr(found, kind), share) for found in rounds)

    figures = [f"{kind} p50 {over(kind, 0.5):6.2f} p99 {over(kind, 0.99):6.2f}" for kind in ("work", "clock")]
    return f"{name:8} " + "   ".join(figures)


def serve(stack: ExitStack) -> tuple[str, int]:
    """Start a server of risk; its address and process id."""
    server = stack.enter_context(subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True))
    stack.callback(server.kill)
    assert server.stdout is not None
    return f"127.0.0.1:{server.stdout.readline().strip()}", server.pid


def among_others(crowded: str, address: str, calls: int, server: int) -> tuple[Round, str, str]:
    """A round while there is a crowd at an address, how many may watch, and what the readers got a second."""
    command = [sys.executable, "-m", "bench.calls", "--crowd", crowded]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as others:
        try:
            assert others.stdout is not None
            watching = others.stdout.readline().strip()
            found = asyncio.run(decide(address, calls, server))
            return found, watching, others.communicate()[0].strip()
        finally:
            others.kill()


def main(calls: int) -> None:
    """Print the table."""
    quiet: list[Round] = []
    beside: list[Round] = []
    loaded: list[Round] = []
    crowds: list[str] = []
    watching = ""
    with ExitStack() as stack:
        address, server = serve(stack)
        other, _ = serve(stack)
        asyncio.run(decide(address, calls, server))
        for _ in range(ROUNDS):
            quiet.append(asyncio.run(decide(address, calls, server)))
            beside.append(among_others(other, address, calls, server)[0])
            found, watching, crowd_got = among_others(address, address, calls, server)
            loaded.append(found)
            crowds.append(crowd_got)
    print(f"{WATCHERS} watchers, of whom {watching} are let in; {READERS} readers of the dearest Evaluate")
    print("readers' calls answered and refused a second, by round:", ", ".join(crowds))
    print(shown("quiet", quiet))
    print(shown("beside", beside))
    print(shown("loaded", loaded))


if __name__ == "__main__":
    if "--crowd" in sys.argv:
        with suppress(KeyboardInterrupt):
            asyncio.run(crowd(sys.argv[-1]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
