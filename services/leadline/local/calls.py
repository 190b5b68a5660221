"""Calls to the services of a stack, as one role."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc

from leadline.aggregation.v1 import aggregation_pb2_grpc
from leadline.analysis.v1 import analysis_pb2_grpc
from leadline.execution.v1 import execution_pb2_grpc
from leadline.ingestion.v1 import ingestion_pb2_grpc
from leadline.model.ids import AccountId
from leadline.model.services import Role
from leadline.runtime.rpc.auth import Keys, audience, key_file, token_source
from leadline.runtime.rpc.certificates import Pem
from leadline.runtime.rpc.grpc_client import open_channel

CALL_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """The name and role of a caller, and the keys that sign its tokens.

    keys_of: the keys that sign the calls to an address. subject: the caller's name in the audit. certificates: for
    connections that want one, with the names that the servers' certificates give for their addresses.
    """

    keys_of: Callable[[str], Keys]
    subject: str
    certificates: Callable[[], Pem] | None = None
    server_names: Mapping[str, str] = field(default_factory=dict)


class Services:
    """Stubs by address, over connections that are kept. Make it in a running event loop; close it with `close`."""

    def __init__(self, credentials: Credentials, role: Role) -> None:
        self._credentials = credentials
        self._role: Role = role
        self._channels: dict[str, grpc.aio.Channel] = {}

    def ingestion(self, address: str) -> "ingestion_pb2_grpc.IngestionServiceAsyncStub":
        """Calls of ingestion."""
        return ingestion_pb2_grpc.IngestionServiceStub(self._channel(address, "ingestion"))

    def aggregation(self, address: str) -> "aggregation_pb2_grpc.AggregationServiceAsyncStub":
        """Calls of aggregation."""
        return aggregation_pb2_grpc.AggregationServiceStub(self._channel(address, "aggregation"))

    def analysis(self, address: str) -> "analysis_pb2_grpc.AnalysisServiceAsyncStub":
        """Calls of one strategy's analysis."""
        return analysis_pb2_grpc.AnalysisServiceStub(self._channel(address, "analysis"))

    def execution(self, address: str, account: AccountId) -> "execution_pb2_grpc.ExecutionServiceAsyncStub":
        """Calls of the execution of one account, `namespace/name`."""
        return execution_pb2_grpc.ExecutionServiceStub(self._channel(address, audience("execution", account)))

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(channel.close(None) for channel in self._channels.values()))
        self._channels.clear()

    def _channel(self, address: str, to: str) -> grpc.aio.Channel:
        if address not in self._channels:
            shown = self._credentials
            self._channels[address] = open_channel(
                address,
                token_source(shown.keys_of(address), self._role, shown.subject, to),
                shown.certificates,
                shown.server_names.get(address, ""),
            )
        return self._channels[address]


def same_keys(file: Path) -> Callable[[str], Keys]:
    """The key of a file for every address, as on one machine."""
    return lambda _: key_file(file)
