"""A bar of more rows than the bus takes in one message."""

import asyncio

import numpy as np
import pytest

from leadline.aggregation import metrics
from leadline.aggregation.demand import series_of
from leadline.aggregation.service import keep_building
from leadline.model.instruments import instrument
from leadline.model.ticks import TickBatch, TickColumns
from leadline.plan.servers import LocalNats
from leadline.runtime.poison import Handling
from leadline.runtime.subjects import tick_subject
from leadline.runtime.wire import encode_tick_batch
from tests.measured import total
from tests.stack import bus_as

pytestmark = pytest.mark.integration

ROWS = 90_000
OPENS_NS = 1_723_075_200_000_000_000  # 2024-08-08, midnight UTC
DAY_NS = 86_400_000_000_000


@pytest.mark.moves("leadline_bar_builder_failures_total")
async def test_a_bar_that_the_bus_refuses_stops_its_own_series_and_no_other(nats_server: LocalNats):
    """What ends with an error ends the process, and with it every series."""
    before = total("leadline_bar_builder_failures_total")
    venue = instrument("BTCUSDT").venue
    subject = tick_subject("t", venue, "BTCUSDT")
    number = np.arange(ROWS, dtype=np.int64)
    ticks = TickColumns(OPENS_NS + number * 500_000_000, 600_000 + number, number + 1, np.ones(ROWS, dtype=np.int8))
    batches = [
        TickBatch("t", venue, "BTCUSDT", part, int(part.time_ns[-1]))
        for part in (ticks.slice(start, start + 10_000) for start in range(0, ROWS, 10_000))
    ]
    batches.append(TickBatch("t", venue, "BTCUSDT", TickColumns.empty(ROWS), OPENS_NS + DAY_NS + 3_000_000_000, True))
    async with bus_as(nats_server, "ingestion") as bus:
        for place, batch in enumerate(batches):
            await bus.publish(subject, encode_tick_batch(batch), f"{subject}/{place}")
    row = {"contract": "BTCUSDT", "venue": venue, "session": "rth", "bars": "1d", "ticks_per_row": 1}
    series = series_of({**row, "hours": {"open": "00:00", "close": "00:00", "zone": "UTC"}})
    failures = metrics.series_metrics(series).failures
    before = failures._value.get()
    async with bus_as(nats_server, "aggregation") as bus:
        building = asyncio.create_task(keep_building(bus, "t", series, Handling(None)))
        while failures._value.get() == before and not building.done():  # noqa: ASYNC110 - a counter tells nobody
            await asyncio.sleep(0.01)
        assert not building.done()
        building.cancel()
        await asyncio.wait([building])
    assert total("leadline_bar_builder_failures_total") > before
