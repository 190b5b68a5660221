"""The kit with which an author tests a strategy: the same that decides in a run."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from leadline.analysis.strategies import StrategyFailed
from leadline.model.bars import Bar
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.manifest.manifests import load_manifests
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.market.instruments import Instrument
from leadline.model.proposals import Action, Direction, Proposal
from leadline.model.signals import BarSignals
from leadline.model.ticks import TickColumns
from leadline.testing import prints, replay, simulated
from leadline.testing.replay import Halted
from tests.execution.harness.builders import MES, account, ns, strategy

DAY = date(2025, 6, 10)
OWN = {"entryPoint": "tests.testing.test_replay:Up"}


class Up:
    """Buys after each bar that closed above its open."""

    def __init__(self, parameters: Mapping[str, object], instrument: Instrument) -> None:
        del instrument
        self.fails = bool(parameters.get("fails"))

    def warm(self, bar: Bar) -> None:
        """Nothing to remember."""

    def on_bar(self, bar: Bar) -> BarSignals:
        """An entry after a rise."""
        if self.fails:
            raise ValueError("no idea")
        rose = bar.close > bar.open
        found = (Proposal(Action.ENTER, Direction.LONG, why=("a rise",)),) if rose else ()
        times = (bar.session_open_ns, bar.session_close_ns)
        return BarSignals(bar.key, bar.known_at_ns, bar.close, *times, proposals=found)


def rising(seconds: int = 2_000) -> Mapping[ContractId, TickColumns]:
    """A print a second, a tick up every hundred."""
    rows = [(ns(second), 20_000 + second // 100, 5, 1) for second in range(1, seconds)]
    return prints(MES, rows)


def test_the_first_example_comes_to_what_its_run_comes_to():
    """`make demo` prints these figures."""
    found = load_manifests(Path(__file__).parents[2] / "examples" / "mes-orderflow.yaml")
    [own] = [item for item in found if isinstance(item, TradingStrategy)]
    [paper] = [item for item in found if isinstance(item, TradingAccount)]
    came = replay(own, simulated(own, DAY), DAY, paper)
    assert len(came.said) == len(came.decisions) == 78
    assert sum(order.leg == "E" for order in came.orders) == 9
    assert (Decimal(came.result), came.open) == (Decimal("183.75"), {})


def test_a_strategy_of_one_s_own_over_prints_of_one_s_own():
    own = strategy(strategy=OWN, history=0, bars="5m", bracket=(16, 4))
    found = replay(own, rising(), DAY, account(limits={"dayTarget": "10000"}))
    assert [bar.close - bar.open for bar in found.bars][:3] == [2, 2, 2]
    first = found.decisions[0]
    assert (first.accepted, first.reason, first.quantity) == (True, "", 1)
    assert found.orders[0].leg == "E"
    assert Decimal(found.result) > 0


def test_what_it_holds_at_the_end_is_shown():
    own = strategy(strategy=OWN, history=0, bars="5m", bracket=(400, 400), budget=False)
    assert replay(own, rising(), DAY).open == {MES: 1}


def test_a_strategy_that_raises_is_named_with_its_bar():
    own = strategy(strategy={**OWN, "parameters": {"fails": True}}, history=0)
    with pytest.raises(StrategyFailed, match=r"at bar MESM2025/rth/5m-r1/2025-06-10/0: ValueError: no idea"):
        replay(own, rising(), DAY)


def test_an_account_that_is_halted_ends_the_replay():
    own = strategy(strategy=OWN, history=0, bracket=(16, 1))
    with pytest.raises(Halted, match="one more entry than the 1 that are allowed within an hour"):
        replay(own, rising(), DAY, account(limits={"maxEntriesPerHour": 1}))


def test_prints_out_of_order_and_no_prints_are_refused():
    with pytest.raises(InvalidInput, match="in the order of their times"):
        prints(MES, [(2, 20_000, 1, 0), (1, 20_000, 1, 0)])
    with pytest.raises(InvalidInput, match="prints of a contract"):
        replay(strategy(), {}, DAY)
