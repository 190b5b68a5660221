"""A session over midnight of a market that never closes has its own days, of parts of the market's."""

import pickle
from datetime import UTC, date, datetime

import numpy as np
import pytest

from leadline.backtest.days import backtest_days
from leadline.backtest.own_days import OwnDays, in_own_days
from leadline.backtest.prints import PrintsInMemory
from leadline.backtest.run import run_backtest
from leadline.ingestion.simulator import simulate_day
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, parse_manifest
from leadline.model.ticks import TickColumns
from tests.catalog.builders import columns

PERPETUAL = ContractId("BTCUSDT")
HEAD = {"apiVersion": "leadline.dev/v1alpha1"}


def june(day: int) -> date:
    return date(2025, 6, day)


def hour_ns(day: int, hour: int) -> int:
    return int(datetime(2025, 6, day, hour, tzinfo=UTC).timestamp()) * 10**9


@pytest.fixture(scope="module")
def prints() -> PrintsInMemory:
    """Each fiftieth print of five days."""
    parts = [columns(simulate_day(PERPETUAL, june(day), 3)) for day in range(8, 13)]
    time_ns, price, size, aggressor = (np.concatenate([part[n][::50] for part in parts]) for n in range(4))
    return PrintsInMemory({PERPETUAL: TickColumns(time_ns, price, size, aggressor)}, whole_days=True)


def strategy(name: str = "nights", **spec: object) -> TradingStrategy:
    hours = {"open": "18:00", "close": "06:00", "zone": "UTC"}
    detectors = {"imbalance": {"minVolume": 1}, "absorption": {"minVolume": 1}}
    found = parse_manifest(
        {
            **HEAD,
            "kind": "TradingStrategy",
            "metadata": {"name": name},
            "spec": {
                "instrument": "BTCUSDT",
                "session": hours,
                "bars": "15m",
                "history": 1,
                "strategy": {"name": "OrderFlow", "detectors": detectors},
                "sizing": {"mode": "Fixed", "size": 1, "respectDayBudget": False},
                "bracket": {"stopTicks": 50, "targetTicks": 80},
                **spec,
            },
        }
    )
    assert isinstance(found, TradingStrategy)
    return found


def account() -> TradingAccount:
    spec = {"startingBalance": "100000", "currency": "USDT", "tiers": [], "limits": {"dayLoss": "50000"}}
    found = parse_manifest({**HEAD, "kind": "TradingAccount", "metadata": {"name": "paper"}, "spec": spec})
    assert isinstance(found, TradingAccount)
    return found


def test_a_tape_of_days_of_the_market_is_cut_at_the_open_of_the_session(prints: PrintsInMemory):
    cut, first, last = in_own_days(prints, [strategy()], june(10), june(11))
    assert (first, last) == (june(10), None)
    assert [each.day for each in cut.days(PERPETUAL)] == [june(day) for day in (9, 10, 11, 12)]
    bounds = [(each.first_ns, each.last_ns) for each in cut.days(PERPETUAL)]
    edges = [hour_ns(9, 0), hour_ns(9, 18), hour_ns(10, 18), hour_ns(11, 18), hour_ns(12, 0)]
    assert all(
        begins <= first_ns <= last_ns < ends
        for (first_ns, last_ns), begins, ends in zip(bounds, edges, edges[1:], strict=False)
    )
    found = [cut.read(PERPETUAL, each.day) for each in cut.days(PERPETUAL)]
    assert [len(ticks) for ticks in found] == [each.prints for each in cut.days(PERPETUAL)]
    assert {ticks.first_index for ticks in found} == {0}
    whole = [prints.read(PERPETUAL, june(day)) for day in (9, 10, 11)]
    for n in range(4):
        together = np.concatenate([columns(ticks)[n] for ticks in found])
        assert np.array_equal(together, np.concatenate([columns(ticks)[n] for ticks in whole]))
    assert cut.ends_ns(PERPETUAL, june(12)) == prints.ends_ns(PERPETUAL, june(11))
    again = pickle.loads(pickle.dumps(cut))
    assert again.content(PERPETUAL, june(10)) == cut.content(PERPETUAL, june(10))


def test_workers_come_to_the_same(prints: PrintsInMemory):
    cut, first, last = in_own_days(prints, [strategy()], june(10), june(11))
    one, two = (run_backtest([account()], [strategy()], cut, first, last, workers=workers) for workers in (1, 2))
    assert one.digest == two.digest
    assert [each.day for each in one.days.traded] == [june(10), june(11), june(12)]


def test_prints_stay_as_they_are_where_the_days_of_the_market_fit(prints: PrintsInMemory):
    whole = strategy(session={"name": "rth"})
    assert in_own_days(prints, [whole], june(10), None) == (prints, june(10), None)


def test_strategies_that_have_other_days_are_refused(prints: PrintsInMemory):
    several = [strategy(), strategy("whole", session={"name": "rth"}, account={"name": "other"})]
    cut, first, last = in_own_days(prints, several, june(10), None)
    assert not isinstance(cut, OwnDays)
    with pytest.raises(InvalidInput, match=r"nights: spec.session: got '.*', expected hours within one trading day"):
        backtest_days(cut, several, first, last)
