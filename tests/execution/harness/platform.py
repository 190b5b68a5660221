"""An account's processes on a real bus and database, started, stopped and asked by a test."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import orjson
from prometheus_client.parser import text_string_to_metric_families

from leadline.execution.v1 import execution_pb2 as pb
from leadline.execution.v1 import execution_pb2_grpc as rpc
from leadline.local.local_nats import LocalNats
from leadline.local.ports import Ports
from leadline.model.ids import AccountId, RunId, StrategyId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.services import Role
from leadline.model.signals import SignalMessage
from leadline.model.subjects import signal_subject, tick_subject
from leadline.model.ticks import TickBatch
from leadline.model.wire.signals import encode_signal
from leadline.model.wire.ticks import encode_tick_batch
from leadline.runtime.bus.bus import Bus
from leadline.runtime.rpc.auth import one_key, token_source
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.runtime.settings import ServiceSettings
from leadline.venue.v1 import venue_pb2
from leadline.venue.v1 import venue_pb2_grpc as venue_rpc
from tests.execution.harness.builders import BUY, MES, ns, strategy, tape
from tests.measured import scraped
from tests.stack import Database

KEY = "a key that is long enough to sign tokens with"
TAPE = RunId("run-1")
PATIENCE_SECONDS = 120.0
_LIVE = """
import sys
from pathlib import Path
from leadline.runtime.main import run_service
sys.exit(run_service(sys.argv[1], Path(sys.argv[2])))
"""
PRINTS = tape(
    *((600, 20_000), (601, 20_000), (700, 20_004), (800, 20_003), (900, 20_026, 1, BUY), (1000, 20_012), (1400, 20_010))
)


class Platform:
    """One account's processes, started and stopped by a test, and a hand on the bus in the place of the others."""

    def __init__(
        self, folder: Path, ports: Ports, nats: LocalNats, database: Database, bus: Bus, analysis: Bus
    ) -> None:
        self.folder = folder
        self.ports = ports
        self.nats = nats
        self.database = database
        self.bus = bus
        self.analysis = analysis
        self.processes: list[subprocess.Popen[bytes]] = []
        self.addresses: dict[str, str] = {}
        self.metrics: dict[str, str] = {}
        self.tape = TAPE
        self.said = 0

    def start(self, service: str, name: str, **changes: Any) -> "subprocess.Popen[bytes]":
        """A service in a process of its own; its data directory is named like it."""
        listen, metrics = (f"127.0.0.1:{self.ports.take()}" for _ in range(2))
        key = self.folder / "token.key"
        key.write_text(KEY)
        workload = f"{service}-default-paper" if service != "risk" else "risk"
        settings = ServiceSettings.model_validate(
            {
                "service": service,
                "workload": workload,
                "listen": listen,
                "metrics_listen": metrics,
                "data_dir": self.folder / name,
                "token_key_file": key,
                **changes,
            }
        )
        file = self.folder / f"{name}.json"
        file.write_text(settings.model_dump_json())
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-c", _LIVE, service, str(file)], stdout=log, stderr=log)
        self.processes.append(process)
        self.addresses[name], self.metrics[name] = listen, metrics
        return process

    def again(self, name: str) -> None:
        """A service that has died, at the same addresses."""
        settings = orjson.loads((self.folder / f"{name}.json").read_bytes())
        listen, metrics = self.addresses[name], self.metrics[name]
        self.start(settings.pop("service"), name, **settings)
        self.addresses[name], self.metrics[name] = listen, metrics

    def execution(self, name: str, manifest: TradingAccount, venue: str = "") -> "subprocess.Popen[bytes]":
        """A writer of the account. Two of them have the same name in the plan, as two Pods of one workload have.

        `venue` is the address at which it finds its venue, where that is another than the venue's own.
        """
        return self.start(
            "execution",
            name,
            nats=self.nats.settings("execution"),
            database=self.database.settings("execution"),
            peers={"venue": venue or self.addresses["venue"], "risk": self.addresses["risk"]},
            params={"account": "default/paper", "manifest": manifest.to_manifest()},
        )

    @contextlib.asynccontextmanager
    async def calls(
        self, name: str = "first", role: Role = "supervisor"
    ) -> AsyncIterator["rpc.ExecutionServiceAsyncStub"]:
        """Calls of a writer, as a role."""
        channel = open_channel(self.addresses[name], token_source(one_key(KEY), role, "ann", "execution/default/paper"))
        yield rpc.ExecutionServiceStub(channel)
        await channel.close(None)

    async def publish_prints(self, final: bool = True) -> None:
        """The whole tape of MES."""
        subject = tick_subject(TAPE, "cme", MES)
        batch = TickBatch(TAPE, "cme", MES, PRINTS, ns(1500), final=final)
        await self.bus.publish(subject, encode_tick_batch(batch), f"{subject}/all")

    async def publish(self, messages: Sequence[SignalMessage | bytes]) -> None:
        """What an analysis of `default/mes` says, or bytes that are no message; bars close by prints."""
        subject = signal_subject(self.tape, AccountId("default/paper"), StrategyId("default/mes"))
        for message in messages:
            self.said += 1
            payload = message if isinstance(message, bytes) else encode_signal(_on(self.tape, message))
            await self.analysis.publish(subject, payload, f"{subject}/{self.said}")

    async def venue_orders(self) -> list[str]:
        """Legs of the orders that the venue has had."""
        token = token_source(one_key(KEY), "supervisor", "ann", "venue/default/paper")
        async with open_channel(self.addresses["venue"], token) as channel:
            stub = venue_rpc.PaperVenueServiceStub(channel)
            found = await stub.ListOrders(venue_pb2.ListOrdersRequest(), timeout=5)
        return sorted(order.leg for order in found.orders)

    async def scrape(self, name: str) -> dict[str, float]:
        """A process's metrics as Prometheus gets them: value by name and labels."""

        def read() -> str:
            with urllib.request.urlopen(f"http://{self.metrics[name]}/metrics", timeout=5) as page:
                return str(page.read().decode())

        text = await asyncio.to_thread(read)
        scraped(name, text)
        return {
            f"{each.name}{{{','.join(f'{key}={label}' for key, label in sorted(each.labels.items()))}}}": each.value
            for family in text_string_to_metric_families(text)
            for each in family.samples
        }

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def stop(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
            process.kill()
            process.wait()


def _on(run: RunId, message: SignalMessage) -> SignalMessage:
    """The message on a run's tape, about a bar of the strategy that `set_strategy` names when not said."""
    said = message.bar
    if said is not None:
        said = replace(said, bar=replace(said.bar, spec="ticks500-r1"))
    return replace(message, tape=run, bar=said)


async def with_retries(call: Callable[[], Awaitable[Any]], wanted: Callable[[Any], bool] = lambda _: True) -> Any:
    """The first answer that is wanted. Other processes have no event to wait for."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        found: Any = None
        try:
            found = await call()
            if wanted(found):
                return found
        except grpc.aio.AioRpcError as error:
            if error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
                raise
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(0.05)


async def set_strategy(
    stub: "rpc.ExecutionServiceAsyncStub", manifest: TradingStrategy | None = None, analysis_hash: str = "hash"
) -> pb.SetStrategyResponse:
    manifest = manifest or strategy(bars="ticks:500")
    request = pb.SetStrategyRequest(
        strategy=manifest.full_name,
        analysis_hash=analysis_hash,
        manifest_json=orjson.dumps(manifest.to_manifest()).decode(),
    )
    answer: pb.SetStrategyResponse = await with_retries(lambda: stub.SetStrategy(request, timeout=5))
    return answer


async def state_of(stub: "rpc.ExecutionServiceAsyncStub", wanted: Callable[[Any], bool]) -> pb.GetStateResponse:
    found: pb.GetStateResponse = await with_retries(lambda: stub.GetState(pb.GetStateRequest(), timeout=5), wanted)
    return found
