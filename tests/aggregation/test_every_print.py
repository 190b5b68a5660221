"""No print of a tape is lost without a word: it is in a bar, outside the session, kept out, or in the unfinished bar.

That holds for each series by itself, for the prints of one contract are in the bars of every series of it.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from leadline.aggregation.builder import BarBuilder
from leadline.ingestion.batching import BatchBounds
from leadline.ingestion.sources import FileSource
from leadline.ingestion.tally import OUTSIDE
from leadline.ingestion.tape import ContractTape
from leadline.model.bars import BarKey, BarMessage, UnfinishedBar
from leadline.model.durations import parse_bar_spec
from leadline.model.errors import RefusedMessage
from leadline.model.ids import ContractId, RunId
from leadline.model.subjects import bar_subject
from leadline.model.ticks import TickBatch
from leadline.model.wire.bars import encode_bar
from leadline.runtime.bus.intake import read_bar
from tests.aggregation.builders import BUY, CALENDAR, RTH, at, batches, builder, ns, run

MONDAY, TUESDAY = date(2025, 6, 9), date(2025, 6, 10)
# Regular hours are 13:30 to 20:00 UTC: each file begins before them and ends elsewhere.
ENDS = {
    ContractId("MESM2025"): "2025-06-10T15:02:17",  # inside a bar and inside a session
    ContractId("MNQM2025"): "2025-06-10T20:00:01",  # after the close, before its bars are known by anything but a print
    ContractId("ESM2025"): "2025-06-10T21:30:00",  # in the next day's session of the market, outside this one
}
FAULTY = ["{},6000.30,1,1", "{},6000.25,0,1", "{},6000.25,1,7"]


def lines(end: str, seed: int) -> Iterator[str]:
    """Two days with a print every half minute or so, and a faulty one now and then."""
    chance = random.Random(seed)
    yield "ts_ns,price,size,side"
    for begins, ends in (("2025-06-09T13:00:00", "2025-06-09T20:59:00"), ("2025-06-10T13:00:00", end)):
        now_ns = ns(begins)
        while now_ns < ns(ends):
            if chance.random() < 0.02:
                yield chance.choice(FAULTY).format(now_ns)
            yield f"{now_ns},{6000 + chance.randrange(40) / 4},{chance.randrange(1, 9)},{chance.choice((-1, 0, 1))}"
            now_ns += chance.randrange(1, 60) * 10**9
        yield f"{ns(ends)},6000.25,1,1"


def series(contract: ContractId, bars: str) -> BarBuilder:
    spec = parse_bar_spec(bars)
    return BarBuilder(
        tape=RunId("run-1"), venue="cme", contract=contract, calendar=CALENDAR, hours=RTH, spec=spec, ticks_per_row=1
    )


@pytest.mark.parametrize("bars", ["1m", "5m", "4h", "1d", "ticks:100", "ticks:1", "volume:250"])
def test_the_prints_of_each_contract_are_all_accounted_for(tmp_path: Path, bars: str):
    written, tails = {}, {}
    for seed, (contract, end) in enumerate(ENDS.items()):
        written[contract] = list(lines(end, seed))
        (tmp_path / f"{contract}.csv").write_text("\n".join(written[contract]) + "\n")
    source = FileSource([(tmp_path / f"{name}.csv", name) for name in ENDS], allowed_lateness_ns=0)
    for contract in ENDS:
        tape = ContractTape(source, contract, [MONDAY, TUESDAY], BatchBounds(64), allowed_lateness_ns=0)
        tape.tally.outside.hours = (RTH,)
        built = series(contract, bars)
        told: list[BarMessage] = []
        for draft in tape.drafts():
            told += built.feed(TickBatch(RunId("run-1"), "cme", contract, draft.ticks, draft.watermark_ns, draft.final))
        counts = tape.tally.counts()
        outside = sum(prints for (_, reason), prints in counts.items() if reason == OUTSIDE)
        kept_out = sum(counts.values()) - outside
        in_bars = sum(message.bar.prints for message in told if message.bar is not None)
        tails[contract] = 0 if told[-1].unfinished is None else told[-1].unfinished.prints
        assert min(in_bars, outside, kept_out) > 0
        assert in_bars + outside + kept_out + tails[contract] == len(written[contract]) - 1
    assert tails[ContractId("ESM2025")] == tails[ContractId("MNQM2025")] == 0
    assert (tails[ContractId("MESM2025")] > 0) == (bars != "ticks:1")


def test_the_unfinished_bar_is_named_and_said_once_with_the_end():
    rows = [(at(0), 100, 1, BUY), (at(61), 100, 4, BUY), (at(62), 100, 4, BUY)]
    told = run(builder("1m"), batches(rows, [1, 2]))
    assert [message.unfinished for message in told[:-1]] == [None] * (len(told) - 1)
    tail = told[-1].unfinished
    assert tail is not None
    assert (tail.key.text(), tail.prints) == ("MESZ2025/rth/1m-r1/2025-11-20/1", 2)


def test_each_series_of_a_tape_has_a_tail_of_its_own():
    rows = [(at(second), 100, 3, BUY) for second in range(125)]
    tails = {}
    for bars in ("1m", "5m", "ticks:50", "ticks:25", "volume:100"):
        tail = run(builder(bars), batches(rows, []))[-1].unfinished
        tails[bars] = None if tail is None else (tail.key.ordinal, tail.prints)
    assert tails == {"1m": (2, 5), "5m": (0, 125), "ticks:50": (2, 25), "ticks:25": None, "volume:100": (3, 23)}


def test_a_tape_that_ends_with_its_bar_or_before_its_first_print_has_no_unfinished_bar():
    assert run(builder("1m"), batches([(at(0), 100, 1, BUY)], [], end_ns=at(62)))[-1].unfinished is None
    assert run(builder("1m"), batches([(at(-60), 100, 1, BUY)], []))[-1].unfinished is None


def test_a_promise_ahead_goes_over_the_bus():
    subject = bar_subject(RunId("run-1"), "cme", ContractId("MESM2025"), "rth", "5m-r1")
    said = BarMessage(RunId("run-1"), "cme", ContractId("MESM2025"), 9, False, None, quiet_until_ns=60)
    assert read_bar(subject, encode_bar(said)) == said


def test_the_unfinished_bar_goes_over_the_bus_with_the_end_and_nowhere_else():
    key = BarKey(ContractId("MESM2025"), "rth", "5m-r1", MONDAY, 7)
    subject = bar_subject(RunId("run-1"), "cme", ContractId("MESM2025"), "rth", "5m-r1")
    said = BarMessage(RunId("run-1"), "cme", ContractId("MESM2025"), 9, True, None, UnfinishedBar(key, 37))
    assert read_bar(subject, encode_bar(said)) == said
    other = replace(key, contract=ContractId("MNQM2025"))
    for false in (
        replace(said, final=False),
        replace(said, unfinished=UnfinishedBar(key, 0)),
        replace(said, unfinished=UnfinishedBar(other, 37)),
        replace(said, unfinished=UnfinishedBar(replace(key, spec="1m-r1"), 37)),
    ):
        with pytest.raises(RefusedMessage):
            read_bar(subject, encode_bar(false))
