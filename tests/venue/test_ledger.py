"""What the venue has promised is on disk; what a kill cut short was never promised."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from leadline.model.ids import ClientOrderId, RunId
from leadline.model.ticks import TickColumns
from leadline.venue.fill_rules import FillRules
from leadline.venue.history import Step
from leadline.venue.ledger import FILE_NAME, Ledger, LedgerDamaged, LedgerInUse
from leadline.venue.matching import PaperMarket
from tests.conftest import ROOT
from tests.venue.builders import BUY, MES, SELL, ns, order, tape

RULES = FillRules(latency_ns=0)
PRINTS = tape([(1, 19999, 1, SELL), (2, 20000, 2, BUY), (3, 20024, 1, BUY), (4, 20025, 1, BUY), (5, 19984, 5, SELL)])


def steps_of_a_day() -> list[Step]:
    """An entry in two fills with its brackets, a resting order with a queue, a cancel."""
    paper = PaperMarket(RULES, 0)
    steps = [paper.take_step()]
    paper.submit(order(quantity=2, bracket=(16, 24)))
    paper.submit(order(ClientOrderId("rest"), limit=20000))
    paper.submit(order(ClientOrderId("gone"), limit=19000))
    steps.append(paper.take_step())
    paper.cancel(ClientOrderId("gone"), "asked")
    while paper.instant_ns < ns(6):
        paper.advance({MES: PRINTS}, ns(6))
        steps.append(paper.take_step())
    return steps


def write(directory: Path, steps: list[Step], name: str = "run-1") -> None:
    ledger = Ledger.open(directory, RunId(name))
    for step in steps:
        ledger.append(step)
    ledger.close()


def read(directory: Path, name: str = "run-1") -> list[Step]:
    ledger = Ledger.open(directory, RunId(name))
    try:
        return list(ledger.steps())
    finally:
        ledger.close()


def test_a_reopened_ledger_makes_the_same_market_again(tmp_path: Path):
    steps = steps_of_a_day()
    write(tmp_path, steps)
    assert read(tmp_path) == steps

    again = PaperMarket(RULES, 0)
    for step in steps:
        again.restore(step)
    assert again.last_event == again.matched_event == sum(len(step.events) for step in steps)
    assert replace(again.take_step(), events=steps[-1].events) == steps[-1]


def test_events_that_are_read_back_are_equal_to_what_they_were(tmp_path: Path):
    steps = steps_of_a_day()
    write(tmp_path, steps)
    ledger = Ledger.open(tmp_path, RunId("run-1"))
    events = [event for step in ledger.steps() for event in step.events]
    ledger.close()
    assert events == [event for step in steps for event in step.events]
    assert len({event.order for event in events}) > 3


def test_a_market_made_again_in_mid_day_goes_on_as_if_nothing_had_happened(tmp_path: Path):
    steps = steps_of_a_day()
    undisturbed = [event for step in steps for event in step.events]
    for kept in range(2, len(steps)):
        again = PaperMarket(RULES, 0)
        for step in steps[:kept]:
            again.restore(step)
        if kept == 2:
            again.cancel(ClientOrderId("gone"), "asked")
        while again.instant_ns < ns(6):
            again.advance({MES: PRINTS}, ns(6))
        assert list(again.events_after(0)) == undisturbed


def test_an_entry_fill_and_its_legs_are_one_record():
    (told,) = [step.events for step in steps_of_a_day() if any(event.order.parent == "E1" for event in step.events)][:1]
    entry = next(event.fill for event in told if event.order.client_id == "E1" and event.fill)
    legs = [event.order for event in told if event.order.parent == "E1"]
    assert [(leg.leg, leg.quantity, leg.decided_at_ns) for leg in legs] == [
        ("S1", entry.quantity, entry.time_ns),
        ("T1", entry.quantity, entry.time_ns),
    ]


def test_wherever_the_end_is_torn_every_whole_record_stays_and_the_ledger_goes_on(tmp_path: Path):
    steps = steps_of_a_day()
    write(tmp_path, steps[:-1])
    promised = (tmp_path / FILE_NAME).stat().st_size
    write_more = Ledger.open(tmp_path, RunId("run-1"))
    write_more.append(steps[-1])
    write_more.close()
    whole = (tmp_path / FILE_NAME).read_bytes()

    for cut in range(promised, len(whole)):
        (tmp_path / FILE_NAME).write_bytes(whole[:cut])
        assert read(tmp_path) == steps[:-1]
        assert (tmp_path / FILE_NAME).stat().st_size == promised

    write(tmp_path, steps[-1:])
    assert read(tmp_path) == steps


@pytest.mark.parametrize("zeros", [5, 12, 4096])
def test_zeros_that_a_power_loss_left_at_the_end_are_cut(tmp_path: Path, zeros: int):
    steps = steps_of_a_day()
    write(tmp_path, steps)
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(bytes(zeros))
    assert read(tmp_path) == steps


def test_damage_before_the_end_is_an_error_and_nothing_is_cut(tmp_path: Path):
    write(tmp_path, steps_of_a_day())
    whole = (tmp_path / FILE_NAME).read_bytes()
    for at in range(0, len(whole) // 2, 7):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        (tmp_path / FILE_NAME).write_bytes(damaged)
        with pytest.raises(LedgerDamaged):
            read(tmp_path)
        assert (tmp_path / FILE_NAME).read_bytes() == damaged


def test_a_ledger_belongs_to_one_tape_and_one_process(tmp_path: Path):
    ledger = Ledger.open(tmp_path, RunId("run-1"))
    with pytest.raises(LedgerInUse):
        Ledger.open(tmp_path, RunId("run-1"))
    ledger.close()
    with pytest.raises(LedgerDamaged, match="run-2"):
        Ledger.open(tmp_path, RunId("run-2"))


CHILD = textwrap.dedent("""
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from tests.venue.test_ledger import trade_on
    trade_on(Path(sys.argv[1]))
""")


def long_tape() -> TickColumns:
    """Ten thousand prints that wander by a fixed rule: none of the kills is to find the tape at its end."""
    rows, price = [], 20000
    for number in range(10_000):
        price += (number * 7919 % 13) - 6
        rows.append((number * 10, price, 1 + number % 4, (number % 3) - 1))
    return TickColumns.of(rows)


def trade_on(directory: Path) -> PaperMarket:
    """Go on from the ledger to the end of the tape, an entry every 200 prints; a dot on stdout for each record."""
    ledger = Ledger.open(directory, RunId("run-1"))
    paper = PaperMarket(RULES, 0)
    for step in ledger.steps():
        paper.restore(step)
    prints = {MES: long_tape()}
    while paper.instant_ns < 100_000:
        if not paper.instant_ns % 2000:
            name = f"E{paper.instant_ns}"
            paper.submit(order(ClientOrderId(name), quantity=2, at=paper.instant_ns / 1e9, bracket=(9, 9)))
            ledger.append(paper.take_step())
        paper.advance(prints, paper.instant_ns - paper.instant_ns % 2000 + 2000)
        ledger.append(paper.take_step())
        os.write(1, b".")
    ledger.close()
    return paper


@pytest.mark.integration
def test_a_process_killed_again_and_again_ends_with_the_undisturbed_history(tmp_path: Path):
    undisturbed = trade_on(tmp_path / "quiet").events_after(0)
    assert len(undisturbed) > 200

    kills = 0
    for records in (1, 2, 1, 3, 5, 2, 4, 1):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "killed"), str(ROOT)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}/services"},
        )
        assert child.stdout is not None
        assert child.stdout.read(records) == b"." * records
        child.send_signal(signal.SIGKILL)
        kills += child.wait() == -signal.SIGKILL
        child.stdout.close()

    assert kills >= 5
    assert trade_on(tmp_path / "killed").events_after(0) == undisturbed


def test_the_file_can_be_read_by_eye(tmp_path: Path):
    write(tmp_path, steps_of_a_day())
    content = (tmp_path / FILE_NAME).read_bytes()
    header = content[12 : 12 + int.from_bytes(content[:4], "little")]
    assert orjson.loads(header) == {"format": 1, "tape": "run-1"}
