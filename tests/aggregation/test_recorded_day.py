"""A recorded day of gold futures, from file to footprint."""

import gzip
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from leadline.aggregation.builder import BarBuilder
from leadline.model.bars import Bar
from leadline.model.durations import parse_bar_spec
from leadline.model.ids import ContractId, RunId
from leadline.model.market.calendars import calendar
from leadline.model.market.hours import instant_ns
from leadline.model.market.instruments import instrument
from leadline.model.market.sessions import resolve_session
from leadline.model.ticks import TickBatch, TickColumns

TRADING_DAY = date(2013, 10, 8)


@pytest.fixture(scope="module")
def gold(shared_data: Path) -> TickColumns:
    with gzip.open(shared_data / "ticks" / "gc_20131008_tickrule.csv.gz", "rt") as file:
        rows = [line.rstrip("\n").split(",") for line in file][1:]
    sheet = instrument("GC")
    return TickColumns(
        np.array([int(row[0]) for row in rows]),
        np.array([sheet.price_to_ticks(row[1]) for row in rows]),
        np.array([int(row[2]) for row in rows]),
        np.array([int(row[3]) for row in rows], dtype=np.int8),
    )


def bars_of_the_day(ticks: TickColumns, bars: str, size: int) -> list[Bar]:
    _, hours = resolve_session(instrument("GC"), "globex")
    builder = BarBuilder(
        tape=RunId("run-1"),
        venue="comex",
        contract=ContractId("GCZ2013"),
        calendar=calendar(instrument("GC").calendar),
        hours=hours,
        spec=parse_bar_spec(bars),
        ticks_per_row=1,
    )
    found: list[Bar] = []
    for start in range(0, len(ticks), size):
        part = ticks.slice(start, start + size)
        batch = TickBatch(RunId("run-1"), "comex", ContractId("GCZ2013"), part, int(part.time_ns[-1]))
        found += [message.bar for message in builder.feed(batch) if message.bar is not None]
    end = TickBatch(
        RunId("run-1"),
        "comex",
        ContractId("GCZ2013"),
        TickColumns.empty(len(ticks)),
        int(ticks.time_ns[-1]) + 10**15,
        True,
    )
    return found + [message.bar for message in builder.feed(end) if message.bar is not None]


@pytest.mark.parametrize("bars", ["5m", "ticks:500"])
def test_volume_delta_and_prints_conserve_from_file_to_footprint(gold: TickColumns, bars: str):
    found = bars_of_the_day(gold, bars, 256)
    inside = np.zeros(len(gold), dtype=bool)
    for bar in found:
        inside |= (gold.time_ns >= bar.session_open_ns) & (gold.time_ns < bar.session_close_ns)
    assert TRADING_DAY in {bar.key.trading_day for bar in found}
    assert sum(bar.volume for bar in found) == int(gold.size[inside].sum())
    assert sum(bar.delta for bar in found) == int((gold.size * gold.aggressor)[inside].sum())
    assert sum(bar.prints for bar in found) == int(inside.sum())
    assert sum(int((bar.rows.bid + bar.rows.ask + bar.rows.unknown).sum()) for bar in found) == sum(
        bar.volume for bar in found
    )


def test_the_quarter_of_an_hour_after_17_00_new_york_belonged_to_the_session_of_2013(gold: TickColumns):
    found = bars_of_the_day(gold, "5m", 256)
    late = (gold.time_ns >= instant_ns(TRADING_DAY, "17:00", "America/New_York")) & (
        gold.time_ns < instant_ns(TRADING_DAY, "17:15", "America/New_York")
    )
    assert int(late.sum()) > 0
    assert sum(bar.prints for bar in found) == len(gold)
    closes_ns = instant_ns(TRADING_DAY, "17:15", "America/New_York")
    assert {bar.session_close_ns for bar in found if bar.key.trading_day == TRADING_DAY} == {closes_ns}


def test_batches_that_end_inside_equal_timestamps_give_the_same_bars(gold: TickColumns):
    assert int((np.diff(gold.time_ns) == 0).sum()) > 16_000
    small, large = (bars_of_the_day(gold, "1m", size) for size in (37, len(gold)))
    assert [(bar.key, bar.known_at_ns, bar.volume, bar.delta, bar.poc) for bar in small] == [
        (bar.key, bar.known_at_ns, bar.volume, bar.delta, bar.poc) for bar in large
    ]
