"""What goes from process to process comes out as it went in."""

from dataclasses import fields

import numpy as np
import pytest

from leadline.backtest.account import PaperTape
from leadline.backtest.days import backtest_days
from leadline.backtest.market import DayWorker
from leadline.backtest.packed import packed, unpacked
from leadline.backtest.processes import process_context
from leadline.backtest.shared import SharedDays
from leadline.model.bars import Bar, FootprintRows
from leadline.model.ids import ContractId
from leadline.model.ticks import TickColumns
from tests.backtest.test_run import BEFORE_THE_ROLL, account, simulated, strategy


def plain(rows: FootprintRows) -> list[list[int]]:
    return [getattr(rows, each.name).tolist() for each in fields(rows)]


def without_rows(bar: Bar) -> list[object]:
    return [getattr(bar, each.name) for each in fields(bar) if each.name != "rows"]


@pytest.mark.parametrize("bars", ["30m", "ticks:300"])
def test_bars_that_were_packed_are_the_same_bars(bars: str):
    prints, own = simulated(BEFORE_THE_ROLL, 2, 3), strategy(bars=bars)
    days = backtest_days(prints, [own], BEFORE_THE_ROLL, None)
    worker = DayWorker(prints, days, [own])
    part = days.days[0].tapes[0]
    made = worker.bars(part, worker.ticks(part))

    found = unpacked(part.contract, packed(made))

    assert found.keys() == made.keys()
    for series, messages in made.items():
        told = [each for each in messages if each.bar is not None]
        assert len(found[series]) == len(told) > 0
        for one, other in zip(found[series], told, strict=True):
            assert one.bar is not None
            assert other.bar is not None
            assert without_rows(one.bar) == without_rows(other.bar)
            assert plain(one.bar.rows) == plain(other.bar.rows)
            assert (one.progress_ns, one.quiet_until_ns) == (other.progress_ns, other.quiet_until_ns)
            assert (one.tape, one.venue, one.contract, one.final) == (other.tape, other.venue, other.contract, False)


def test_bars_of_no_print_are_packed_too():
    own = strategy()
    days = backtest_days(simulated(BEFORE_THE_ROLL, 2, 3), [own], BEFORE_THE_ROLL, None)
    worker = DayWorker(simulated(BEFORE_THE_ROLL, 2, 3), days, [own])
    part = days.days[0].tapes[0]
    (series,) = worker.bars(part, worker.ticks(part))

    assert unpacked(part.contract, packed({series: []})) == {series: []}


def test_shared_days_stand_until_their_place_is_taken():
    days = backtest_days(simulated(BEFORE_THE_ROLL, 4, 3), [strategy()], BEFORE_THE_ROLL, None)
    shared = SharedDays(process_context(), [each.tapes for each in days.days], 2)
    worker = DayWorker(simulated(BEFORE_THE_ROLL, 4, 3), days, [strategy()])
    read = [{part.contract: worker.ticks(part) for part in day.tapes} for day in days.days]

    for number, day in enumerate(days.days):
        shared.put(number, day.tapes, read[number])
        for before in range(max(0, number - 1), number + 1):
            same(shared.of(before, days.days[before].tapes), read[before])
    assert any(len(day.tapes) == 2 for day in days.days), "there is a day of two contracts"


def same(found: dict[ContractId, TickColumns], expected: dict[ContractId, TickColumns]) -> None:
    assert found.keys() == expected.keys()
    for contract, ticks in found.items():
        assert ticks.first_index == expected[contract].first_index
        for each in ("time_ns", "price", "size", "aggressor"):
            assert np.array_equal(getattr(ticks, each), getattr(expected[contract], each))


def test_prints_that_an_account_keeps_longer_are_its_own():
    """The columns of a day hold another one soon, and here an account has not come to the end of one of its tapes."""
    june, nasdaq = ContractId("MESM2025"), ContractId("MNQM2025")
    tape = PaperTape(account(), [june, nasdaq], 0)
    rows = [(10, 20_000, 1, 1), (20, 20_004, 1, 1)]
    lasting = TickColumns.of(rows)

    tape.go_on({june: lasting}, 5, final=False)
    tape.go_on({nasdaq: TickColumns.of([(11, 70_000, 1, 1)])}, 6, final=False)
    for column in (lasting.time_ns, lasting.price, lasting.size, lasting.aggressor):
        column[:] = 99

    kept = tape._venue.unmatched(june)
    assert list(zip(kept.time_ns, kept.price, kept.size, kept.aggressor, strict=True)) == rows
