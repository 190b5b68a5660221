"""Calls to the services of the platform and of accounts, signed with each one's own key."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import grpc

from leadline.ingestion.v1 import ingestion_pb2, ingestion_pb2_grpc
from leadline.model.ids import AccountId
from leadline.model.services import SUPERVISOR
from leadline.runtime.clock import monotonic_s
from leadline.runtime.rpc.auth import PLATFORM_NAMESPACE, Keys, audience, derive_key, token_source
from leadline.runtime.rpc.certificates import Certificates
from leadline.runtime.rpc.failures import ServiceAway, ServiceNotAdmitted, ServiceRefused, answered
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.runtime.runs import Run, run_from_proto
from leadline.runtime.settings import TlsSettings

__all__ = [
    "CALL_SECONDS",
    "Channels",
    "Feed",
    "ServiceAway",
    "ServiceNotAdmitted",
    "ServiceRefused",
    "answered",
    "utc_now",
]

CALL_SECONDS: Final = 5.0
RUN_SECONDS: Final = 5.0
SUBJECT: Final = "operator"

_ROLE: Final = SUPERVISOR


class Channels:
    """Connections by address, kept. `masters` are the platform's keys, from which each service's own follow."""

    def __init__(self, masters: Keys, tls: TlsSettings | None) -> None:
        self._masters = masters
        self._certificates = None if tls is None else Certificates(tls).current
        self._channels: dict[str, grpc.aio.Channel] = {}

    def to(self, address: str, namespace: str, service: str, account: AccountId | None = None) -> grpc.aio.Channel:
        """The connection to a service of a namespace, `platform` for the platform's own; to that of an account."""
        if address not in self._channels:
            self._channels[address] = open_channel(
                address,
                token_source(self._keys_of(namespace, service), _ROLE, SUBJECT, audience(service, account)),
                self._certificates,
            )
        return self._channels[address]

    async def disconnect(self, address: str) -> None:
        """Close the connection to an address, if there is one."""
        if (channel := self._channels.pop(address, None)) is not None:
            await channel.close(None)

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(channel.close(None) for channel in self._channels.values()))
        self._channels.clear()

    def _keys_of(self, namespace: str, service: str) -> Keys:
        return lambda: tuple(derive_key(master, namespace, service) for master in self._masters())


class Feed:
    """The run, as ingestion says. It is asked anew when its answer is some seconds old."""

    def __init__(self, channels: Channels, address: str) -> None:
        self._channels = channels
        self._address = address
        self._known: tuple[float, Run] | None = None
        self._asking = asyncio.Lock()

    async def run(self) -> Run:
        """The run in force. Raises ServiceAway and ServiceRefused."""
        async with self._asking:
            if self._known is not None and monotonic_s() - self._known[0] < RUN_SECONDS:
                return self._known[1]
            stub = ingestion_pb2_grpc.IngestionServiceStub(
                self._channels.to(self._address, PLATFORM_NAMESPACE, "ingestion")
            )
            request = ingestion_pb2.GetFeedStatusRequest()
            answer = await answered("ingestion", lambda: stub.GetFeedStatus(request, timeout=CALL_SECONDS))
            self._known = (monotonic_s(), run_from_proto(answer.run))
            return self._known[1]


def utc_now() -> datetime:
    """Now, in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
