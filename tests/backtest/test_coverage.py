"""A day that the prints reach over in part is named; so is what is in no bar."""

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pytest

from leadline.backtest.coverage import KeptOut, UnfinishedLine, kept_out, short_days
from leadline.backtest.days import backtest_days
from leadline.backtest.gathered import Gathered
from leadline.backtest.prints import PrintsInMemory, numbered_from
from leadline.backtest.results import result_of
from leadline.backtest.run import run_backtest
from leadline.ingestion.tally import OUTSIDE, Counts
from leadline.model.ids import ContractId
from leadline.model.ticks import TickColumns, concat
from tests.backtest.test_run import BEFORE_THE_ROLL, SESSIONS, account, simulated, strategy

JUNE = ContractId("MESM2025")
NEXT_DAY = date(2025, 6, 13)
NONE: dict[ContractId, Counts] = {}


def in_new_york(day: date, clock: str) -> int:
    return int(datetime.fromisoformat(f"{day}T{clock}-04:00").timestamp()) * 10**9


def prints(*cuts: tuple[date, str, str], faulty: dict[ContractId, Counts] = NONE) -> PrintsInMemory:
    """The simulated days of the June contract without the prints between two times of some days."""
    source = simulated(BEFORE_THE_ROLL, SESSIONS, 3)
    found: list[TickColumns] = []
    for each in source.days(JUNE):
        ticks = source.read(JUNE, each.day)
        keep = np.ones(len(ticks), dtype=bool)
        for day, begin, end in cuts:
            keep &= (ticks.time_ns < in_new_york(day, begin)) | (ticks.time_ns >= in_new_york(day, end))
        left = TickColumns(ticks.time_ns[keep], ticks.price[keep], ticks.size[keep], ticks.aggressor[keep])
        found.append(numbered_from(left, sum(map(len, found))))
    return PrintsInMemory({JUNE: concat(found)}, kept_out=faulty)


def test_whole_days_are_not_named():
    days = backtest_days(prints(), [strategy()], BEFORE_THE_ROLL, NEXT_DAY)
    assert short_days(days, [strategy()]) == ()


@pytest.mark.parametrize(
    ("begin", "end", "share"),
    [("00:00", "12:45", "0.5"), ("12:45", "17:00", "0.5"), ("07:00", "17:00", "0")],
)
def test_a_part_of_a_session_is_named_with_its_share(begin: str, end: str, share: str):
    evening = (date(2025, 6, 12), "18:00", "23:59:59")
    cut = prints(evening, (NEXT_DAY, begin, end))
    (found,) = short_days(backtest_days(cut, [strategy()], BEFORE_THE_ROLL, NEXT_DAY), [strategy()])
    assert (found.contract, found.day, found.session, found.traded) == (JUNE, NEXT_DAY, "rth", True)
    assert found.outside == (share == "0")
    assert abs(found.share - Decimal(share)) < Decimal("0.01")


def test_half_an_hour_at_its_ends_is_no_part():
    cut = prints((NEXT_DAY, "00:00", "09:59"), (NEXT_DAY, "15:31", "17:00"))
    days = backtest_days(cut, [strategy()], BEFORE_THE_ROLL, NEXT_DAY)
    assert short_days(days, [strategy()]) == ()


def test_a_part_of_a_session_of_the_history_is_named_as_such():
    before = date(2025, 6, 11)
    days = backtest_days(prints((before, "12:45", "17:00")), [strategy()], BEFORE_THE_ROLL, NEXT_DAY)
    assert [(each.day, each.traded) for each in short_days(days, [strategy()])] == [(before, False)]


def test_prints_that_are_kept_out_are_counted_by_reason():
    counts: Counts = {
        (None, "no_time"): 1,
        (BEFORE_THE_ROLL, "off_grid"): 2,
        (NEXT_DAY, "off_grid"): 3,
        (NEXT_DAY, OUTSIDE): 9,
        (date(2025, 6, 16), "no_size"): 5,
    }
    faulty = prints(faulty={JUNE: counts})
    days = backtest_days(faulty, [strategy()], BEFORE_THE_ROLL, NEXT_DAY)
    assert kept_out(days) == (KeptOut(JUNE, "no_time", 1), KeptOut(JUNE, "off_grid", 5))


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.integration)])
def test_the_bar_inside_of_which_the_tape_ends_is_named(workers: int):
    cut = prints((NEXT_DAY, "12:40", "17:00"))
    gathered = Gathered([strategy()])
    outcome = run_backtest([account()], [strategy()], cut, BEFORE_THE_ROLL, NEXT_DAY, gathered.seen, workers)
    (line,) = result_of(outcome, gathered).unfinished
    assert line == UnfinishedLine("MESM2025/rth/30m-r1/2025-06-13/6", line.prints)
    assert line.prints > 100
