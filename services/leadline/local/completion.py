"""When a run is over: no account is behind the end of its tape, and all that was said is stored."""

import asyncio
from typing import Final

import grpc

from leadline.ingestion.v1 import ingestion_pb2
from leadline.local import store
from leadline.local.calls import CALL_SECONDS, Services
from leadline.local.local_nats import LocalNats
from leadline.local.local_postgres import LocalPostgres
from leadline.model.ids import RunId
from leadline.model.services import RECORDER
from leadline.model.subjects import BARS, SIGNALS
from leadline.runtime.bus.bus import Bus, BusError, open_bus
from leadline.runtime.database import DATABASE_LOST, connect
from leadline.runtime.retry import until_done
from leadline.schema.permissions import MIGRATE_USER

LOOK_SECONDS: Final = 0.25
# No pause between two looks at a part that is away is longer.
MOST_SECONDS: Final = 1.0
# A part that dies meanwhile is started again by its keeper.
_AWAY: Final[tuple[type[Exception], ...]] = (grpc.aio.AioRpcError, BusError, *DATABASE_LOST)


async def wait_for_completion(
    services: Services, ingestion: str, tape: RunId, nats: LocalNats, postgres: LocalPostgres
) -> None:
    """Return when the run is over. What dies meanwhile is waited for: its keeper starts it again.

    ingestion: the address of it.
    """
    await until_done(
        lambda: _accounts_are_there(tape, postgres), "database", DATABASE_LOST, most_s=MOST_SECONDS, quiet=True
    )
    bus = await open_bus(nats.settings(MIGRATE_USER))
    try:
        await until_done(
            lambda: _all_is_stored(services, ingestion, bus, postgres), "stack", _AWAY, most_s=MOST_SECONDS, quiet=True
        )
    finally:
        await bus.close()


async def _accounts_are_there(tape: RunId, postgres: LocalPostgres) -> None:
    """Return when the book says so. Nobody tells: it is looked at."""
    connection = await connect(postgres.settings("reader"), "leadline up")
    try:
        while not await store.is_over(connection, tape):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await connection.close()


async def _all_is_stored(services: Services, ingestion: str, bus: Bus, postgres: LocalPostgres) -> None:
    """Return when it is. Nobody tells: it is looked at."""
    while not await _is_all_stored(services, ingestion, bus, postgres):  # noqa: ASYNC110
        await asyncio.sleep(LOOK_SECONDS)


async def _is_all_stored(services: Services, ingestion: str, bus: Bus, postgres: LocalPostgres) -> bool:
    """Whether the recorder has acknowledged the last bar and signal, and stored the last print of each contract."""
    for stream in (BARS, SIGNALS):
        if await bus.acknowledged(stream, RECORDER) < (await bus.state(stream)).last_sequence:
            return False
    feed = await services.ingestion(ingestion).GetFeedStatus(ingestion_pb2.GetFeedStatusRequest(), timeout=CALL_SECONDS)
    connection = await connect(postgres.settings("reader"), "leadline up")
    try:
        stored = await store.prints_stored(connection, RunId(feed.run.tape))
    finally:
        await connection.close()
    return all(stored.get(item.contract, 0) >= item.ticks for item in feed.contracts)
