"""A whole stack of real processes for `bench.pipe` and `bench.latency`: started, watched, pushed to and read."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import sleep, time, time_ns
from typing import Any, Final, Self

import asyncpg
import nats
import numpy as np
import psutil
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from leadline.ingestion.v1 import ingestion_pb2 as pb
from leadline.ingestion.v1.ingestion_pb2_grpc import IngestionServiceStub
from leadline.local.local_postgres import LocalPostgres
from leadline.model.v1.model_pb2 import TickBatch
from leadline.runtime.database import connect
from leadline.runtime.rpc.auth import key_file, token_source
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.schema.permissions import MIGRATE_USER
from tests.plan.running import processes_of

LOOK_SECONDS: Final = 0.1
PROCESSES: Final = 10
"""Of a stack with one account and one strategy: `leadline up`, two servers and seven services."""
SERVERS: Final = {"data": "PostgreSQL", "server": "NATS", "stack": "leadline up"}
"""Names of processes that are no services, by the last word of their commands."""
START_SECONDS: Final = 120
PUSH_SECONDS: Final = 0.005
"""How often prints are pushed."""
CONTRACT: Final = "BTCUSDT"
PRICE: Final = 600_000
SWING: Final = 20
"""Prices go up and down by so many ticks, one tick a print."""


@dataclass(slots=True)
class Used:
    """What each process has used at a time of the wall clock, s: seconds of a processor, and bytes of its own (PSS)."""

    at_s: float
    cpu: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)


class Watch(threading.Thread):
    """Looks at the processes of a data directory again and again; PostgreSQL counts with all of its own."""

    def __init__(self, data: Path) -> None:
        super().__init__(daemon=True)
        self.seen: list[Used] = []
        self._data = data
        self._done = threading.Event()
        self._named: dict[str, psutil.Process] = {}

    def run(self) -> None:
        """Look until `stop`; once a second for new processes, because that look goes over all of the machine."""
        asked_s = 0.0
        while not self._done.wait(LOOK_SECONDS):
            if len(self._named) < PROCESSES and time() > asked_s + 1:
                self._named, asked_s = processes_of(self._data), time()
            self.seen.append(look(self._named))

    def stop(self) -> None:
        """Look no more."""
        self._done.set()
        self.join()

    def between(self, from_s: float, to_s: float) -> dict[str, float]:
        """Seconds of a processor by process, from the last look before one time to the first look after another."""
        first = max((each for each in self.seen if each.at_s <= from_s), key=lambda each: each.at_s)
        last = min((each for each in self.seen if each.at_s >= to_s), key=lambda each: each.at_s)
        return {name: used - first.cpu.get(name, 0.0) for name, used in sorted(last.cpu.items())}


def look(named: dict[str, psutil.Process]) -> Used:
    """What the processes have used so far."""
    used = Used(time())
    for name, process in named.items():
        with suppress(psutil.Error):
            group = [process, *(process.children(recursive=True) if process.name() == "postgres" else ())]
            used.cpu[short(name)] = sum(sum(each.cpu_times()[:2]) for each in group)
    return used


def memory(data: Path) -> dict[str, float]:
    """MB of each process; what they share is split between them (PSS)."""
    found = {}
    for name, process in processes_of(data).items():
        with suppress(psutil.Error):
            group = [process, *(process.children(recursive=True) if process.name() == "postgres" else ())]
            found[short(name)] = sum(each.memory_full_info().pss for each in group) / 2**20
    return dict(sorted(found.items()))


def short(name: str) -> str:
    """A process's name in a table."""
    service, _, _ = name.partition("-")
    return SERVERS.get(service, service)


class Stack:
    """A `leadline up` on a data directory of its own, from the moment in which its description is there."""

    def __init__(self, data: Path, *arguments: object) -> None:
        self.data = data
        self.log = data.with_suffix(".log")
        with self.log.open("wb") as output:
            command = [sys.executable, "-m", "leadline.cli.main", "up", "--data-dir", str(data), "--no-live"]
            # The services find the strategy of bench/latency.yaml there.
            own = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
            self.process = subprocess.Popen([*command, *map(str, arguments)], stdout=output, stderr=output, env=own)
        self.watch = Watch(data)
        self.watch.start()

    def __enter__(self) -> Self:
        for _ in range(int(START_SECONDS / LOOK_SECONDS)):
            if (self.data / "stack.json").exists():
                return self
            assert self.process.poll() is None, self.log.read_text()
            sleep(LOOK_SECONDS)
        self.__exit__()
        raise AssertionError(f"not up within {START_SECONDS} s: {self.log.read_text()}")

    def __exit__(self, *_: object) -> None:
        self.watch.stop()
        self.process.terminate()
        self.process.wait(60)

    async def database(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection that may do all."""
        return await connect(LocalPostgres(self.data / "postgres").admin_settings(), "bench")

    async def messages(self, stream: str) -> list[tuple[int, bytes]]:
        """All messages of a stream: when the server has stored each (ns), and its payload."""
        listen = json.loads((self.data / "nats" / "server.conf").read_text())["listen"]
        password = (self.data / "nats" / "users" / MIGRATE_USER).read_text()
        inbox = f"_INBOX_{MIGRATE_USER}"
        client = await nats.connect(f"nats://{listen}", user=MIGRATE_USER, password=password, inbox_prefix=inbox)
        try:
            context = client.jetstream()
            left = (await context.stream_info(stream)).state.messages
            config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE, mem_storage=True)
            reader = await context.pull_subscribe(">", stream=stream, config=config)
            found: list[tuple[int, bytes]] = []
            while len(found) < left:
                batch = await reader.fetch(min(500, left - len(found)), timeout=10)
                found += [(stored_ns(each.reply), each.data) for each in batch]
            return found
        finally:
            await client.close()


def stored_ns(reply: str) -> int:
    """When the server has stored a message, from the subject of its acknowledgement."""
    return int(reply.split(".")[-2])


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that goes."""
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
        yield Path(folder)


@dataclass(slots=True)
class Pushed:
    """Prints on their way: when each was handed over, wall time in ns, by source index."""

    rate: int
    seconds: float
    sent_ns: list[int] = field(default_factory=list)

    async def requests(self) -> AsyncIterator[pb.PublishTicksRequest]:
        """Batches at the pace of the rate; the last print of each has the time at which it is handed over."""
        began, pushed, last_ns = time(), 0, 0
        while pushed < int(self.rate * self.seconds):
            due = int(min(time() - began, self.seconds) * self.rate)
            count = due - pushed
            if count:
                now_ns = time_ns()
                step = min(1000, max(1, (now_ns - last_ns) // (count + 1)))
                times = now_ns - step * np.arange(count - 1, -1, -1)
                index = np.arange(pushed, pushed + count)
                wave = np.abs(index % (2 * SWING) - SWING)
                batch = TickBatch(
                    contract=CONTRACT,
                    time_ns=times.tolist(),
                    price=(PRICE + wave).tolist(),
                    size=[1] * count,
                    aggressor=np.where(index % (2 * SWING) < SWING, -1, 1).tolist(),
                )
                yield pb.PublishTicksRequest(batch=batch, first_index=pushed)
                self.sent_ns += [now_ns] * count
                pushed, last_ns = pushed + count, now_ns
            await asyncio.sleep(PUSH_SECONDS)

    async def push(self, data: Path) -> Any:
        """Push them; the service's answer."""
        stack = json.loads((data / "stack.json").read_text())
        token = token_source(key_file(data / "token.key"), "feed", "bench", "ingestion")
        async with open_channel(stack["addresses"]["ingestion"], token) as channel:
            return await IngestionServiceStub(channel).PublishTicks(self.requests())


async def wait_until(holds: Callable[[], Awaitable[Any]], seconds: float) -> None:
    """Return as soon as something holds that a database knows. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - another process has no event to wait for
            await asyncio.sleep(0.05)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which a share of them lie."""
    return float(np.quantile(np.asarray(values), share))


def load() -> str:
    """How busy the machine is, for the heading of a table."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {psutil.getloadavg()[0]:.0f} on {psutil.cpu_count()} cores"
