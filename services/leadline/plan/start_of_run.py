"""The steps between servers that run and prints that flow."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import grpc
import orjson

from leadline.analysis.hashing import analysis_hash
from leadline.execution.v1 import execution_pb2
from leadline.ingestion.v1 import ingestion_pb2
from leadline.model.errors import LeadlineError
from leadline.model.specs import rollout_fields
from leadline.plan.calls import CALL_SECONDS, Services, patiently
from leadline.plan.demand import DemandRow
from leadline.plan.local_postgres import DATABASE, SUPERUSER
from leadline.plan.plan import Plan, workload_id
from leadline.plan.servers import LocalNats, LocalPostgres
from leadline.runtime.bus import open_bus
from leadline.runtime.database import connect
from leadline.runtime.errors import explain
from leadline.runtime.runs import Run, run_from_proto
from leadline.runtime.version import code_version
from leadline.schema.migrate import create_database, migrate_database, set_role_passwords
from leadline.schema.permissions import MIGRATE_USER
from leadline.schema.streams import migrate_bus

ROLE: Final = "supervisor"


class CallRefused(LeadlineError):
    """A service answered, and the answer was no."""


async def migrate(nats: LocalNats, postgres: LocalPostgres) -> None:
    """Bring the bus and the database to what this code needs, and forget what the last stack demanded.

    What an earlier stack has demanded must not start this one's prints before its strategies are named.
    """
    bus = await open_bus(nats.settings(MIGRATE_USER))
    try:
        await migrate_bus(bus)
    finally:
        await bus.close()
    await create_database(postgres.admin_settings(SUPERUSER), DATABASE)
    await migrate_database(postgres.admin_settings())
    await set_role_passwords(postgres.admin_settings(), postgres.passwords())
    await write_demand(postgres, ())


async def announced_run(services: Services, ingestion: str) -> Run:
    """The run that the ingestion at this address has opened or resumed. It serves only when it has one."""
    stub = services.ingestion(ingestion)
    request = ingestion_pb2.GetFeedStatusRequest()
    status = await patiently(lambda: stub.GetFeedStatus(request, timeout=CALL_SECONDS))
    return run_from_proto(status.run)


async def set_strategies(services: Services, plan: Plan, addresses: Mapping[str, str]) -> None:
    """Name every strategy, its analysis and its settings to its account. Raises CallRefused."""
    for strategy in plan.strategies:
        stub = services.execution(addresses[workload_id("execution", strategy.account_name)])
        request = execution_pb2.SetStrategyRequest(
            strategy=strategy.full_name,
            analysis_hash=analysis_hash(code_version(), rollout_fields(strategy)),
            manifest_json=orjson.dumps(strategy.to_manifest(), option=orjson.OPT_SORT_KEYS).decode(),
        )
        try:
            await patiently(partial(stub.SetStrategy, request, timeout=CALL_SECONDS))
        except grpc.aio.AioRpcError as error:
            refused = f"the account {strategy.account_name} does not take {strategy.full_name}: {explain(error)}"
            raise CallRefused(refused) from error


async def write_demand(postgres: LocalPostgres, rows: Sequence[DemandRow]) -> None:
    """Make these rows the whole demand, in one transaction."""
    connection = await connect(postgres.settings(ROLE), ROLE)
    try:
        async with connection.transaction():
            await connection.execute("DELETE FROM demand")
            await connection.executemany(
                """
                INSERT INTO demand (account, strategy, contract, venue, session, hours, bars, ticks_per_row)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                """,
                [_values(row) for row in rows],
            )
    finally:
        await connection.close()


def _values(row: DemandRow) -> tuple[Any, ...]:
    names = (row.account, row.strategy, row.contract, row.venue)
    bars = row.bars
    if bars is None:
        return (*names, None, None, None, None)
    hours = {"open": bars.open, "close": bars.close, "zone": bars.zone}
    return (*names, bars.session, hours, bars.bars, bars.ticks_per_row)
