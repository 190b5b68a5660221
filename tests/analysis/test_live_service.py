"""Analysis of the tape `live`: it reads what its history needs, says nothing of days that are past, and goes on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import structlog

from leadline.analysis import service
from leadline.analysis.assemble import strategy_fold
from leadline.analysis.fold import StrategyFold
from leadline.local.local_nats import LocalNats
from leadline.model.bars import Bar, BarMessage
from leadline.model.ids import AccountId, ContractId, StrategyId
from leadline.model.manifest.specs import StrategySpec
from leadline.model.signals import BarSignals, SignalMessage
from leadline.model.subjects import SIGNALS, bar_subject, signal_subject
from leadline.model.wire.bars import encode_bar
from leadline.model.wire.signals import decode_signal
from leadline.runtime.bus.bus import Bus
from leadline.runtime.clock import wall_ns
from leadline.runtime.context import open_context
from leadline.runtime.runs import LIVE_TAPE, Run, announce_run
from tests.analysis.builders import MONDAY, random_tape
from tests.analysis.test_service import settings_of
from tests.stack import bus_as

pytestmark = pytest.mark.integration

MES = ContractId("MESZ2025")
SPEC = {"instrument": "MES", "history": 2, "strategy": {"name": "OrderFlow"}}
SUBJECT = signal_subject(LIVE_TAPE, AccountId("default/paper"), StrategyId("default/mes"))
BAR_SUBJECT = bar_subject(LIVE_TAPE, "cme", MES, "rth", "5m-r1")
THANKSGIVING = date(2025, 11, 27)
BARS_A_DAY = 16
# Three weeks of sessions, whose first is the first of the tape.
TAPE = [
    bar
    for bar in random_tape(seed=4, days=19, bars_a_day=BARS_A_DAY)
    if bar.key.trading_day.weekday() < 5 and bar.key.trading_day != THANKSGIVING
]
DAYS = sorted({bar.key.trading_day for bar in TAPE})


def message(bar: Bar) -> BarMessage:
    return BarMessage(LIVE_TAPE, "cme", MES, bar.known_at_ns, final=False, bar=bar)


def of_days(*days: date) -> list[Bar]:
    return [bar for bar in TAPE if bar.key.trading_day in days]


def answers(days: Sequence[date]) -> list[BarSignals]:
    """What a fold says of these days, each with the two sessions before it alone."""
    found: list[BarSignals] = []
    for day in days:
        fold: StrategyFold = strategy_fold(StrategySpec.model_validate(SPEC), day)
        before = DAYS[max(0, DAYS.index(day) - 2) : DAYS.index(day) + 1]
        found += [said for bar in of_days(*before) if (said := fold.step(bar)) is not None]
    return found


async def publish(bus: Bus, bars: Sequence[Bar]) -> None:
    keys = [f"{BAR_SUBJECT}/{bar.key.text()}/{bar.revision}" for bar in bars]
    await bus.publish_many([(BAR_SUBJECT, encode_bar(message(bar)), key) for bar, key in zip(bars, keys, strict=True)])


@asynccontextmanager
async def running(nats: LocalNats, folder: Path, now_ns: int) -> AsyncIterator[None]:
    """The service, on a tape whose clock shows a time."""
    run = Run(LIVE_TAPE, "simulated", {MES: "cme"}, MONDAY, 5, (), (), 0, clock_offset_ns=now_ns - wall_ns())
    async with bus_as(nats, "ingestion") as bus:
        await announce_run(bus, run)
    settings: Any = settings_of(nats, folder, SPEC)
    context = await open_context(settings, structlog.stdlib.get_logger())
    task = asyncio.create_task(service.run(context))
    try:
        yield
    finally:
        context.stopping.set()
        await task
        await context.close()


async def said(bus: Bus, last: Bar) -> list[SignalMessage]:
    """Everything on the subject, up to what is said of a bar; waits for it."""
    found: list[SignalMessage] = []
    async with asyncio.timeout(30), aclosing(bus.ordered(SIGNALS, SUBJECT)) as messages:
        async for received in messages:
            found.append(decode_signal(received.payload))
            bar = found[-1].bar
            if bar is not None and bar.bar == last.key:
                return found
    raise AssertionError


def bars_in(found: Sequence[SignalMessage]) -> list[BarSignals]:
    return [each.bar for each in found if each.bar is not None]


async def test_a_strategy_that_comes_late_reads_its_history_and_speaks_of_today(nats_server: LocalNats, tmp_path):
    today = DAYS[-1]
    bars = of_days(*DAYS[:-1]) + of_days(today)[:5]
    async with bus_as(nats_server, "aggregation") as source, bus_as(nats_server, "execution") as reader:
        await publish(source, bars)
        async with running(nats_server, tmp_path, bars[-1].known_at_ns):
            found = await said(reader, bars[-1])
    assert bars_in(found) == answers([today])[:5]
    # Of the weeks before its history it has not even read the progress.
    assert found[0].progress_ns >= of_days(DAYS[-4])[-1].known_at_ns


async def test_one_that_starts_again_goes_on_after_its_last_bar_however_many_days_went_by(
    nats_server: LocalNats, tmp_path
):
    cut = [bar.key for bar in TAPE].index(of_days(DAYS[8])[7].key)
    async with bus_as(nats_server, "aggregation") as source, bus_as(nats_server, "execution") as reader:
        await publish(source, TAPE[: cut + 1])
        async with running(nats_server, tmp_path, TAPE[cut].known_at_ns):
            await said(reader, TAPE[cut])
        # Two sessions and a half while it was away, and late prints of bars that it has spoken of.
        await publish(source, [replace(TAPE[cut], revision=1, close=1), *TAPE[cut + 1 :]])
        async with running(nats_server, tmp_path, TAPE[-1].known_at_ns):
            found = await said(reader, TAPE[-1])
    assert bars_in(found) == answers(DAYS[8:])
    progress = [each.progress_ns for each in found]
    assert progress == sorted(progress)
