"""Which contract a strategy signals on, which may fill it, and on whose prints."""

from datetime import date

import pytest

from leadline.execution.core.contracts import (
    execution_contract,
    execution_roots,
    roots_of,
    signal_instrument,
    signal_months,
    signal_source,
    tape_contract,
    tiers_of,
)
from leadline.model.ids import ContractId, RunId
from tests.plan.builders import account, strategy

FEED = tuple(map(ContractId, ("ESM2025", "MESM2025", "MESU2025")))
DAY = date(2025, 6, 12)  # two trading days before September leads


def test_a_strategy_speaks_of_the_hours_and_days_of_the_month_that_it_begins_with() -> None:
    flow = strategy(ticksPerRow=2, session={"name": "rth"})
    source = signal_source(flow, RunId("tape-1"), FEED, DAY)
    assert [month.contract for month in source.months] == ["MESM2025", "MESU2025"]
    assert (source.tape, source.account, source.strategy) == ("tape-1", "default/paper", "default/flow")
    assert (source.hours.open, source.spec_token, source.calendar) == ("09:30", "5m-r2", "cme")


def test_of_a_root_the_months_of_the_feed_are_read_and_of_a_contract_that_one() -> None:
    assert [month.contract for month in signal_months(strategy(), FEED, DAY)] == ["MESM2025", "MESU2025"]
    assert [month.contract for month in signal_months(strategy(instrument="MESU2025"), FEED, DAY)] == ["MESU2025"]
    assert signal_months(strategy(instrument="MNQ"), FEED, DAY) == ()


@pytest.mark.parametrize("symbol", ["MES", "MESM2025", "ES", "NQ"])
def test_the_sheet_of_a_strategy_is_that_of_its_root(symbol: str) -> None:
    assert signal_instrument(strategy(instrument=symbol)).root == symbol.removesuffix("M2025")


def test_an_order_goes_to_the_month_of_the_signal() -> None:
    assert execution_contract(ContractId("MESM2025"), "ES") == "ESM2025"
    assert execution_contract(ContractId("BTCUSDT"), "BTCUSDT") == "BTCUSDT"


def test_tiers_name_the_roots_that_may_fill_and_without_them_it_is_the_signal_s() -> None:
    tiers = [
        {"from": "0", "execute": "MES", "minSize": 1, "maxSize": 2, "dayLoss": "100"},
        {"from": "5000", "execute": "ES", "minSize": 1, "maxSize": 1, "dayLoss": "300"},
        {"from": "9000", "execute": "ES", "minSize": 1, "maxSize": 2, "dayLoss": "300"},
    ]
    tiered, plain = account(tiers=tiers), account(tiers=[])
    assert execution_roots(tiered, "MESM2025") == ("MES", "ES")
    assert execution_roots(plain, "MESM2025") == ("MES",)
    assert roots_of([tiers_of(tiered)[1:], ()], "MESM2025") == ("ES", "MES")
    assert [(tier.execute, tier.min_size, tier.max_size) for tier in tiers_of(tiered)] == [
        ("MES", 1, 2),
        ("ES", 1, 1),
        ("ES", 1, 2),
    ]


def test_an_order_fills_on_its_own_prints_where_there_are_any_else_on_the_signal_s() -> None:
    assert tape_contract(ContractId("ESM2025"), ContractId("MESM2025"), FEED) == "ESM2025"
    assert tape_contract(ContractId("ESU2025"), ContractId("MESU2025"), FEED) == "MESU2025"
