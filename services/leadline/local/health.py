"""Whether a service of this machine answers that it is ready."""

from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from leadline.runtime.rpc.grpc_client import NO_PROXY

CHECK_SECONDS: Final = 2.0


class HealthProbe:
    """Asks one address for its health, over a connection that is kept."""

    def __init__(self, address: str) -> None:
        # A service that restarts is back in a moment: the library's own backoff would hide that for up to two minutes.
        options = [NO_PROXY, ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]
        self._channel = grpc.aio.insecure_channel(address, options=options)
        self._stub = health_pb2_grpc.HealthStub(self._channel)

    async def serving(self) -> bool:
        """True when it answers SERVING; False for any other answer, and when it does not answer in time."""
        try:
            answer = await self._stub.Check(health_pb2.HealthCheckRequest(), timeout=CHECK_SECONDS)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close(None)
