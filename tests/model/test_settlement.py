"""When a position ends by itself."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from leadline.model.market.settlement import settles_at_ns


@pytest.mark.parametrize(
    ("contract", "local"),
    [
        ("MESM2025", "2025-06-20 09:30"),  # the third Friday
        ("MESM2026", "2026-06-18 09:30"),  # the third Friday is a holiday: the Thursday before it
        ("NQZ2090", "2090-12-15 09:30"),  # out of the stock calendar's years: the third Friday
    ],
)
def test_an_equity_index_future_settles_at_the_opening_of_the_stock_exchange(contract: str, local: str):
    at_ns = settles_at_ns(contract)
    assert at_ns is not None
    assert f"{datetime.fromtimestamp(at_ns // 10**9, ZoneInfo('America/New_York')):%Y-%m-%d %H:%M}" == local


@pytest.mark.parametrize("contract", ["GCZ2013", "CLF2026", "BTCUSDT", "MES", "WHATEVER", "XYZH2025"])
def test_what_is_delivered_or_never_ends_or_is_in_no_sheet_settles_in_no_cash(contract: str):
    assert settles_at_ns(contract) is None
