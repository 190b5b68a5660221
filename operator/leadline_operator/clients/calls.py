"""Calls to the services of the platform and of accounts, signed with each one's own key."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, TypeVar

import grpc

from leadline.ingestion.v1 import ingestion_pb2, ingestion_pb2_grpc
from leadline.model.errors import LeadlineError
from leadline.runtime.auth import Keys, derive_key, token_source
from leadline.runtime.certificates import Certificates
from leadline.runtime.clock import monotonic_s
from leadline.runtime.errors import explain
from leadline.runtime.grpc_client import open_channel
from leadline.runtime.runs import Run, run_from_proto
from leadline.runtime.settings import Role, TlsSettings

CALL_SECONDS: Final = 5.0
RUN_SECONDS: Final = 5.0
PLATFORM: Final = "platform"
SUBJECT: Final = "operator"

_ROLE: Final[Role] = "supervisor"
_AWAY: Final = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
}
_UNHEARD: Final = {grpc.StatusCode.NOT_FOUND}
Reply = TypeVar("Reply")


class ServiceAway(LeadlineError):
    """A service does not answer now. service: which one."""

    def __init__(self, service: str, message: str) -> None:
        super().__init__(service, message)
        self.service = service
        self.message = message

    def __str__(self) -> str:
        return f"{self.service} does not answer: {self.message}"


class ServiceRefused(LeadlineError):
    """A service answered, and the answer was no. unknown: what was named is not known to it."""

    def __init__(self, service: str, message: str, *, unknown: bool) -> None:
        super().__init__(service, message)
        self.service = service
        self.message = message
        self.unknown = unknown

    def __str__(self) -> str:
        return f"{self.service} refuses: {self.message}"


class Channels:
    """Connections by address, kept. `masters` are the platform's keys, from which each service's own follow."""

    def __init__(self, masters: Keys, tls: TlsSettings | None) -> None:
        self._masters = masters
        self._certificates = None if tls is None else Certificates(tls).current
        self._channels: dict[str, grpc.aio.Channel] = {}

    def to(self, address: str, namespace: str, service: str) -> grpc.aio.Channel:
        """The connection to a service of a namespace, `platform` for the platform's own."""
        if address not in self._channels:
            self._channels[address] = open_channel(
                address, token_source(self._keys_of(namespace, service), _ROLE, SUBJECT), self._certificates
            )
        return self._channels[address]

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(channel.close(None) for channel in self._channels.values()))
        self._channels.clear()

    def _keys_of(self, namespace: str, service: str) -> Keys:
        return lambda: tuple(derive_key(master, namespace, service) for master in self._masters())


class Feed:
    """What ingestion says about the run. It is asked anew when what it said is some seconds old."""

    def __init__(self, channels: Channels, address: str) -> None:
        self._channels = channels
        self._address = address
        self._known: tuple[float, Run] | None = None
        self._asking = asyncio.Lock()

    async def run(self) -> Run:
        """The run in force. Raises ServiceAway."""
        async with self._asking:
            if self._known is not None and monotonic_s() - self._known[0] < RUN_SECONDS:
                return self._known[1]
            stub = ingestion_pb2_grpc.IngestionServiceStub(self._channels.to(self._address, PLATFORM, "ingestion"))
            request = ingestion_pb2.GetFeedStatusRequest()
            answer = await answered("ingestion", lambda: stub.GetFeedStatus(request, timeout=CALL_SECONDS))
            self._known = (monotonic_s(), run_from_proto(answer.run))
            return self._known[1]


async def answered(service: str, call: Callable[[], Awaitable[Reply]]) -> Reply:
    """The answer to a call. Raises ServiceAway when it may be asked again, ServiceRefused when that is of no use."""
    try:
        return await call()
    except grpc.aio.AioRpcError as error:
        if error.code() in _AWAY:
            raise ServiceAway(service, explain(error)) from error
        raise ServiceRefused(service, explain(error), unknown=error.code() in _UNHEARD) from error


def utc_now() -> datetime:
    """Now, in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
