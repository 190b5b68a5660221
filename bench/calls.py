"""How long risk's `Decide` takes while others watch its health, read, and ask the dearest questions that there are.

    python -m bench.calls [CALLS]

A server of risk in a process of its own. 256 callers without a token watch its health; 200 readers ask `Evaluate` with
a question of as many signals, tiers, news and contracts as risk takes, again and again, and wait when they are told to.
Quiet and loaded rounds alternate, so that the machine's own weather falls on both.
"""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from leadline.risk.bounds import MOST_NEWS, MOST_ROOTS, MOST_SIGNALS, MOST_TIERS
from leadline.risk.v1 import risk_pb2 as pb
from leadline.risk.v1 import risk_pb2_grpc as rpc
from leadline.runtime.auth import one_key, token_source
from leadline.runtime.errors import again_after
from leadline.runtime.grpc_client import open_channel
from tests.risk.questions import whole_question

KEY: Final = "k" * 32
WATCHERS: Final = 256
READERS: Final = 200
ROUNDS: Final = 5
_SERVER: Final = """
import asyncio
from leadline.risk.service import RiskServicer
from leadline.risk.v1 import risk_pb2 as pb, risk_pb2_grpc as rpc
from leadline.runtime.auth import one_key
from leadline.runtime.grpc_server import GrpcServer
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


def dearest() -> pb.Question:
    """As much of everything as a question may have."""
    question = whole_question()
    question.bar.signals.extend([question.bar.signals[0]] * (MOST_SIGNALS - len(question.bar.signals)))
    question.account.tiers.extend([question.account.tiers[0]] * (MOST_TIERS - len(question.account.tiers)))
    strategy = question.strategy
    strategy.news.extend([strategy.news[0]] * (MOST_NEWS - len(strategy.news)))
    strategy.execute.extend([strategy.execute[0]] * (MOST_ROOTS - len(strategy.execute)))
    return question


async def decide(address: str, calls: int) -> list[float]:
    """Times of so many decisions, one after the other, in milliseconds."""
    async with open_channel(address, token_source(one_key(KEY), "execution", "bench", "risk")) as channel:
        stub: Any = rpc.RiskServiceStub(channel)
        request = pb.DecideRequest(question=whole_question())
        times = []
        for _ in range(calls):
            started = perf_counter()
            await stub.Decide(request, timeout=5)
            times.append(1000 * (perf_counter() - started))
    return times


async def read(address: str, question: pb.Question, count: Callable[[str], None]) -> None:
    """Ask, and wait for as long as one is told to."""
    async with open_channel(address, token_source(one_key(KEY), "cli-viewer", "bench", "risk")) as channel:
        stub: Any = rpc.RiskServiceStub(channel)
        while True:
            try:
                await stub.Evaluate(pb.EvaluateRequest(question=question), timeout=30)
                count("answered")
            except grpc.aio.AioRpcError as error:
                count("refused")
                await asyncio.sleep(again_after(error) or 1)


async def crowd(address: str) -> None:
    """Watchers and readers, in a process of their own, until it is killed."""
    counts: dict[str, int] = {}
    question = dearest()
    channel = grpc.aio.insecure_channel(address)
    watches = [health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()) for _ in range(WATCHERS)]
    first = await asyncio.gather(*(watch.read() for watch in watches), return_exceptions=True)
    seen = sum(isinstance(answer, health_pb2.HealthCheckResponse) for answer in first)

    def count(kind: str) -> None:
        counts[kind] = counts.get(kind, 0) + 1

    readers = [asyncio.create_task(read(address, question, count)) for _ in range(READERS)]
    print(seen, flush=True)
    await asyncio.gather(*readers)


def shown(name: str, times: list[float]) -> str:
    """A line of the table."""
    times = sorted(times)
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    return f"{name:8} p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  worst {times[-1]:7.2f} ms"


def main(calls: int) -> None:
    """Print the table."""
    server = subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address = f"127.0.0.1:{server.stdout.readline().strip()}"
    quiet: list[float] = []
    loaded: list[float] = []
    try:
        asyncio.run(decide(address, calls))
        for _ in range(ROUNDS):
            quiet += asyncio.run(decide(address, calls))
            others = subprocess.Popen(
                [sys.executable, "-m", "bench.calls", "--crowd", address], stdout=subprocess.PIPE, text=True
            )
            try:
                assert others.stdout is not None
                watching = others.stdout.readline().strip()
                loaded += asyncio.run(decide(address, calls))
            finally:
                others.kill()
                others.wait()
        print(f"{WATCHERS} watchers, of whom {watching} are let in; {READERS} readers of the dearest Evaluate")
        print(shown("quiet", quiet))
        print(shown("loaded", loaded))
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    if "--crowd" in sys.argv:
        with suppress(KeyboardInterrupt):
            asyncio.run(crowd(sys.argv[-1]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
