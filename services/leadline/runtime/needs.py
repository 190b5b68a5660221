"""A service's needs of others, checked once a second: its readiness falls with them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from leadline.runtime import measurements
from leadline.runtime.database import DATABASE_LOST, Pool, answering

LOOK_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 3.0
_NOT_THERE: Final[tuple[type[Exception], ...]] = (grpc.aio.AioRpcError, *DATABASE_LOST)

_log = structlog.get_logger(__name__)

Look = Callable[[], Awaitable[bool]]


class Needs:
    """The needs by name, and those that are missing. `changed` is called whenever these have changed."""

    def __init__(self, looks: Mapping[str, Look], changed: Callable[[], None]) -> None:
        self.missing: frozenset[str] = frozenset()
        self._looks: dict[str, Look] = {}
        self._changed = changed
        for name, look in looks.items():
            self.add(name, look)

    def add(self, name: str, look: Look) -> None:
        """Look at something else besides."""
        self._looks[name] = look
        measurements.NEEDS.labels(name).set(1)

    async def watch(self) -> None:
        """Look for as long as the service lives. What does not answer in time is missing."""
        while True:
            names = list(self._looks)
            there = await asyncio.gather(*(self._there(name) for name in names))
            missing = frozenset(name for name, answer in zip(names, there, strict=True) if not answer)
            for name in missing - self.missing:
                _log.warning("service.misses", need=name)
            for name in self.missing - missing:
                _log.info("service.has_again", need=name)
            for name in names:
                measurements.NEEDS.labels(name).set(name not in missing)
            if missing != self.missing:
                self.missing = missing
                self._changed()
            await asyncio.sleep(LOOK_SECONDS)

    async def _there(self, name: str) -> bool:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._looks[name]()
        except _NOT_THERE:
            return False


def database_answers(pool: Pool) -> Look:
    """Whether a connection of the pool is to be had, and answers."""

    async def look() -> bool:
        async with answering(pool, ANSWER_SECONDS) as connection:
            return bool(await connection.fetchval("SELECT true"))

    return look


def peer_serves(channel: Callable[[], grpc.aio.Channel]) -> Look:
    """Whether the service at the end of a channel says that it does its work."""

    async def look() -> bool:
        stub = health_pb2_grpc.HealthStub(channel())
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_SECONDS)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return look
