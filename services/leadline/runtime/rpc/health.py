"""Answers to the probes: the process runs, its loop turns, and whether it does its work."""

import asyncio
from collections.abc import Sequence
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health  # type: ignore[attr-defined]

from leadline.runtime.rpc.lanes import Lanes, OpenCalls

# Services of the health protocol that are no contract. Both are answered by the event loop and depend on nothing else:
# a bus or a database that is down must not get a process restarted that only waits for it.
STARTUP: Final = "startup"
LIVENESS: Final = "liveness"
LARGEST_PROBE_BYTES: Final = 4096


class Health:
    """The answers of one process. `""` and every contract begin as not serving, `startup` and `liveness` as serving.

    Make it in a running event loop.
    """

    def __init__(self) -> None:
        self.port = 0
        self._names = [""]
        self._ready = False
        self._servicer = health.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._changes: set[asyncio.Task[None]] = set()
        self._announce((STARTUP, LIVENESS), serving=True)
        self._announce(self._names, serving=False)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Answer probes on a server too."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    def add_contract(self, full_name: str) -> None:
        """Answer for a contract, such as `leadline.risk.v1.RiskService`, from now on."""
        self._names.append(full_name)
        self._announce((full_name,), serving=self._ready)

    def set_ready(self, ready: bool) -> None:
        """Tell the probes whether calls are welcome."""
        self._ready = ready
        self._announce(self._names, serving=ready)

    def set_alive(self, alive: bool) -> None:
        """Tell the probes whether this process still gets on; one that does not is started again."""
        self._announce((LIVENESS,), serving=alive)

    async def listen(self, address: str) -> None:
        """Answer probes on a port of their own, `host:port`, without TLS. Raises OSError when it is taken."""
        # Two servers on one port would each answer half of the probes.
        self._server = grpc.aio.server(
            interceptors=[OpenCalls(Lanes())],
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", LARGEST_PROBE_BYTES)],
        )
        self.add_to(self._server)
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}") from None
        await self._server.start()

    async def close(self) -> None:
        """Answer no more. Idempotent."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def _announce(self, names: Sequence[str], *, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING

        async def announce() -> None:
            for name in tuple(names):
                await self._servicer.set(name, status)

        task = asyncio.create_task(announce())
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
