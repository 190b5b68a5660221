"""The steps between servers that run and prints that flow."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import grpc
import orjson

from leadline.aggregation.v1.aggregation_pb2 import BarStream, GetBarsRequest
from leadline.analysis.hashing import analysis_hash
from leadline.analysis.v1.analysis_pb2 import ListDetectorsRequest
from leadline.execution.v1 import execution_pb2
from leadline.ingestion.v1 import ingestion_pb2
from leadline.local import store
from leadline.local.calls import CALL_SECONDS, Services
from leadline.local.local_nats import LocalNats
from leadline.local.local_postgres import DATABASE, LocalPostgres
from leadline.local.postgres_server import SUPERUSER
from leadline.model.errors import LeadlineError
from leadline.model.manifest.specs import TradingStrategy, rollout_fields
from leadline.plan.demand import DemandRow
from leadline.plan.plan import Plan, workload_id
from leadline.runtime.bus.bus import open_bus
from leadline.runtime.database import connect
from leadline.runtime.rpc.errors import explain
from leadline.runtime.rpc.failures import TIMEOUT_SECONDS, with_retries
from leadline.runtime.runs import Run, run_from_proto
from leadline.runtime.version import code_version
from leadline.schema.migrate import create_database, migrate_database, refuse_newer, set_role_passwords
from leadline.schema.permissions import MIGRATE_USER
from leadline.schema.streams import Feed, migrate_bus

ROLE: Final = "supervisor"


class CallRefused(LeadlineError):
    """A service answered, and the answer was no."""


class CodeChanged(LeadlineError):
    """A service runs other code than the one that started it: its account would wait for it for ever."""


async def migrate(nats: LocalNats, postgres: LocalPostgres, feed: Feed) -> None:
    """Bring the bus and the database to what this code and feed need, and forget what the last stack demanded.

    What an earlier stack has demanded must not start this one's prints before its strategies are named. Raises
    SchemaIsNewer for a data directory that a newer release has used.
    """
    await make_streams(nats, feed)
    await create_database(postgres.admin_settings(SUPERUSER), DATABASE)
    await refuse_newer(postgres.admin_settings())
    await migrate_database(postgres.admin_settings())
    await set_role_passwords(postgres.admin_settings(), postgres.passwords())
    await write_demand(postgres, ())


async def make_streams(nats: LocalNats, feed: Feed) -> None:
    """Make the streams of the bus that are not there. Raises BusUnavailable."""
    bus = await open_bus(nats.settings(MIGRATE_USER))
    try:
        await migrate_bus(bus, feed=feed)
    finally:
        await bus.close()


async def announced_run(services: Services, ingestion: str, timeout_s: float | None = TIMEOUT_SECONDS) -> Run:
    """The run that the ingestion at this address has opened or resumed. It serves only when it has one.

    Where it is away it is asked again for so long, with None for ever. Raises grpc.aio.AioRpcError.
    """
    stub = services.ingestion(ingestion)
    request = ingestion_pb2.GetFeedStatusRequest()
    status = await with_retries(lambda: stub.GetFeedStatus(request, timeout=CALL_SECONDS), timeout_s)
    return run_from_proto(status.run)


async def set_strategies(services: Services, plan: Plan, addresses: Mapping[str, str]) -> None:
    """Name every strategy, its analysis and its settings to its account. Raises CallRefused."""
    for strategy in plan.strategies:
        stub = services.execution(addresses[workload_id("execution", strategy.account_name)], strategy.account_name)
        request = execution_pb2.SetStrategyRequest(
            strategy=strategy.full_name,
            analysis_hash=_hash_of(strategy),
            manifest_json=orjson.dumps(strategy.to_manifest(), option=orjson.OPT_SORT_KEYS).decode(),
        )
        try:
            await with_retries(partial(stub.SetStrategy, request, timeout=CALL_SECONDS))
        except grpc.aio.AioRpcError as error:
            refused = f"the account {strategy.account_name} does not take {strategy.full_name}: {explain(error)}"
            raise CallRefused(refused) from error


async def same_code(services: Services, plan: Plan, addresses: Mapping[str, str]) -> None:
    """Check that each analysis speaks under the name that its account listens for. Raises CodeChanged."""
    for strategy in plan.strategies:
        stub = services.analysis(addresses[workload_id("analysis", strategy.full_name)])
        answer = await with_retries(partial(stub.ListDetectors, ListDetectorsRequest(), timeout=CALL_SECONDS))
        if answer.analysis_hash != _hash_of(strategy):
            raise CodeChanged(f"the code changed while the analysis of {strategy.full_name} was started: start again")


def _hash_of(strategy: TradingStrategy) -> str:
    return analysis_hash(code_version(), rollout_fields(strategy))


async def bars_are_built(services: Services, aggregation: str, rows: Sequence[DemandRow]) -> None:
    """Return when aggregation has taken up every series of the demand; it looks once a second.

    Raises the service's refusal when it has not within the patience of a call.
    """
    stub = services.aggregation(aggregation)
    for row in rows:
        if row.bars is None:
            continue
        stream = BarStream(contract=row.contract, session=row.bars.session, spec=row.bars.spec)
        request = GetBarsRequest(stream=stream, limit=1, candles_only=True)
        await with_retries(
            partial(stub.GetBars, request, timeout=CALL_SECONDS), besides=frozenset({grpc.StatusCode.NOT_FOUND})
        )


async def write_demand(postgres: LocalPostgres, rows: Sequence[DemandRow]) -> None:
    """Make these rows the whole demand, in one transaction."""
    connection = await connect(postgres.settings(ROLE), ROLE)
    try:
        async with connection.transaction():
            await store.write_demand(connection, rows)
    finally:
        await connection.close()
