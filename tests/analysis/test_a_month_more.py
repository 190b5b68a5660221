"""A feed that gains a month while it runs: the strategy goes on in it, as if it had been there from the beginning."""

from collections.abc import Sequence
from contextlib import aclosing
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.analysis.merge import merged
from leadline.analysis.months import month_ends, month_folds
from leadline.analysis.publication import Publication
from leadline.backtest.work import builder_of, series_of
from leadline.local.local_nats import LocalNats
from leadline.model.bars import BarMessage
from leadline.model.errors import Unknown
from leadline.model.ids import AccountId, ContractId, StrategyId
from leadline.model.manifest.specs import rollout_fields
from leadline.model.signals import SignalMessage
from leadline.model.subjects import SIGNALS, bar_subject, signal_subject
from leadline.model.ticks import TickBatch, TickColumns
from leadline.model.wire.bars import encode_bar
from leadline.model.wire.signals import decode_signal, encode_signal
from leadline.runtime.runs import Run, announce_run
from leadline.testing.replay import ANALYSIS, TAPE, signal_messages
from tests.analysis.test_series import strategy
from tests.analysis.test_service import running
from tests.stack import bus_as

JUNE, SEPTEMBER = ContractId("MESM2025"), ContractId("MESU2025")
FRIDAY = date(2025, 6, 13)
"""The last day of June; September leads from Monday on."""
OPENS_NS = [1_749_821_400_000_000_000 + days * 86_400_000_000_000 for days in (0, 3)]  # 09:30 in New York
SERIES = "[{name: hour, bars: 30m, history: 1}]"
MINE = strategy(series=SERIES)


@cache
def bars() -> dict[ContractId, dict[str, list[BarMessage]]]:
    """Two hours of Friday and of Monday in both months, a print every half minute, in batches of an hour."""
    found: dict[ContractId, dict[str, list[BarMessage]]] = {}
    for seed, contract in enumerate((JUNE, SEPTEMBER)):
        dice = np.random.default_rng(seed)
        rows = [
            (opens_ns + number * 30_000_000_000, 20_000 + int(dice.integers(-9, 10)), 1, int(dice.integers(-1, 2)))
            for opens_ns in OPENS_NS
            for number in range(240)
        ]
        ticks = TickColumns.of(rows)
        parts = [ticks.slice(start, start + 120) for start in range(0, len(ticks), 120)]
        batches = [TickBatch(TAPE, "cme", contract, part, int(part.time_ns[-1])) for part in parts]
        end = TickBatch(TAPE, "cme", contract, ticks.slice(len(ticks), len(ticks)), rows[-1][0] + 1, final=True)
        found[contract] = {
            series.name: [told for batch in (*batches, end) for told in built.feed(batch)]
            for series in MINE.spec.all_series
            for built in [builder_of(contract, series_of(MINE)[series.name])]
        }
    return found


@cache
def expected() -> list[SignalMessage]:
    return signal_messages(MINE, FRIDAY, bars())


def told_of_later(after: int) -> list[SignalMessage]:
    """What is published where September is announced after so many messages of June's bars."""
    names = (TAPE, MINE.account_name, MINE.full_name, ANALYSIS)
    (june,) = month_folds(MINE.spec, [JUNE], FRIDAY)
    publication = Publication(*names, june.fold, None, june.ends_ns)
    feed: tuple[ContractId, ...] = (JUNE,)
    found = []
    for number, (series, message) in enumerate(merged(bars()[JUNE])):
        if number == after:
            feed = (JUNE, SEPTEMBER)
        publication.until(month_ends(MINE.spec, feed, FRIDAY).get(JUNE))
        if publication.passed:
            break
        found.append(publication.step(message, series))
    assert publication.passed
    _, september = month_folds(MINE.spec, feed, FRIDAY)
    publication.follow(september.fold, september.ends_ns)
    found += [publication.step(message, series) for series, message in merged(bars()[SEPTEMBER])]
    return [one for one in found if one is not None]


def days_said(answers: Sequence[SignalMessage]) -> set[tuple[str, int]]:
    return {(one.bar.bar.contract, one.bar.bar.trading_day.day) for one in answers if one.bar is not None}


def friday() -> int:
    """How many messages of June's bars there are before one promises more than Friday."""
    ends_ns = month_ends(MINE.spec, (JUNE, SEPTEMBER), FRIDAY)[JUNE]
    return sum(message.progress_ns < ends_ns for _, message in merged(bars()[JUNE]))


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_a_month_that_is_announced_before_it_leads_is_taken_up_to_the_same_bytes(data: st.DataObject) -> None:
    answers = told_of_later(data.draw(st.integers(0, friday() - 1)))
    assert [encode_signal(one) for one in answers] == [encode_signal(one) for one in expected()]
    assert days_said(answers) == {(JUNE, 13), (SEPTEMBER, 16)}


def test_of_one_that_is_announced_too_late_nothing_is_said_that_was_promised_already() -> None:
    june = list(merged(bars()[JUNE]))
    noon_ns = OPENS_NS[1] + 3_600_000_000_000
    late = next(number for number, (_, message) in enumerate(june) if message.progress_ns > noon_ns)
    answers = told_of_later(late)
    assert days_said(answers) == {(JUNE, 13), (SEPTEMBER, 16)}
    promised_ns = max(message.progress_ns for _, message in june[:late])
    monday = [one.bar.known_at_ns for one in answers if one.bar is not None and one.bar.bar.contract == SEPTEMBER]
    assert min(monday) >= promised_ns
    assert len(monday) < len([one for one in expected() if one.bar is not None and one.bar.bar.contract == SEPTEMBER])


def test_a_feed_that_has_lost_the_month_with_which_deciding_began_has_its_later_ones() -> None:
    (only,) = month_folds(MINE.spec, [SEPTEMBER], FRIDAY)
    assert (only.contract, only.ends_ns) == (SEPTEMBER, None)
    with pytest.raises(Unknown, match="contract of the feed"):
        month_folds(MINE.spec, ["GCZ2025"], FRIDAY)


@pytest.mark.integration
async def test_the_service_takes_up_a_month_that_is_announced_while_it_runs(
    nats_server: LocalNats, tmp_path: Path
) -> None:
    subject = signal_subject(TAPE, AccountId("default/paper"), StrategyId("default/mes"))
    coming = [
        (bar_subject(TAPE, "cme", contract, "rth", series.token), encode_bar(message), f"{contract}/{series.name}/{n}")
        for contract, found in bars().items()
        for series in MINE.spec.all_series
        for n, message in enumerate(found[series.name])
    ]
    until_friday = [each for each in coming if each[0].split(".")[4] == JUNE][:8]
    run = Run(TAPE, "live", {JUNE: "cme"}, FRIDAY, 1, (FRIDAY,), (), 0)
    async with bus_as(nats_server, "ingestion") as feed, bus_as(nats_server, "aggregation") as aggregation:
        await announce_run(feed, run)
        async with (
            running(nats_server, tmp_path, rollout_fields(MINE)),
            bus_as(nats_server, "execution") as reader,
            aclosing(reader.ordered(SIGNALS, subject)) as messages,
        ):
            await aggregation.publish_many(until_friday)
            await announce_run(feed, Run(TAPE, "live", {JUNE: "cme", SEPTEMBER: "cme"}, FRIDAY, 1, (FRIDAY,), (), 0))
            await aggregation.publish_many(coming[len(until_friday) :])
            answers: list[SignalMessage] = []
            while not answers or not answers[-1].final:
                answers.append(decode_signal((await anext(messages)).payload))
    assert days_said(answers) == {(JUNE, 13), (SEPTEMBER, 16)}
