"""Ingestion at work in a test, on a real bus and a real database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from leadline.ingestion.service import run
from leadline.ingestion.v1 import ingestion_pb2_grpc as rpc
from leadline.local.local_nats import LocalNats
from leadline.runtime.context import Context, open_context
from leadline.runtime.rpc.auth import one_key, token_source
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.runtime.settings import ServiceSettings
from tests.stack import Database, run_sql

KEY = "k" * 64
STRATEGY, ACCOUNT = "default/mes-orderflow", "default/paper"
RTH = '{"open": "09:30", "close": "16:00", "zone": "America/New_York"}'


async def until(there: Callable[[], bool]) -> None:
    """Wait for something that says nothing when it happens."""
    while not there():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.01)


@dataclass
class Place:
    """Where ingestion runs in a test: a bus, a database and a folder."""

    nats: LocalNats
    database: Database
    folder: Path

    def settings(self, params: dict[str, Any]) -> ServiceSettings:
        key = self.folder / "key"
        key.write_text(KEY)
        return ServiceSettings.model_validate(
            {
                "service": "ingestion",
                "workload": "ingestion",
                "listen": "127.0.0.1:0",
                "metrics_listen": "127.0.0.1:0",
                "nats": self.nats.settings("ingestion"),
                "database": self.database.settings("ingestion"),
                "data_dir": self.folder,
                "token_key_file": key,
                "params": params,
            }
        )

    @asynccontextmanager
    async def ingestion(self, params: dict[str, Any]) -> AsyncIterator[Context]:
        """The service at work; told to stop at the end of the block. What it raises comes out of the block."""
        context = await open_context(self.settings(params), structlog.get_logger())
        task = asyncio.create_task(run(context))
        try:
            await until(lambda: context.port > 0 or task.done())
            if task.done():
                task.result()
            yield context
            context.stopping.set()
            await asyncio.wait_for(task, 10)
            if context.crashed.done():
                context.crashed.result()
        finally:
            task.cancel()
            await context.close()

    async def want(self, *contracts: str, bars: str | None = "5m") -> None:
        """Write the demand of one strategy."""
        rows = [
            f"('{ACCOUNT}', '{STRATEGY}', '{contract}', 'cme', "
            + ("NULL, NULL, NULL, NULL)" if bars is None else f"'rth', '{RTH}', '{bars}', 1)")
            for contract in contracts
        ]
        await run_sql(
            self.database.admin_settings(),
            "INSERT INTO demand (account, strategy, contract, venue, session, hours, bars, ticks_per_row) VALUES "
            + ", ".join(rows),
        )


@asynccontextmanager
async def client(context: Context, role: Any = "feed") -> AsyncIterator["rpc.IngestionServiceAsyncStub"]:
    token = token_source(one_key(KEY), role, "test", "ingestion")
    async with open_channel(f"127.0.0.1:{context.port}", token) as channel:
        yield rpc.IngestionServiceStub(channel)
