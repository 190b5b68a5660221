"""When a run is over: every account has reached the end of its tape, and all that was said is stored."""

import asyncio
from collections.abc import Mapping
from typing import Final

import grpc

from leadline.execution.v1 import execution_pb2
from leadline.ingestion.v1 import ingestion_pb2
from leadline.local.calls import CALL_SECONDS, Services
from leadline.local.local_nats import LocalNats
from leadline.local.local_postgres import LocalPostgres
from leadline.model.services import RECORDER
from leadline.model.subjects import BARS, SIGNALS
from leadline.plan.plan import Plan, workload_id
from leadline.runtime.bus.bus import Bus, BusError, open_bus
from leadline.runtime.database import DATABASE_LOST, connect
from leadline.schema.permissions import MIGRATE_USER

LOOK_SECONDS: Final = 0.25
FINISHED: Final = "finished"
# A part that dies meanwhile is started again by its keeper.
_AWAY: Final[tuple[type[Exception], ...]] = (grpc.aio.AioRpcError, BusError, *DATABASE_LOST)


async def end_of_run(
    services: Services, plan: Plan, addresses: Mapping[str, str], nats: LocalNats, postgres: LocalPostgres
) -> None:
    """Return when the run is over. What dies meanwhile is waited for: its keeper starts it again."""
    names = [account.full_name for account in plan.accounts]
    accounts = [(addresses[workload_id("execution", name)], name) for name in names]
    # Nobody tells when a run is over: it is read off the services, which may be restarting meanwhile.
    while not all(await asyncio.gather(*(_account_finished(services, *account) for account in accounts))):  # noqa: ASYNC110
        await asyncio.sleep(LOOK_SECONDS)
    bus = await open_bus(nats.settings(MIGRATE_USER))
    try:
        while not await _all_stored(services, addresses["ingestion"], bus, postgres):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await bus.close()


async def _account_finished(services: Services, address: str, account: str) -> bool:
    try:
        stub = services.execution(address, account)
        state = await stub.GetState(execution_pb2.GetStateRequest(), timeout=CALL_SECONDS)
    except grpc.aio.AioRpcError:
        return False
    return bool(state.phase == FINISHED)


async def _all_stored(services: Services, ingestion: str, bus: Bus, postgres: LocalPostgres) -> bool:
    """Whether the recorder has acknowledged the last bar and signal, and stored the last print of each contract."""
    try:
        for stream in (BARS, SIGNALS):
            if await bus.acknowledged(stream, RECORDER) < (await bus.state(stream)).last_sequence:
                return False
        feed = await services.ingestion(ingestion).GetFeedStatus(
            ingestion_pb2.GetFeedStatusRequest(), timeout=CALL_SECONDS
        )
        connection = await connect(postgres.settings("reader"), "leadline up")
        try:
            rows = await connection.fetch(
                "SELECT contract, last_index FROM tick_position WHERE tape = $1", feed.run.tape
            )
        finally:
            await connection.close()
    except _AWAY:
        return False
    stored = {row["contract"]: row["last_index"] + 1 for row in rows}
    return all(stored.get(item.contract, 0) >= item.ticks for item in feed.contracts)
