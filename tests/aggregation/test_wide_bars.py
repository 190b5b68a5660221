"""A bar of more rows than the bus takes in one message."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from structlog.testing import capture_logs

from leadline.aggregation import metrics
from leadline.aggregation.demand import series_of
from leadline.aggregation.service import keep_building
from leadline.aggregation.wide import BarTooWide, fitting_ticks_per_row
from leadline.local.local_nats import LocalNats
from leadline.model.bars import Bar
from leadline.model.ids import ContractId, RunId
from leadline.model.market.instruments import instrument
from leadline.model.subjects import tick_subject
from leadline.model.ticks import TickBatch, TickColumns
from leadline.model.wire.ticks import encode_tick_batch
from leadline.runtime.poison import Handling
from tests.analysis.builders import footprint_bar
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
    subject = tick_subject(RunId("t"), venue, ContractId("BTCUSDT"))
    number = np.arange(ROWS, dtype=np.int64)
    ticks = TickColumns(OPENS_NS + number * 500_000_000, 600_000 + number, number + 1, np.ones(ROWS, dtype=np.int8))
    batches = [
        TickBatch(RunId("t"), venue, ContractId("BTCUSDT"), part, int(part.time_ns[-1]))
        for part in (ticks.slice(start, start + 10_000) for start in range(0, ROWS, 10_000))
    ]
    batches.append(
        TickBatch(
            RunId("t"), venue, ContractId("BTCUSDT"), TickColumns.empty(ROWS), OPENS_NS + DAY_NS + 3_000_000_000, True
        )
    )
    async with bus_as(nats_server, "ingestion") as bus:
        for place, batch in enumerate(batches):
            await bus.publish(subject, encode_tick_batch(batch), f"{subject}/{place}")
    row = {"contract": "BTCUSDT", "venue": venue, "session": "rth", "bars": "1d", "ticks_per_row": 1}
    series = series_of({**row, "hours": {"open": "00:00", "close": "00:00", "zone": "UTC"}})
    failures = metrics.series_metrics(series).failures
    before = failures._value.get()
    async with bus_as(nats_server, "aggregation") as bus:
        with capture_logs() as lines:
            building = asyncio.create_task(keep_building(bus, RunId("t"), series, Handling(None)))
            while failures._value.get() == before and not building.done():  # noqa: ASYNC110 - a counter tells nobody
                await asyncio.sleep(0.01)
        assert not building.done()
        building.cancel()
        await asyncio.wait([building])
    assert total("leadline_bar_builder_failures_total") > before
    [reason] = [line["reason"] for line in lines if line["event"] == "aggregation.builder_failed"]
    assert reason.startswith("spec.ticksPerRow: got 1, expected 2 or more: the bar ")
    assert "of BTCUSDT on 2024-08-08 has 90000 rows" in reason


def bar_of(prices: Sequence[int], ticks_per_row: int = 1) -> Bar:
    """A bar with one print at each of these prices, ticks."""
    return footprint_bar([(price, 1, 1) for price in prices], ticks_per_row=ticks_per_row)


@pytest.mark.parametrize(
    ("prices", "height", "most_rows", "enough"),
    [
        (range(100_000, 100_100), 1, 100, 1),
        (range(100_000, 100_100), 1, 99, 2),
        (range(100_000, 100_100), 1, 21, 5),
        (range(100_000, 100_100, 4), 4, 24, 8),
        # With a price in every hundredth tick low rows join nothing.
        (range(100_000, 110_000, 100), 1, 60, 200),
        (range(0, 1_000_000, 10_000), 1, 60, None),
    ],
)
def test_the_height_that_would_do_follows_from_the_prices(prices, height: int, most_rows: int, enough: int | None):
    assert fitting_ticks_per_row(bar_of(prices, height), most_rows) == enough


def test_a_bar_that_no_height_lets_fit_asks_for_shorter_bars():
    error = BarTooWide(bar_of(range(0, 1_000_000, 10_000)), 2_000, 1_000)
    assert str(error).startswith("spec.ticksPerRow: got 1, expected shorter bars (spec.bars): the bar ")
