"""What the market-data side carries follows from the plan and the contracts of the run."""

from datetime import date
from typing import Any

import pytest

from leadline.model.errors import InvalidInput
from leadline.model.ids import AccountId, ContractId, StrategyId
from leadline.plan.demand import BarsWanted, DemandRow, demand_rows
from leadline.plan.plan import plan
from leadline.plan.platform import PlatformSettings
from tests.plan.builders import account, strategy

DAY = date(2025, 10, 8)  # December is the front month of the equity index futures
RTH = BarsWanted("rth", "09:30", "16:00", "America/New_York", "5m", 1)
FIXED: dict[str, Any] = {"sizing": {"mode": "Fixed", "size": 1}}


def rows(contracts: dict[str, str], strategies, accounts=()):
    return demand_rows(
        plan(PlatformSettings(), accounts, strategies),
        {ContractId(name): venue for name, venue in contracts.items()},
        DAY,
    )


def test_a_strategy_wants_its_bars_and_its_account_the_prints_of_what_fills_it():
    assert rows({"MESZ2025": "cme"}, [strategy()]) == (
        DemandRow(StrategyId("default/flow"), AccountId("default/paper"), ContractId("MESZ2025"), "cme", RTH),
        DemandRow(StrategyId(""), AccountId("default/paper"), ContractId("MESZ2025"), "cme", None),
    )


def test_every_series_of_a_strategy_is_carried_in_each_month():
    further = [{"name": "trend", "bars": "60m", "ticksPerRow": 2}]
    own: dict[str, Any] = {"strategy": {"entryPoint": "my_code:Mine"}, "series": further}
    trend = BarsWanted("rth", "09:30", "16:00", "America/New_York", "1h", 2)
    found = rows({"MESZ2025": "cme", "MESH2026": "cme"}, [strategy(**own)])
    assert [(row.contract, row.bars, row.series) for row in found if row.strategy] == [
        ("MESZ2025", trend, "trend"),
        ("MESZ2025", RTH, "main"),
        ("MESH2026", trend, "trend"),
        ("MESH2026", RTH, "main"),
    ]


def test_a_contract_that_a_tier_executes_is_carried_where_the_feed_has_it():
    found = rows({"MESZ2025": "cme", "ESZ2025": "cme", "ESH2026": "cme", "GCZ2025": "comex"}, [strategy()])
    assert [(row.strategy, row.contract, row.bars) for row in found] == [
        ("default/flow", "MESZ2025", RTH),
        ("", "ESZ2025", None),
        ("", "MESZ2025", None),
    ]


def test_bars_carry_their_token_and_the_hours_of_their_session():
    own = {"open": "08:20", "close": "13:30", "zone": "America/New_York"}
    gold = strategy("gold", instrument="GCZ2025", account={"name": "a"}, session=own, bars="ticks:250", ticksPerRow=4,
                    **FIXED)  # fmt: skip
    found = rows({"GCZ2025": "comex"}, [gold], [account("a", tiers=[])])
    assert found[0].bars is not None
    assert (found[0].bars.bars, found[0].bars.ticks_per_row) == ("ticks250", 4)
    assert (found[0].bars.open, found[0].bars.close, found[0].bars.zone) == ("08:20", "13:30", "America/New_York")
    assert "." not in found[0].bars.session
    assert found[1:] == (DemandRow(StrategyId(""), AccountId("default/a"), ContractId("GCZ2025"), "comex", None),)


def test_a_contract_that_the_feed_does_not_have_is_refused():
    with pytest.raises(InvalidInput, match="got 'MESZ2025', expected a contract of the feed: MESH2025"):
        rows({"MESH2025": "cme"}, [strategy()])


def test_of_a_root_every_month_is_carried_that_leads_in_the_run():
    found = rows({"MESZ2025": "cme", "MESH2026": "cme", "MESU2025": "cme", "ESH2026": "cme"}, [strategy()])
    assert [(row.strategy, row.contract, row.bars) for row in found] == [
        ("default/flow", "MESZ2025", RTH),
        ("default/flow", "MESH2026", RTH),
        ("", "ESH2026", None),
        ("", "MESH2026", None),
        ("", "MESZ2025", None),
    ]


def test_of_a_dated_contract_no_other_month_is_carried():
    found = rows({"MESZ2025": "cme", "MESH2026": "cme"}, [strategy(instrument="MESZ2025")])
    assert {row.contract for row in found} == {"MESZ2025"}
