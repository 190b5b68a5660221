"""Several processes make of the days what one does."""

from pathlib import Path

import pytest

from leadline.analysis.strategies import StrategyFailed
from leadline.backtest import workers
from leadline.backtest.documents import result_document
from leadline.backtest.gathered import Gathered
from leadline.backtest.results import result_of
from leadline.backtest.run import run_backtest
from leadline.backtest.workers import DayFailed, suitable_workers
from tests.backtest.test_run import BEFORE_THE_ROLL, SESSIONS, account, simulated, strategy

pytestmark = pytest.mark.integration

RAISES = """
class Raises:
    def __init__(self, parameters, instrument):
        self.bars = 0

    def warm(self, bar):
        pass

    def on_bar(self, bar):
        raise ValueError("no idea what to do")


def make(parameters, instrument):
    return Raises(parameters, instrument)
"""


def test_the_results_do_not_depend_on_the_number_of_processes():
    prints = simulated(BEFORE_THE_ROLL, SESSIONS, 3)
    one, two = Gathered([strategy()]), Gathered([strategy()])

    alone = run_backtest([account()], [strategy()], prints, BEFORE_THE_ROLL, seen=one.seen)
    shared = run_backtest([account()], [strategy()], prints, BEFORE_THE_ROLL, seen=two.seen, workers=2)

    assert shared.digest == alone.digest
    documents = [result_document(result_of(outcome, seen)) for outcome, seen in ((alone, one), (shared, two))]
    assert documents[0] == documents[1]
    assert documents[0]["accounts"][0]["trades"]


def test_a_range_that_is_done_before_others_have_started_takes_one_process(monkeypatch: pytest.MonkeyPatch):
    prints = simulated(BEFORE_THE_ROLL, SESSIONS, 3)
    every = sum(each.prints for contract in prints.contracts for each in prints.days(contract))
    monkeypatch.setattr(workers, "_FEWEST_PRINTS", every)
    monkeypatch.setattr(workers, "processors", lambda: 4)

    assert suitable_workers(prints) == 4
    assert suitable_workers(prints, BEFORE_THE_ROLL) == 1
    assert suitable_workers(prints, None, BEFORE_THE_ROLL) == 1


def test_a_strategy_that_raises_ends_the_backtest_with_the_same_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "it_raises.py").write_text(RAISES)
    monkeypatch.syspath_prepend(tmp_path)
    prints = simulated(BEFORE_THE_ROLL, SESSIONS, 3)
    raising = strategy(strategy={"entryPoint": "it_raises:make"})

    with pytest.raises(StrategyFailed) as alone:
        run_backtest([account()], [raising], prints, BEFORE_THE_ROLL)
    with pytest.raises(DayFailed) as shared:
        run_backtest([account()], [raising], prints, BEFORE_THE_ROLL, workers=2)

    assert str(shared.value) == str(alone.value)
    assert "at bar MESM2025/rth/30m-r1/2025-06-12/0: ValueError: no idea what to do" in str(alone.value)
    assert str(alone.value).startswith(f"the strategy {raising.full_name} failed at bar ")
