"""The run that every service works on."""

from dataclasses import replace
from datetime import date

import pytest

from leadline.model.errors import RefusedMessage
from leadline.model.ids import ContractId, RunId
from leadline.model.subjects import RUN_SUBJECT
from leadline.model.v1 import model_pb2 as pb
from leadline.runtime.runs import Run, read_run, run_to_proto

DAY = date(2025, 6, 10)
WALL_NS = 1_764_000_000_123_456_789


def run(*contracts: str) -> Run:
    return Run(RunId("live"), "feed", dict.fromkeys(map(ContractId, contracts), "cme"), DAY, 1, (DAY,), (), 0)


def test_a_run_gains_the_contracts_of_a_later_announcement_and_keeps_those_that_it_has() -> None:
    running = run("MESU2025")
    held = running.contracts
    assert running.gain(run("MESU2025")) == ()
    assert running.gain(run("MESZ2025", "GCZ2025")) == ("GCZ2025", "MESZ2025")
    assert list(held) == ["GCZ2025", "MESU2025", "MESZ2025"]  # the same mapping, in order


def test_a_contract_keeps_its_venue() -> None:
    running = run("MESU2025")
    assert running.gain(replace(run("MESU2025"), contracts={ContractId("MESU2025"): "elsewhere"})) == ()
    assert running.contracts == {"MESU2025": "cme"}


def test_only_the_tape_live_has_no_end() -> None:
    assert run("MESU2025").live
    assert not replace(run("MESU2025"), tape=RunId("run-1")).live


def test_the_tapes_clock_is_the_wall_clock() -> None:
    assert run("MESU2025").now_ns(WALL_NS) == WALL_NS


def test_a_drill_has_a_clock_of_its_own() -> None:
    drill = replace(run("MESU2025"), clock_offset_ns=-5_000, clock_rate=60, clock_since_ns=WALL_NS)
    assert drill.now_ns(WALL_NS) == WALL_NS - 5_000
    assert drill.now_ns(WALL_NS + 7) == WALL_NS - 5_000 + 60 * 7


def test_an_announcement_carries_the_whole_run() -> None:
    drill = replace(run("MESU2025"), clock_offset_ns=-5_000, clock_rate=60, clock_since_ns=WALL_NS)
    for announced in (run("MESU2025"), drill):
        assert read_run(RUN_SUBJECT, run_to_proto(announced).SerializeToString()) == announced


def test_an_announcement_that_says_no_rate_has_the_rate_of_the_wall_clock() -> None:
    message = run_to_proto(run("MESU2025"))
    message.ClearField("clock_rate")
    assert read_run(RUN_SUBJECT, message.SerializeToString()).clock_rate == 1


@pytest.mark.parametrize(
    "clock",
    [pb.Run(clock_rate=-1), pb.Run(clock_offset_ns=(1 << 63) - 1), pb.Run(clock_since_ns=-(1 << 63))],
)
def test_a_clock_that_cannot_be_is_refused(clock: pb.Run) -> None:
    message = run_to_proto(run("MESU2025"))
    message.MergeFrom(clock)
    with pytest.raises(RefusedMessage, match="clock_rate, clock_offset_ns, clock_since_ns"):
        read_run(RUN_SUBJECT, message.SerializeToString())
