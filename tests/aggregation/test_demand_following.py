"""The whole service: it builds what the demand names, and nothing that it names touches what else is built."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from leadline.aggregation import metrics, service
from leadline.aggregation.v1 import aggregation_pb2 as pb
from leadline.aggregation.v1 import aggregation_pb2_grpc as rpc
from leadline.local.local_nats import LocalNats
from leadline.model.subjects import BARS
from leadline.model.wire.bars import decode_bar
from leadline.runtime.bus.bus import Bus
from leadline.runtime.context import open_context
from leadline.runtime.rpc.auth import one_key, token_source
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.runtime.runs import Run, announce_run
from leadline.runtime.settings import ServiceSettings
from tests.aggregation.builders import CONTRACT, DAY, TAPE, VENUE, bars_of, plain
from tests.aggregation.test_service import expected, publish, subject, tape, told
from tests.measured import value
from tests.stack import Database, bus_as, pool_as

pytestmark = pytest.mark.integration

KEY = "a key that is long enough to sign tokens with"
HOURS = {"open": "09:30", "close": "16:00", "zone": "America/New_York"}


@asynccontextmanager
async def running(nats: LocalNats, database: Database, folder: Path) -> AsyncIterator[str]:
    """The service on a run that is open; yields its address."""
    key = folder / "key"
    key.write_text(KEY)
    settings = ServiceSettings(
        service="aggregation",
        workload="aggregation",
        listen="127.0.0.1:0",
        metrics_listen="127.0.0.1:0",
        nats=nats.settings("aggregation"),
        database=database.settings("aggregation"),
        data_dir=folder,
        token_key_file=key,
    )
    async with bus_as(nats, "ingestion") as bus:
        await announce_run(bus, Run(TAPE, "sim", {CONTRACT: VENUE}, DAY, 0, (DAY,), (), 0))
    context = await open_context(settings, structlog.stdlib.get_logger())
    task = asyncio.create_task(service.run(context))
    try:
        while not context.port:
            assert not task.done()
            await asyncio.sleep(0.005)
        yield f"127.0.0.1:{context.port}"
    finally:
        context.stopping.set()
        await asyncio.wait_for(task, 10)
        await context.close()
        assert not context.crashed.done()


async def demand(pool: Any, strategy: str, bars: str | None, hours: Mapping[str, str] = HOURS) -> None:
    await pool.execute(
        "INSERT INTO demand (account, strategy, contract, venue, session, hours, bars, ticks_per_row)"
        " VALUES ('default/paper', $1, $2, $3, $4, $5, $6, $7)",
        strategy,
        CONTRACT,
        VENUE,
        *(("rth", dict(hours), bars, 1) if bars else (None, None, None, None)),
    )


async def bars(reader: Bus, spec: str) -> list[object]:
    """All bars of a series, to the end of the tape."""
    return [plain(bar) for bar in bars_of(await told(reader, spec))]


async def until_built(count: int) -> None:
    """Wait until so many builders run."""
    await until(lambda: metrics.BUILDERS._value.get() == count)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the service does: it looks at the demand every second and tells nobody."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)


async def test_bars_that_are_asked_for_are_built_and_served(nats_server: LocalNats, database: Database, tmp_path: Path):
    async with (
        pool_as(database, "supervisor") as supervisor,
        running(nats_server, database, tmp_path) as address,
        bus_as(nats_server, "ingestion") as source,
        bus_as(nats_server, "analysis") as reader,
    ):
        await demand(supervisor, "default/one", "1m")
        await demand(supervisor, "default/two", "1m")
        await demand(supervisor, "default/three", "ticks100")
        await demand(supervisor, "", None)
        await publish(source, tape())
        assert await bars(reader, "1m") == expected("1m")
        assert await bars(reader, "ticks:100") == expected("ticks:100")
        assert metrics.BUILDERS._value.get() == 2
        channel = open_channel(address, token_source(one_key(KEY), "cli-viewer", "ann", "aggregation"))
        stream = pb.BarStream(contract=CONTRACT, session="rth", spec="1m-r1")
        reply = await rpc.AggregationServiceStub(channel).GetBars(pb.GetBarsRequest(stream=stream))
        await channel.close(None)
    assert len(reply.bars) == len(expected("1m"))


async def test_a_series_that_nobody_asks_for_any_more_stops_and_the_others_go_on(
    nats_server: LocalNats, database: Database, tmp_path: Path
):
    feed = tape()
    async with (
        pool_as(database, "supervisor") as supervisor,
        running(nats_server, database, tmp_path),
        bus_as(nats_server, "ingestion") as source,
        bus_as(nats_server, "analysis") as reader,
    ):
        await demand(supervisor, "default/one", "1m")
        await demand(supervisor, "default/two", "5m")
        await until_built(2)
        await publish(source, feed[:20])
        async with aclosing(reader.ordered(BARS, subject("5m"))) as messages:
            await anext(messages)
        await supervisor.execute("DELETE FROM demand WHERE strategy = 'default/two'")
        await until_built(1)
        await publish(source, feed[20:])
        assert await bars(reader, "1m") == expected("1m")
        last = await reader.last(BARS, subject("5m"))
        assert last is not None
        assert not decode_bar(last.payload).final
        # Asked for again, it goes on where it was.
        await demand(supervisor, "default/two", "5m")
        assert await bars(reader, "5m") == expected("5m")


@pytest.mark.moves("leadline_demand_refused")
async def test_a_row_that_cannot_be_built_is_counted_and_holds_nobody_up(
    nats_server: LocalNats, database: Database, tmp_path: Path
):
    async with (
        pool_as(database, "supervisor") as supervisor,
        running(nats_server, database, tmp_path),
        bus_as(nats_server, "ingestion") as source,
        bus_as(nats_server, "analysis") as reader,
    ):
        await demand(supervisor, "default/bad", "7h")
        await demand(supervisor, "default/lost", "5m", HOURS | {"zone": "Nowhere"})
        await demand(supervisor, "default/one", "1m")
        await publish(source, tape())
        assert await bars(reader, "1m") == expected("1m")
        assert metrics.REFUSED_DEMAND._value.get() == 2


@pytest.mark.moves("leadline_demand_read_failures_total")
async def test_a_database_that_is_away_is_counted_and_what_is_asked_for_is_built_when_it_is_back(
    nats_server: LocalNats, database: Database, tmp_path: Path
):
    failures = "leadline_demand_read_failures_total"
    async with (
        running(nats_server, database, tmp_path),
        bus_as(nats_server, "ingestion") as source,
        bus_as(nats_server, "analysis") as reader,
    ):
        before = value(failures)
        database.server.stop()
        try:
            await until(lambda: value(failures) > before)
        finally:
            database.server.start()
        async with pool_as(database, "supervisor") as supervisor:
            await demand(supervisor, "default/one", "1m")
        await publish(source, tape())
        assert await bars(reader, "1m") == expected("1m")
